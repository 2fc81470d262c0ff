"""Runs every suite twice, straight against the upstream and through the gateway, and prints a table.

    python3 run.py [--only py,js,frameworks,model,tokens,claude] [--straight] [--keep]

A case that passes straight must pass through the gateway; a case that only the gateway can run must pass.
allow/SUITE.txt names the differences that are accepted ("CASE: reason", * stands for anything); an entry that nothing
needs any more is an error. Exit status 1 on any failure.
"""
import argparse
import collections
import contextlib
import fnmatch
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import records
import stack as stacks

CACHE = pathlib.Path(os.environ.get("SIGNALBOX_CONFORMANCE_CACHE") or stacks.ROOT / ".cache" / "conformance")


PATHS = ("direct", "watched", "worked")
UNWATCHED = ("py/model_test", "py/langchain_test", "py/llamaindex_test")  # alone they need not take every path


class Skip(Exception):
    """Why a part cannot run here."""


def install(stamp, sources, commands):
    """Runs commands unless they have run for these very sources."""
    state = "\n".join(f.read_text("utf-8") for f in sources)
    mark = CACHE / (stamp + ".installed")
    if mark.exists() and mark.read_text("utf-8") == state:
        return
    for command in commands:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode:
            raise Skip(f"{' '.join(map(str, command[:4]))}…: {(done.stderr or done.stdout).strip()[-400:]}")
    mark.write_text(state, "utf-8")


def newer():
    """A Python of version 3.12 or later, which some packages need: this one, SIGNALBOX_PYTHON, or one on the path."""
    if sys.version_info >= (3, 12):
        return sys.executable
    for name in filter(None, [os.environ.get("SIGNALBOX_PYTHON"), "python3.14", "python3.13", "python3.12"]):
        with contextlib.suppress(OSError):
            if subprocess.run([name, "-c", "import sys; sys.exit(sys.version_info < (3, 12))"], capture_output=True).returncode == 0:
                return name
    raise Skip("there is no Python 3.12 or later; SIGNALBOX_PYTHON may name one")


def venv(name, requirements, *options, base=sys.executable):
    """A virtual environment with exactly what the file of hashes pins; returns its Python."""
    folder, file = CACHE / name, stacks.HERE / "py" / requirements
    python = folder / "bin" / "python"
    install(name, [file], [[base, "-m", "venv", "--clear", folder],
                           [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", *options, "-r", file]])
    return python


def node():
    """A folder with the runner and what its lock file pins."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise Skip("there is no node with npm")
    folder, source = CACHE / "js", stacks.HERE / "js"
    folder.mkdir(parents=True, exist_ok=True)
    for f in source.glob("*.*"):
        shutil.copy(f, folder / f.name)
    install("js", [source / "package-lock.json"], [["npm", "ci", "--no-audit", "--no-fund", "--prefix", folder]])
    return folder


def pytest(python, env, files, *options):
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=short", *options, *files]
    return subprocess.run([str(c) for c in command], cwd=stacks.HERE / "py", env=env, capture_output=True, text=True)


def python_suites(env, files):
    return pytest(venv("py", "requirements.txt"), env, files or SDK_FILES)


def framework_suites(env, _):
    """LangChain's standard tests keep clients of asyncio between tests, and would record what they hear."""
    return pytest(venv("frameworks", "frameworks-requirements.txt"), env, FRAMEWORK_FILES, "-p", "no:warnings", "--disable-recording",
                  "-o", "asyncio_mode=auto", "-o", "asyncio_default_test_loop_scope=session")


def node_suites(env, _):
    return subprocess.run(["node", "run.mjs"], cwd=node(), env=env, capture_output=True, text=True)


SUITES = {"py": python_suites, "js": node_suites, "frameworks": framework_suites}
TOKENS = {"tokens": "token-requirements.txt", "claude": "claude-requirements.txt"}
PARTS = (*SUITES, "model", *TOKENS)
USUAL = [p for p in PARTS if p != "claude"]  # whose reference takes a quarter of an hour
FRAMEWORK_FILES = ["langchain_test.py", "llamaindex_test.py"]
SDK_FILES = ["test_openai.py", "test_anthropic.py", "test_errors.py", "test_cross.py", "test_sweep.py", "test_doors.py", "test_passing.py",
             "test_responses.py", "test_scenarios.py", "test_genai.py", "test_cohere.py", "test_bedrock.py", "test_embeddings.py",
             "test_mistral.py", "test_schemas.py", "test_bytes.py", "test_idempotency.py"]


def run(kind, way, env, folder, files=()):
    """Runs the suites of a language one way and returns their results."""
    out = folder / f"{kind}-{way}.jsonl"
    env = {**os.environ, **env, "SB_RESULTS": str(out), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = SUITES[kind](env, files)
    except Skip as e:
        print(f"skipped: {kind}: {e}")
        return {}
    (folder / f"{kind}-{way}.log").write_text(done.stdout + done.stderr, "utf-8")
    lines = out.read_text("utf-8").splitlines() if out.exists() else []
    results = {}
    for r in map(json.loads, lines):
        results[r["suite"], r["case"]] = r
    if not results or done.returncode not in (0, 1):
        results[kind, "runner"] = {"result": "failed", "why": f"status {done.returncode}: {(done.stderr or done.stdout)[-800:]}"}
    return results


def allowed(suite):
    """The accepted differences of a suite, by pattern."""
    file = stacks.HERE / "allow" / (suite.replace("/", "-") + ".txt")
    if not file.exists():
        return {}
    lines = [line.strip() for line in file.read_text("utf-8").splitlines()]
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def counts(results, suite):
    c = collections.Counter(r["result"] for (s, _), r in results.items() if s == suite)
    return f"{c['passed']} passed" + "".join(f", {c[k]} {k}" for k in ("failed", "as straight", "accepted", "skipped") if c[k]) if c else "-"


def judge(straight, gateway):
    """Returns what went wrong: cases, and entries of the allow lists without use. Marks the failures that are none."""
    wrong, used, lists = [], set(), {}
    for (suite, case), r in gateway.items():
        before = straight.get((suite, case), {}).get("result", "skipped")
        lists.setdefault(suite, allowed(suite))
        if r["result"] != "failed" and not (r["result"] == "skipped" and before == "passed"):
            continue
        if before == "failed":
            r["result"] = "as straight"
            continue
        hit = next((p for p in lists[suite] if fits(case, p)), None)
        if hit:
            used.add((suite, hit))
            r["result"] = "accepted"
        else:
            wrong.append(f"{suite} {case}: {r.get('why', '')}")
    for suite, entries in lists.items():
        passed = [c for (s, c), r in gateway.items() if s == suite and r["result"] == "passed"]
        wrong += [f"allow list of {suite}: nothing needs {p!r} any more" for p in entries
                  if (suite, p) not in used and any(fits(c, p) for c in passed)]
    return wrong


def fits(case, pattern):
    return fnmatch.fnmatchcase(case, pattern.replace("[", "[[]"))


# Suites in which a client may be unable to read a recording: nothing that the gateway could be blamed for.
RECORDED = ("py/sweep", "py/doors", "js/sweep", "js/doors", "js/ai-sdk", "js/ai-sdk-doors")


def straight_failures(straight):
    """Cases of ours must pass straight; recordings that a client cannot read are only counted."""
    unread, wrong = collections.Counter(), []
    for (suite, case), r in straight.items():
        if r["result"] != "failed":
            continue
        unread[suite] += suite in RECORDED
        if suite not in RECORDED:
            wrong.append(f"straight: {suite} {case}: {r['why']}")
    for suite, n in unread.items():
        if n:
            print(f"{suite}: {n} recordings that this client cannot read straight either")
    return wrong


def sdk_part(kinds, straight_only, folder):
    """The SDK suites: recorded answers and the mock behind the gateway."""
    file = records.data_file()
    if not file and os.environ.get("SIGNALBOX_REQUIRE_DATA") == "1":
        raise stacks.StackError("the recorded traffic is required and not present")
    if not file:
        print("skipped: all cases of recorded traffic, which is not present; the mock's cases run")
    straight, gateway, paths = {}, {}, {}
    with stacks.Stack(folder=folder / "sdk") as s:
        ways = stacks.start(s, records.make_cases(file) if file else [], not straight_only)
        for kind in kinds:
            met = run(kind, "straight", ways["straight"], folder)
            straight |= met
            if met and not straight_only:
                gateway |= run(kind, "gateway", ways["gateway"], folder)
        if not straight_only:
            paths = s.paths()
    return straight, gateway, paths


def model_part(straight_only, folder):
    """A tiny real model behind the gateway; the suite starts its own stack."""
    try:
        server, _ = venv("model", "model-requirements.txt", "--no-deps"), venv("py", "requirements.txt")
    except Skip as e:
        print(f"skipped: model: {e}")
        return {}, {}, {}
    paths = folder / "model-paths.json"
    env = {"SB_WAY": "gateway", "SB_BASE": "", "SB_MOCK": "", "SB_KEY": "", "SB_CASES": "", "SB_MODEL_PYTHON": str(server),
           "SB_MODEL_FOLDER": str(folder / "model"), "SB_MODEL_PATHS": str(paths), "SB_MODEL_STRAIGHT": "1" if straight_only else ""}
    got = run("py", "model", env, folder, ["model_test.py"])
    straight = {k: r for k, r in got.items() if "straight" in k[1]}
    gateway = {k: r for k, r in got.items() if k not in straight and not (straight_only and r["result"] == "skipped")}
    return straight, gateway, json.loads(paths.read_text()) if paths.exists() else {}


def tokens_part(part, folder):
    """Reference tokenizers against ours; returns what went wrong."""
    families = ["--families", "claude-3,claude-4.7,claude-4.8"] if part == "claude" else []
    try:
        python = venv(part, TOKENS[part], "--no-deps", base=newer() if part == "claude" else sys.executable)
    except Skip as e:
        print(f"skipped: {part}: {e}")
        return []
    program = folder / "tokens"
    subprocess.run(["go", "build", "-o", str(program), "./internal/conformance/tokens"], cwd=stacks.ROOT, check=True)
    env = {**os.environ, "SIGNALBOX_CONFORMANCE_CACHE": str(CACHE)}
    done = subprocess.run([str(python), "-B", "tokens.py", str(program), *families], cwd=stacks.HERE / "py", env=env, stderr=subprocess.PIPE, text=True)
    (folder / (part + ".log")).write_text(done.stderr, "utf-8")
    print("".join(line + "\n" for line in done.stderr.splitlines() if line.endswith(" differ")), end="")
    return [] if done.returncode == 0 else [f"{part}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}"]


def report(straight, gateway, paths):
    """Prints the table and returns what went wrong."""
    wrong = judge(straight, gateway)
    print(f"\n{'suite':<16} {'straight':<38} gateway")
    for suite in sorted({s for s, _ in [*straight, *gateway]}):
        print(f"{suite:<16} {counts(straight, suite):<38} {counts(gateway, suite)}")
    wrong += straight_failures(straight)
    if gateway:
        print("paths met: " + ", ".join(f"{p} {paths.get(p, 0)}" for p in PATHS))
    if any(suite not in UNWATCHED for suite, _ in gateway):
        wrong += [f"no exchange took the {p} path" for p in PATHS if not paths.get(p)]
    if not straight and not gateway:
        wrong.append("nothing could run")
    return wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--only", default=",".join(USUAL), help="parts of " + ",".join(PARTS))
    p.add_argument("--straight", action="store_true", help="without the gateway")
    p.add_argument("--keep", action="store_true", help="keep the folder of logs and results")
    a = p.parse_args()
    only = set(a.only.split(","))
    if unknown := only - set(PARTS):
        p.error(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sb-"))
    straight, gateway, paths = {}, {}, collections.Counter()
    if kinds := [k for k in SUITES if k in only]:
        straight, gateway, met = sdk_part(kinds, a.straight, folder)
        paths.update(met)
    if "model" in only:
        more, through, met = model_part(a.straight, folder)
        straight, gateway = straight | more, gateway | through
        paths.update(met)
    wrong = [w for part in TOKENS if part in only for w in tokens_part(part, folder)]
    wrong += report(straight, gateway, paths) if only - set(TOKENS) else []
    for w in wrong:
        print("FAILED", w)
    print("conformance:", f"{len(wrong)} failures; logs in {folder}" if wrong else "all passed")
    if a.keep and not wrong:
        print("logs in", folder)
    elif not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    stacks.end_well()
    try:
        sys.exit(main())
    except stacks.StackError as e:
        sys.exit(f"conformance: {e}")
