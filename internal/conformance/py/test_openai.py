"""The OpenAI SDK against recorded answers of OpenAI's API: what users do with it."""
import pytest

import records
from conftest import pick


def ask(client, case, **more):
    return client.chat.completions.create(model=case["id"], messages=[{"role": "user", "content": "Hello"}], **more)


def stream_helper(client, case, **more):
    """The SDK's own accumulator, to its end."""
    with client.chat.completions.stream(model=case["id"], messages=[{"role": "user", "content": "Hello"}], **more) as s:
        for _ in s:
            pass
        return s.get_final_completion()


def tools_of(case):
    return case["request"].get("tools") or [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def calls_of(message):
    return [{"name": c.function.name, "args": records.arguments(c.function.arguments)} for c in message.tool_calls or []]


def plain(c):
    return c["want"]["text"] and not c["want"]["calls"] and c["want"]["stop"] == "stop"


def test_text_whole(oai):
    case = pick("chat", False, plain)
    got = ask(oai, case)
    assert got.choices[0].message.content == case["want"]["text"]
    assert got.choices[0].finish_reason == "stop"
    assert {"input": got.usage.prompt_tokens, "output": got.usage.completion_tokens} == case["want"]["usage"]


def test_text_streamed_raw(oai):
    case = pick("chat", True, plain)
    chunks = list(ask(oai, case, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == case["want"]["text"]


def test_text_streamed_accumulated(oai):
    case = pick("chat", True, plain)
    got = stream_helper(oai, case)
    assert got.choices[0].message.content == case["want"]["text"]
    assert got.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("calls", ["one", "parallel", "no_arguments"])
def test_tool_calls(oai, calls, stream):
    def has(c):
        got = c["want"]["calls"] if c["want"]["stop"] == "tool_calls" else []
        return {"one": len(got) == 1 and got[0]["args"], "parallel": len(got) > 1,
                "no_arguments": len(got) == 1 and got[0]["args"] == {}}[calls]
    case = pick("chat", stream, has, own=calls == "one")
    got = stream_helper(oai, case) if stream else ask(oai, case, tools=tools_of(case))
    assert calls_of(got.choices[0].message) == case["want"]["calls"]
    assert got.choices[0].finish_reason == case["want"]["stop"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tool_result_round_trip(oai_mock, stream):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
    messages = [{"role": "user", "content": "What is the weather?"}]

    def turn():
        options = dict(model="mock/tools:2+text", messages=messages, tools=tools)
        if not stream:
            return oai_mock.chat.completions.create(**options).choices[0]
        with oai_mock.chat.completions.stream(**options) as s:
            return s.get_final_completion().choices[0]
    first = turn()
    assert first.finish_reason == "tool_calls" and len(first.message.tool_calls) == 2
    messages.append(first.message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
    messages += [{"role": "tool", "tool_call_id": c.id, "content": "sunny"} for c in first.message.tool_calls]
    second = turn()
    assert second.finish_reason == "stop" and second.message.content


def test_stream_usage_only_when_asked(oai_mock):
    def chunks(**more):
        return list(oai_mock.chat.completions.create(model="mock/tokens:5", stream=True, messages=[{"role": "user", "content": "Hello"}], **more))
    without = chunks()
    assert all(c.usage is None for c in without) and all(c.choices for c in without)
    asked = chunks(stream_options={"include_usage": True})
    assert [c.usage.completion_tokens for c in asked if c.usage] == [5]
    assert not asked[-1].choices


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_length(oai, stream):
    case = pick("chat", stream, lambda c: c["want"]["stop"] == "length")
    got = list(ask(oai, case, stream=True)) if stream else [ask(oai, case)]
    assert [c.choices[0].finish_reason for c in got if c.choices and c.choices[0].finish_reason] == ["length"]


def test_thinking(oai):
    case = pick("chat", False, lambda c: c["want"]["thinking"], own=False)
    m = ask(oai, case).choices[0].message
    assert (getattr(m, "reasoning_content", None) or getattr(m, "reasoning", None)) == case["want"]["thinking"]


def test_schema_bound_output(oai_mock):
    import pydantic

    class Place(pydantic.BaseModel):
        city: str
        people: int
    got = oai_mock.chat.completions.parse(model="mock/json", messages=[{"role": "user", "content": "Hello"}], response_format=Place)
    assert isinstance(got.choices[0].message.parsed, Place)
