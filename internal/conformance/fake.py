"""A small OpenAI-shaped server for what no model is needed for: moderation, images, audio, files, batches, realtime;
and for conversations by the rules of scripted.py.

    python3 fake.py    (a free port of loopback; prints the address)

It answers by what it is asked, so that a client sees whether its request arrived whole. Standard library only.
"""
import base64
import email.parser
import email.policy
import hashlib
import http.server
import json
import struct
import threading

import scripted

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
SOUND = b"ID3" + bytes(range(256)) * 512
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def form(kind, body):
    """The fields of a multipart form: bytes by name, and the names of files."""
    head = b"content-type: " + kind.encode() + b"\r\n\r\n"
    made, fields, files = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body), {}, {}
    for part in made.iter_parts():
        name = part.get_param("name", header="content-disposition")
        fields[name] = part.get_payload(decode=True)
        if part.get_filename():
            files[name] = part.get_filename()
    return fields, files


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects, contents, lock = {}, {}, threading.Lock()

    def log_message(self, *_):
        pass

    def send(self, body, kind="application/json", status=200):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def missing(self, what):
        self.send({"error": {"message": f"No such {what}", "type": "invalid_request_error", "param": "id", "code": None}}, status=404)

    def read(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return body

    def do_POST(self):
        body, kind = self.read(), self.headers.get("content-type") or ""
        fields, files = form(kind, body) if kind.startswith("multipart/") else ({}, {})
        asked = json.loads(body) if kind.startswith("application/json") and body else {}
        name = self.path.split("?")[0].removeprefix("/v1/").replace("/", "_")
        if name.startswith("batches_") and name.endswith("_cancel"):
            return self.cancel(name.split("_", 1)[1].removesuffix("_cancel"))
        answer = getattr(self, "post_" + name, None)
        return answer(asked, fields, files) if answer else self.missing("path")

    def do_GET(self):
        path = self.path.split("?")[0].removeprefix("/v1/").split("/")
        if path[0] == "realtime":
            return self.realtime()
        if path[0] not in ("files", "batches"):
            return self.missing("path")
        kind = {"files": "file", "batches": "batch"}[path[0]]
        with self.lock:
            if len(path) == 1:
                found = [o for o in self.objects.values() if o["object"] == kind]
                return self.send({"object": "list", "data": found, "has_more": False,
                                  "first_id": found[0]["id"] if found else None, "last_id": found[-1]["id"] if found else None})
            found = self.objects.get(path[1])
        if not found:
            return self.missing(kind)
        return self.send(self.contents[path[1]], "application/octet-stream") if path[2:] == ["content"] else self.send(found)

    def do_DELETE(self):
        with self.lock:
            found = self.objects.pop(self.path.rsplit("/", 1)[1], None)
        return self.send({"id": found["id"], "object": "file", "deleted": True}) if found else self.missing("file")

    def post_chat_completions(self, asked, *_):
        whole = scripted.answer(asked)
        if not asked.get("stream"):
            return self.send(whole)
        usage = (asked.get("stream_options") or {}).get("include_usage")
        events = [*map(json.dumps, scripted.chunks(whole, usage)), "[DONE]"]
        return self.send("".join(f"data: {e}\n\n" for e in events).encode(), "text/event-stream")

    def post_moderations(self, asked, *_):
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        results = [{"flagged": "bad" in str(t), "categories": {"violence": "bad" in str(t)}, "category_scores": {"violence": 0.5},
                    "category_applied_input_types": {"violence": ["text"]}} for t in texts]
        self.send({"id": "modr-1", "model": asked["model"], "results": results})

    def post_images_generations(self, asked, *_):
        data = [{"b64_json": base64.b64encode(PIXEL).decode(), "revised_prompt": asked["prompt"]}] * asked.get("n", 1)
        self.send({"created": 1, "data": data, "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12,
                                                         "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}}})

    def post_images_edits(self, _, fields, files):
        prompt = fields["prompt"].decode() + " " + hashlib.sha256(fields["image"]).hexdigest()
        self.send({"created": 1, "data": [{"b64_json": base64.b64encode(fields["image"]).decode(), "revised_prompt": prompt}]})

    def post_audio_speech(self, asked, *_):
        self.send(asked["input"].encode() + SOUND, "audio/mpeg")

    def post_audio_transcriptions(self, _, fields, files):
        self.send({"text": f"{fields['model'].decode()} {files['file']} {hashlib.sha256(fields['file']).hexdigest()}",
                   "usage": {"type": "tokens", "input_tokens": 3, "output_tokens": 4, "total_tokens": 7}})

    def post_files(self, _, fields, files):
        with self.lock:
            name = f"file-{len(self.contents) + 1:04d}"
            self.contents[name] = fields["file"]
            made = self.objects[name] = {"id": name, "object": "file", "bytes": len(fields["file"]), "created_at": 1, "status": "processed",
                                         "filename": files["file"], "purpose": fields["purpose"].decode()}
        self.send(made)

    def post_batches(self, asked, *_):
        if asked["input_file_id"] not in self.objects:
            return self.missing("file")
        with self.lock:
            name = f"batch_{len(self.contents) + 1:04d}"
            self.contents[name] = b""
            made = self.objects[name] = {"id": name, "object": "batch", "endpoint": asked["endpoint"], "errors": None, "status": "in_progress",
                                         "input_file_id": asked["input_file_id"], "completion_window": asked["completion_window"],
                                         "output_file_id": asked["input_file_id"], "error_file_id": None, "created_at": 1,
                                         "request_counts": {"total": 1, "completed": 0, "failed": 0}, "metadata": asked.get("metadata")}
        return self.send(made)

    def cancel(self, name):
        with self.lock:
            if found := self.objects.get(name):
                found["status"] = "cancelling"
        return self.send(found) if found else self.missing("batch")

    def realtime(self):
        """A session that answers every response.create with two deltas and its usage."""
        key = self.headers["sec-websocket-key"].encode()
        self.send_response(101)
        for k, v in (("upgrade", "websocket"), ("connection", "Upgrade"),
                     ("sec-websocket-accept", base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode())):
            self.send_header(k, v)
        self.end_headers()
        self.close_connection = True
        model = self.path.partition("model=")[2].split("&")[0]
        self.frame({"type": "session.created", "event_id": "e1", "session": {"object": "realtime.session", "id": "s1", "model": model}})
        while (message := self.message()) is not None:
            if message.get("type") == "response.create":
                for text in ("Hel", "lo"):
                    self.frame({"type": "response.output_text.delta", "event_id": "e2", "response_id": "r1", "item_id": "i1", "output_index": 0,
                                "content_index": 0, "delta": text})
                usage = {"total_tokens": 5, "input_tokens": 3, "output_tokens": 2}
                self.frame({"type": "response.done", "event_id": "e3", "response": {"id": "r1", "object": "realtime.response",
                                                                                    "status": "completed", "output": [], "usage": usage}})
            else:
                self.frame({"type": "seen", "event": message})

    def frame(self, event):
        data = json.dumps(event).encode()
        size = bytes([len(data)]) if len(data) < 126 else b"\x7f" + struct.pack(">Q", len(data))
        if 126 <= len(data) < 1 << 16:
            size = b"\x7e" + struct.pack(">H", len(data))
        self.wfile.write(b"\x81" + size + data)
        self.wfile.flush()

    def message(self):
        """The next text message of the client, or None when it closes. Clients mask, and these tests send no fragments."""
        while head := self.rfile.read(2):
            kind, size = head[0] & 15, head[1] & 127
            if size == 126:
                size = struct.unpack(">H", self.rfile.read(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.rfile.read(8))[0]
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            if kind == 8:
                self.wfile.write(b"\x88" + bytes([len(data)]) + data)
                return None
            if kind == 1:
                return json.loads(data)
        return None


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"serving at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
