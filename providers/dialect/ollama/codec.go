// Package ollama is the codec of the dialect ollama, the native API of Ollama: /api/chat and /api/embed. It has the
// client half alone; clients speak another dialect.
//
//	llm.Request ─ WriteRequest ─► upstream body
//	upstream answer, a document or a stream of JSON lines ─ Reader ─► llm.Event
//
// The reference is https://docs.ollama.com/api.
package ollama

import (
	"crypto/rand"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	mint func() string // the random tail of an id that we have to make up
}

var (
	_ dialect.Client = (*Codec)(nil)
	_ dialect.Framer = (*Codec)(nil)
)

// New makes the codec, on the system's source of randomness.
func New() *Codec { return &Codec{mint: func() string { return rand.Text()[:24] }} }

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.Ollama }

const name = string(dialect.Ollama)

// Streams implements dialect.Framer.
func (c *Codec) Streams(contentType string) bool {
	return strings.HasPrefix(contentType, "application/x-ndjson") || strings.HasPrefix(contentType, "application/ndjson") || strings.HasPrefix(contentType, "application/jsonl")
}

// ReadError reads the body of an answer with an error status: {"error": "…"}, or what a proxy puts in its place.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	e := fault.Read(status, body)
	e.Op = name + ".upstream"
	if e.Code == llm.CodeUpstream && status < 500 && status != 0 {
		e.Code = llm.CodeInvalid
	}
	switch m := e.Message; {
	case strings.Contains(m, "not found") && strings.Contains(m, "model"), strings.Contains(m, "try pulling it first"):
		e.Code, e.Reason = llm.CodeNotFound, "model_not_found"
	case strings.Contains(m, "does not support"): // tools, thinking, embeddings
		e.Code, e.Reason = llm.CodeUnsupported, "unsupported_parameter"
	case strings.Contains(m, "server busy"), strings.Contains(m, "maximum pending requests exceeded"):
		e.Code = llm.CodeOverloaded
	}
	return e
}

// Splice changes the model. No client speaks the dialect, so that there is no diagonal to use it on.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	if e.Model == "" || e.Model == h.Model {
		return append(dst, h.Doc.Body...), nil
	}
	return jsonx.Splice(dst, h.Doc.Body, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model))), nil
}

// WriteRequest appends the body for the target. The same request gives the same bytes.
func (c *Codec) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	if t.Model == "" {
		t.Model = req.Model
	}
	req, lost := fit.Functions(req)
	w := requestWriter{req: req, t: t, losses: lost}
	w.dst = jsonx.AppendText(append(dst, '{'), "model", t.Model)
	var err error
	switch b := req.Body.(type) {
	case *llm.Chat:
		w.chat = b
		err = w.chatBody()
	case *llm.Embed:
		err = w.embed(b)
	default:
		err = &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Message: "this operation has no body in " + name}
	}
	if err != nil {
		return dst, nil, err
	}
	for i := range req.Extra.Members {
		m := &req.Extra.Members[i]
		if why := member.Needed(&req.Extra, m); why != "" {
			return dst, nil, w.refuse(m.Name, "%s", why)
		}
		w.lose(m.Name, "the dialect does not know the member")
	}
	return append(w.dst, '}'), w.losses, nil
}
