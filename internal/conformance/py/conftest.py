"""Clients of both SDKs, the cases, and the results as JSON lines for the table."""
import json
import os
import pathlib
import sys
import time
import urllib.request

import anthropic
import openai
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

WAY = os.environ["SB_WAY"]
BASE = os.environ["SB_BASE"]
MOCK = os.environ["SB_MOCK"]
KEY = os.environ["SB_KEY"]
ALL = json.loads(pathlib.Path(os.environ["SB_CASES"]).read_text("utf-8")) if os.environ["SB_CASES"] else []
CASES = [c for c in ALL if c["dialect"] in ("chat", "messages")]


def only_gateway():
    """Marks what has no straight counterpart: translation and answers of our own."""
    return pytest.mark.skipif(WAY != "gateway", reason="only the gateway can do this")


def openai_client(base=BASE, key=KEY, **more):
    return openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0, timeout=30, **more)


def anthropic_client(base=BASE, key=KEY, **more):
    return anthropic.Anthropic(base_url=base, api_key=key, max_retries=0, timeout=30, **more)


@pytest.fixture(scope="session")
def oai():
    """An OpenAI client of the recorded answers."""
    return openai_client()


@pytest.fixture(scope="session")
def ant():
    """An Anthropic client of the recorded answers."""
    return anthropic_client()


@pytest.fixture(scope="session")
def oai_mock():
    return openai_client(MOCK)


@pytest.fixture(scope="session")
def ant_mock():
    return anthropic_client(MOCK)


# The providers whose recordings are the plain dialect; the sweep takes all of them.
OWN = {"chat": ("openai", "azure"), "messages": ("anthropic",)}


def pick(dialect, stream, has, own=True):
    """The first recorded case of a dialect that has what a scenario needs."""
    for c in CASES:
        if c["dialect"] != dialect or c["stream"] != stream or not c["want"] or not c["request"]:
            continue
        if (not own or c["provider"] in OWN[dialect]) and has(c):
            return c
    pytest.skip("no recorded case, or the recorded traffic is not present")


def journal():
    """What reached the mock, oldest first."""
    with urllib.request.urlopen(os.environ["SB_JOURNAL"] + "/__mock/requests", timeout=10) as r:
        return json.loads(r.read())["requests"]


def eventually(check, seconds=10):
    """Waits for something that another process is about to do."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.05)
    return check()


def pytest_runtest_logreport(report):
    if report.when != "call" and report.outcome == "passed":
        return
    if report.when == "teardown":
        return
    file, _, name = report.nodeid.partition("::")
    line = {"suite": "py/" + pathlib.Path(file).stem.removeprefix("test_"), "case": name, "result": report.outcome}
    if report.outcome == "skipped":
        line["why"] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    elif report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        line["why"] = (crash.message if crash else str(report.longrepr))[:600]
    with open(os.environ["SB_RESULTS"], "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
