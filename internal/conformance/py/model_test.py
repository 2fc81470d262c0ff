"""A tiny real model behind the gateway: content that nobody scripted, the same straight and through it.

The suite starts its own stack: the model's server as an openai-compatible provider, and the mock to fail over to.
"""
import json
import os
import pathlib
import subprocess
import threading
import time
import urllib.request

import pytest

import doors
import plain
import stack as stacks
from conftest import anthropic_client, eventually, openai_client

MODEL = "tiny"
ASK = [{"role": "user", "content": "Name a colour and say what it is like."}]
SHORT = dict(temperature=0, seed=7, max_tokens=24)
STRAIGHT_ONLY = bool(os.environ.get("SB_MODEL_STRAIGHT"))
needs_gateway = pytest.mark.skipif(STRAIGHT_ONLY, reason="without the gateway")
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


class Setup:
    """The stack, and the addresses of both ways."""

    def __init__(self, stack):
        self.stack, self.doors = stack, {}
        self.mock = stack.upstream("mock", "mock", "--seed", "1")
        self.port = stacks.free_port()
        self.start_model()
        self.straight = f"http://127.0.0.1:{self.port}"
        if not STRAIGHT_ONLY:
            providers = [{"name": "local", "kind": "openai-compatible", "base_url": self.straight + "/v1"},
                         {"name": "mock", "kind": "mock", "base_url": self.mock + "/v1"}]
            providers += [{"name": "local-responses", "kind": "openai", "base_url": self.straight + "/v1", "key": "env:MODEL_KEY",
                           "params": {"api": "responses"}},
                          {"name": "local-messages", "kind": "anthropic", "base_url": self.straight, "key": "env:MODEL_KEY"}]
            targets = [f"local/{MODEL}"]
            routes = [{"name": "model", "match": {"models": [MODEL]}, "targets": targets},
                      {"name": "model-by-responses", "match": {"models": [MODEL + "-responses"]}, "targets": [f"local-responses/{MODEL}"]},
                      {"name": "model-by-messages", "match": {"models": [MODEL + "-messages"]}, "targets": [f"local-messages/{MODEL}"]},
                      {"name": "spare", "match": {"models": ["with-a-spare"]}, "targets": [*targets, "mock/tokens:20"],
                       "deadlines": {"first_token": "20s", "answer": "30s"}, "answer_headers": True}]
            stack.gateway(providers, routes, env={"MODEL_KEY": "of-no-use"}, extra={"log": {"level": "warn"}})

    def start_model(self):
        script = pathlib.Path(__file__).with_name("model_server.py")
        self.model = self.stack.spawn("model", [os.environ["SB_MODEL_PYTHON"], str(script), str(self.port)])
        self.stack.wait("model", self.model, lambda: stacks.get(f"http://127.0.0.1:{self.port}/health"), 60)

    def openai(self, way):
        return openai_client(self.stack.base if way == "gateway" else self.straight, self.stack.key or "unused")

    def anthropic(self, way):
        return anthropic_client(self.stack.base, self.stack.key)

    def door(self, dialect):
        if dialect not in self.doors:
            self.doors[dialect] = doors.DOORS[dialect](self.stack.base, self.stack.key)
        return self.doors[dialect]

    def busy(self):
        slots = json.loads(stacks.get(self.straight + "/slots"))
        return any(s["is_processing"] for s in slots)


@pytest.fixture(scope="module")
def setup():
    with stacks.Stack(folder=os.environ["SB_MODEL_FOLDER"]) as s:
        made = Setup(s)
        yield made
        if not STRAIGHT_ONLY:
            pathlib.Path(os.environ["SB_MODEL_PATHS"]).write_text(json.dumps(s.paths()), "utf-8")


def chat(client, stream, model=MODEL, **more):
    """Text, usage and finish_reason, however they came."""
    options = {**SHORT, "model": model, "messages": ASK, **more}
    if not stream:
        got = client.chat.completions.create(**options)
        return got.choices[0].message.content, (got.usage.prompt_tokens, got.usage.completion_tokens), got.choices[0].finish_reason
    text, usage, end = "", None, None
    for c in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **options):
        if c.usage:
            usage = (c.usage.prompt_tokens, c.usage.completion_tokens)
        for choice in c.choices:
            text, end = text + (choice.delta.content or ""), choice.finish_reason or end
    return text, usage, end


@pytest.fixture(scope="module")
def truth(setup):
    """What the model answers to ASK without the gateway."""
    got = chat(setup.openai("straight"), False)
    assert got[0] and got == chat(setup.openai("straight"), False), "the model is not deterministic here"
    return got


def test_model_straight_streamed(setup, truth):
    assert chat(setup.openai("straight"), True) == truth


@needs_gateway
@STREAMED
def test_openai_client(setup, truth, stream):
    assert chat(setup.openai("gateway"), stream) == truth


@needs_gateway
@STREAMED
def test_anthropic_client(setup, truth, stream):
    client = setup.anthropic("gateway")
    options = dict(model=MODEL, max_tokens=24, messages=ASK, extra_body={"temperature": 0})
    if stream:
        with client.messages.stream(**options) as s:
            got = s.get_final_message()
    else:
        got = client.messages.create(**options)
    cached = (got.usage.cache_read_input_tokens or 0) + (got.usage.cache_creation_input_tokens or 0)
    usage = (got.usage.input_tokens + cached, got.usage.output_tokens)
    stop = {"stop": "end_turn", "length": "max_tokens"}[truth[2]]
    assert ("".join(b.text for b in got.content), usage, got.stop_reason) == (truth[0], truth[1], stop)


# At temperature 0, 24 tokens: in every dialect's words.
SAME = {"chat": dict(temperature=0, max_tokens=24), "messages": dict(max_tokens=24, extra_body={"temperature": 0}),
        "responses": dict(temperature=0, max_output_tokens=24), "gemini": dict(temperature=0, max_output_tokens=24),
        "cohere": dict(temperature=0, max_tokens=24), "converse": dict(inferenceConfig={"temperature": 0, "maxTokens": 24})}
OWN = {"": doors.Chat, "-responses": doors.Responses, "-messages": doors.Messages}  # the APIs of the model's server
UPSTREAMS = pytest.mark.parametrize("upstream", list(OWN), ids=["on-chat", "on-responses", "on-messages"])


@pytest.fixture(scope="module")
def said(setup):
    """What the model's server says in each of its own APIs; not all of them tell that the length ended an answer."""
    return {upstream: door(setup.straight, "unused").ask(MODEL, False, prompt=ASK[0]["content"], **SAME[door.dialect]) for upstream, door in OWN.items()}


@needs_gateway
@UPSTREAMS
@STREAMED
@pytest.mark.parametrize("dialect", list(doors.DOORS))
def test_front_door(setup, truth, said, dialect, stream, upstream):
    got = setup.door(dialect).ask(MODEL + upstream, stream, prompt=ASK[0]["content"], **SAME[dialect])
    want = said[upstream]
    assert got["text"] == want["text"] == truth[0]
    assert plain.end(dialect, got) == plain.end(OWN[upstream].dialect, want)
    assert plain.counts(got) == plain.counts(want) == truth[1]


@needs_gateway
def test_usage_is_hidden_when_not_asked(setup, truth):
    chunks = list(setup.openai("gateway").chat.completions.create(model=MODEL, messages=ASK, stream=True, **SHORT))
    assert all(c.choices and c.usage is None for c in chunks)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == truth[0]


SCHEMA = {"type": "object", "properties": {"colour": {"type": "string", "maxLength": 12}, "warm": {"type": "boolean"}},
          "required": ["colour", "warm"], "additionalProperties": False}


@STREAMED
@pytest.mark.parametrize("way", ["straight", pytest.param("gateway", marks=needs_gateway)])
def test_schema_bound_output(setup, way, stream):
    form = {"type": "json_schema", "json_schema": {"name": "colour", "schema": SCHEMA, "strict": True}}
    text, _, _ = chat(setup.openai(way), stream, response_format=form, max_tokens=60)
    got = json.loads(text)
    assert set(got) == {"colour", "warm"} and isinstance(got["warm"], bool)


@needs_gateway
def test_schema_bound_output_by_anthropic_client(setup):
    got = setup.anthropic("gateway").messages.create(
        model=MODEL, max_tokens=60, messages=ASK,
        extra_body={"temperature": 0, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}})
    assert set(json.loads(got.content[0].text)) == {"colour", "warm"}


FORMS = {"responses": {"text": {"format": {"type": "json_schema", "name": "colour", "schema": SCHEMA, "strict": True}}, "max_output_tokens": 60},
         "gemini": {"response_mime_type": "application/json", "response_json_schema": SCHEMA, "max_output_tokens": 60},
         "cohere": {"response_format": {"type": "json_object", "json_schema": SCHEMA}, "max_tokens": 60},
         "converse": {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
             "name": "colour", "schema": json.dumps(SCHEMA)}}}}, "inferenceConfig": {"temperature": 0, "maxTokens": 60}}}


@needs_gateway
@STREAMED
@pytest.mark.parametrize("dialect", list(FORMS))
def test_schema_bound_output_at_front_door(setup, dialect, stream):
    got = setup.door(dialect).ask(MODEL, stream, prompt=ASK[0]["content"], **{**SAME[dialect], **FORMS[dialect]})
    said = json.loads(got["text"])
    assert set(said) == {"colour", "warm"} and isinstance(said["warm"], bool)


@pytest.mark.parametrize("way,sdk", [("straight", "openai"), pytest.param("gateway", "openai", marks=needs_gateway),
                                     pytest.param("gateway", "anthropic", marks=needs_gateway)])
def test_cancel_frees_the_slot(setup, way, sdk):
    story = [{"role": "user", "content": "Tell a very long story about a lighthouse."}]
    if sdk == "openai":
        s = setup.openai(way).chat.completions.create(model=MODEL, messages=story, stream=True, max_tokens=1500)
    else:
        s = setup.anthropic(way).messages.create(model=MODEL, messages=story, stream=True, max_tokens=1500)
    events = iter(s)
    for _ in range(5):
        next(events)
    assert setup.busy()
    s.close()
    assert eventually(lambda: not setup.busy(), 5), "the server still works for a client that left"


@needs_gateway
def test_prompt_longer_than_the_context(setup):
    import openai
    with pytest.raises(openai.BadRequestError) as caught:
        chat(setup.openai("gateway"), False, messages=[{"role": "user", "content": "word " * 6000}])
    assert caught.value.status_code == 400


@needs_gateway
def test_server_stopped_in_mid_load(setup):
    """Requests come in without a pause; the model's server is stopped; the mock answers, and no request fails."""
    client, results, lock, over = setup.openai("gateway"), [], threading.Lock(), threading.Event()

    def load(stream):
        while not over.is_set():
            try:
                raw = client.chat.completions.with_raw_response.create(
                    model="with-a-spare", messages=ASK, stream=stream, max_tokens=3, temperature=0)
                got = raw.parse()
                text = "".join(c.choices[0].delta.content or "" for c in got if c.choices) if stream else got.choices[0].message.content
                line = (raw.headers["x-signalbox-target"], "ok" if text else "empty")
            except Exception as e:  # every way to fail counts
                line = ("", f"{type(e).__name__}: {e}"[:200])
            with lock:
                results.append((*line, stream))
    workers = [threading.Thread(target=load, args=(stream,)) for stream in (False, True)]
    for w in workers:
        w.start()

    def served_by(name):
        with lock:
            return sum(target.startswith(name) for target, *_ in results)
    try:
        assert eventually(lambda: served_by("local/") >= 4, 30), results
        setup.model.terminate()
        setup.model.wait(20)
        assert eventually(lambda: served_by("mock/") >= 10, 30), results
    finally:
        over.set()
        for w in workers:
            w.join(60)
    failed = [(what, stream) for _, what, stream in results if what != "ok"]
    # A stream that its client has begun to read cannot start again elsewhere: the one that ran may have been cut.
    assert len(failed) <= 1 and all(stream for _, stream in failed), failed
