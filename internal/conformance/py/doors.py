"""A client of every front door, each asking the same things of its own SDK and giving what a plain reader finds.

A door's ask(model, stream, ...) returns {text, refusal, thinking, calls, stop, usage}; streams are read by the
SDK's raw iteration, and by its accumulator where it has one (how="accumulated"). forced: the tool must be called.
"""
import functools
import json
import os

import boto3
import botocore.config
import cohere
import httpx
import openai
from google import genai

import plain
import records
import tls
from conftest import BASE, KEY, anthropic_client, openai_client

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NAME, ABOUT = "weather", "The weather of a city."


class Chat:
    dialect, accumulates = "chat", True

    def __init__(self, base=BASE, key=KEY):
        self.client = openai_client(base, key)

    def ask(self, model, stream, tools=False, how="raw", prompt="Hello", forced=False, **more):
        options = dict(model=model, messages=[{"role": "user", "content": prompt}], **more)
        if tools:
            options["tools"] = [{"type": "function", "function": {"name": NAME, "description": ABOUT, "parameters": SCHEMA}}]
        if forced:
            options["tool_choice"] = "required"
        if not stream:
            return records.chat_whole(self.client.chat.completions.create(**options).to_dict())
        if how == "accumulated":
            try:
                with self.client.chat.completions.stream(stream_options={"include_usage": True}, **options) as s:
                    return records.chat_whole(s.get_final_completion().to_dict())
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as e:
                if not getattr(e, "completion", None):
                    raise
                return records.chat_whole(e.completion.to_dict())  # for the helper an incomplete answer is an error
        chunks = self.client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **options)
        return records.chat_stream([c.to_dict() for c in chunks])


class Messages:
    dialect, accumulates = "messages", True

    def __init__(self, base=BASE, key=KEY):
        self.client = anthropic_client(base, key)

    def ask(self, model, stream, tools=False, how="raw", prompt="Hello", forced=False, **more):
        options = {"max_tokens": 500, "model": model, "messages": [{"role": "user", "content": prompt}], **more}
        if tools:
            options["tools"] = [{"name": NAME, "description": ABOUT, "input_schema": SCHEMA}]
        if forced:
            options["tool_choice"] = {"type": "any"}
        if not stream:
            return records.messages_whole(self.client.messages.create(**options).to_dict())
        if how == "accumulated":
            with self.client.messages.stream(**options) as s:
                return records.messages_whole(s.get_final_message().to_dict())
        return records.messages_stream([e.to_dict() for e in self.client.messages.create(stream=True, **options)])


class Responses:
    dialect, accumulates = "responses", True

    def __init__(self, base=BASE, key=KEY):
        self.client = openai_client(base, key)

    def ask(self, model, stream, tools=False, how="raw", prompt="Hello", forced=False, **more):
        options = dict(model=model, input=prompt, **more)
        if tools:
            options["tools"] = [{"type": "function", "name": NAME, "description": ABOUT, "parameters": SCHEMA, "strict": False}]
        if forced:
            options["tool_choice"] = "required"
        if not stream:
            return plain.responses_whole(self.client.responses.create(**options).to_dict())
        if how == "accumulated":
            with self.client.responses.stream(**options) as s:
                for _ in s:
                    pass
                return plain.responses_whole(s.get_final_response().to_dict())
        return plain.responses_stream([e.to_dict() for e in self.client.responses.create(stream=True, **options)])


def gemini_client(base=BASE, key=KEY):
    return genai.Client(api_key=key, vertexai=False, http_options={"base_url": base, "timeout": 30_000})


class Gemini:
    dialect, accumulates = "gemini", False

    def __init__(self, base=BASE, key=KEY):
        self.client = gemini_client(base, key)

    def ask(self, model, stream, tools=False, how="raw", prompt="Hello", forced=False, **config):
        if tools:
            config["tools"] = [{"function_declarations": [{"name": NAME, "description": ABOUT, "parameters_json_schema": SCHEMA}]}]
            config["automatic_function_calling"] = {"disable": True}
        if forced:
            config["tool_config"] = {"function_calling_config": {"mode": "ANY"}}
        options = dict(model=model, contents=prompt, config=config or None)
        if not stream:
            return plain.gemini_whole(self.plain(self.client.models.generate_content(**options)))
        return plain.gemini_stream([self.plain(c) for c in self.client.models.generate_content_stream(**options)])

    @staticmethod
    def plain(answer):
        return answer.model_dump(mode="json", by_alias=True, exclude_none=True)


class Cohere:
    dialect, accumulates = "cohere", False

    def __init__(self, base=BASE, key=KEY):
        self.client = cohere.ClientV2(api_key=key, base_url=base, timeout=30)

    def ask(self, model, stream, tools=False, how="raw", prompt="Hello", forced=False, **more):
        options = dict(model=model, messages=[{"role": "user", "content": prompt}], request_options={"max_retries": 0}, **more)
        if tools:
            options["tools"] = [{"type": "function", "function": {"name": NAME, "description": ABOUT, "parameters": SCHEMA}}]
        if forced:
            options["tool_choice"] = "REQUIRED"
        if not stream:
            return plain.cohere_whole(json.loads(self.client.chat(**options).json()))
        return plain.cohere_stream([json.loads(e.json()) for e in self.client.chat_stream(**options)])


@functools.cache
def secure(base):
    return tls.front(base)


def bedrock_client(base=BASE, key=KEY):
    """A Bedrock client with an API key, which botocore sends over TLS alone."""
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key  # read when the client is made
    address, authority = secure(base)
    return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=address, verify=authority,
                        config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=30))


class Converse:
    dialect, accumulates = "converse", False

    def __init__(self, base=BASE, key=KEY):
        self.client = bedrock_client(base, key)

    def ask(self, model, stream, tools=False, how="raw", prompt="Hello", forced=False, **more):
        options = dict(modelId=model, messages=[{"role": "user", "content": [{"text": prompt}]}], **more)
        if tools:
            options["toolConfig"] = {"tools": [{"toolSpec": {"name": NAME, "description": ABOUT, "inputSchema": {"json": SCHEMA}}}]}
        if forced:
            options["toolConfig"]["toolChoice"] = {"any": {}}
        if not stream:
            return plain.converse_whole(self.client.converse(**options))
        return plain.converse_stream(list(self.client.converse_stream(**options)["stream"]))


DOORS = {d.dialect: d for d in (Chat, Messages, Responses, Gemini, Cohere, Converse)}


def raw(base=BASE, key=KEY):
    """A client of the wire, for bytes; every dialect's key header is the same to the gateway."""
    return httpx.Client(base_url=base, headers={"authorization": "Bearer " + key}, timeout=30)
