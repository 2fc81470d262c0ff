// Package openairesponses is the codec of the dialect openai-responses, OpenAI's Responses API: both halves, and the
// diagonal between them. What it writes for clients fits the stricter schema of Open Responses
// (https://www.openresponses.org); what it reads may be of any vendor that offers the API.
//
// It opens nothing, waits for nothing and stores nothing: members that name stored state pass on the diagonal alone.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
package openairesponses

import (
	"bytes"
	"crypto/rand"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	now  func() time.Time
	mint func() string // the random tail of an id that we have to make up
}

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
)

// New makes the codec, on the system's clock and its source of randomness.
func New() *Codec {
	return &Codec{now: time.Now, mint: func() string { return strings.ToLower(rand.Text()[:24]) }}
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.OpenAIResponses }

const name = string(dialect.OpenAIResponses)

// ReadError reads the body of an answer with an error status. An unknown model is 400 in this API.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	return fault.Read(status, body)
}

// WriteError returns the status and the body of an error answer. The request's id goes into a header.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

// Splice appends the client's own body with the model changed, and leaves every other byte as it is but for
// reasoning that another vendor's model left in the conversation: its provider alone could read it. Streams of this
// dialect carry usage without being asked.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	edits := make([]jsonx.Edit, 0, 2)
	if e.Model != "" && e.Model != h.Model {
		edits = append(edits, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model)))
	}
	edits = foreignReasoning(h.Doc, edits)
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// Reshapes implements dialect.Reshaper: reasoning that this provider must not get may be another's.
func (c *Codec) Reshapes(h *dialect.Head) bool { return len(foreignReasoning(h.Doc, nil)) > 0 }

// foreignReasoning adds the edits that take reasoning items with our marks out of the input.
func foreignReasoning(doc *jsonx.Doc, edits []jsonx.Edit) []jsonx.Edit {
	if !bytes.Contains(doc.Body, []byte(`"sb`)) { // how the marks of such seals begin
		return edits
	}
	input, _ := doc.Get("input")
	return jsonx.CutElements(edits, doc.Body, input, func(v []byte) bool {
		return string(plain(jsonx.Get(v, "type"))) == "reasoning" && dialect.ForeignSeal(name, string(plain(jsonx.Get(v, "encrypted_content"))))
	})
}
