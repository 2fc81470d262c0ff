"""LlamaIndex at Chat Completions and Responses, on the scripted model."""
import asyncio
import os

import pydantic
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike

from conftest import KEY, WAY

BASE = os.environ["SB_FAKE"]


def openai_like():
    return OpenAILike(model="scripted", api_base=BASE + "/v1", api_key=KEY, is_chat_model=True, is_function_calling_model=True,
                      should_use_structured_outputs=True, max_retries=0, context_window=8000)


def responses():
    if WAY != "gateway":
        pytest.skip("only the gateway can do this")
    return OpenAIResponses(model="gpt-4o-mini", api_base=BASE + "/v1", api_key=KEY, max_retries=0)  # it insists on a name that it knows


EACH = pytest.mark.parametrize("make", [openai_like, responses], ids=["chat", "responses"])
HELLO = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hello")]
ANSWER = "Hello there, how are you today?"


def weather(city: str) -> str:
    """The weather of a city."""
    return "sunny in " + city


@EACH
def test_chat(make):
    assert make().chat(HELLO).message.content == ANSWER


@EACH
def test_chat_streamed(make):
    parts = list(make().stream_chat(HELLO))
    assert "".join(p.delta or "" for p in parts) == ANSWER == parts[-1].message.content


@EACH
def test_chat_async(make):
    assert asyncio.run(make().achat(HELLO)).message.content == ANSWER


@EACH
def test_complete(make):
    assert make().complete("Hello").text == ANSWER


@EACH
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tools(make, stream):
    llm, tool = make(), FunctionTool.from_defaults(fn=weather)
    question = ChatMessage(role="user", content="The weather in 'Oslo'?")
    if stream:
        answer = list(llm.stream_chat_with_tools([tool], user_msg=question))[-1]
    else:
        answer = llm.chat_with_tools([tool], user_msg=question)
    calls = llm.get_tool_calls_from_response(answer)
    assert [(c.tool_name, c.tool_kwargs) for c in calls] == [("weather", {"city": "Oslo"})]
    result = ChatMessage(role="tool", content=tool(**calls[0].tool_kwargs).content, additional_kwargs={"tool_call_id": calls[0].tool_id})
    assert llm.chat_with_tools([tool], chat_history=[question, answer.message, result]).message.content == ANSWER


class Place(pydantic.BaseModel):
    city: str
    people: int


@EACH
def test_schema_bound_output(make):
    got = make().as_structured_llm(Place).chat([ChatMessage(role="user", content="A place with 7 people, 'Oslo', by the tool")])
    assert isinstance(got.raw, Place) and got.raw.people == 7
