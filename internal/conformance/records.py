"""Cases made from recorded provider traffic: the request to send and what a plain reader finds in the answer.

The plain readers here are deliberately naive: they know nothing of the gateway and nothing of the SDKs, so
that they can judge both. They run once; the suites of every language read the cases that make_cases writes.
"""
import base64
import gzip
import json
import os
import pathlib

import plain
from plain import arguments, empty

DIALECTS = {"chat": "chat", "messages": "messages", "responses": "responses", "chat-native": "cohere", "converse": "converse",
            "converse-stream": "converse", "generateContent": "gemini", "streamGenerateContent": "gemini"}


def data_file():
    """The recorded exchanges, or None when they are not here."""
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = pathlib.Path(os.environ.get("SIGNALBOX_DATA") or root.parent / "shared" / "data")
    path = folder / "recorded" / "exchanges.jsonl.gz"
    return path if path.exists() else None


def load(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sse(text):
    """The data of each server-sent event, as the standard reads them."""
    for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        data = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if data:
            yield "\n".join(data)


def text_of(content):
    """The text of a message's content: a string, parts (of which some are reasoning), or an object that is the JSON asked for."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return json.dumps(content, separators=(",", ":"))
    return "".join(p.get("text") or "" for p in content or [] if isinstance(p, dict) and p.get("type") == "text")


def chat_usage(u):
    return None if not u else {"input": u.get("prompt_tokens") or 0, "output": u.get("completion_tokens") or 0}


def chat_whole(body):
    a = empty()
    choice = (body.get("choices") or [{}])[0]
    m = choice.get("message") or {}
    a["text"] = text_of(m.get("content"))
    a["thinking"] = m.get("reasoning_content") or m.get("reasoning") or ""
    a["refusal"] = m.get("refusal") or ""
    old = [{"function": m["function_call"]}] if (m.get("function_call") or {}).get("name") else []
    for c in m.get("tool_calls") or old:
        f = c.get("function") or {}
        a["calls"].append({"name": f.get("name"), "args": arguments(f.get("arguments"))})
    a["stop"] = choice.get("finish_reason")
    a["usage"] = chat_usage(body.get("usage"))
    return a


def chat_stream(chunks):
    """Adds up the chunks of the first choice. Calls are told apart by index, without one by their ids."""
    a, calls = empty(), {}
    for c in chunks:
        if c.get("error"):
            a["error"] = True
        a["usage"] = chat_usage(c.get("usage")) or a["usage"]
        for choice in c.get("choices") or []:
            if choice.get("index") or 0:
                continue
            d = choice.get("delta") or {}
            a["text"] += text_of(d.get("content"))
            a["refusal"] += d.get("refusal") or ""
            a["thinking"] += d.get("reasoning_content") or d.get("reasoning") or ""
            for t in d.get("tool_calls") or []:
                key = t.get("index")
                if key is None:
                    key = len(calls) if t.get("id") else max(len(calls) - 1, 0)
                call = calls.setdefault(key, {"name": "", "args": ""})
                f = t.get("function") or {}
                call["name"] = call["name"] or f.get("name") or ""
                call["args"] += f.get("arguments") or ""
            a["stop"] = choice.get("finish_reason") or a["stop"]
    a["calls"] = [{"name": c["name"], "args": arguments(c["args"])} for _, c in sorted(calls.items())]
    return a


def messages_usage(u):
    return None if not u else {"input": u.get("input_tokens") or 0, "output": u.get("output_tokens") or 0,
                               "cached": u.get("cache_read_input_tokens") or 0,
                               "written": u.get("cache_creation_input_tokens") or 0}


def messages_whole(body):
    a = empty()
    for b in body.get("content") or []:
        if b.get("type") == "text":
            a["text"] += b.get("text") or ""
        elif b.get("type") == "thinking":
            a["thinking"] += b.get("thinking") or ""
        elif b.get("type") == "tool_use":
            a["calls"].append({"name": b.get("name"), "args": b.get("input") or {}})
    a["stop"] = body.get("stop_reason")
    a["usage"] = messages_usage(body.get("usage"))
    return a


def messages_stream(events):
    a, calls, usage = empty(), {}, {}
    for e in events:
        kind, i = e.get("type"), e.get("index")
        if kind == "error":
            a["error"] = True
        elif kind == "message_start":
            usage = dict(e["message"].get("usage") or {})
        elif kind == "content_block_start" and e["content_block"].get("type") == "tool_use":
            calls[i] = {"name": e["content_block"].get("name"), "args": "", "whole": e["content_block"].get("input")}
        elif kind == "content_block_start":
            a["text"] += e["content_block"].get("text") or ""
        elif kind == "content_block_delta":
            d = e["delta"]
            a["text"] += d.get("text") or ""
            a["thinking"] += d.get("thinking") or ""
            if i in calls:
                calls[i]["args"] += d.get("partial_json") or ""
        elif kind == "message_delta":
            a["stop"] = e["delta"].get("stop_reason") or a["stop"]
            usage.update({k: v for k, v in (e.get("usage") or {}).items() if v is not None})
    a["calls"] = [{"name": c["name"], "args": arguments(c["args"] or c["whole"])} for _, c in sorted(calls.items())]
    a["usage"] = messages_usage(usage)
    return a


READERS = {("chat", False): chat_whole, ("chat", True): chat_stream,
           ("messages", False): messages_whole, ("messages", True): messages_stream, **plain.READERS}


def read(dialect, kind, body):
    """What a recorded answer says, or None where it is no answer that can be read so."""
    try:
        if kind == "eventstream-b64":
            return READERS[dialect, True](plain.frames(base64.b64decode(body)))
        if kind == "sse":
            parts = [json.loads(d) for d in sse(body) if d.strip() != "[DONE]"]
            return READERS[dialect, True]([p for p in parts if isinstance(p, dict)])
        whole = json.loads(body)
        return READERS[dialect, isinstance(whole, list)](whole)
    except (ValueError, AttributeError, KeyError, TypeError):
        return None


def usage_frame(case):
    """The frame that a provider sends only because the gateway asked for usage, or None.

    The gateway asks every openai-chat stream for usage and takes the extra frame out again where the client
    had not asked; a recording whose provider sends it unasked loses it in the same way.
    """
    if case["dialect"] != "chat" or case["kind"] != "sse" or case["usage_asked"]:
        return None
    for block in case["body"].split("\n\n"):
        for data in sse(block + "\n\n"):
            if data.strip() == "[DONE]":
                continue
            chunk = json.loads(data)
            if chunk.get("usage") and chunk.get("choices") == []:
                return block + "\n\n"
    return None


def make_case(x):
    request, kind = x["request_json"], x["response_body_kind"]
    if x["endpoint"] not in DIALECTS or kind not in ("json", "sse", "eventstream-b64"):
        return None
    dialect = DIALECTS[x["endpoint"]]
    if dialect in ("chat", "messages", "cohere") and request is not None and not isinstance(request.get("messages"), list):
        return None  # also Cohere's first version
    case = {"id": x["id"], "dialect": dialect, "provider": x["provider"], "model": x["model"],
            "stream": kind != "json", "kind": kind, "status": x["response_status"], "features": x["features"], "request": request,
            "beta": (x["request_headers"] or {}).get("anthropic-beta"), "body": x["response_body"]}
    case["method"] = x["endpoint"]
    if x["endpoint"] == "streamGenerateContent" and kind == "json" and case["status"] < 300:
        case["stream"] = case["array"] = True  # a stream as one JSON array
    case["usage_asked"] = bool(((request or {}).get("stream_options") or {}).get("include_usage"))
    case["want"] = read(dialect, kind, case["body"]) if case["status"] < 300 else None
    case["usage_frame"] = usage_frame(case)
    return case


OTHERS = {"count-tokens": "count", "countTokens": "count", "responses-input-tokens": "count", "embeddings": "embeddings",
          "completions": "completions", "embed": "embed", "rerank": "rerank"}


def make_other(x):
    """A case of what is no conversation: counts, embeddings, completions, reranking."""
    if x["endpoint"] not in OTHERS or x["request_json"] is None or "/prompts/" in x["request_path"]:
        return None
    if x["endpoint"] in ("embed", "rerank") and not x["request_path"].startswith("/v2/"):
        return None
    case = {"id": x["id"], "dialect": OTHERS[x["endpoint"]], "provider": x["provider"], "model": x["model"],
            "stream": x["response_body_kind"] == "sse", "kind": x["response_body_kind"], "status": x["response_status"],
            "features": x["features"], "request": x["request_json"], "body": x["response_body"], "want": None}
    if case["dialect"] == "count" and case["status"] == 200:
        said = json.loads(x["response_body"])
        case["count"] = next(said[k] for k in ("input_tokens", "inputTokens", "totalTokens") if k in said)
    return case


def make_cases(path):
    """The cases of all records of conversations, in whatever dialect, and of some other endpoints."""
    return [c for x in load(path) for c in [make_case(x) or make_other(x)] if c]
