"""The Cohere SDK: what users do with it, on the mock behind two other APIs and on recorded answers."""
import json

import cohere
import pytest

from conftest import ALL, KEY, MOCK, only_gateway
from doors import Cohere, SCHEMA

pytestmark = only_gateway()
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
UPSTREAM = pytest.mark.parametrize("upstream", ["chat-only", "messages-only"])
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": SCHEMA}}


@pytest.fixture(scope="module")
def client():
    return Cohere(MOCK, KEY).client


@UPSTREAM
def test_system_and_turns(client, upstream):
    got = client.chat(model=upstream + "/echo", temperature=0.3, p=0.9, messages=[
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"}, {"role": "user", "content": [{"type": "text", "text": "Three"}]}])
    assert got.message.content[0].text == "Three" and got.finish_reason == "COMPLETE" and got.id
    assert got.usage.tokens.output_tokens == 1


@UPSTREAM
def test_events(client, upstream):
    kinds = [e.type for e in client.chat_stream(model=upstream + "/tokens:3", messages=[{"role": "user", "content": "Hello"}])]
    assert kinds == ["message-start", "content-start", *["content-delta"] * 3, "content-end", "message-end"]


@UPSTREAM
def test_tool_round_trip(client, upstream):
    messages = [{"role": "user", "content": "The weather?"}]
    first = client.chat(model=upstream + "/tools:2+text", messages=messages, tools=[TOOL])
    assert first.finish_reason == "TOOL_CALL" and len(first.message.tool_calls) == 2
    messages.append({"role": "assistant", "tool_calls": first.message.tool_calls, "tool_plan": first.message.tool_plan or None})
    messages += [{"role": "tool", "tool_call_id": c.id, "content": [{"type": "document", "document": {"data": json.dumps({"sky": "clear"})}}]}
                 for c in first.message.tool_calls]
    second = client.chat(model=upstream + "/tools:2+text", messages=messages, tools=[TOOL])
    assert second.finish_reason == "COMPLETE" and second.message.content[0].text


@UPSTREAM
def test_forced_tool(client, upstream):
    got = client.chat(model=upstream + "/tools", messages=[{"role": "user", "content": "Hello"}], tools=[TOOL], tool_choice="REQUIRED")
    assert [c.function.name for c in got.message.tool_calls] == ["weather"]


@UPSTREAM
def test_schema_bound_output(client, upstream):
    got = client.chat(model=upstream + "/json", messages=[{"role": "user", "content": "Hello"}],
                      response_format={"type": "json_object", "json_schema": SCHEMA})
    assert isinstance(json.loads(got.message.content[0].text)["city"], str)


def test_embeddings(client):
    got = client.embed(model="mock/embed", texts=["a cat", "a cat", "a dog"], input_type="search_document", embedding_types=["float"])
    one, two, other = got.embeddings.float_
    assert one == two != other


def test_rerank(client):
    got = client.rerank(model="mock/rerank", query="a cat sleeps", documents=["a dog", "a cat sleeps", "rain"], top_n=2)
    assert [r.index for r in got.results][0] == 1 and len(got.results) == 2
    assert got.results[0].relevance_score > got.results[1].relevance_score


@pytest.mark.parametrize("c", [c for c in ALL if c["dialect"] in ("embed", "rerank")], ids=lambda c: c["id"])
def test_recorded(client, c):
    body = json.loads(c["body"])
    if c["status"] >= 400:
        with pytest.raises(cohere.core.ApiError) as caught:
            client.embed(model=c["id"], texts=["Hello"], input_type="search_document", embedding_types=["float"])
        assert caught.value.status_code == c["status"]
    elif c["dialect"] == "rerank":
        got = client.rerank(model=c["id"], query="Hello", documents=["a"] * (1 + max(r["index"] for r in body["results"])))
        assert [(r.index, r.relevance_score) for r in got.results] == [(r["index"], r["relevance_score"]) for r in body["results"]]
    else:
        got = client.embed(model=c["id"], texts=["a"] * len(body["embeddings"]["float"]), input_type="search_document", embedding_types=["float"])
        assert got.embeddings.float_ == body["embeddings"]["float"]
