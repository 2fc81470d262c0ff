"""Counts texts with tiktoken's o200k_base: reads a length and a text, writes the number of tokens and the nanoseconds."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "conformance" / "py"))
import tokens  # noqa: E402

encode = tokens.openai("o200k_base", tokens.O200K)
while line := sys.stdin.buffer.readline():
    text = sys.stdin.buffer.read(int(line)).decode()
    start = time.perf_counter_ns()
    n = len(encode(text))
    print(n, time.perf_counter_ns() - start, flush=True)
