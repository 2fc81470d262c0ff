"""Idempotency keys with the official SDKs: what they send by themselves, their own retries, and a key that was used before."""
import uuid

import anthropic
import httpx2
import openai
import pytest

from conftest import BASE, KEY, only_gateway

pytestmark = only_gateway()
HELLO = [{"role": "user", "content": "Hello"}]


class Seen:
    """A client of HTTP that writes down what the SDK sends."""

    def __init__(self):
        self.headers = []
        self.http = httpx2.Client(event_hooks={"request": [lambda r: self.headers.append(r.headers)]})


def openai_of(seen, retries):
    return openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=retries, timeout=30, http_client=seen.http)


def anthropic_of(seen, retries):
    return anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=retries, timeout=30, http_client=seen.http)


def ask_openai(client, model, **more):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO, **more)
    return raw.headers, raw.parse().choices[0].message.content


def ask_anthropic(client, model, **more):
    raw = client.messages.with_raw_response.create(model=model, max_tokens=50, messages=HELLO, **more)
    return raw.headers, raw.parse().content[0].text


SDKS = pytest.mark.parametrize("make,ask,conflict", [
    (openai_of, ask_openai, openai.ConflictError), (anthropic_of, ask_anthropic, anthropic.ConflictError),
], ids=["openai", "anthropic"])


@SDKS
def test_no_key_is_sent_unasked(make, ask, conflict):
    seen = Seen()
    for _ in range(2):
        headers, _ = ask(make(seen, 2), "mock/tokens:3")
        assert "idempotent-replayed" not in headers
    assert len(seen.headers) == 2 and not any("idempotency-key" in h for h in seen.headers)


@SDKS
def test_a_retry_of_the_sdk_is_the_same_request(make, ask, conflict):
    seen, key = Seen(), {"Idempotency-Key": str(uuid.uuid4())}
    model = "mock/fail-first:1:503+tokens:" + str(3 + uuid.uuid4().int % 1000)
    headers, text = ask(make(seen, 2), model, extra_headers=key)
    assert len(seen.headers) == 2 and "idempotent-replayed" not in headers
    assert {h["idempotency-key"] for h in seen.headers} == set(key.values())
    again, same = ask(make(seen, 0), model, extra_headers=key)
    assert again["idempotent-replayed"] == "true" and same == text


@SDKS
def test_a_key_that_was_used_is_not_tried_again(make, ask, conflict):
    seen, key = Seen(), {"Idempotency-Key": str(uuid.uuid4())}
    ask(make(seen, 0), "mock/tokens:3", extra_headers=key)
    with pytest.raises(conflict) as e:
        ask(make(seen, 2), "mock/tokens:4", extra_headers=key)
    assert len(seen.headers) == 2 and "idempotency key" in str(e.value)


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_is_streamed_again(usage):
    seen, key = Seen(), {"Idempotency-Key": str(uuid.uuid4())}
    more = {"stream_options": {"include_usage": True}} if usage else {}
    first, second = (
        [c.model_dump() for c in openai_of(seen, 0).chat.completions.create(
            model="mock/tokens:9", messages=HELLO, stream=True, extra_headers=key, **more)] for _ in range(2))
    assert first == second and len(first) > 9


def test_a_stream_of_messages_is_streamed_again():
    seen, key = Seen(), {"Idempotency-Key": str(uuid.uuid4())}

    def events():
        with anthropic_of(seen, 0).messages.stream(model="mock/tokens:9", max_tokens=50, messages=HELLO, extra_headers=key) as s:
            return [e.model_dump() for e in s]

    first, second = events(), events()
    assert first == second and len(first) > 9
