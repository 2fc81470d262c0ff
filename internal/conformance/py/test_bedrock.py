"""boto3's Bedrock client: what users do with it, on the mock behind two other APIs and on recorded answers."""
import base64

import pytest

from conftest import ALL, KEY, MOCK, only_gateway
from doors import SCHEMA, bedrock_client

pytestmark = only_gateway()
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
UPSTREAM = pytest.mark.parametrize("upstream", ["chat-only", "messages-only"])
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}


@pytest.fixture(scope="module")
def client():
    return bedrock_client(MOCK, KEY)


def user(*parts):
    return {"role": "user", "content": [p if isinstance(p, dict) else {"text": p} for p in parts]}


def texts(message):
    return "".join(b.get("text", "") for b in message["content"])


@UPSTREAM
def test_system_and_turns(client, upstream):
    got = client.converse(modelId=upstream + "/echo", system=[{"text": "Be brief."}], inferenceConfig={"temperature": 0.3, "maxTokens": 100},
                          messages=[user("One"), {"role": "assistant", "content": [{"text": "Two"}]}, user("Three")])
    assert texts(got["output"]["message"]) == "Three" and got["stopReason"] == "end_turn"
    assert got["usage"]["totalTokens"] == got["usage"]["inputTokens"] + got["usage"]["outputTokens"]
    assert got["metrics"]["latencyMs"] >= 0 and got["ResponseMetadata"]["RequestId"]


@UPSTREAM
def test_events(client, upstream):
    kinds = [k for e in client.converse_stream(modelId=upstream + "/tokens:3", messages=[user("Hello")])["stream"] for k in e]
    assert [k for k in kinds if k != "contentBlockStart"] == ["messageStart", *["contentBlockDelta"] * 3, "contentBlockStop", "messageStop", "metadata"]


@UPSTREAM
def test_tool_round_trip(client, upstream):
    messages = [user("The weather?")]
    options = dict(modelId=upstream + "/tools:2+text", toolConfig=TOOLS)
    first = client.converse(messages=messages, **options)
    calls = [b["toolUse"] for b in first["output"]["message"]["content"] if "toolUse" in b]
    assert first["stopReason"] == "tool_use" and len(calls) == 2
    messages += [first["output"]["message"], user(*[{"toolResult": {"toolUseId": c["toolUseId"], "content": [{"json": {"sky": "clear"}}],
                                                                    "status": "success"}} for c in calls])]
    second = client.converse(messages=messages, **options)
    assert second["stopReason"] == "end_turn" and texts(second["output"]["message"])


@UPSTREAM
def test_forced_tool(client, upstream):
    got = client.converse(modelId=upstream + "/tools", messages=[user("Hello")], toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "weather"}}})
    assert [b["toolUse"]["name"] for b in got["output"]["message"]["content"] if "toolUse" in b] == ["weather"]


@UPSTREAM
def test_thinking_returns(client, upstream):
    first = client.converse(modelId=upstream + "/reasoning+echo", messages=[user("Hello")])["output"]["message"]
    assert any("reasoningContent" in b for b in first["content"])
    assert texts(client.converse(modelId=upstream + "/echo", messages=[user("Hello"), first, user("Again")])["output"]["message"]) == "Again"


@UPSTREAM
def test_image_in(client, upstream):
    image = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    got = client.converse(modelId=upstream + "/echo", messages=[user("What is it?", {"image": {"format": "png", "source": {"bytes": image}}})])
    assert texts(got["output"]["message"]) == "What is it?"


@UPSTREAM
def test_length_and_stop_sequence(client, upstream):
    options = dict(messages=[user("Hello")], inferenceConfig={"maxTokens": 3, "stopSequences": ["x"]})
    assert client.converse(modelId=upstream + "/tokens:50", **options)["stopReason"] == "max_tokens"


def test_exceptions_are_the_clients_own(client):
    for model, kind in (("chat-only/429", client.exceptions.ThrottlingException), ("chat-only/400", client.exceptions.ValidationException),
                        ("no-such-model", client.exceptions.ResourceNotFoundException)):
        with pytest.raises(kind):
            client.converse(modelId=model, messages=[user("Hello")])


def test_count_tokens(client):
    counted = [c for c in ALL if c["dialect"] == "count" and c["status"] == 200]
    if not counted:
        pytest.skip("the recorded traffic is not present")
    for c in counted:
        assert client.count_tokens(modelId=c["id"], input={"converse": {"messages": [user("Hello")]}})["inputTokens"] == c["count"]
