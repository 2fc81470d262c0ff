// Package openaiembeddings is the codec of the dialect openai-embeddings, OpenAI's POST /v1/embeddings: both halves.
// Vendors that changed a few names of it (Voyage, Jina, Mistral, NVIDIA) are forms of the client half, as data.
//
// It has no streams: a request is one document, and so is its answer.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect, same names)
//	client body ─ ReadRequest ─► llm.Embed ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Embeddings ─ Writer ─► client's answer
package openaiembeddings

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct{ form Form }

var (
	_ dialect.Server   = (*Codec)(nil)
	_ dialect.Client   = (*Codec)(nil)
	_ dialect.Reshaper = (*Codec)(nil)
	_ dialect.Rewriter = (*Codec)(nil)
	_ dialect.Trimmer  = (*Codec)(nil)
)

// New makes the codec of OpenAI's own form.
func New() *Codec { return &Codec{} }

// NewForm makes the codec of a vendor's form.
func NewForm(f Form) *Codec { return &Codec{form: f} }

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.OpenAIEmbeddings }

const name = string(dialect.OpenAIEmbeddings)

// Limits of a request. A provider's own are lower; these keep the gateway's work bounded.
const (
	maxInputs = 1 << 14
	maxTokens = 1 << 20 // of one input
	maxVector = 1 << 16 // numbers
)

// Peek validates the body and the members that steer the gateway. It decodes no input.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	doc, err := member.Scan(in.Body, "model", "input", "dimensions", "encoding_format", "user")
	if err != nil {
		return nil, err
	}
	h := &dialect.Head{Doc: doc, N: 1, Usage: true}
	var input []byte
	for i := range doc.Members {
		m := &doc.Members[i]
		raw := doc.Body[m.Start:m.End]
		switch m.Name {
		case "model":
			h.Model, err = member.String(m.Name, raw)
		case "input":
			input = raw
			err = peekInput(raw)
		case "dimensions":
			if !jsonx.IsNull(raw) {
				_, err = member.Int(m.Name, raw, 1, maxVector)
			}
		case "stream":
			if on, ok := jsonx.Bool(raw); on || !ok && !jsonx.IsNull(raw) {
				err = member.Bad(m.Name, member.Value, "Embeddings are not streamed: 'stream' must be false.")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case h.Model == "":
		return nil, member.Bad("model", member.Missing, "you must provide a model parameter")
	case input == nil:
		return nil, member.Wanted("input")
	}
	return h, nil
}

// peekInput checks the shape of the input and how much there is of it.
func peekInput(raw []byte) error {
	switch jsonx.Kind(raw) {
	case '"':
		return nil
	case '[':
	default:
		return member.Wrong("input", "a string or an array", raw)
	}
	limit := maxInputs
	for _, e := range jsonx.Elements(raw) {
		if jsonx.Kind(e) == '0' {
			limit = maxTokens
		}
		break
	}
	return member.Each("input", raw, limit, func(int, string, []byte) error { return nil })
}

// ReadError reads the body of an answer with an error status.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	e := fault.Read(status, body)
	e.Op = name + ".upstream"
	return e
}

// WriteError returns the status and the whole body of an error answer. The request's id goes into a header.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

// Rewrites implements dialect.Rewriter: some forms answer what OpenAI's clients do not read.
func (c *Codec) Rewrites(*dialect.Head) bool { return c.form.Rewrite }

// Reshapes implements dialect.Reshaper: it reports whether the body has members that the form calls otherwise.
func (c *Codec) Reshapes(h *dialect.Head) bool {
	if c.form.plain() {
		return false
	}
	if c.form.TaskDefault != "" {
		return true
	}
	for i := range h.Doc.Members {
		switch h.Doc.Members[i].Name {
		case "dimensions", "encoding_format", "user", "input_type", "task", "truncate", "truncation":
			return true
		}
	}
	return false
}

// Trims implements dialect.Trimmer: a form that calls members otherwise may lack some.
func (c *Codec) Trims(h *dialect.Head, model string) ([]llm.Loss, error) {
	if !c.Reshapes(h) {
		return nil, nil
	}
	req, err := c.read(h)
	if err != nil {
		return nil, err
	}
	_, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: model})
	return losses, err
}

// Splice appends the client's own body with the edits made. Every other byte stays as it is, but where the form
// calls members otherwise: then the body is written anew.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	if c.Reshapes(h) {
		req, err := c.read(h)
		if err != nil {
			return dst, err
		}
		t := dialect.Target{Model: e.Model}
		if t.Model == "" {
			t.Model = h.Model
		}
		out, _, err := c.WriteRequest(dst, req, t)
		return out, err
	}
	if e.Model == "" || e.Model == h.Model {
		if dst == nil {
			return h.Doc.Body, nil
		}
		return append(dst, h.Doc.Body...), nil
	}
	return jsonx.Splice(dst, h.Doc.Body, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model))), nil
}

// unsupported makes the error for what a target cannot do.
func unsupported(param, format string, args ...any) *llm.Error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Param: param, Reason: "unsupported_parameter", Message: fmt.Sprintf(format, args...)}
}
