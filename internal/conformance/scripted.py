"""A model by rules, for suites whose prompts want to be understood: it calls the tool that is meant, with arguments out of the
prompt, fills schemas, and otherwise chats. Answers of Chat Completions, whole and streamed.
"""
import json
import re
import time


def text_of(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(p.get("text") or "" for p in content)


def fill(schema, prompt, name="", root=None):
    """A value of a JSON Schema: numbers and quoted words of the prompt first."""
    root = root or schema
    while "$ref" in schema:
        found = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    for some in ("anyOf", "oneOf", "allOf"):
        if schema.get(some):
            return fill(schema[some][0], prompt, name, root)
    if "const" in schema or schema.get("enum"):
        return schema.get("const", (schema.get("enum") or [None])[0])
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        return {k: fill(v, prompt, k, root) for k, v in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [fill(schema.get("items") or {}, prompt, name, root)]
    if kind in ("integer", "number"):
        numbers = [int(n) for n in re.findall(r"\d+", prompt)] or [1]
        return numbers[min("abcdefgh".find(name) if len(name) == 1 and name in "abcdefgh" else 0, len(numbers) - 1)]
    if kind == "boolean":
        return True
    quoted = re.search(r"'([^']+)'", prompt)
    return quoted.group(1) if quoted else prompt.strip()[-40:] or "word"


def wanted(asked, prompt):
    """The tool that this turn is to call, or None."""
    tools = [t["function"] for t in asked.get("tools") or [] if t.get("type") == "function"]
    choice = asked.get("tool_choice", "auto")
    if not tools or choice == "none" or asked["messages"][-1].get("role") == "tool":
        return None
    if isinstance(choice, dict):
        if "allowed_tools" in choice:
            allowed = [t["function"]["name"] for t in choice["allowed_tools"]["tools"]]
        else:
            allowed = [choice["function"]["name"]]
        return next((t for t in tools if t["name"] in allowed), None)
    words = set(re.findall(r"\w+", prompt.lower()))
    meant = [t for t in tools if t["name"].lower() in words] or [t for t in tools if words & set(t["name"].lower().split("_"))]
    if meant:
        return meant[0]
    return tools[0] if choice in ("required", "any") or "tool" in words or re.search(r"\d \+ \d", prompt) else None


def think(asked):
    """Returns the text and the calls of the answer."""
    prompts = [text_of(m) for m in asked["messages"] if m.get("role") == "user"] or [""]
    if tool := wanted(asked, prompts[-1]):
        return "", [{"name": tool["name"], "arguments": json.dumps(fill(tool.get("parameters") or {"type": "object"}, prompts[-1]), ensure_ascii=False)}]
    form = asked.get("response_format") or {}
    if form.get("type") == "json_schema":
        return json.dumps(fill(form["json_schema"]["schema"], prompts[-1])), []
    if form.get("type") == "json_object":
        return json.dumps({"setup": "Why?", "punchline": "Because."}), []
    return "Hello there, how are you today?", []


def cut(text, asked):
    """The text up to a stop sequence or the limit of tokens, and why it ends."""
    stops = asked.get("stop") or []
    for s in [stops] if isinstance(stops, str) else stops:
        if s in text:
            return text[:text.index(s)], "stop"
    words, limit = text.split(" "), asked.get("max_completion_tokens") or asked.get("max_tokens") or 1 << 20
    return (" ".join(words[:limit]), "length") if len(words) > limit else (text, "stop")


def answer(asked):
    """The whole answer."""
    text, calls = think(asked)
    text, end = cut(text, asked)
    tokens = sum(len(text_of(m).split()) + 1 for m in asked["messages"])
    out = max(len(text.split()), 1) + sum(len(c["arguments"]) // 4 for c in calls)
    message = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = [{"id": f"call_{time.time_ns()}_{i}", "type": "function", "function": c} for i, c in enumerate(calls)]
    return {"id": f"chatcmpl-{time.time_ns()}", "object": "chat.completion", "created": int(time.time()), "model": asked["model"],
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else end}],
            "usage": {"prompt_tokens": tokens, "completion_tokens": out, "total_tokens": tokens + out}}


def chunks(whole, usage):
    """The same answer as the events of a stream, in small pieces."""
    head = {"id": whole["id"], "object": "chat.completion.chunk", "created": whole["created"], "model": whole["model"]}
    m, end = whole["choices"][0]["message"], whole["choices"][0]["finish_reason"]

    def chunk(delta, finish=None):
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}
    yield chunk({"role": "assistant", "content": ""})
    for word in re.findall(r"\S+\s*", m["content"] or ""):
        yield chunk({"content": word})
    for i, c in enumerate(m.get("tool_calls") or []):
        yield chunk({"tool_calls": [{"index": i, "id": c["id"], "type": "function", "function": {"name": c["function"]["name"], "arguments": ""}}]})
        for piece in re.findall(r"(?s).{1,5}", c["function"]["arguments"]):
            yield chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    yield chunk({}, end)
    if usage:
        yield {**head, "choices": [], "usage": whole["usage"]}
