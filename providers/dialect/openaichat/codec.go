// Package openaichat is the codec of the dialect openai-chat, OpenAI's Chat Completions: both halves, and
// the diagonal between them. It also reads what compatible vendors make of the dialect.
//
// It opens nothing, waits for nothing, and knows no vendor's address: quirks are recognised by their shape.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
//	upstream stream ─ Strip ─► the same stream without the usage frame
package openaichat

import (
	"crypto/rand"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	now  func() time.Time
	mint func() string // the random tail of an id that we have to make up
}

var (
	_ dialect.Lister   = (*Codec)(nil)
)

// New makes the codec, on the system's clock and its source of randomness.
func New() *Codec {
	return &Codec{now: time.Now, mint: func() string { return rand.Text()[:24] }}
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.OpenAIChat }

const name = string(dialect.OpenAIChat)

// Splice appends the client's own body with the edits made, and leaves every other byte as it is.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	edits := make([]jsonx.Edit, 0, 2)
	if e.Model != "" && e.Model != h.Model {
		edits = append(edits, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model)))
	}
	if e.AskUsage && h.Stream && !h.Usage {
		edit, err := askUsage(h.Doc)
		if err != nil {
			return dst, err
		}
		edits = append(edits, edit)
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// askUsage is the edit that turns stream_options.include_usage on.
func askUsage(doc *jsonx.Doc) (jsonx.Edit, error) {
	const on = `{"include_usage":true}`
	for i := range doc.Members {
		m := &doc.Members[i]
		if m.Name != "stream_options" {
			continue
		}
		raw := doc.Body[m.Start:m.End]
		if jsonx.Kind(raw) != '{' {
			break
		}
		inner, err := jsonx.Scan(raw)
		if err != nil {
			return jsonx.Edit{}, syntax(err)
		}
		edit := inner.Set("include_usage", []byte("true"))
		edit.Start += m.Start
		edit.End += m.Start
		return edit, nil
	}
	return doc.Set("stream_options", []byte(on)), nil
}

// WriteModels returns the list of models.
func (c *Codec) WriteModels(models []dialect.ModelInfo) []byte {
	b := append(make([]byte, 0, 64+96*len(models)), `{"object":"list","data":[`...)
	for _, m := range models {
		b = appendModel(comma(b), m)
	}
	return append(b, `]}`...)
}

// WriteModel returns the description of one model.
func (c *Codec) WriteModel(m dialect.ModelInfo) []byte { return appendModel(nil, m) }

func appendModel(b []byte, m dialect.ModelInfo) []byte {
	b = append(b, `{"id":`...)
	b = jsonx.AppendQuote(b, m.ID)
	b = append(b, `,"object":"model","created":`...)
	b = strconv.AppendInt(b, m.Created, 10)
	b = append(b, `,"owned_by":`...)
	b = jsonx.AppendQuote(b, m.Owner)
	return append(b, '}')
}

// comma appends the comma that a further element or member needs.
func comma(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] != '[' && b[n-1] != '{' {
		return append(b, ',')
	}
	return b
}

// key appends a member's name to an open object.
func key(b []byte, name string) []byte {
	return append(jsonx.AppendQuote(comma(b), name), ':')
}

// text appends a member whose value is a string.
func text(b []byte, name, value string) []byte { return jsonx.AppendQuote(key(b, name), value) }
