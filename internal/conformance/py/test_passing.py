"""What passes without translation, by the OpenAI SDK: moderation, images, audio, files, batches. The fake answers by what it got."""
import base64
import hashlib
import os

import openai
import pytest

from conftest import KEY, WAY, only_gateway, openai_client

MODEL = "media/any" if WAY == "gateway" else "any"
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300


@pytest.fixture(scope="module")
def client():
    return openai_client(os.environ["SB_FAKE"], KEY, default_headers={"x-signalbox-provider": "fake"})


def test_moderations(client):
    got = client.moderations.create(model=MODEL, input=["good", "bad"])
    assert [r.flagged for r in got.results] == [False, True] and got.model == "any"


def test_images(client):
    got = client.images.generate(model=MODEL, prompt="a dot", n=2)
    assert len(got.data) == 2 and got.data[0].revised_prompt == "a dot"
    assert base64.b64decode(got.data[0].b64_json).startswith(b"\x89PNG") and got.usage.total_tokens == 12


def test_image_edit_arrives_whole(client):
    got = client.images.edit(model=MODEL, prompt="more", image=("dot.png", IMAGE, "image/png"))
    assert got.data[0].revised_prompt == "more " + hashlib.sha256(IMAGE).hexdigest()
    assert base64.b64decode(got.data[0].b64_json) == IMAGE


def test_speech_comes_whole_and_streamed(client):
    options = dict(model=MODEL, voice="alloy", input="Say it")
    whole = client.audio.speech.create(**options).content
    assert whole.startswith(b"Say itID3") and len(whole) > 100_000
    with client.audio.speech.with_streaming_response.create(**options) as s:
        assert b"".join(s.iter_bytes()) == whole


def test_transcription_arrives_whole(client):
    got = client.audio.transcriptions.create(model=MODEL, file=("talk.mp3", IMAGE, "audio/mpeg"))
    assert got.text == f"any talk.mp3 {hashlib.sha256(IMAGE).hexdigest()}"


def test_files_and_batches_round_trip(client):
    lines = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{}}\n'
    file = client.files.create(file=("in.jsonl", lines), purpose="batch")
    assert file.filename == "in.jsonl" and file.bytes == len(lines)
    if WAY == "gateway":
        assert file.id.endswith("~fake")
    assert client.files.retrieve(file.id).id == file.id
    assert client.files.content(file.id).content == lines
    assert file.id in [f.id for f in client.files.list()]
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"})
    assert batch.input_file_id == file.id and batch.metadata == {"a": "b"}
    assert client.batches.retrieve(batch.id).status == "in_progress"
    assert client.files.content(client.batches.retrieve(batch.id).output_file_id).content == lines
    assert batch.id in [b.id for b in client.batches.list()]
    assert client.batches.cancel(batch.id).status == "cancelling"
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


@only_gateway()
def test_an_id_alone_says_where_to_go():
    ours = openai_client(os.environ["SB_FAKE"], KEY)
    made = openai_client(os.environ["SB_FAKE"], KEY, default_headers={"x-signalbox-provider": "fake"})
    file = made.files.create(file=("in.jsonl", b"{}\n"), purpose="batch")
    assert ours.files.content(file.id).content == b"{}\n"


@only_gateway()
def test_a_model_without_the_endpoint_is_refused(client):
    with pytest.raises(openai.BadRequestError):
        client.images.generate(model="messages-only/text", prompt="a dot")
