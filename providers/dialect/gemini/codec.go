// Package gemini is the codec of the dialect gemini, Google's generateContent API in the form of
// generativelanguage.googleapis.com (v1beta): both halves, and the diagonal between them. Vertex AI speaks it
// too; what differs there is a variant of the codec (Vertex, Predict), and addresses are their kind's business.
//
// It opens nothing, waits for nothing, and knows no address. What a model can do it is told (catalog.Facts).
// The model stands in the path, and so does whether the answer is a stream. A stream is server-sent events, or
// one JSON array that comes in pieces.
//
//	client body ─ Peek ─► Head ─ Splice ─► upstream body                    (same dialect)
//	client body ─ ReadRequest ─► llm.Request ─ WriteRequest ─► upstream body
//	upstream answer ─ Reader ─► llm.Event ─ Writer ─► client's answer
package gemini

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini/status"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	vertex bool
	mint   func() string // an id that we have to make up
}

var (
	_ dialect.Server = (*Codec)(nil)
	_ dialect.Client = (*Codec)(nil)
	_ dialect.Lister = (*Codec)(nil)
	_ dialect.Framer = (*Codec)(nil)
)

// New makes the codec, on the system's source of randomness.
func New() *Codec { return &Codec{mint: func() string { return rand.Text()[:24] }} }

// Vertex makes the codec as Vertex AI wants it: every turn has a role, labels are taken, service tiers are not,
// and tokens are counted for the members of a chat themselves.
func Vertex() *Codec {
	c := New()
	c.vertex = true
	return c
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.Gemini }

const (
	name = string(dialect.Gemini)

	formArray = "json-array" // of llm.Request.Form

	modelPrefix = "models/"
	alt         = "alt"
)

// Method returns what stands behind the model in the path of a request: the client's own verb where its request
// passes in its own dialect, else the one for what was written. It is "" for an operation that the dialect has not.
func Method(op llm.Op, stream bool, verb string) string {
	switch {
	case op == llm.OpEmbed && verb == "embedContent":
		return verb
	case op == llm.OpEmbed:
		return "batchEmbedContents"
	case op == llm.OpCount:
		return "countTokens"
	case op != llm.OpChat:
		return ""
	case stream:
		return "streamGenerateContent"
	}
	return "generateContent"
}

// Query returns the query of a request that was written: one for a stream asks for server-sent events.
func Query(stream bool) string {
	if stream {
		return "alt=sse"
	}
	return ""
}

// Streams implements dialect.Framer: a stream comes as events or as a JSON array, which the reader tells apart.
func (c *Codec) Streams(contentType string) bool {
	return strings.HasPrefix(contentType, "text/event-stream") || strings.HasPrefix(contentType, "application/json")
}

// Splice returns the client's own body: the model stands in the path. Where a body names the model as well, as
// generated clients do, it is changed; toward Vertex it is taken out, and a turn without a role gets one.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	body := h.Doc.Body
	var edits []jsonx.Edit
	if inner, found := counted(h.Doc); found && c.vertex {
		doc, err := jsonx.Scan(inner)
		if err != nil {
			return dst, syntax(err)
		}
		body, edits = inner, c.bodyEdits(doc, e.Model)
	} else {
		edits = c.bodyEdits(h.Doc, e.Model)
	}
	if len(edits) == 0 && dst == nil {
		return body, nil
	}
	return jsonx.Splice(dst, body, edits...), nil
}

// Cap implements dialect.Capper. Both names may be spelled in either way.
func (c *Codec) Cap(h *dialect.Head, tokens int64) (jsonx.Edit, bool) {
	if _, counted := counted(h.Doc); counted {
		return jsonx.Edit{}, false
	}
	outer, inner := "generationConfig", "maxOutputTokens"
	for i := range h.Doc.Members {
		m := &h.Doc.Members[i]
		if camel(m.Name) != outer {
			continue
		}
		outer = m.Name
		for k := range jsonx.Members(h.Doc.Body[m.Start:m.End]) {
			if camel(string(k)) == inner {
				inner = string(k)
			}
		}
		break
	}
	return member.Limit(h.Doc, tokens, outer, inner), true
}

// bodyEdits are the changes to a scanned body, or to the request within one of countTokens.
func (c *Codec) bodyEdits(doc *jsonx.Doc, model string) (edits []jsonx.Edit) {
	for i := range doc.Members {
		m := &doc.Members[i]
		v := doc.Body[m.Start:m.End]
		switch camel(m.Name) {
		case "model":
			if c.vertex {
				gone, _ := doc.Remove(m.Name)
				edits = append(edits, gone)
			} else {
				edits = renamed(edits, doc.Body, v, model)
			}
		case "requests": // of batchEmbedContents
			for _, r := range jsonx.Elements(v) {
				edits = renamed(edits, doc.Body, jsonx.Get(r, "model"), model)
			}
		case "generateContentRequest":
			edits = renamed(edits, doc.Body, jsonx.Get(v, "model"), model)
		case "contents":
			cut := foreignSeals(doc.Body, v)
			edits = append(edits, cut...)
			if c.vertex {
				edits = append(edits, slices.DeleteFunc(roles(nil, doc.Body, v), func(e jsonx.Edit) bool {
					return slices.ContainsFunc(cut, func(gone jsonx.Edit) bool { return gone.Start <= e.Start && e.Start < gone.End })
				})...)
			}
		}
	}
	return edits
}

// renamed adds the edit that gives a body's own name of the model, where there is one, the target's.
func renamed(edits []jsonx.Edit, body, value []byte, model string) []jsonx.Edit {
	was, ok := jsonx.String(value)
	if !ok || model == "" || strings.TrimPrefix(was, modelPrefix) == model {
		return edits
	}
	at := jsonx.Offset(body, value)
	return append(edits, jsonx.Edit{Start: at, End: at + len(value), With: jsonx.AppendQuote(nil, modelPrefix+model)})
}

// roles adds the edits that give turns without a role the user's.
func roles(edits []jsonx.Edit, body, contents []byte) []jsonx.Edit {
	for _, t := range jsonx.Elements(contents) {
		if jsonx.Kind(t) == '{' && jsonx.Get(t, "role") == nil {
			at := jsonx.Offset(body, t) + 1
			with := `"role":"user"`
			if !empty(t) {
				with += ","
			}
			edits = append(edits, jsonx.Edit{Start: at, End: at, With: []byte(with)})
		}
	}
	return edits
}

// Reshapes implements dialect.Reshaper: what this provider must not get may be another's.
func (c *Codec) Reshapes(h *dialect.Head) bool {
	return h.Doc != nil && bytes.Contains(h.Doc.Body, []byte(markInBase64))
}

// markInBase64 is how our marks of seals begin as clients have them.
const markInBase64 = `"c2J`

// foreignSeals are the edits that take out of the conversation what other vendors sealed: their thoughts go, and
// anything else gets the signature that says that there is none.
func foreignSeals(body, contents []byte) []jsonx.Edit {
	if !bytes.Contains(contents, []byte(markInBase64)) {
		return nil
	}
	seal := func(part []byte) (raw []byte, thought bool) {
		for n, v := range jsonx.Members(part) {
			switch camel(string(n)) {
			case "thought":
				thought = string(v) == "true"
			case "thoughtSignature":
				s, _ := jsonx.String(v)
				if b, ok := decode(s); ok && dialect.ForeignSeal(name, string(b)) {
					raw = v
				}
			}
		}
		return raw, thought
	}
	edits := dialect.CutThoughts(nil, body, contents, "parts", func(part []byte) bool {
		raw, thought := seal(part)
		return raw != nil && thought
	})
	for _, c := range jsonx.Elements(contents) {
		for _, part := range jsonx.Elements(jsonx.Get(c, "parts")) {
			if raw, thought := seal(part); raw != nil && !thought {
				at := jsonx.Offset(body, raw)
				edits = append(edits, jsonx.Edit{Start: at, End: at + len(raw), With: jsonx.AppendQuote(nil, filler)})
			}
		}
	}
	return edits
}

// empty reports whether an object has no members.
func empty(obj []byte) bool {
	for range jsonx.Members(obj) {
		return false
	}
	return true
}

// counted returns the request whose tokens are to be counted, where a body of countTokens holds it whole.
func counted(doc *jsonx.Doc) ([]byte, bool) {
	for _, n := range [...]string{"generateContentRequest", "generate_content_request"} {
		if v, found := doc.Get(n); found && jsonx.Kind(v) == '{' {
			return v, true
		}
	}
	return nil, false
}

// WriteError returns the status and the body of an error answer.
func (c *Codec) WriteError(e *llm.Error, requestID string) (code int, body []byte) {
	return status.Of(e), status.Append(nil, e, requestID)
}

// ReadError reads the body of an error answer.
func (c *Codec) ReadError(code int, _ dialect.Header, body []byte) *llm.Error {
	e := fault.Read(code, body)
	e.Op = name + ".error"
	status.Settle(e, code, body)
	return e
}

// methods are the operations that the front door has for a model.
const methods = `["generateContent","streamGenerateContent","countTokens","embedContent","batchEmbedContents"]`

// WriteModels returns the list of models, on one page: there is no nextPageToken, by which some SDKs would ask for a next
// page, even by an empty one.
func (c *Codec) WriteModels(models []dialect.ModelInfo) []byte {
	b := append(make([]byte, 0, 64+256*len(models)), `{"models":[`...)
	for _, m := range models {
		b = appendModel(jsonx.AppendComma(b), m)
	}
	return append(b, `]}`...)
}

// WriteModel returns the description of one model.
func (c *Codec) WriteModel(m dialect.ModelInfo) []byte { return appendModel(nil, m) }

func appendModel(b []byte, m dialect.ModelInfo) []byte {
	b = jsonx.AppendText(append(b, '{'), "name", modelPrefix+m.ID)
	b = jsonx.AppendText(b, "baseModelId", m.ID)
	b = jsonx.AppendText(b, "version", m.ID)
	display := m.Name
	if display == "" {
		display = m.ID
	}
	b = jsonx.AppendText(b, "displayName", display)
	if m.Context > 0 {
		b = number(b, "inputTokenLimit", m.Context)
	}
	if m.MaxOutput > 0 {
		b = number(b, "outputTokenLimit", m.MaxOutput)
	}
	if m.Can.Has(ability.Reasoning) {
		b = raw(b, "thinking", []byte("true"))
	}
	return append(raw(b, "supportedGenerationMethods", []byte(methods)), '}')
}

// number appends a member whose value is an integer.
func number(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(jsonx.AppendKey(b, name), n, 10)
}

// raw appends a member whose value is JSON.
func raw(b []byte, name string, value []byte) []byte {
	return append(jsonx.AppendKey(b, name), value...)
}

func join(at, member string) string {
	if at == "" {
		return member
	}
	return at + "." + member
}

func item(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }

// clip shortens what a client sent for a message about it.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// plain returns the text of a string value, to be compared with known words; nil for any other value.
func plain(raw []byte) []byte {
	if n := len(raw); n >= 2 && raw[0] == '"' && raw[n-1] == '"' {
		if bytes.IndexByte(raw, '\\') >= 0 {
			b, _ := jsonx.AppendString(nil, raw)
			return b
		}
		return raw[1 : n-1]
	}
	return nil
}

// camel returns a member's name in the spelling of JSON. The API takes the spelling of its protocol buffers too
// (https://protobuf.dev/programming-guides/json/).
func camel(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	b := make([]byte, 0, len(name))
	up := false
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_' && i > 0:
			up = true
			continue
		case up && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		up = false
		b = append(b, c)
	}
	return string(b)
}
