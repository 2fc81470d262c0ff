"""The same scenarios by the SDK of every newer front door, on the mock behind two other APIs. Nothing here has a straight counterpart."""
import functools
import os

import botocore.exceptions
import cohere.core
import openai
import pytest
from google.genai import errors as genai_errors

import plain
from conftest import KEY, MOCK, eventually, journal, only_gateway
from doors import DOORS, NAME

pytestmark = only_gateway()
NEW = ["responses", "gemini", "cohere", "converse"]
EACH = pytest.mark.parametrize("dialect", NEW)
UPSTREAM = pytest.mark.parametrize("upstream", ["chat-only", "messages-only"])
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@functools.cache
def door(dialect, key=KEY):
    return DOORS[dialect](MOCK, key)


@EACH
@UPSTREAM
@WAYS
def test_text_and_usage(dialect, upstream, stream):
    got = door(dialect).ask(upstream + "/tokens:7", stream)
    assert len(got["text"].split()) == 7 and plain.end(dialect, got) == "end"
    assert got["usage"]["output"] == 7 and got["usage"]["input"] >= 1


@EACH
@UPSTREAM
@WAYS
def test_parallel_calls(dialect, upstream, stream):
    got = door(dialect).ask(upstream + "/tools:2", stream, tools=True)
    assert [c["name"] for c in got["calls"]] == [NAME, NAME] and all(isinstance(c["args"]["city"], str) for c in got["calls"])
    assert plain.end(dialect, got) == "calls"


@EACH
@UPSTREAM
@WAYS
def test_thinking(dialect, upstream, stream):
    more = {"thinking_config": {"include_thoughts": True}} if dialect == "gemini" else {}
    got = door(dialect).ask(upstream + "/reasoning+echo", stream, **more)
    assert got["text"] == "Hello" and got["thinking"]


@EACH
@UPSTREAM
@WAYS
@pytest.mark.parametrize("why,end", [("length", "length"), ("filter", "filter"), ("sequence", "end")])
def test_end(dialect, upstream, stream, why, end):
    got = door(dialect).ask(f"{upstream}/stop:{why}+tokens:3", stream)
    assert plain.end(dialect, got) == end or (dialect == "cohere" and end == "filter")


# What each SDK raises, and where the HTTP status stands in it.
RAISED = {"responses": (openai.APIStatusError, lambda e: e.status_code), "gemini": (genai_errors.APIError, lambda e: e.code),
          "cohere": (cohere.core.ApiError, lambda e: e.status_code),
          "converse": (botocore.exceptions.ClientError, lambda e: e.response["ResponseMetadata"]["HTTPStatusCode"])}
NAMED = {"responses": {400: "BadRequestError", 404: "NotFoundError", 429: "RateLimitError", 500: "InternalServerError", 503: "InternalServerError"},
         "gemini": {400: "ClientError", 404: "ClientError", 429: "ClientError", 500: "ServerError", 503: "ServerError"},
         "cohere": {400: "BadRequestError", 404: "NotFoundError", 429: "TooManyRequestsError", 500: "ApiError", 503: "ServiceUnavailableError"},
         "converse": {400: "ValidationException", 404: "ResourceNotFoundException", 429: "ThrottlingException", 500: "InternalServerException",
                      503: "ServiceUnavailableException"}}


@EACH
@UPSTREAM
@WAYS
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_status(dialect, upstream, stream, status):
    kind, code = RAISED[dialect]
    with pytest.raises(kind) as caught:
        door(dialect).ask(f"{upstream}/{status}", stream)
    assert code(caught.value) == {500: 502}.get(status, status)  # an upstream's 500 is not the gateway's own
    assert type(caught.value).__name__ == NAMED[dialect][status]
    assert str(caught.value)


@EACH
@WAYS
def test_wrong_key(dialect, stream):
    kind, code = RAISED[dialect]
    with pytest.raises(kind) as caught:
        door(dialect, "wrong-key-0123456789").ask("mock/text", stream)
    # Bedrock answers 403 where others answer 401.
    assert code(caught.value) == (403 if dialect == "converse" else 401) and "wrong-key" not in str(caught.value)


@EACH
@WAYS
def test_unknown_model(dialect, stream):
    kind, code = RAISED[dialect]
    with pytest.raises(kind) as caught:
        door(dialect).ask("no-such-model", stream)
    assert code(caught.value) == 404 and "no-such-model" in str(caught.value)


@EACH
@UPSTREAM
def test_error_in_mid_stream_is_raised_or_told(dialect, upstream):
    try:
        got = door(dialect).ask(upstream + "/error-after:3", True)
    except Exception as e:  # the SDKs have no class in common
        assert type(e).__module__.split(".")[0] in ("openai", "google", "cohere", "botocore", "httpx"), e
        return
    assert got.get("error"), got


@EACH
@UPSTREAM
def test_cut_stream_is_no_whole_answer(dialect, upstream):
    try:
        got = door(dialect).ask(upstream + "/cut:3", True)
    except Exception as e:
        assert type(e).__module__.split(".")[0] in ("openai", "google", "cohere", "botocore", "httpx", "httpx2", "httpcore", "urllib3"), e
        return
    assert got.get("error") or not got["stop"], got


@EACH
@WAYS
def test_deadline(dialect, stream):
    kind, code = RAISED[dialect]
    with pytest.raises(kind) as caught:
        door(dialect).ask("hasty/slow:3s+echo", stream)
    assert code(caught.value) in (408, 503, 504, 529)


@EACH
@WAYS
def test_first_token_failover(dialect, stream):
    assert door(dialect).ask("moves-on", stream)["text"] == "Hello"


def first_events(dialect, model, n):
    """Reads n events of a stream, and leaves."""
    client = door(dialect).client
    if dialect == "responses":
        s = client.responses.create(model=model, input="Hello", stream=True)
        for _ in range(n + 4):
            next(s)
        s.close()
    elif dialect == "gemini":
        s = client.models.generate_content_stream(model=model, contents="Hello")
        for _ in range(n):
            next(s)
        s.close()
    elif dialect == "cohere":
        s = client.chat_stream(model=model, messages=[{"role": "user", "content": "Hello"}])
        for _ in range(n + 2):
            next(s)
        s.close()
    else:
        s = client.converse_stream(modelId=model, messages=[{"role": "user", "content": [{"text": "Hello"}]}])["stream"]
        events = iter(s)
        for _ in range(n + 2):
            next(events)
        s.close()


@EACH
def test_cancel_in_mid_stream_ends_the_upstreams_work(dialect):
    words = 900 + NEW.index(dialect)
    first_events(dialect, f"chat-only/pace:20ms+tokens:{words}", 3)

    def aborted():
        seen = [r for r in journal() if f"tokens:{words}" in r["body"]]
        return seen and seen[-1].get("aborted")
    assert eventually(aborted), "the upstream still sends"


@EACH
@UPSTREAM
@WAYS
def test_forced_tool(dialect, upstream, stream):
    got = door(dialect).ask(upstream + "/tools+text", stream, tools=True, forced=True)
    assert [c["name"] for c in got["calls"]] == [NAME] and plain.end(dialect, got) == "calls"
