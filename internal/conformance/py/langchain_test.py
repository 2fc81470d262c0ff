"""LangChain's standard tests for chat models and embeddings, by every LangChain package that has a front door, on the scripted model.

The tests that fetch images and documents from elsewhere are off: there is no other network here. Embeddings of
langchain-cohere speak the first version of Cohere's API, which is not served.
"""
import os

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_cohere import ChatCohere
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAIEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

from conftest import KEY, WAY
from doors import bedrock_client

BASE = os.environ["SB_FAKE"]  # the gateway, or the scripted model itself
gateway = pytest.mark.skipif(WAY != "gateway", reason="only the gateway can do this")


class Chat(ChatModelIntegrationTests):
    model_class = ChatOpenAI
    params = dict(model="scripted", base_url=BASE + "/v1", api_key=KEY, max_retries=0, stream_usage=True)

    @property
    def chat_model_class(self):
        return self.model_class

    @property
    def chat_model_params(self):
        return self.params

    @property
    def supports_json_mode(self):
        return self.model_class is ChatOpenAI

    @property
    def supports_model_override(self):
        return self.model_class in (ChatOpenAI, ChatAnthropic)  # the other packages take no model for one call

    @property
    def model_override_value(self):
        return "scripted-too"

    @property
    def supports_image_inputs(self):
        return False


class TestOpenAI(Chat):
    pass


@gateway
class TestOpenAIResponses(Chat):
    params = dict(Chat.params, use_responses_api=True, output_version="responses/v1")


@gateway
class TestAnthropic(Chat):
    model_class = ChatAnthropic
    params = dict(model="scripted", base_url=BASE, api_key=KEY, max_retries=0)


@gateway
class TestGemini(Chat):
    model_class = ChatGoogleGenerativeAI
    params = dict(model="scripted", base_url=BASE, api_key=KEY, max_retries=0, vertexai=False)


@gateway
class TestCohere(Chat):
    model_class = ChatCohere
    params = dict(model="scripted", base_url=BASE, cohere_api_key=KEY)


@gateway
class TestConverse(Chat):
    model_class = ChatBedrockConverse
    params = dict(model="scripted", region_name="us-east-1", provider="anthropic", disable_streaming=False,
                  supports_tool_choice_values=("auto", "any", "tool"))

    @property
    def chat_model_params(self):
        return dict(self.params, client=bedrock_client(BASE, KEY), bedrock_client=bedrock_client(BASE, KEY))


class Embeddings(EmbeddingsIntegrationTests):
    model_class = OpenAIEmbeddings
    params = dict(model="mock/embed", base_url=BASE + "/v1", api_key=KEY, check_embedding_ctx_length=False)

    @property
    def embeddings_class(self):
        return self.model_class

    @property
    def embedding_model_params(self):
        return self.params


@gateway
class TestOpenAIEmbeddings(Embeddings):
    pass


@gateway
class TestGeminiEmbeddings(Embeddings):
    model_class = GoogleGenerativeAIEmbeddings
    params = dict(model="mock/embed", base_url=BASE, google_api_key=KEY, vertexai=False)
