"""The starter: the upstreams and `signalbox up` with its Envoy, on free loopback ports, for as long as a suite runs.

    python3 stack.py COMMAND...   runs COMMAND with SB_BASE, SB_KEY, SB_MODELS (and what run.py adds) in its environment

Everything is stopped by process id at the end. Nothing but the standard library is needed.
"""
import json
import os
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import records

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COMPATIBLE, OPENAI, CLAUDE = "replay-compatible", "replay-openai", "replay-claude"
RESPONSES, GEMINI, COHERE, BEDROCK = "replay-responses", "replay-gemini", "replay-cohere", "replay-bedrock"
PROVIDERS = {"messages": CLAUDE, "responses": RESPONSES, "gemini": GEMINI, "cohere": COHERE, "converse": BEDROCK,
             "embed": COHERE, "rerank": COHERE}


class StackError(Exception):
    """What keeps a stack from running, in words for the user."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as r:
        return r.read().decode("utf-8")


def provider_of(case):
    """The provider whose kind speaks as the recorded one did."""
    if found := PROVIDERS.get(case["dialect"]):
        return found
    if case["dialect"] == "completions":
        return COMPATIBLE
    if case["dialect"] == "count":
        return {"anthropic": CLAUDE, "bedrock": BEDROCK, "openai": RESPONSES}.get(case["provider"], GEMINI)
    return OPENAI if case["provider"] in ("openai", "azure") else COMPATIBLE


def record_routes(cases):
    """A route per record: the model named by the record's id, like the model that was really asked.

    The pattern lets a suite append settings of the replay, as ID;cut=100. Streams have a second route with another
    target behind: until their first content the gateway holds them, and watches.
    """
    for c in cases:
        target = {"target": provider_of(c) + "/*"}
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]*", c["model"] or ""):  # some recordings hide the name
            target["like"] = c["model"]
        route = {"name": "record-" + c["id"], "match": {"models": [c["id"], c["id"] + ";*"]}, "targets": [target]}
        yield route | ({"count": "forward"} if c["dialect"] == "count" else {})
        if c["stream"]:
            yield {"name": "spare-" + c["id"], "match": {"models": ["spare/" + c["id"]]}, "targets": [target, "mock/text"]}


def mock_routes():
    """The mock in both dialects and in each alone, which makes the gateway translate; and what fails over."""
    yield {"name": "mock", "match": {"models": ["mock/*"]}, "targets": ["mock/*"]}
    yield {"name": "scripted", "match": {"models": ["scripted*", "gpt-4o-mini"]}, "targets": ["scripted/*"]}
    yield {"name": "media", "match": {"models": ["media/any"]}, "targets": ["fake/any"]}
    yield {"name": "mock-chat", "match": {"models": ["chat-only/*"]}, "targets": ["mock-chat/*"]}
    yield {"name": "mock-messages", "match": {"models": ["messages-only/*"]}, "targets": ["mock-messages/*"]}
    yield {"name": "hasty", "match": {"models": ["hasty/*"]}, "targets": ["mock/*"],
           "deadlines": {"first_token": "400ms", "answer": "400ms", "between_tokens": "400ms", "total": "5s"}}
    yield {"name": "moves-on", "match": {"models": ["moves-on"]}, "targets": ["mock/error-first", "mock/503", "mock/echo"],
           "deadlines": {"first_token": "5s"}}
    for n, client in enumerate(("py-openai", "py-anthropic", "js-openai", "js-anthropic"), 1):  # a target that failed for one would rest for the next
        yield {"name": "moves-on-" + client, "match": {"models": ["moves-on-" + client]},
               "targets": [f"mock/pace:{n}ms+error-first", f"mock/503:{n}", "mock/echo"], "deadlines": {"first_token": "5s"}}


class Stack:
    """Processes that belong together. Use it as a context manager."""

    def __init__(self, binary=None, folder=None):
        self.binary = str(binary or os.environ.get("SIGNALBOX") or ROOT / "bin" / "signalbox")
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="sb-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.running = []
        self.admin = self.base = self.key = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, p in reversed(self.running):
            stop(p)
        self.running.clear()

    def spawn(self, name, command, env=None):
        """Starts a process in a group of its own; its output goes to NAME.log."""
        log = open(self.folder / (name + ".log"), "ab")
        p = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                             cwd=self.folder, env={**os.environ, **(env or {})}, start_new_session=True)
        log.close()
        self.running.append((name, p))
        return p

    def log(self, name):
        return (self.folder / (name + ".log")).read_text("utf-8", "replace")

    def wait(self, name, p, ready, seconds):
        """Waits until ready() returns something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if p.poll() is not None:
                raise StackError(f"{name} ended with status {p.returncode}:\n{self.log(name)[-3000:]}")
            try:
                if found := ready():
                    return found
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.05)
        raise StackError(f"{name} is not ready after {seconds} s:\n{self.log(name)[-3000:]}")

    def upstream(self, name, *args):
        """Starts `signalbox replay` or `signalbox mock` on a port of its choice and returns its address."""
        return self.listening(name, [self.binary, *args, "--addr", "127.0.0.1:0"])

    def listening(self, name, command):
        """Starts a server that prints its address, and returns that."""
        p = self.spawn(name, command)

        def address():
            m = re.search(r"at (http://\S+)", self.log(name))
            return m and m.group(1)
        return self.wait(name, p, address, 30)

    def gateway(self, providers, routes, env=None, extra=None, name="signalbox"):
        """Starts `signalbox up` with Envoy as its child and one client key, and waits until it is ready."""
        self.key = "conformance-" + secrets.token_hex(16)
        made = subprocess.run([self.binary, "keys", "hash"], input=self.key + "\n", text=True, capture_output=True)
        if made.returncode:
            raise StackError("keys hash: " + made.stderr)
        http, admin = free_port(), free_port()
        config = {"listen": {"http": f"127.0.0.1:{http}", "admin": f"127.0.0.1:{admin}",
                             "service": f"unix:{self.folder}/service.sock"},
                  "envoy": {"admin": f"unix:{self.folder}/envoy.sock", "concurrency": 1},
                  "providers": providers, "routes": list(routes), "drain": "3s", "idempotency": {"store": "memory"},
                  "keys": [{"name": "conformance", "hash": made.stdout.strip()}], **(extra or {})}
        file = self.folder / "signalbox.yaml"
        self.write(file, config, env)
        p = self.spawn(name, [self.binary, "up", "--config", str(file)], env)
        self.admin = f"http://127.0.0.1:{admin}"
        self.wait(name, p, lambda: get(self.admin + "/readyz", 2).startswith("ready"), 90)
        self.base = f"http://127.0.0.1:{http}"
        return p

    def write(self, file, config, env=None):
        """Writes the configuration, without likenesses to models that the registry does not know."""
        while True:
            file.write_text(json.dumps(config, indent=1), "utf-8")  # JSON is YAML
            said = subprocess.run([self.binary, "check", str(file)], env={**os.environ, **(env or {})}, text=True, capture_output=True)
            unknown = set(re.findall(r'like: nothing is known of "([^"]+)"', said.stdout + said.stderr))
            named = [t for r in config["routes"] for t in r["targets"] if isinstance(t, dict) and t.get("like") in unknown]
            if not named:
                return
            for target in named:
                target.pop("like", None)

    def paths(self):
        """How many exchanges went which path so far."""
        found = re.findall(r'^signalbox_paths_total\{path="(\w+)"\} (\S+)', get(self.admin + "/metrics"), re.M)
        return {path: int(float(n)) for path, n in found}


def stop(p):
    """Ends a process that we started, and what is left of its group."""
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    try:
        os.killpg(p.pid, signal.SIGKILL)  # start_new_session made its pid the id of its group
    except ProcessLookupError:
        pass


def start(stack, cases, with_gateway=True):
    """Starts the upstreams and the gateway of the SDK suites and returns the suites' environments by way."""
    mock = stack.upstream("mock", "mock", "--seed", "1")
    fake = stack.listening("fake", [sys.executable, "-B", str(HERE / "fake.py")])
    file = records.data_file()
    replay = stack.upstream("replay", "replay", str(file)) if file else ""
    cases_file = stack.folder / "cases.json"
    cases_file.write_text(json.dumps(cases), "utf-8")
    shared = {"SB_CASES": str(cases_file), "SB_JOURNAL": mock}
    ways = {"straight": {**shared, "SB_WAY": "straight", "SB_BASE": replay or mock, "SB_MOCK": mock, "SB_FAKE": fake, "SB_KEY": "unused",
                         "SB_MODELS": "mock/text mock/echo"}}
    if not with_gateway:
        return ways
    key = {"key": "env:CONFORMANCE_UPSTREAM_KEY"}
    providers = [{"name": "mock", "kind": "mock", "base_url": mock + "/v1"},
                 {"name": "scripted", "kind": "openai-compatible", "base_url": fake + "/v1"},
                 {"name": "fake", "kind": "openai", "base_url": fake + "/v1", **key},
                 {"name": "mock-chat", "kind": "mock", "base_url": mock + "/v1", "params": {"speaks": ["openai-chat"]}},
                 {"name": "mock-messages", "kind": "mock", "base_url": mock + "/v1", "params": {"speaks": ["anthropic-messages"]}}]
    if replay:
        providers += [{"name": OPENAI, "kind": "openai", "base_url": replay + "/v1", "params": {"api": "chat"}, **key},
                      {"name": COMPATIBLE, "kind": "openai-compatible", "base_url": replay + "/v1", **key},
                      {"name": CLAUDE, "kind": "anthropic", "base_url": replay, **key},
                      {"name": RESPONSES, "kind": "openai", "base_url": replay + "/v1", "params": {"api": "responses"}, **key},
                      {"name": GEMINI, "kind": "gemini", "base_url": replay, **key},
                      {"name": COHERE, "kind": "cohere", "base_url": replay, **key},
                      {"name": BEDROCK, "kind": "bedrock", "base_url": replay, "params": {"api": "converse"}, **key}]
    stack.gateway(providers, [*mock_routes(), *record_routes(cases)],
                  env={"CONFORMANCE_UPSTREAM_KEY": "upstream-" + secrets.token_hex(8)},
                  extra={"defaults": {"answer_headers": True}, "log": {"level": "warn"}})
    ways["gateway"] = {**shared, "SB_WAY": "gateway", "SB_BASE": stack.base, "SB_MOCK": stack.base, "SB_FAKE": stack.base,
                       "SB_KEY": stack.key, "SB_MODELS": "mock/* chat-only/* messages-only/* hasty/* moves-on moves-on-*"}
    return ways


def end_well():
    """Makes a stop from outside end the process as Ctrl-C does, so that what it started ends too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    file = records.data_file()
    if not file:
        print("the recorded traffic is not present: only the mock answers", file=sys.stderr)
    with Stack() as stack:
        ways = start(stack, records.make_cases(file) if file else [])
        print("logs:", stack.folder, file=sys.stderr)
        return subprocess.run(sys.argv[1:], env={**os.environ, **ways["gateway"]}).returncode


if __name__ == "__main__":
    end_well()
    try:
        sys.exit(main())
    except StackError as e:
        sys.exit(f"stack: {e}")
