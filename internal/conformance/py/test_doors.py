"""Every recorded answer of every provider, asked for by the SDK of every front door: the same text, calls, end and usage
as a plain reader of the recording finds. With the SDK of its own dialect straight too; all others need the gateway."""
import functools

import pytest

import plain
from conftest import ALL, WAY
from doors import DOORS

SWEEP = [c for c in ALL if c["want"] and c["status"] == 200 and not c["want"].get("error")]


@functools.cache
def door(dialect):
    return DOORS[dialect]()


def pairs():
    """What the older suites do not: any pair but Chat Completions and Messages among themselves."""
    for c in SWEEP:
        for d in DOORS:
            if {d, c["dialect"]} <= {"chat", "messages"}:
                continue
            for how in ("raw", "accumulated") if c["stream"] and DOORS[d].accumulates else ("raw",):
                yield pytest.param(d, c, how, id=f"{d}-on-{c['dialect']}-{c['provider']}-{c['id']}" + ("-" + how) * (how != "raw"))


def same(dialect, got, case):
    want = case["want"]
    said = (got["text"], got["refusal"])
    if dialect in ("chat", "responses") and got["refusal"]:
        assert said == (want["text"], want["refusal"])
    else:
        assert got["text"] == want["text"] + want["refusal"]  # a refusal is text where there is no other word for it
    assert got["calls"] == want["calls"]
    wanted = plain.end(case["dialect"], want)
    if wanted and not (dialect == "cohere" and wanted == "filter"):  # Cohere's API has no such end
        assert plain.end(dialect, got) == wanted
    if not plain.counts(want):
        return
    found, total = plain.counts(got), plain.total(case)
    assert found == plain.counts(want) or (sum(found) == total and total > sum(plain.counts(want)))


@pytest.mark.parametrize("dialect,case,how", list(pairs()))
def test_answer(dialect, case, how):
    if WAY != "gateway" and dialect != case["dialect"]:
        pytest.skip("only the gateway can do this")
    if case.get("array") and dialect == "gemini":
        pytest.skip("this client reads events alone, and asks for them")
    ask = functools.partial(door(dialect).ask, case["id"], case["stream"], tools=bool(case["want"]["calls"]), how=how)
    if dialect == "responses" and how == "accumulated" and plain.end(case["dialect"], case["want"]) in ("length", "filter") and not case["want"]["refusal"]:
        with pytest.raises(RuntimeError, match="response.completed"):  # for this SDK's helper an incomplete answer is an error
            ask()
        return
    same(dialect, ask(), case)
