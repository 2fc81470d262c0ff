"""The OpenAI SDK on Responses: what users do with it, on the mock that speaks another API, and on recorded answers."""
import openai
import pydantic
import pytest

import plain
from conftest import only_gateway, pick

pytestmark = only_gateway()
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
DOORS = pytest.mark.parametrize("door", ["chat-only", "messages-only"])
TOOL = {"type": "function", "name": "weather", "description": "The weather.", "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}


def answer(client, stream, **options):
    if not stream:
        return client.responses.create(**options)
    with client.responses.stream(**options) as s:
        for _ in s:
            pass
        return s.get_final_response()


@DOORS
@WAYS
def test_text(oai_mock, door, stream):
    got = answer(oai_mock, stream, model=door + "/echo", input="Hello there", instructions="Be brief.")
    assert got.output_text == "Hello there" and got.status == "completed"
    assert got.usage.total_tokens == got.usage.input_tokens + got.usage.output_tokens > 0
    assert got.instructions == "Be brief."


@DOORS
def test_events_are_in_order(oai_mock, door):
    events = list(oai_mock.responses.create(model=door + "/tokens:5", input="Hello", stream=True))
    kinds = [e.type for e in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    assert [e.sequence_number for e in events] == list(range(len(events)))
    one = lambda kind: kinds.index(kind)
    assert one("response.output_item.added") < one("response.content_part.added") < one("response.output_text.delta") \
        < one("response.output_text.done") < one("response.content_part.done") < one("response.output_item.done")
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text and len(text.split()) == 5


@DOORS
@WAYS
def test_tool_round_trip(oai_mock, door, stream):
    conversation = [{"role": "user", "content": "The weather in Oslo and Rome?"}]
    options = dict(model=door + "/tools:2+text", tools=[TOOL])
    first = answer(oai_mock, stream, input=conversation, **options)
    calls = [i for i in first.output if i.type == "function_call"]
    assert [c.name for c in calls] == ["weather", "weather"] and all(c.call_id and c.id for c in calls)
    conversation += first.output
    conversation += [{"type": "function_call_output", "call_id": c.call_id, "output": "sunny"} for c in calls]
    second = answer(oai_mock, stream, input=[c if isinstance(c, dict) else c.to_dict() for c in conversation], **options)
    assert second.output_text and not [i for i in second.output if i.type == "function_call"]


@DOORS
def test_forced_tool(oai_mock, door):
    got = oai_mock.responses.create(model=door + "/tools", input="Hello", tools=[TOOL], tool_choice={"type": "function", "name": "weather"})
    assert [i.name for i in got.output if i.type == "function_call"] == ["weather"]


class Place(pydantic.BaseModel):
    city: str
    people: int


@DOORS
@WAYS
def test_schema_bound_output(oai_mock, door, stream):
    if not stream:
        assert isinstance(oai_mock.responses.parse(model=door + "/json", input="Hello", text_format=Place).output_parsed, Place)
        return
    with oai_mock.responses.stream(model=door + "/json", input="Hello", text_format=Place) as s:
        assert isinstance(s.get_final_response().output_parsed, Place)


@DOORS
@WAYS
def test_reasoning_and_its_round_trip(oai_mock, door, stream):
    options = dict(model=door + "/reasoning+echo", reasoning={"effort": "low", "summary": "auto"}, include=["reasoning.encrypted_content"], store=False)
    first = answer(oai_mock, stream, input="Hello", **options)
    thoughts = [i for i in first.output if i.type == "reasoning"]
    assert thoughts and plain.responses_whole(first.to_dict())["thinking"] and first.output_text == "Hello"
    assert first.output.index(thoughts[0]) == 0
    again = [{"role": "user", "content": "Hello"}, *[i.to_dict() for i in first.output], {"role": "user", "content": "Once more"}]
    assert answer(oai_mock, stream, input=again, **options).output_text == "Once more"


@DOORS
def test_length_is_incomplete(oai_mock, door):
    got = oai_mock.responses.create(model=door + "/stop:length+tokens:5", input="Hello")
    assert got.status == "incomplete" and got.incomplete_details.reason == "max_output_tokens"
    last = list(oai_mock.responses.create(model=door + "/stop:length+tokens:5", input="Hello", stream=True))[-1]
    assert last.type == "response.incomplete" and last.response.incomplete_details.reason == "max_output_tokens"


@DOORS
def test_refusal(oai_mock, door):
    got = plain.responses_whole(oai_mock.responses.create(model=door + "/refuse", input="Hello").to_dict())
    assert got["refusal"] or got["stop"] == "content_filter"


@DOORS
def test_image_in(oai_mock, door):
    image = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    parts = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": image, "detail": "auto"}]
    assert oai_mock.responses.create(model=door + "/echo", input=[{"role": "user", "content": parts}]).output_text == "What is it?"


@DOORS
def test_error_in_mid_stream_is_raised(oai_mock, door):
    got = []
    with pytest.raises(openai.APIError):
        for e in oai_mock.responses.create(model=door + "/error-after:3", input="Hello", stream=True):
            if e.type == "error":
                raise openai.APIError(e.message, None, body=None)
            if e.type == "response.failed":
                raise openai.APIError(e.response.error.message, None, body=None)
            got.append(e)
    assert len([e for e in got if e.type == "response.output_text.delta"]) == 3


def test_what_needs_a_store_is_refused(oai_mock):
    with pytest.raises(openai.BadRequestError) as caught:
        oai_mock.responses.create(model="chat-only/echo", input="Hello", previous_response_id="resp_1")
    assert caught.value.body["param"] == "previous_response_id"


def test_conversation_of_strings_and_roles(oai_mock):
    got = oai_mock.responses.create(model="messages-only/echo", input=[
        {"role": "developer", "content": "Be brief."}, {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"}, {"role": "user", "content": [{"type": "input_text", "text": "Three"}]}])
    assert got.output_text == "Three"
