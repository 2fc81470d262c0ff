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
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	now  func() time.Time
	mint func() string // the random tail of an id that we have to make up

	vendor string // whose seals the provider makes and reads
}

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
)

// New makes the codec, on the system's clock and its source of randomness.
func New() *Codec {
	return &Codec{now: time.Now, mint: func() string { return strings.ToLower(rand.Text()[:24]) }, vendor: name}
}

// NewVendor makes the client half toward a vendor whose models seal their reasoning in a form of its own. What OpenAI
// sealed, by its form, does not go there, and what the vendor sealed goes to no other provider of another dialect. On
// the diagonal its bare seals cannot be told from those of a form that OpenAI may take up, and pass.
func NewVendor(vendor string) dialect.Client {
	c := New()
	c.vendor = vendor
	return c
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
	edits = c.foreignReasoning(h.Doc, edits)
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// Cap implements dialect.Capper.
func (c *Codec) Cap(h *dialect.Head, tokens int64) (jsonx.Edit, bool) {
	return member.Limit(h.Doc, tokens, "max_output_tokens"), true
}

// Reshapes implements dialect.Reshaper: reasoning that this provider must not get may be another's.
func (c *Codec) Reshapes(h *dialect.Head) bool { return len(c.foreignReasoning(h.Doc, nil)) > 0 }

// ofOpenAI begins what OpenAI and Azure encrypt, as Fernet tokens do (https://github.com/fernet/spec).
const ofOpenAI = "gAAAA"

// foreignReasoning adds the edits that take reasoning items which another vendor sealed out of the input: those with
// our marks, and for a vendor with a form of its own those in OpenAI's.
func (c *Codec) foreignReasoning(doc *jsonx.Doc, edits []jsonx.Edit) []jsonx.Edit {
	holds := func(s string) bool { return bytes.Contains(doc.Body, []byte(s)) }
	if !holds(`_content"`) || !holds(`"encrypted_content"`) {
		return edits // prose has fewer underscores than quotes, and a search goes from one first byte to the next
	}
	other := c.vendor != name
	if !holds(`"sb`) && !(other && holds(`"`+ofOpenAI)) { // sb begins our marks
		return edits
	}
	input, _ := doc.Get("input")
	return jsonx.CutElements(edits, doc.Body, input, func(v []byte) bool {
		seal := string(plain(jsonx.Get(v, "encrypted_content")))
		_, _, wrapped := dialect.OpenSeal(seal)
		foreign := dialect.ForeignSeal(name, seal) || other && (wrapped || strings.HasPrefix(seal, ofOpenAI))
		return foreign && string(plain(jsonx.Get(v, "type"))) == "reasoning"
	})
}
