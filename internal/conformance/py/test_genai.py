"""google-genai: what users do with it, on the mock behind two other APIs and on recorded answers."""
import pydantic
import pytest
from google.genai import errors, types

from conftest import ALL, KEY, MOCK, only_gateway
from doors import gemini_client

pytestmark = only_gateway()
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
UPSTREAM = pytest.mark.parametrize("upstream", ["chat-only", "messages-only"])


@pytest.fixture(scope="module")
def client():
    return gemini_client(MOCK, KEY)


def generate(client, stream, **options):
    if not stream:
        return [client.models.generate_content(**options)]
    return list(client.models.generate_content_stream(**options))


@UPSTREAM
@WAYS
def test_system_and_turns(client, upstream, stream):
    turns = [types.Content(role="user", parts=[types.Part(text="One")]), types.Content(role="model", parts=[types.Part(text="Two")]),
             types.Content(role="user", parts=[types.Part(text="Three")])]
    got = generate(client, stream, model=upstream + "/echo", contents=turns, config={"system_instruction": "Be brief.", "temperature": 0.5})
    assert "".join(c.text or "" for c in got) == "Three"
    assert got[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert got[-1].usage_metadata.total_token_count > 0 and got[-1].model_version and got[-1].response_id


@UPSTREAM
def test_chat_keeps_its_history(client, upstream):
    chat = client.chats.create(model=upstream + "/echo")
    assert chat.send_message("One").text == "One"
    assert "".join(c.text or "" for c in chat.send_message_stream("Two")) == "Two"
    roles = [c.role for c in chat.get_history()]
    assert roles[:4] == ["user", "model", "user", "model"] and "user" not in roles[4:]  # the SDK keeps a content per chunk


@UPSTREAM
@WAYS
def test_functions_are_called_by_the_sdk(client, upstream, stream):
    asked = []

    def weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "sunny"
    got = generate(client, stream, model=upstream + "/tools:2+text", contents="The weather?", config={"tools": [weather]})
    assert len(asked) == 2 and "".join(c.text or "" for c in got)


@UPSTREAM
@WAYS
def test_function_round_trip_by_hand(client, upstream, stream):
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters=types.Schema(
        type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]))])
    config = types.GenerateContentConfig(tools=[tool], tool_config={"function_calling_config": {"mode": "ANY"}})
    turns = [types.Content(role="user", parts=[types.Part(text="The weather?")])]
    first = generate(client, stream, model=upstream + "/tools+text", contents=turns, config=config)
    parts = [p for c in first for p in (c.candidates[0].content.parts if c.candidates and c.candidates[0].content else None) or []]
    calls = [p.function_call for p in parts if p.function_call]
    assert [c.name for c in calls] == ["weather"] and isinstance(calls[0].args["city"], str)
    turns.append(types.Content(role="model", parts=[p for p in parts if p.function_call]))
    turns.append(types.Content(role="user", parts=[types.Part(function_response=types.FunctionResponse(
        id=calls[0].id, name="weather", response={"result": "sunny"}))]))
    second = generate(client, stream, model=upstream + "/tools+text", contents=turns, config={"tools": [tool]})
    assert "".join(c.text or "" for c in second) and not any(c.function_calls for c in second)


class Place(pydantic.BaseModel):
    city: str
    people: int


@UPSTREAM
def test_schema_bound_output(client, upstream):
    got = client.models.generate_content(model=upstream + "/json", contents="Hello",
                                         config={"response_mime_type": "application/json", "response_schema": Place})
    assert isinstance(got.parsed, Place)


@UPSTREAM
def test_image_in(client, upstream):
    image = types.Part.from_bytes(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png")
    assert client.models.generate_content(model=upstream + "/echo", contents=["What is it?", image]).text == "What is it?"


@UPSTREAM
def test_stop_sequences_and_length(client, upstream):
    got = client.models.generate_content(model=upstream + "/tokens:50", contents="Hello", config={"max_output_tokens": 3, "stop_sequences": ["x"]})
    assert got.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS and got.usage_metadata.candidates_token_count == 3


def test_embeddings(client):
    got = client.models.embed_content(model="mock/embed", contents=["a cat", "a cat", "a dog"], config={"output_dimensionality": 8})
    one, two, other = (e.values for e in got.embeddings)
    assert one == two != other and len(one) == 8


def test_one_embedding(client):
    assert len(client.models.embed_content(model="mock/embed", contents="a cat").embeddings) == 1


def test_models(client):
    listed = [m.name for m in client.models.list()]
    assert listed and all(name.startswith("models/") for name in listed)
    plain = next(name for name in listed if "*" not in name)
    assert client.models.get(model=plain).name == plain
    with pytest.raises(errors.ClientError) as caught:
        client.models.get(model="no-such-model")
    assert caught.value.code == 404


def test_count_tokens(client):
    counted = [c for c in ALL if c["dialect"] == "count" and c["status"] == 200]
    if not counted:
        pytest.skip("the recorded traffic is not present")
    for c in counted:
        assert client.models.count_tokens(model=c["id"], contents="Hello").total_tokens == c["count"]
