"""What the gateway writes, held against published types: every answer and event, with nothing forgiven that SDKs forgive.

Responses: the types that openresponses-types has from the Open Responses specification, and the scenarios of its compliance
suite, whose code is in no package registry. The other dialects: the SDKs' own types, which check here what clients let pass.
"""
import base64
import functools
import json

import anthropic.types
import botocore.session
import botocore.validate
import cohere
import openai.types.chat
import openresponses_types.types as open_responses
import pydantic
import pytest
from cohere.v2.types import V2ChatResponse, V2ChatStreamResponse
from google.genai import types as genai_types

import plain
import records
from conftest import ALL, KEY, MOCK, only_gateway
from doors import SCHEMA, raw

pytestmark = only_gateway()
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA}

# The names of Open Responses' events, and the type of each.
EVENTS = {}
for _type in vars(open_responses).values():
    if isinstance(_type, type) and issubclass(_type, pydantic.BaseModel) and _type.__name__.endswith("StreamingEvent"):
        for _name in _type.model_fields["type"].annotation:
            EVENTS[_name.value] = _type

KEYS = """id object created_at completed_at status incomplete_details model previous_response_id instructions output error tools tool_choice
truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs temperature reasoning usage max_output_tokens
max_tool_calls store background service_tier metadata safety_identifier prompt_cache_key""".split()


def check_response(body):
    open_responses.ResponseResource.model_validate_json(json.dumps(body), strict=True)
    assert not [k for k in KEYS if k not in body]
    for item in body["output"]:
        assert item["id"] and (item["type"] == "reasoning" or item["status"])
        for part in item.get("content") or []:
            assert part["type"] != "output_text" or ("annotations" in part and "logprobs" in part)


def check_response_event(event):
    EVENTS[event["type"]].model_validate_json(json.dumps(event), strict=True)
    assert isinstance(event["sequence_number"], int)
    if "response" in event:
        check_response(event["response"])


@functools.cache
def shapes():
    return botocore.session.get_session().get_service_model("bedrock-runtime")


def check_shape(value, shape):
    report = botocore.validate.ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()


def check_converse(body):
    """Times, blobs and documents are no matter here; names, kinds and what is required are."""
    shape = shapes().operation_model("Converse").output_shape
    check_shape(body, shape)
    assert set(body) <= set(shape.members)


def check_converse_event(event):
    shape = shapes().operation_model("ConverseStream").output_shape.members["stream"]
    for name, members in event.items():
        assert name in shape.members, name
        check_shape({k: v for k, v in members.items() if k != "p"}, shape.members[name])  # p pads the frame


def check_type(kind):
    adapter = pydantic.TypeAdapter(kind)
    return lambda value: adapter.validate_json(json.dumps(value))


CHECKS = {
    "responses": (check_response, check_response_event),
    "chat": (check_type(openai.types.chat.ChatCompletion), check_type(openai.types.chat.ChatCompletionChunk)),
    "messages": (check_type(anthropic.types.Message), check_type(anthropic.types.RawMessageStreamEvent)),
    "gemini": (check_type(genai_types.GenerateContentResponse), check_type(genai_types.GenerateContentResponse)),
    "cohere": (check_type(V2ChatResponse), check_type(V2ChatStreamResponse)),
    "converse": (check_converse, check_converse_event),
}


def request(dialect, model, stream, tools):
    """The path and body that ask Hello."""
    hello = [{"role": "user", "content": "Hello"}]
    if dialect == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
        if tools:
            body["tools"] = [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": SCHEMA}]}]
        return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"), body
    if dialect == "converse":
        body = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
        if tools:
            body["toolConfig"] = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}
        return f"/model/{model.replace('/', '%2F')}/converse" + ("-stream" if stream else ""), body
    body = {"model": model, "stream": stream}
    if dialect == "responses":
        return "/v1/responses", {**body, "input": "Hello", **({"tools": [{"type": "function", **FUNCTION}]} if tools else {})}
    if dialect == "messages":
        offered = {"tools": [{"name": "weather", "input_schema": SCHEMA}]} if tools else {}
        return "/v1/messages", {**body, "max_tokens": 500, "messages": hello, **offered}
    offered = {"tools": [{"type": "function", "function": FUNCTION}]} if tools else {}
    if dialect == "chat":
        return "/v1/chat/completions", {**body, "messages": hello, **({"stream_options": {"include_usage": True}} if stream else {}), **offered}
    return "/v2/chat", {**body, "messages": hello, **offered}


def check(dialect, path, body, stream):
    """Asks, and holds what comes against its type; returns the answer or its events."""
    got = client().post(path, json=body)
    assert got.status_code == 200, got.text
    whole, event = CHECKS[dialect]
    if not stream:
        answer = got.json()
        whole(answer)
        return answer
    if dialect == "converse":
        events = list(plain.frames(got.content))
    else:
        events = [json.loads(d) for d in records.sse(got.text) if d != "[DONE]"]
    for e in events:
        if e != {"type": "ping"}:  # of no type, and any number of them is allowed
            event(e)
    return events


@functools.cache
def client():
    return raw(MOCK, KEY)


def pairs():
    for c in ALL:
        if not c["want"] or c["status"] != 200 or c["want"].get("error"):
            continue
        for dialect in CHECKS:
            if dialect != c["dialect"]:
                yield pytest.param(dialect, c, id=f"{dialect}-on-{c['dialect']}-{c['provider']}-{c['id']}")


@pytest.mark.parametrize("dialect,c", list(pairs()))
def test_recorded(dialect, c):
    path, body = request(dialect, c["id"], c["stream"], bool(c["want"]["calls"]))
    assert check(dialect, path, body, c["stream"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", ["chat-only", "messages-only"])
@pytest.mark.parametrize("what", ["text", "tools:2", "reasoning+echo", "refuse", "filter", "stop:length+tokens:3", "json"])
@pytest.mark.parametrize("dialect", list(CHECKS))
def test_mock(dialect, what, upstream, stream):
    path, body = request(dialect, f"{upstream}/{what}", stream, what.startswith("tools"))
    assert check(dialect, path, body, stream)


# The scenarios of the Open Responses compliance suite that need no WebSocket and no compaction.
SAY = {"type": "message", "role": "user", "content": "Say hello in three words."}
TOOL = {"type": "function", "name": "get_weather", "description": "The current weather at a place.",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}}
ASK = {"type": "message", "role": "user", "content": "What is the weather like in 'San Francisco'?"}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
COMPLIANCE = {
    "basic": {"input": [SAY]},
    "system prompt": {"input": [{"type": "message", "role": "system", "content": "You are a pirate."}, SAY]},
    "instructions": {"input": "Hello", "instructions": "You are a pirate."},
    "tool calling": {"input": [ASK], "tools": [TOOL]},
    "image input": {"input": [{"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "What do you see?"}, {"type": "input_image", "image_url": "data:image/png;base64," + PIXEL}]}]},
    "multi-turn": {"input": [SAY, {"type": "message", "role": "assistant", "content": "Hello to you."}, SAY]},
    "assistant phase": {"input": [SAY, {"type": "message", "role": "assistant", "phase": "final_answer",
                                        "content": [{"type": "output_text", "text": "Hello to you."}]}, SAY]},
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", list(COMPLIANCE))
def test_open_responses(scenario, stream):
    got = check("responses", "/v1/responses", {"model": "scripted", "stream": stream, **COMPLIANCE[scenario]}, stream)
    answer = got[-1]["response"] if stream else got
    assert answer["status"] == "completed" and answer["output"]
    if scenario != "tool calling":
        return
    assert [json.loads(i["arguments"]) for i in answer["output"] if i["type"] == "function_call"] == [{"location": "San Francisco"}]
    if stream:
        kinds = [(e["type"], e.get("item", {}).get("type")) for e in got]
        assert ("response.output_item.added", "function_call") in kinds and ("response.output_item.done", "function_call") in kinds
        assert {"response.function_call_arguments.delta", "response.function_call_arguments.done"} <= {k for k, _ in kinds}


# A member of each dialect's whole answer that its type demands.
DEMANDED = {"responses": "truncation", "chat": "choices", "messages": "usage", "gemini": None, "cohere": "message", "converse": "stopReason"}


@pytest.mark.parametrize("dialect", list(DEMANDED))
def test_the_types_refuse(dialect):
    path, body = request(dialect, "chat-only/text", False, False)
    answer = check(dialect, path, body, False)
    broken = {**answer, "unknown": 1} if DEMANDED[dialect] is None else {k: v for k, v in answer.items() if k != DEMANDED[dialect]}
    with pytest.raises((pydantic.ValidationError, AssertionError)):
        CHECKS[dialect][0](broken)
