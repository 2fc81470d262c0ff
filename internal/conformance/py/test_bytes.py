"""Every recorded request of the newer dialects sent again as it was recorded: the answer's bytes are the recorded ones, errors
have their status and body."""
import base64
import functools

import pytest

from conftest import ALL, WAY
from doors import raw

SWEEP = [c for c in ALL if c["dialect"] in ("responses", "gemini", "cohere", "converse") and c["request"]]


def name(c):
    return f"{c['dialect']}-{c['provider']}-{c['id']}"


@functools.cache
def client():
    return raw()


def send(c):
    """Posts the recorded request; only the model is another, the record's id."""
    body = c["request"]
    if c["dialect"] == "gemini":
        method = "streamGenerateContent" + ("" if c.get("array") else "?alt=sse") if c["method"].startswith("stream") else "generateContent"
        return client().post(f"/v1beta/models/{c['id']}:{method}", json={k: v for k, v in body.items() if k != "model"})
    if c["dialect"] == "converse":
        return client().post(f"/model/{c['id']}/{c['method']}", json=body)
    return client().post({"responses": "/v1/responses", "cohere": "/v2/chat"}[c["dialect"]], json={**body, "model": c["id"]})


@pytest.mark.parametrize("c", [c for c in SWEEP if c["status"] == 200], ids=name)
def test_bytes(c):
    want = base64.b64decode(c["body"]) if c["kind"] == "eventstream-b64" else c["body"].encode("utf-8")
    got = send(c)
    assert got.status_code == 200, got.text
    assert got.content == want


@pytest.mark.parametrize("c", [c for c in SWEEP if c["status"] >= 400], ids=name)
def test_error(c):
    got = send(c)
    if WAY == "gateway" and (c["status"] in (401, 403) or "API_KEY_INVALID" in c["body"]):  # Gemini says 400 of a key
        assert got.status_code == 502  # the gateway's credential, not the client's
        assert "API key" not in got.text
        return
    assert got.status_code == c["status"]
    if WAY == "straight" or c["status"] != 429:  # limits are told in the gateway's words
        assert got.content == c["body"].encode("utf-8")
