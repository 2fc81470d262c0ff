"""Every recorded request, sent again by the SDK of its dialect: the typed answer says what was recorded, and
the bytes of the answer are the recorded ones."""
import anthropic
import httpx2
import openai
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import records
from conftest import CASES, WAY, only_gateway

SWEEP = [c for c in CASES if c["request"]]
KINDS = {"chat": ("/chat/completions", ChatCompletion, openai.Stream[ChatCompletionChunk], openai.APIStatusError),
         "messages": ("/v1/messages", Message, anthropic.Stream[RawMessageStreamEvent], anthropic.APIStatusError)}


def name(c):
    return f"{c['provider']}-{c['id']}"


def send(client, case, prefix="", **how):
    """Posts the recorded request; only the model is another, the record's id."""
    path = KINDS[case["dialect"]][0]
    headers = {"anthropic-beta": case["beta"]} if case["beta"] else {}
    return client.post(path, body={**case["request"], "model": prefix + case["id"]}, options={"headers": headers}, **how)


def expected(case):
    """The recorded bytes, through the gateway without the usage frame that nobody asked for."""
    body = case["body"]
    if WAY == "gateway" and case["usage_frame"]:
        body = body.replace(case["usage_frame"], "", 1)
    return body.encode("utf-8")


@pytest.fixture
def client(case, oai, ant):
    return oai if case["dialect"] == "chat" else ant


@pytest.mark.parametrize("case", [c for c in SWEEP if c["status"] == 200], ids=name)
def test_bytes(client, case):
    assert send(client, case, cast_to=httpx2.Response).content == expected(case)


@only_gateway()
@pytest.mark.parametrize("case", [c for c in SWEEP if c["status"] == 200 and c["stream"]], ids=name)
def test_bytes_with_another_target_behind(client, case):
    """Held until its first content and watched, a stream is the same to the byte."""
    assert send(client, case, "spare/", cast_to=httpx2.Response).content == expected(case)


@pytest.mark.parametrize("case", [c for c in SWEEP if c["status"] == 200 and c["want"]], ids=name)
def test_typed(client, case):
    _, whole, stream, error = KINDS[case["dialect"]]
    read = records.READERS[case["dialect"], case["stream"]]
    if not case["stream"]:
        assert read(send(client, case, cast_to=whole).to_dict()) == case["want"]
        return
    events = []
    try:
        for e in send(client, case, cast_to=whole, stream=True, stream_cls=stream):
            events.append(e.to_dict())
    except (openai.APIError, anthropic.APIError):
        assert case["want"].get("error"), "the recorded stream has no error"
        return
    got = read(events)
    if WAY == "gateway" and case["usage_frame"]:
        got["usage"] = case["want"]["usage"]
    assert got == case["want"]


@pytest.mark.parametrize("case", [c for c in SWEEP if c["status"] >= 400], ids=name)
def test_error(client, case):
    error = KINDS[case["dialect"]][3]
    with pytest.raises(error) as caught:
        send(client, case, cast_to=httpx2.Response)
    if WAY == "gateway" and case["status"] in (401, 403):
        # The provider refused the gateway's credential: not the client's fault, and no word of it for the client.
        assert caught.value.status_code == 502
        return
    assert caught.value.status_code == case["status"]
    if WAY == "straight" or case["status"] != 429:  # limits are told in the gateway's words, with what each attempt said
        assert caught.value.response.content == case["body"].encode("utf-8")
