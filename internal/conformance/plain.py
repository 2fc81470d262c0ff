"""Plain readers of the dialects beside Chat Completions and Messages, and what ends and counts mean in all of them.

Like those in records.py they are naive on purpose: they know neither the gateway nor any SDK.
"""
import json
import re
import struct


def arguments(text):
    """Arguments as parsed; none at all and null count as an empty object, text that is no JSON stays text."""
    if isinstance(text, (dict, list)):
        return text
    try:
        return (json.loads(text) if (text or "").strip() else None) or {}
    except ValueError:
        return text


def empty():
    return {"text": "", "refusal": "", "thinking": "", "calls": [], "stop": None, "usage": None}


def responses_usage(u):
    return None if not u else {"input": u.get("input_tokens") or 0, "output": u.get("output_tokens") or 0}


def responses_item(a, item):
    """Adds what an output item says."""
    kind = item.get("type")
    if kind == "message":
        for p in item.get("content") or []:
            a["text"] += p.get("text") or "" if p.get("type") == "output_text" else ""
            a["refusal"] += p.get("refusal") or "" if p.get("type") == "refusal" else ""
    elif kind == "function_call":
        a["calls"].append({"name": item.get("name"), "args": arguments(item.get("arguments"))})
    elif kind == "reasoning":
        a["thinking"] += "".join(s.get("text") or "" for s in [*(item.get("summary") or []), *(item.get("content") or [])])


def responses_whole(body):
    a = empty()
    for item in body.get("output") or []:
        responses_item(a, item)
    why = (body.get("incomplete_details") or {}).get("reason")
    a["stop"] = why if body.get("status") == "incomplete" and why else body.get("status")
    a["usage"] = responses_usage(body.get("usage"))
    if body.get("error") or body.get("status") == "failed":
        a["error"] = True
    return a


def responses_stream(events):
    """Items are what their done events say; the end and the usage are the last event's."""
    a, last = empty(), {}
    for e in events:
        kind = e.get("type")
        if kind == "response.output_item.done":
            responses_item(a, e["item"])
        elif kind == "error":
            a["error"] = True
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            last = responses_whole(e["response"])
            break  # one recording has several answers in a row
    if last:
        a["stop"], a["usage"] = last["stop"], last["usage"]
    if last.get("error"):
        a["error"] = True
    return a


def gemini_parts(a, candidate):
    for p in (candidate.get("content") or {}).get("parts") or []:
        if p.get("functionCall"):
            f = p["functionCall"]
            a["calls"].append({"name": f.get("name"), "args": f.get("args") or {}})
        elif p.get("text"):
            a["thinking" if p.get("thought") else "text"] += p["text"]
    a["stop"] = candidate.get("finishReason") or a["stop"]


def gemini_stream(chunks):
    a = empty()
    for c in chunks:
        if c.get("error"):
            a["error"] = True
        for candidate in c.get("candidates") or []:
            if not candidate.get("index"):
                gemini_parts(a, candidate)
        if (c.get("promptFeedback") or {}).get("blockReason"):
            a["stop"] = "SAFETY"
        if "promptTokenCount" in (u := c.get("usageMetadata") or {}):
            a["usage"] = {"input": (u.get("promptTokenCount") or 0) + (u.get("toolUsePromptTokenCount") or 0),
                          "output": (u.get("candidatesTokenCount") or 0) + (u.get("thoughtsTokenCount") or 0)}
    return a


def gemini_whole(body):
    return gemini_stream([body])


def converse_usage(u):
    if not u:
        return None
    return {"input": sum(u.get(k) or 0 for k in ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")),
            "output": u.get("outputTokens") or 0}


def converse_whole(body):
    a = empty()
    for b in ((body.get("output") or {}).get("message") or {}).get("content") or []:
        if "toolUse" in b:
            a["calls"].append({"name": b["toolUse"].get("name"), "args": b["toolUse"].get("input") or {}})
        elif "reasoningContent" in b:
            a["thinking"] += (b["reasoningContent"].get("reasoningText") or {}).get("text") or ""
        elif "citationsContent" in b:
            a["text"] += "".join(c.get("text") or "" for c in b["citationsContent"].get("content") or [])
        else:
            a["text"] += b.get("text") or ""
    a["stop"] = body.get("stopReason")
    a["usage"] = converse_usage(body.get("usage"))
    return a


def converse_stream(events):
    """Events as the SDKs give them: {NAME: members}."""
    a, calls = empty(), {}
    for e in events:
        for name, m in e.items():
            i = m.get("contentBlockIndex")
            if name.endswith("Exception"):
                a["error"] = True
            elif name == "contentBlockStart" and "toolUse" in (m.get("start") or {}):
                calls[i] = {"name": m["start"]["toolUse"].get("name"), "args": ""}
            elif name == "contentBlockDelta":
                d = m.get("delta") or {}
                a["text"] += d.get("text") or ""
                a["thinking"] += (d.get("reasoningContent") or {}).get("text") or ""
                if i in calls:
                    calls[i]["args"] += (d.get("toolUse") or {}).get("input") or ""
            elif name == "messageStop":
                a["stop"] = m.get("stopReason")
            elif name == "metadata":
                a["usage"] = converse_usage(m.get("usage"))
    a["calls"] = [{"name": c["name"], "args": arguments(c["args"])} for _, c in sorted(calls.items())]
    return a


def frames(data):
    """The events of an event stream of AWS: {NAME: members}."""
    while data:
        total, headers = struct.unpack(">II", data[:8])
        head, payload, kinds = data[12:12 + headers], data[12 + headers:total - 4], {}
        while head:
            n = head[0]
            size = struct.unpack(">H", head[n + 2:n + 4])[0]
            kinds[head[1:n + 1].decode()] = head[n + 4:n + 4 + size].decode()
            head = head[n + 4 + size:]
        yield {kinds.get(":event-type") or kinds.get(":exception-type") or "": json.loads(payload or b"{}")}
        data = data[total:]


def cohere_usage(u):
    t = (u or {}).get("tokens") or (u or {}).get("billed_units")
    return None if not t else {"input": int((t.get("input_tokens") or 0) + (t.get("image_tokens") or 0)),
                               "output": int(t.get("output_tokens") or 0)}


def cohere_whole(body):
    a, m = empty(), body.get("message") or {}
    a["text"] = m.get("tool_plan") or ""  # what the model says before its calls
    for p in m.get("content") or []:
        a["text"] += p.get("text") or ""
        a["thinking"] += p.get("thinking") or ""
    for c in m.get("tool_calls") or []:
        a["calls"].append({"name": c["function"].get("name"), "args": arguments(c["function"].get("arguments"))})
    a["stop"] = body.get("finish_reason")
    a["usage"] = cohere_usage(body.get("usage"))
    return a


def cohere_stream(events):
    a, calls = empty(), {}
    for e in events:
        kind, d = e.get("type"), e.get("delta") or {}
        m = d.get("message") or {}
        if kind == "tool-plan-delta":
            a["text"] += m.get("tool_plan") or ""
        elif kind == "content-delta":
            a["text"] += (m.get("content") or {}).get("text") or ""
            a["thinking"] += (m.get("content") or {}).get("thinking") or ""
        elif kind in ("tool-call-start", "tool-call-delta"):
            call = calls.setdefault(e.get("index") or 0, {"name": "", "args": ""})
            f = (m.get("tool_calls") or {}).get("function") or {}
            call["name"] = call["name"] or f.get("name") or ""
            call["args"] += f.get("arguments") or ""
        elif kind == "message-end":
            a["stop"], a["usage"] = d.get("finish_reason"), cohere_usage(d.get("usage"))
            if d.get("error"):
                a["error"] = True
    a["calls"] = [{"name": c["name"], "args": arguments(c["args"])} for _, c in sorted(calls.items())]
    return a


READERS = {("responses", False): responses_whole, ("responses", True): responses_stream,
           ("gemini", False): gemini_whole, ("gemini", True): gemini_stream,
           ("converse", False): converse_whole, ("converse", True): converse_stream,
           ("cohere", False): cohere_whole, ("cohere", True): cohere_stream}

# What each dialect calls an end: by itself, by length, for calls, by a filter.
ENDS = {
    "chat": {"stop": "end", "length": "length", "tool_calls": "calls", "function_call": "calls", "content_filter": "filter"},
    "messages": {"end_turn": "end", "stop_sequence": "end", "max_tokens": "length", "tool_use": "calls", "refusal": "filter"},
    "responses": {"completed": "end", "max_output_tokens": "length", "content_filter": "filter"},
    "gemini": {"STOP": "end", "MAX_TOKENS": "length", "SAFETY": "filter", "RECITATION": "filter", "PROHIBITED_CONTENT": "filter",
               "BLOCKLIST": "filter", "SPII": "filter"},
    "converse": {"end_turn": "end", "stop_sequence": "end", "max_tokens": "length", "tool_use": "calls",
                 "guardrail_intervened": "filter", "content_filtered": "filter"},
    "cohere": {"COMPLETE": "end", "STOP_SEQUENCE": "end", "MAX_TOKENS": "length", "TOOL_CALL": "calls", "ERROR_TOXIC": "filter"},
}


def end(dialect, answer):
    """How an answer ended, in words that all dialects share; None where the dialect's word has no counterpart."""
    if answer["refusal"]:
        return "filter"
    found = ENDS[dialect].get(answer["stop"])
    return "calls" if answer["calls"] and found == "end" else found  # not every dialect says it


def counts(answer):
    """The tokens in and out, cached ones included; None where nothing is said."""
    u = answer["usage"]
    return u and (u["input"] + u.get("cached", 0) + u.get("written", 0), u["output"])


def total(case):
    """The last total that a recorded answer itself says, or 0: some providers count reasoning or audio beside the other counts."""
    said = re.findall(r'"total_tokens": ?(\d+)', case["body"]) if case["kind"] != "eventstream-b64" else []
    return int(said[-1]) if said else 0

