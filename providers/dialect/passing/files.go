package passing

import (
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/wire/form"
)

// Objects is the codec of objects that live at a provider. No model is named; ids say whose the objects are.
type Objects struct {
	Codec
	words Words // nil: OpenAI's
}

// Words are how a vendor says errors. A dialect's codec has them.
type Words interface {
	WriteError(e *llm.Error, requestID string) (status int, body []byte)
	ReadError(status int, h dialect.Header, body []byte) *llm.Error
}

var (
	_ dialect.Server = (*Objects)(nil)
	_ dialect.Marker = (*Marked)(nil)
)

// Marked is the codec of objects whose ids are marked in every answer.
type Marked struct{ Objects }

// Files is the codec of /v1/files and /v1/batches (https://platform.openai.com/docs/api-reference/files).
func Files() *Marked { return &Marked{Objects{Codec: Codec{dialect.OpenAIFiles}}} }

// AnthropicFiles is the codec of /v1/files and /v1/messages/batches
// (https://docs.claude.com/en/api/creating-message-batches), with the words of anthropic-messages.
func AnthropicFiles(w Words) *Marked {
	return &Marked{Objects{Codec{dialect.AnthropicFiles}, w}}
}

// Stored is the codec of answers that a provider has stored, below /v1/responses
// (https://platform.openai.com/docs/api-reference/responses/get). Their ids are in answers that nothing looked at, and
// stay as they are.
func Stored() *Objects { return &Objects{Codec: Codec{dialect.OpenAIStored}} }

// Listing is the codec of lists of models. What asks for one is the gateway itself, which does not read it: it stands for a
// request in the gateway's own words, and has the name of openai-chat.
func Listing() *Objects { return &Objects{Codec: Codec{dialect.OpenAIChat}} }

// WriteError returns the status and the whole body of an error answer.
func (c *Objects) WriteError(e *llm.Error, requestID string) (status int, body []byte) {
	if c.words == nil {
		return c.Codec.WriteError(e, requestID)
	}
	return c.words.WriteError(e, requestID)
}

// ReadError reads an answer with an error status.
func (c *Objects) ReadError(status int, h dialect.Header, body []byte) *llm.Error {
	if c.words == nil {
		return c.Codec.ReadError(status, h, body)
	}
	return c.words.ReadError(status, h, body)
}

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
func (c *Marked) NewMark(provider string) dialect.Strip { return &marking{provider: provider} }

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
