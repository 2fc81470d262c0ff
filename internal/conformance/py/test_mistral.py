"""The Mistral SDK against the front door of Chat Completions, as far as its own shape of it goes."""
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from conftest import KEY, MOCK, only_gateway

pytestmark = only_gateway()
UPSTREAM = pytest.mark.parametrize("upstream", ["chat-only", "messages-only"])
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


@pytest.fixture(scope="module")
def client():
    return Mistral(api_key=KEY, server_url=MOCK, timeout_ms=30_000)


@UPSTREAM
def test_text(client, upstream):
    got = client.chat.complete(model=upstream + "/echo", messages=HELLO, temperature=0.2, max_tokens=50)
    assert got.choices[0].message.content == "Hello" and got.choices[0].finish_reason == "stop" and got.usage.total_tokens


@UPSTREAM
def test_text_streamed(client, upstream):
    chunks = list(client.chat.stream(model=upstream + "/tokens:4", messages=HELLO))
    assert len("".join(c.data.choices[0].delta.content or "" for c in chunks if c.data.choices).split()) == 4


@UPSTREAM
def test_tool_round_trip(client, upstream):
    first = client.chat.complete(model=upstream + "/tools+text", messages=HELLO, tools=[TOOL], tool_choice="any").choices[0]
    assert first.finish_reason == "tool_calls" and [c.function.name for c in first.message.tool_calls] == ["weather"]
    again = [*HELLO, first.message, {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "name": "weather", "content": "sunny"}]
    assert client.chat.complete(model=upstream + "/tools+text", messages=again, tools=[TOOL]).choices[0].message.content


@UPSTREAM
def test_tool_calls_streamed(client, upstream):
    chunks = list(client.chat.stream(model=upstream + "/tools", messages=HELLO, tools=[TOOL]))
    calls = [t for c in chunks for ch in c.data.choices for t in ch.delta.tool_calls or []]
    assert "".join(t.function.name for t in calls) == "weather"


def test_errors(client):
    for model, status in (("chat-only/429", 429), ("chat-only/400", 400), ("no-such-model", 404)):
        with pytest.raises(SDKError) as caught:
            client.chat.complete(model=model, messages=HELLO)
        assert caught.value.status_code == status
