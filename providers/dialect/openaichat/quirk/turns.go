package quirk

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// messages fits the messages, in one walk. Where none can need anything, none is looked into.
func (f *fitting) messages(raw []byte) *llm.Error {
	s := f.set
	w := looking{
		roles:    s.Developer && bytes.Contains(raw, []byte("developer")),
		ids:      s.CallID > 0 && bytes.Contains(raw, []byte("tool_call")),
		thoughts: (s.Reasoning.History != "" || s.Reasoning.Member != "") && bytes.Contains(raw, []byte("reasoning")),
		parts:    len(s.Parts) > 0 && bytes.Contains(raw, []byte(`"type"`)),
	}
	if w == (looking{}) {
		return nil
	}
	w.sends = w.thoughts && s.Reasoning.sends(s.Reasoning.History == "calls" && anyCalls(raw))
	for i, m := range jsonx.Elements(raw) {
		if err := f.message(i, m, &w); err != nil {
			return err
		}
	}
	return nil
}

// looking is what messages are looked into for.
type looking struct {
	roles, ids, thoughts, parts bool
	sends                       bool // reasoning of earlier answers is sent
}

// anyCalls reports whether any message has tool calls.
func anyCalls(messages []byte) bool {
	if !bytes.Contains(messages, []byte("tool_calls")) {
		return false
	}
	for _, m := range jsonx.Elements(messages) {
		for range jsonx.Elements(jsonx.Get(m, "tool_calls")) {
			return true
		}
	}
	return false
}

func (f *fitting) message(i int, m []byte, w *looking) *llm.Error {
	thought := false
	for n, v := range jsonx.Members(m) {
		switch string(n) {
		case "role":
			if w.roles && word(v) == "developer" {
				f.replace(v, []byte(`"system"`))
			}
		case "content":
			if w.parts {
				if err := f.parts(i, v); err != nil {
					return err
				}
			}
		case "tool_call_id":
			if w.ids {
				f.id(v)
			}
		case "tool_calls":
			if w.ids {
				for _, c := range jsonx.Elements(v) {
					f.id(jsonx.Get(c, "id"))
				}
			}
		case "reasoning_content", "reasoning":
			thought = true
		}
	}
	if thought && w.thoughts {
		f.thoughts(i, m, w.sends)
	}
	return nil
}

// replace puts another value in the place of a piece of the body.
func (f *fitting) replace(piece, with []byte) {
	at := jsonx.Offset(f.doc.Body, piece)
	f.edits = append(f.edits, jsonx.Edit{Start: at, End: at + len(piece), With: with})
}

// parts refuses kinds of content that the server does not take.
func (f *fitting) parts(i int, content []byte) *llm.Error {
	for j, p := range jsonx.Elements(content) {
		kind := word(jsonx.Get(p, "type"))
		switch kind {
		case "image_url", "input_audio", "file":
			if !f.set.Takes(kind) {
				return Untaken(fmt.Sprintf("messages[%d].content[%d]", i, j), kind)
			}
			if f.set.reshapes(kind) {
				f.reshape(kind, p)
			}
		}
	}
	return nil
}

// reshape makes of a part of OpenAI's the server's own. One that is the server's already, or that only the server can
// judge, stays.
func (f *fitting) reshape(kind string, p []byte) {
	body := jsonx.Get(p, kind)
	if kind == "input_audio" {
		if data := jsonx.Get(body, "data"); jsonx.Kind(data) == '"' {
			f.replace(body, data)
		}
		return
	}
	data := word(jsonx.Get(body, "file_data"))
	switch {
	case data == "":
		return // a file that lies at the server
	case !strings.Contains(data[:min(len(data), 64)], ":"):
		data = "data:application/pdf;base64," + data
	}
	with := append([]byte(`{"type":"document_url","document_url":`), jsonx.AppendQuote(nil, data)...)
	if name := jsonx.Get(body, "filename"); jsonx.Kind(name) == '"' {
		with = append(append(with, `,"document_name":`...), name...)
	}
	f.replace(p, append(with, '}'))
}

// Untaken is the error of content that a server does not take.
func Untaken(path, kind string) *llm.Error {
	what := map[string]string{"image_url": "images", "input_audio": "audio", "file": "files"}[kind]
	return refused(path, "This model's provider takes no "+what+".")
}

// id maps an id of a call or of its result, both alike.
func (f *fitting) id(raw []byte) {
	if id := word(raw); id != "" {
		if fit := callID(id, f.set.CallID); fit != id {
			f.replace(raw, jsonx.AppendQuote(nil, fit))
		}
	}
}

// callID returns an id of n letters and digits, the same for the same id.
func callID(id string, n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if len(id) == n && strings.Trim(id, digits) == "" {
		return id
	}
	out := make([]byte, 0, n)
	for round := byte(0); len(out) < n; round++ {
		h := fnv.New64a()
		h.Write([]byte{round})
		h.Write([]byte(id))
		for v := h.Sum64(); v > 0 && len(out) < n; v /= uint64(len(digits)) {
			out = append(out, digits[v%uint64(len(digits))])
		}
	}
	return string(out)
}

// thoughts drops reasoning of an earlier answer, or moves it into the server's member.
func (f *fitting) thoughts(i int, m []byte, sends bool) {
	r := &f.set.Reasoning
	if word(jsonx.Get(m, "role")) != "assistant" {
		return
	}
	doc, err := jsonx.Scan(m)
	if err != nil {
		return // the whole body was valid
	}
	e := editor{doc: doc, base: jsonx.Offset(f.doc.Body, m)}
	kept := false
	for j := range doc.Members {
		name := doc.Members[j].Name
		if name != "reasoning_content" && name != "reasoning" {
			continue
		}
		raw := doc.Body[doc.Members[j].Start:doc.Members[j].End]
		switch {
		case jsonx.IsNull(raw) && sends:
			continue
		case !sends || kept:
			e.remove(j)
			if !kept && !silent(raw) {
				f.lose(fmt.Sprintf("messages[%d].%s", i, name), "the provider does not take reasoning back")
			}
			continue
		case r.Member != "" && name != r.Member:
			e.rename(j, r.Member)
		}
		kept = true
	}
	f.edits = append(f.edits, e.done()...)
}
