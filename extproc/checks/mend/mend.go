// Package mend makes JSON of text that is meant to be JSON, and asks a model to do so where that is not certain. What is
// mended is only what has one reading: a value between other text, and commas behind the last element. It does not
// complete what is cut off, nor change a name or a value.
//
//	text that is no JSON ─ Text ─► JSON, put by Answer in place of it
//	                     ─ Ask ──► the request again, with the answer and what is wrong with it
package mend

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Ways in which text was mended.
const (
	Fences = "fences" // the value stood between Markdown fences
	Around = "text"   // it stood between other text
	Commas = "commas" // a comma stood behind the last element
)

// Text returns the one JSON object or array that a text holds, and how it was found; nil: there is none, or more than one.
func Text(text []byte) (value []byte, how string) {
	from, to := bytes.IndexAny(text, "{["), bytes.LastIndexAny(text, "}]")
	if from < 0 || to < from {
		return nil, ""
	}
	value, how = text[from:to+1], Around
	rest := [2][]byte{bytes.TrimSpace(text[:from]), bytes.TrimSpace(text[to+1:])}
	switch {
	case bytes.Contains(rest[0], []byte("```")):
		how = Fences
	case len(rest[0])+len(rest[1]) == 0:
		how = Commas
	}
	if jsonx.Valid(value) == nil {
		return value, how
	}
	if value = uncomma(value); jsonx.Valid(value) == nil {
		return value, how
	}
	return nil, ""
}

// uncomma takes out the commas, outside of strings, behind which an object or an array ends.
func uncomma(text []byte) []byte {
	out := make([]byte, 0, len(text))
	comma := -1 // where the last one is in out; -1: something else came since
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '\\' && i+1 < len(text):
			out = append(out, c)
			i++
			c = text[i]
		case c == '"':
			quoted, comma = !quoted, -1
		case quoted, c == ' ', c == '\t', c == '\n', c == '\r':
		case c == ',':
			comma = len(out)
		default:
			if comma >= 0 && (c == '}' || c == ']') {
				out = append(out[:comma], out[comma+1:]...)
			}
			comma = -1
		}
		out = append(out, c)
	}
	return out
}

// places are where the text of a whole answer stands, as names of members through objects; arrays on the way are walked.
func places(d dialect.Name) []string {
	switch d {
	case dialect.OpenAIChat:
		return []string{"choices", "message", "content"}
	case dialect.AnthropicMessages:
		return []string{"content", "text"}
	case dialect.OpenAIResponses:
		return []string{"output", "content", "text"}
	case dialect.Gemini:
		return []string{"candidates", "content", "parts", "text"}
	case dialect.BedrockConverse:
		return []string{"output", "message", "content", "text"}
	case dialect.Cohere:
		return []string{"message", "content", "text"}
	}
	return nil
}

// Answer returns a whole answer with texts of it replaced; false: one of them does not stand in it in one piece.
func Answer(d dialect.Name, body []byte, instead map[string][]byte) ([]byte, bool) {
	if jsonx.Valid(body) != nil {
		return nil, false
	}
	body = bytes.Clone(body) // offsets are told by the capacity of its pieces
	var edits []jsonx.Edit
	found := map[string]bool{}
	walk(body, places(d), func(raw []byte) {
		s, ok := jsonx.String(raw)
		if with, is := instead[s]; ok && is {
			found[s] = true
			at := jsonx.Offset(body, raw)
			edits = append(edits, jsonx.Edit{Start: at, End: at + len(raw), With: jsonx.AppendQuote(nil, with)})
		}
	})
	if len(found) < len(instead) {
		return nil, false
	}
	return jsonx.Splice(nil, body, edits...), true
}

// walk visits what stands at a path, through all elements of arrays on the way.
func walk(raw []byte, path []string, visit func([]byte)) {
	switch {
	case jsonx.Kind(raw) == '[':
		for _, e := range jsonx.Elements(raw) {
			walk(e, path, visit)
		}
	case len(path) == 0:
		visit(raw)
	default:
		if v := jsonx.Get(raw, path[0]); v != nil {
			walk(v, path[1:], visit)
		}
	}
}
