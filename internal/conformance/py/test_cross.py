"""Each SDK on answers of the other API: what the gateway translates. There is no straight counterpart."""
import pytest

import records
from conftest import CASES, only_gateway, pick
from test_anthropic import TOOL

pytestmark = only_gateway()
HELLO = [{"role": "user", "content": "Hello"}]
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": TOOL["input_schema"]}}

# What the other API calls the same end.
TO_CHAT = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}
TO_MESSAGES = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use",
               "content_filter": "refusal"}


def chat(client, case, stream, settings=""):
    """An OpenAI client's answer, as the plain reader gives it."""
    options = dict(model=case["id"] + settings, messages=HELLO)
    if case["want"]["calls"]:
        options["tools"] = [CHAT_TOOL]
    if not stream:
        return records.chat_whole(client.chat.completions.create(**options).to_dict())
    chunks = client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **options)
    return records.chat_stream([c.to_dict() for c in chunks])


def messages(client, case, stream, settings=""):
    """An Anthropic client's answer, by the SDK's accumulator for streams."""
    options = dict(model=case["id"] + settings, max_tokens=500, messages=HELLO)
    if case["want"]["calls"]:
        options["tools"] = [TOOL]
    if not stream:
        return records.messages_whole(client.messages.create(**options).to_dict())
    with client.messages.stream(**options) as s:
        return records.messages_whole(s.get_final_message().to_dict())


def same(got, want, stops):
    assert got["text"] == (want["text"] or want["refusal"])  # Anthropic's API says a refusal as text
    assert got["calls"] == want["calls"]
    if want["refusal"]:
        assert got["stop"] == "refusal"
    elif want["stop"] in stops:
        stop = stops[want["stop"]]
        if want["calls"] and stop in ("stop", "end_turn"):
            stop = {"stop": "tool_calls", "end_turn": "tool_use"}[stop]  # some providers do not say it
        assert got["stop"] == stop


def chat_total(usage):
    return usage["input"] + usage.get("cached", 0) + usage.get("written", 0)


SWEEP = [c for c in CASES if c["want"] and c["status"] == 200 and not c["want"].get("error")]


def name(c):
    return f"{c['provider']}-{c['id']}"


@pytest.mark.parametrize("case", [c for c in SWEEP if c["dialect"] == "messages"], ids=name)
def test_openai_sdk_on_anthropic_answer(oai, case):
    got = chat(oai, case, case["stream"])
    same(got, case["want"], TO_CHAT)
    assert got["usage"]["input"] == chat_total(case["want"]["usage"])
    assert got["usage"]["output"] == case["want"]["usage"]["output"]


@pytest.mark.parametrize("case", [c for c in SWEEP if c["dialect"] == "chat"], ids=name)
def test_anthropic_sdk_on_openai_answer(ant, case):
    got = messages(ant, case, case["stream"])
    same(got, case["want"], TO_MESSAGES)
    if case["want"]["usage"]:
        assert chat_total(got["usage"]) == case["want"]["usage"]["input"]


@pytest.mark.parametrize("case", [c for c in SWEEP if c["stream"] and c["want"]["calls"] and c["provider"] in ("openai", "anthropic")], ids=name)
def test_stream_in_small_pieces(oai, ant, case):
    """The provider's bytes arrive seven at a time."""
    if case["dialect"] == "messages":
        same(chat(oai, case, True, ";chunk=bytes:7"), case["want"], TO_CHAT)
    else:
        same(messages(ant, case, True, ";chunk=bytes:7"), case["want"], TO_MESSAGES)


@WAYS
def test_openai_tool_round_trip_on_anthropic_only(oai_mock, stream):
    asked = HELLO + [{"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
    options = dict(model="messages-only/tools+text", messages=asked, tools=[CHAT_TOOL])
    if stream:
        with oai_mock.chat.completions.stream(**options) as s:
            got = s.get_final_completion()
    else:
        got = oai_mock.chat.completions.create(**options)
    assert got.choices[0].finish_reason == "stop" and got.choices[0].message.content
    first = oai_mock.chat.completions.create(**{**options, "messages": HELLO})
    assert first.choices[0].finish_reason == "tool_calls"
    assert first.choices[0].message.tool_calls[0].function.name == "weather"


@WAYS
def test_anthropic_tool_round_trip_on_openai_only(ant_mock, stream):
    asked = HELLO + [{"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]}]
    options = dict(model="chat-only/tools+text", max_tokens=100, tools=[TOOL])

    def turn(conversation):
        if not stream:
            return ant_mock.messages.create(messages=conversation, **options)
        with ant_mock.messages.stream(messages=conversation, **options) as s:
            return s.get_final_message()
    assert turn(asked).stop_reason == "end_turn"
    first = turn(HELLO)
    assert first.stop_reason == "tool_use" and [b.name for b in first.content if b.type == "tool_use"] == ["weather"]


def test_anthropic_thinking_reaches_the_openai_sdk(oai):
    case = pick("messages", True, lambda c: c["want"]["thinking"])
    assert chat(oai, case, True)["thinking"] == case["want"]["thinking"]


def test_reasoning_reaches_the_anthropic_sdk(ant):
    case = pick("chat", True, lambda c: c["want"]["thinking"] and c["provider"] == "deepseek", own=False)
    assert messages(ant, case, True)["thinking"] == case["want"]["thinking"]
