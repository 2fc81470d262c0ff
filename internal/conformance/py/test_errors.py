"""Errors become the SDKs' own exception classes, and what ends badly in mid-stream is raised, never swallowed."""
import json
import os

import anthropic
import httpx2
import openai
import pytest

from conftest import KEY, MOCK, anthropic_client, eventually, journal, only_gateway, openai_client

SDKS = {"openai": openai, "anthropic": anthropic}
BOTH = pytest.mark.parametrize("sdk", ["openai", "anthropic"])
HELLO = [{"role": "user", "content": "Hello"}]
CLASSES = {400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
           429: "RateLimitError", 500: "InternalServerError", 503: "InternalServerError", 529: "InternalServerError"}
# The front doors of the mock: in the client's dialect, and through translation.
DOORS = {"openai": ["mock", "messages-only"], "anthropic": ["mock", "chat-only"]}


def client_of(sdk, base=MOCK, key=KEY, **more):
    return (openai_client if sdk == "openai" else anthropic_client)(base, key, **more)


def ask(sdk, model, client=None, **more):
    c = client or client_of(sdk)
    if sdk == "openai":
        return c.chat.completions.create(model=model, messages=HELLO, **more)
    return c.messages.create(model=model, max_tokens=1000, messages=HELLO, **more)


def texts(sdk, stream):
    for e in stream:
        if sdk == "openai" and e.choices and e.choices[0].delta.content:
            yield e.choices[0].delta.content
        elif sdk == "anthropic" and e.type == "content_block_delta" and e.delta.type == "text_delta":
            yield e.delta.text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 529])
@pytest.mark.parametrize("door", [0, 1], ids=["same", "translated"])
@BOTH
def test_status(sdk, status, door, stream):
    if door and os.environ["SB_WAY"] != "gateway":
        pytest.skip("only the gateway can do this")
    with pytest.raises(getattr(SDKS[sdk], CLASSES[status])) as caught:
        ask(sdk, f"{DOORS[sdk][door]}/{status}", stream=stream)
    body = caught.value.response.json()
    assert body["error"]["message"]
    assert sdk == "openai" or body["type"] == "error"


@only_gateway()
@BOTH
def test_wrong_key(sdk):
    with pytest.raises(SDKS[sdk].AuthenticationError) as caught:
        ask(sdk, "mock/text", client_of(sdk, key="wrong-key-0123456789"))
    assert caught.value.status_code == 401
    assert "wrong-key" not in caught.value.response.text


@only_gateway()
@BOTH
def test_unknown_model(sdk):
    with pytest.raises(SDKS[sdk].NotFoundError) as caught:
        ask(sdk, "no-such-model")
    assert "no-such-model" in caught.value.response.json()["error"]["message"]


@only_gateway()
@BOTH
def test_body_too_large(sdk):
    c = client_of(sdk)
    path = "/chat/completions" if sdk == "openai" else "/v1/messages"
    big = [{"role": "user", "content": "x" * (21 << 20)}]
    with pytest.raises(SDKS[sdk].APIStatusError) as caught:
        c.post(path, body={"model": "mock/text", "max_tokens": 5, "messages": big}, cast_to=httpx2.Response)
    assert caught.value.status_code == 413


@BOTH
def test_bad_request_names_the_member(sdk):
    c = client_of(sdk)
    path = "/chat/completions" if sdk == "openai" else "/v1/messages"
    with pytest.raises(SDKS[sdk].BadRequestError) as caught:
        c.post(path, body={"model": "mock/text", "max_tokens": 5, "messages": "Hello"}, cast_to=httpx2.Response)
    assert "messages" in caught.value.response.text


@BOTH
def test_retry_after_is_kept(sdk):
    with pytest.raises(SDKS[sdk].RateLimitError) as caught:
        ask(sdk, "mock/429:7")
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 7


@pytest.mark.parametrize("door", [0, 1], ids=["same", "translated"])
@BOTH
def test_error_in_mid_stream_is_raised(sdk, door):
    if door and os.environ["SB_WAY"] != "gateway":
        pytest.skip("only the gateway can do this")
    got = []
    with pytest.raises(SDKS[sdk].APIError):
        for t in texts(sdk, ask(sdk, DOORS[sdk][door] + "/error-after:3", stream=True)):
            got.append(t)
    assert len(got) == 3


@pytest.mark.parametrize("door", [0, 1], ids=["same", "translated"])
@BOTH
def test_cut_stream_is_raised(sdk, door):
    if door and os.environ["SB_WAY"] != "gateway":
        pytest.skip("only the gateway can do this")
    got = []
    with pytest.raises((SDKS[sdk].APIError, httpx2.TransportError)):
        for t in texts(sdk, ask(sdk, DOORS[sdk][door] + "/cut:3", stream=True)):
            got.append(t)
    assert len(got) <= 3


@only_gateway()
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@BOTH
def test_deadline(sdk, stream):
    with pytest.raises(SDKS[sdk].APIError) as caught:
        list(texts(sdk, ask(sdk, "hasty/slow:3s+echo", stream=stream)) if stream else [ask(sdk, "hasty/slow:3s+echo")])
    assert caught.value.status_code in (504, 529, 503)


@only_gateway()
@BOTH
def test_first_token_failover(sdk):
    stream = ask(sdk, "moves-on-py-" + sdk, stream=True)
    assert "".join(texts(sdk, stream)) == "Hello"
    assert stream.response.headers["x-signalbox-attempts"] == "3"
    assert stream.response.headers["x-signalbox-target"] == "mock/echo"


@BOTH
def test_client_cancels_in_mid_stream(sdk):
    model = f"mock/pace:20ms+tokens:{997 if sdk == 'openai' else 998}"
    stream = ask(sdk, model, stream=True)
    for _, t in zip(range(3), texts(sdk, stream)):
        assert t
    stream.close()

    def aborted():
        last = [r for r in journal() if model.split("/")[-1] in json.dumps(r)]
        return last and last[-1]["aborted"]
    assert eventually(aborted), "the upstream still sends"


@BOTH
def test_models(sdk):
    c = client_of(sdk)
    listed = [m.id for m in c.models.list()]
    assert listed
    plain = [m for m in listed if "*" not in m]
    assert c.models.retrieve(plain[0]).id == plain[0]
    if os.environ["SB_WAY"] == "gateway":  # the mock knows every name
        with pytest.raises(SDKS[sdk].NotFoundError):
            c.models.retrieve("no-such-model")
