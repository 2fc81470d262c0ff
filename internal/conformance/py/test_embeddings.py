"""The OpenAI and Anthropic SDKs on what is no conversation: embeddings, text completions, counting."""
import base64
import json
import struct

import openai
import pytest

import records
from conftest import ALL, WAY, only_gateway


def cases(*dialects, ok=True):
    return [c for c in ALL if c["dialect"] in dialects and (c["status"] < 400) == ok]


def name(c):
    return f"{c['provider']}-{c['id']}"


def numbers(vector):
    return vector if isinstance(vector, list) else list(struct.unpack(f"<{len(base64.b64decode(vector)) // 4}f", base64.b64decode(vector)))


def test_base64_and_floats_are_the_same(oai_mock):
    options = dict(model="mock/embed", input=["a cat", "a cat", "a dog"])
    packed = [d.embedding for d in oai_mock.embeddings.create(**options).data]  # the SDK asks for base64
    floats = [d.embedding for d in oai_mock.embeddings.create(encoding_format="float", **options).data]
    assert packed == [pytest.approx(f, abs=1e-6) for f in floats] and packed[0] == packed[1] != packed[2]
    raw = oai_mock.embeddings.create(encoding_format="base64", **options).data
    assert [numbers(d.embedding) for d in raw] == packed


def test_dimensions_and_usage(oai_mock):
    got = oai_mock.embeddings.create(model="mock/embed", input="three small words", dimensions=8)
    assert len(got.data[0].embedding) == 8 and got.usage.prompt_tokens == got.usage.total_tokens == 3


@pytest.mark.parametrize("c", cases("embeddings"), ids=name)
def test_recorded_embeddings(oai, c):
    body = json.loads(c["body"])
    form = (c["request"] or {}).get("encoding_format") or "float"
    got = oai.embeddings.create(model=c["id"], input=c["request"]["input"], encoding_format=form)
    assert [d.embedding for d in got.data] == [d["embedding"] for d in body["data"]]


@pytest.mark.parametrize("c", cases("embeddings", ok=False), ids=name)
def test_recorded_refusals(oai, c):
    with pytest.raises(openai.APIStatusError) as caught:
        oai.embeddings.create(model=c["id"], input="Hello", encoding_format="float")
    assert caught.value.status_code == (502 if WAY == "gateway" and c["status"] in (401, 403, 501) else c["status"])


@only_gateway()
@pytest.mark.parametrize("c", cases("embed"), ids=name)
def test_embeddings_of_another_api(oai, c):
    want = json.loads(c["body"])["embeddings"]["float"]
    got = oai.embeddings.create(model=c["id"], input=["a"] * len(want), encoding_format="float")
    assert [d.embedding for d in got.data] == want


@pytest.mark.parametrize("c", cases("completions"), ids=name)
def test_recorded_completions(oai, c):
    if not c["stream"]:
        got = oai.completions.create(model=c["id"], prompt="Hello").to_dict()
        assert got["choices"] == json.loads(c["body"])["choices"]
        return
    want = "".join(ch["text"] for d in records.sse(c["body"]) if d != "[DONE]" for ch in json.loads(d).get("choices") or [] if not ch["index"])
    got = oai.completions.create(model=c["id"], prompt="Hello", stream=True)
    assert "".join(ch.text for chunk in got for ch in chunk.choices if not ch.index) == want


@only_gateway()
@pytest.mark.parametrize("upstream", ["chat-only", "messages-only"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_completions_on_a_chat_model(oai_mock, upstream, stream):
    options = dict(model=upstream + "/echo", prompt="Once upon a time", max_tokens=20)
    if stream:
        got = list(oai_mock.completions.create(stream=True, stream_options={"include_usage": True}, **options))
        assert "".join(c.choices[0].text for c in got if c.choices) == "Once upon a time"
        assert [c.choices[0].finish_reason for c in got if c.choices and c.choices[0].finish_reason] == ["stop"]
        assert [c.usage.completion_tokens for c in got if c.usage] == [4]
        return
    got = oai_mock.completions.create(**options)
    assert got.choices[0].text == "Once upon a time" and got.object == "text_completion" and got.usage.completion_tokens == 4


@only_gateway()
@pytest.mark.parametrize("c", cases("count"), ids=name)
def test_counts_of_every_provider(oai, ant, c):
    assert oai.responses.input_tokens.count(model=c["id"], input="Hello").input_tokens == c["count"]
    assert ant.messages.count_tokens(model=c["id"], messages=[{"role": "user", "content": "Hello"}]).input_tokens == c["count"]
