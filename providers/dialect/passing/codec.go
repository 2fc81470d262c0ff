// Package passing has the codecs of operations that only pass: moderation, images, speech and transcription in OpenAI's form.
// A request goes to a provider of the same API with nothing but its model changed, as JSON or as a form, and the
// answer goes back as it came. There is nothing to translate to, and a target of another dialect is refused.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body
//	upstream answer ─ Reader ─► usage, errors                (only where the answer is judged)
package passing

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/wire/form"
)

// Codec is a codec of one family of operations. It holds no state and is safe for concurrent use.
type Codec struct{ name dialect.Name }

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
)

// Images is the codec of /v1/images (https://platform.openai.com/docs/api-reference/images).
func Images() *Codec { return &Codec{dialect.OpenAIImages} }

// Audio is the codec of /v1/audio (https://platform.openai.com/docs/api-reference/audio).
func Audio() *Codec { return &Codec{dialect.OpenAIAudio} }

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return c.name }

// maxImages bounds n, so that a price can be known before.
const maxImages = 128

// control names the members that decide model, price or form of the answer.
var control = [...]string{"model", "stream", "stream_format", "n", "size", "quality", "response_format", "voice", "language"}

// Peek validates the body and the members that steer the gateway.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	h := &dialect.Head{Usage: true, N: 1}
	var err error
	if form.Is(in.Type) {
		err = peekForm(h, in)
	} else {
		err = peekDoc(h, in.Body)
	}
	switch {
	case err != nil:
		return nil, err
	case h.Model == "":
		return nil, bad("model", "missing_required_parameter", "you must provide a model parameter")
	}
	return h, nil
}

func peekForm(h *dialect.Head, in dialect.Inbound) error {
	f, err := form.Scan(in.Type, in.Body, control[:]...)
	if err != nil {
		return bad("", "", err.Error())
	}
	h.Form = f
	model, _ := f.Get("model")
	h.Model = string(model)
	if s, ok := f.Get("stream"); ok {
		switch strings.ToLower(string(s)) {
		case "true", "1":
			h.Stream = true
		case "false", "0", "":
		default:
			return bad("stream", "invalid_type", "stream must be true or false")
		}
	}
	if n, ok := f.Get("n"); ok {
		return number(h, n)
	}
	return nil
}

func peekDoc(h *dialect.Head, body []byte) error {
	doc, err := jsonx.Scan(body)
	if err != nil {
		return bad("", "", "We could not parse the JSON body of your request: "+err.Error())
	}
	if v, of, found := doc.CaseVariant(control[:]...); found {
		return bad(v, "unknown_parameter", fmt.Sprintf("Unknown parameter: '%s'. Did you mean '%s'?", v, of))
	}
	h.Doc = doc
	for i := range doc.Members {
		m := &doc.Members[i]
		raw := doc.Body[m.Start:m.End]
		if jsonx.IsNull(raw) && m.Name != "model" {
			continue
		}
		ok := true
		switch m.Name {
		case "model":
			h.Model, ok = jsonx.String(raw)
		case "stream":
			h.Stream, ok = jsonx.Bool(raw)
		case "stream_format":
			var s string
			s, ok = jsonx.String(raw)
			h.Stream = h.Stream || s == "sse"
		case "n":
			if err := number(h, raw); err != nil {
				return err
			}
		}
		if !ok {
			return bad(m.Name, "invalid_type", fmt.Sprintf("Invalid type for '%s'.", m.Name))
		}
	}
	return nil
}

func number(h *dialect.Head, raw []byte) error {
	n, ok := jsonx.Int(raw)
	if !ok || n < 1 || n > maxImages {
		return bad("n", "invalid_value", fmt.Sprintf("n must be a whole number from 1 to %d", maxImages))
	}
	h.N = int(n)
	return nil
}

func bad(param, reason, message string) *llm.Error {
	return &llm.Error{Code: llm.CodeInvalid, Op: "passing.peek", Param: param, Reason: reason, Message: message}
}

// ReadRequest reads what Peek reads: there is nothing that another dialect could be given.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	h, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	return &llm.Request{Op: in.Op, Model: h.Model, Stream: h.Stream, Usage: true}, nil
}

// Splice changes the model, and leaves every other byte as it is.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	var body []byte
	if h.Form != nil {
		body = h.Form.Body
	} else {
		body = h.Doc.Body
	}
	switch {
	case (e.Model == "" || e.Model == h.Model) && dst == nil:
		return body, nil
	case e.Model == "" || e.Model == h.Model:
		return append(dst, body...), nil
	case h.Form != nil:
		return h.Form.Set(dst, "model", e.Model), nil
	}
	return jsonx.Splice(dst, body, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model))), nil
}

// WriteRequest refuses: there is no other dialect to write from.
func (c *Codec) WriteRequest(dst []byte, _ *llm.Request, _ dialect.Target) ([]byte, []llm.Loss, error) {
	return dst, nil, &llm.Error{Code: llm.CodeUnsupported, Op: "passing.write", Message: "only requests of the API " + string(c.name) + " can go to this target"}
}

// NewWriter makes a writer that only fails, for the same reason.
func (c *Codec) NewWriter(*llm.Request, bool) dialect.Writer { return refusing{c.name} }

type refusing struct{ name dialect.Name }

func (w refusing) Write(dst []byte, _ *llm.Event) ([]byte, error) {
	return dst, &llm.Error{Code: llm.CodeInternal, Op: "passing.write", Message: "answers of " + string(w.name) + " are not written"}
}

func (w refusing) Close(dst []byte) ([]byte, error) { return dst, nil }

// WriteError returns the status and the whole body of an error answer.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

// ReadError reads an answer with an error status.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	return fault.Read(status, bytes.TrimSpace(body))
}
