package passing

import (
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/form"
)

// Objects is the codec of objects that live at a provider: /v1/files and /v1/batches
// (https://platform.openai.com/docs/api-reference/files). No model is named; ids say whose the objects are.
type Objects struct{ Codec }

var (
	_ dialect.Server = (*Objects)(nil)
	_ dialect.Marker = (*Objects)(nil)
)

// Files is the codec of /v1/files and /v1/batches.
func Files() *Objects { return &Objects{Codec{dialect.OpenAIFiles}} }

// Peek validates the body, where there is one.
func (c *Objects) Peek(in dialect.Inbound) (*dialect.Head, error) {
	h := &dialect.Head{Usage: true, N: 1}
	switch {
	case len(in.Body) == 0:
		return h, nil
	case form.Is(in.Type):
		f, err := form.Scan(in.Type, in.Body, "purpose", "file")
		if err != nil {
			return nil, bad("", "", err.Error())
		}
		h.Form = f
		return h, nil
	case in.Op == llm.OpFiles:
		return nil, bad("", "", "a file is uploaded as multipart/form-data")
	}
	doc, err := jsonx.Scan(in.Body)
	if err != nil {
		return nil, bad("", "", "We could not parse the JSON body of your request: "+err.Error())
	}
	h.Doc = doc
	return h, nil
}

// ReadRequest reads what Peek reads.
func (c *Objects) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	if _, err := c.Peek(in); err != nil {
		return nil, err
	}
	return &llm.Request{Op: in.Op, Usage: true}, nil
}

// Splice changes nothing: there is no model, and ids are the provider's already.
func (c *Objects) Splice(dst []byte, h *dialect.Head, _ dialect.Edits) ([]byte, error) {
	switch {
	case h.Form != nil:
		return append(dst, h.Form.Body...), nil
	case h.Doc != nil:
		return append(dst, h.Doc.Body...), nil
	}
	return dst, nil
}

// NewMark makes a filter that adds the provider's name to the ids of an answer.
func (c *Objects) NewMark(provider string) dialect.Strip { return &marking{provider: provider} }

type marking struct {
	provider string
	doc      []byte
	whole    bool
}

// Feed keeps the answer until its end.
func (m *marking) Feed(dst, chunk []byte, eof bool) []byte {
	m.doc = append(m.doc, chunk...)
	if !eof || m.whole {
		return dst
	}
	m.whole = true
	return owner.Mark(dst, m.doc, m.provider)
}

// Usage returns nothing: these operations use no tokens.
func (m *marking) Usage() llm.Usage { return llm.Usage{} }

// Whole reports whether the end came.
func (m *marking) Whole() bool { return m.whole }
