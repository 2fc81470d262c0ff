// Package plain reads provider answers in the most naive way there is: straight from the whole body, line by
// line, without state worth the name. Tests compare what it finds with what the codecs (providers/dialect)
// find. It shares no code with them, reports no malformed answers, and is no way to read an answer in
// anything but a test.
package plain

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Answer is what an answer says. Of several choices it is the first.
type Answer struct {
	Text, Reasoning, Refusal string
	Calls                    []Call
	Stop                     string // the dialect's own word, "" when there is none
	Usage                    Usage
	Error                    string // the message of an error, in a body or within a stream
}

// Call is a tool call; Args is the text of its arguments, "{}" when there is none.
type Call struct{ Name, Args string }

// Usage has the provider's own numbers, not normalised; 0 when unknown.
type Usage struct{ In, Out, CacheRead, CacheWrite, Reasoning int64 }

// documents returns the JSON documents of a body: the body itself, or the data of each event. Padding and
// what is no JSON ("[DONE]") is left out. kind is "json" or "sse".
func documents(body []byte, kind string) ([][]byte, error) {
	switch kind {
	case "json":
		if err := jsonx.Valid(body); err != nil {
			return nil, err
		}
		return [][]byte{body}, nil
	case "sse":
		var docs [][]byte
		body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		for line := range bytes.SplitSeq(body, []byte("\n")) {
			data, ok := bytes.CutPrefix(line, []byte("data:"))
			if data = bytes.TrimSpace(data); ok && jsonx.Kind(data) == '{' && jsonx.Valid(data) == nil {
				docs = append(docs, data)
			}
		}
		return docs, nil
	default:
		return nil, fmt.Errorf("kind: %q is not json or sse", kind)
	}
}

func str(raw []byte) string { s, _ := jsonx.String(raw); return s }

// set takes the number at a path, when there is one.
func set(to *int64, usage []byte, path ...string) {
	if n, ok := jsonx.Int(jsonx.At(usage, path...)); ok {
		*to = n
	}
}

// failure returns the message of an error member, which is an object or a text.
func failure(doc []byte) string {
	e := jsonx.Get(doc, "error")
	if s, ok := jsonx.String(e); ok {
		return s
	}
	return str(jsonx.Get(e, "message"))
}

func finish(a *Answer) {
	for i := range a.Calls {
		if strings.TrimSpace(a.Calls[i].Args) == "" {
			a.Calls[i].Args = "{}"
		}
	}
}
