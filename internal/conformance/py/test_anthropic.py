"""The Anthropic SDK against recorded answers of Anthropic's API: what users do with it."""
import pytest

from conftest import pick

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


def ask(client, case, **more):
    return client.messages.create(model=case["id"], max_tokens=500, messages=HELLO, **more)


def stream_helper(client, model, messages=HELLO, **more):
    with client.messages.stream(model=model, max_tokens=500, messages=messages, **more) as s:
        for _ in s:
            pass
        return s.get_final_message()


def answer(client, case, stream, **more):
    return stream_helper(client, case["id"], **more) if stream else ask(client, case, **more)


def text_of(m):
    return "".join(b.text for b in m.content if b.type == "text")


def calls_of(m):
    return [{"name": b.name, "args": b.input} for b in m.content if b.type == "tool_use"]


def plain(c):
    return c["want"]["text"] and not c["want"]["calls"] and c["want"]["stop"] == "end_turn"


WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@WAYS
def test_text(ant, stream):
    case = pick("messages", stream, plain)
    got = answer(ant, case, stream)
    assert text_of(got) == case["want"]["text"]
    assert got.stop_reason == "end_turn"
    assert got.usage.input_tokens == case["want"]["usage"]["input"]
    assert got.usage.output_tokens == case["want"]["usage"]["output"]


def test_text_streamed_raw(ant):
    case = pick("messages", True, plain)
    events = list(ask(ant, case, stream=True))
    assert "".join(getattr(e.delta, "text", "") for e in events if e.type == "content_block_delta") == case["want"]["text"]
    assert events[0].type == "message_start" and events[-1].type == "message_stop"


@pytest.mark.parametrize("calls,stream", [("one", False), ("one", True), ("parallel", True), ("no_arguments", True)])
def test_tool_calls(ant, calls, stream):
    def has(c):
        got = c["want"]["calls"]
        return {"one": len(got) == 1 and got[0]["args"], "parallel": len(got) > 1,
                "no_arguments": len(got) == 1 and got[0]["args"] == {}}[calls]
    case = pick("messages", stream, has)
    got = answer(ant, case, stream, tools=[TOOL])
    assert calls_of(got) == case["want"]["calls"]
    assert got.stop_reason == "tool_use"


@WAYS
def test_tool_result_round_trip(ant_mock, stream):
    messages = list(HELLO)

    def turn():
        if stream:
            return stream_helper(ant_mock, "mock/tools:2+text", messages, tools=[TOOL])
        return ant_mock.messages.create(model="mock/tools:2+text", max_tokens=500, messages=messages, tools=[TOOL])
    first = turn()
    calls = [b for b in first.content if b.type == "tool_use"]
    assert first.stop_reason == "tool_use" and len(calls) == 2
    messages.append({"role": "assistant", "content": first.content})
    messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": c.id, "content": "sunny"} for c in calls]})
    second = turn()
    assert second.stop_reason == "end_turn" and text_of(second)


def test_length(ant):
    case = pick("messages", False, lambda c: c["want"]["stop"] == "max_tokens")
    assert ask(ant, case).stop_reason == "max_tokens"


def test_length_streamed(ant_mock):
    assert stream_helper(ant_mock, "mock/stop:length+tokens:5").stop_reason == "max_tokens"


@WAYS
def test_stop_sequence(ant, stream):
    case = pick("messages", stream, lambda c: c["want"]["stop"] == "stop_sequence")
    got = answer(ant, case, stream)
    assert got.stop_reason == "stop_sequence" and got.stop_sequence


@WAYS
def test_thinking_with_its_signature(ant, stream):
    case = pick("messages", stream, lambda c: c["want"]["thinking"])
    got = answer(ant, case, stream)
    blocks = [b for b in got.content if b.type == "thinking"]
    assert "".join(b.thinking for b in blocks) == case["want"]["thinking"]
    assert all(b.signature for b in blocks)


def test_count_tokens(ant_mock):
    assert ant_mock.messages.count_tokens(model="mock/text", messages=[{"role": "user", "content": "one two three"}]).input_tokens == 3
