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
	"bytes"
	"cmp"
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	now  func() time.Time
	mint func() string // the random tail of an id that we have to make up

	quirks    *Quirks // of the server whose answers are read; nil: none
	functions bool    // the server has no tools that take free text
}

var (
	_ dialect.Server   = (*Codec)(nil)
	_ dialect.Client   = (*Codec)(nil)
	_ dialect.Stripper = (*Codec)(nil)
	_ dialect.Lister   = (*Codec)(nil)
)

// New makes the codec, on the system's clock and its source of randomness.
func New() *Codec {
	return &Codec{now: time.Now, mint: func() string { return rand.Text()[:24] }}
}

// Name returns the dialect's name.
func (c *Codec) Name() dialect.Name { return dialect.OpenAIChat }

const name = string(dialect.OpenAIChat)

// ReadError reads the body of an answer with an error status.
func (c *Codec) ReadError(status int, _ dialect.Header, body []byte) *llm.Error {
	e := fault.Read(status, body)
	if c.quirks != nil {
		c.quirks.Judge(e, status, body)
	}
	return e
}

// WriteError returns the status and the whole body of an error answer. The request's id goes into a header.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

// WriteModels returns the list of models.
func (c *Codec) WriteModels(models []dialect.ModelInfo) []byte {
	b := append(make([]byte, 0, 64+96*len(models)), `{"object":"list","data":[`...)
	for _, m := range models {
		b = appendModel(jsonx.AppendComma(b), m)
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
	// Beyond the dialect, under the names that vendors who list more have for it.
	if m.Context > 0 {
		b = strconv.AppendInt(append(b, `,"context_window":`...), m.Context, 10)
	}
	if m.MaxOutput > 0 {
		b = strconv.AppendInt(append(b, `,"max_completion_tokens":`...), m.MaxOutput, 10)
	}
	if m.Known {
		b = append(b, `,"abilities":[`...)
		for _, a := range m.Can.Names() {
			b = jsonx.AppendQuote(jsonx.AppendComma(b), a)
		}
		b = append(b, ']')
	}
	if m.Retires != "" {
		b = jsonx.AppendText(b, "retires", m.Retires)
	}
	return append(b, '}')
}

// Splice appends the client's own body with the edits made, and leaves every other byte as it is.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	return splice(dst, h, e, c.seals(h.Doc, cmp.Or(e.Model, h.Model), make([]jsonx.Edit, 0, 2)))
}

// splice makes the edits of every request beside those that a server needs.
func splice(dst []byte, h *dialect.Head, e dialect.Edits, edits []jsonx.Edit) ([]byte, error) {
	if e.Model != "" && e.Model != h.Model {
		edits = append(edits, h.Doc.Set("model", jsonx.AppendQuote(nil, e.Model)))
	}
	if e.AskUsage && h.Stream && !h.Usage {
		edit, err := usage.Ask(h.Doc)
		if err != nil {
			return dst, err
		}
		edits = append(edits, edit)
	}
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
	}
	return jsonx.Splice(dst, h.Doc.Body, edits...), nil
}

// Cap implements dialect.Capper. A provider that knows the older name only gets that: quirk.Set.
func (c *Codec) Cap(h *dialect.Head, tokens int64) (jsonx.Edit, bool) {
	name := "max_completion_tokens"
	if v, found := h.Doc.Get("max_tokens"); found && string(v) != "null" {
		if v, found = h.Doc.Get(name); !found || string(v) == "null" {
			name = "max_tokens" // the one that the client named
		}
	}
	return member.Limit(h.Doc, tokens, name), true
}

// seals adds the edits that make the signatures in a conversation fit a model: one that its vendor made stands bare,
// another's is taken out. A bare one stays where an imitator of OpenAI's server may have made it itself.
func (c *Codec) seals(doc *jsonx.Doc, model string, edits []jsonx.Edit) []jsonx.Edit {
	if !sealed(doc) {
		return edits
	}
	set := func(raw, with []byte) {
		at := jsonx.Offset(doc.Body, raw)
		edits = append(edits, jsonx.Edit{Start: at, End: at + len(raw), With: with})
	}
	foreign := func(raw []byte, maker string) bool {
		s, _ := jsonx.String(raw)
		vendor, _, wrapped := dialect.OpenSeal(s)
		if !wrapped {
			vendor = maker
		}
		return s != "" && !madeBy(vendor, model) && (wrapped || !c.functions)
	}
	open := func(raw []byte) {
		s, _ := jsonx.String(raw)
		if _, seal, wrapped := dialect.OpenSeal(s); wrapped {
			set(raw, jsonx.AppendQuote(nil, seal))
		}
	}
	google := func(holder []byte) {
		content := jsonx.Get(holder, "extra_content")
		raw := jsonx.At(content, "google", "thought_signature")
		if foreign(raw, sealGoogle) {
			set(content, []byte("null"))
		} else if raw != nil {
			open(raw)
		}
	}
	messages, _ := doc.Get("messages")
	for _, m := range jsonx.Elements(messages) {
		google(m)
		for _, call := range jsonx.Elements(jsonx.Get(m, "tool_calls")) {
			google(call)
		}
		blocks := jsonx.Get(m, "thinking_blocks")
		kept := 0
		gone := func(b []byte) bool { return foreign(blockSeal(b), sealAnthropic) }
		for _, b := range jsonx.Elements(blocks) {
			if !gone(b) {
				kept++
				raw := blockSeal(b)
				if s, _ := jsonx.String(raw); strings.HasPrefix(s, dialect.HiddenMark) {
					set(b, append(jsonx.AppendText([]byte(`{"type":"thinking","thinking":""`), "signature", s[len(dialect.HiddenMark):]), '}'))
				} else if raw != nil {
					open(raw)
				}
			}
		}
		switch {
		case kept > 0:
			edits = jsonx.CutElements(edits, doc.Body, blocks, gone)
		case len(blocks) > len("[]"):
			set(blocks, []byte("null"))
		}
	}
	return edits
}

// sealed reports whether a conversation may hold signatures: whether "thinking_blocks" or "thought_signature" is in it. It
// goes from one underscore to the next, of which prose has fewer than quotes.
func sealed(doc *jsonx.Doc) bool {
	for i, b := 0, doc.Body; ; i++ {
		n := bytes.IndexByte(b[i:], '_')
		if n < 0 {
			return false
		}
		i += n
		before, after := b[:i], b[i+1:]
		if bytes.HasPrefix(after, []byte(`blocks"`)) && bytes.HasSuffix(before, []byte(`"thinking`)) ||
			bytes.HasPrefix(after, []byte(`signature"`)) && bytes.HasSuffix(before, []byte(`"thought`)) {
			return true
		}
	}
}

// Reshapes implements dialect.Reshaper: signatures that one model must not get may be another's.
func (c *Codec) Reshapes(h *dialect.Head) bool { return sealed(h.Doc) }

// blockSeal is the seal of an entry of thinking_blocks.
func blockSeal(b []byte) []byte {
	if raw := jsonx.Get(b, "signature"); raw != nil {
		return raw
	}
	return jsonx.Get(b, "data")
}

// NewStrip makes a filter that takes the usage frame out of a stream.
func (c *Codec) NewStrip() dialect.Strip { return usage.NewStrip() }

// Quirks say how a server that imitates OpenAI's differs from it. The zero value is OpenAI's own behaviour.
type Quirks = quirk.Set

// NewUpstream makes the client half of the dialect toward a server that imitates OpenAI's, with quirks that have
// passed their Check. On the diagonal a body is spliced further where the server needs it, and answers are read and
// written anew where they would harm a client. Such servers know functions only: tools of other dialects that take
// free text become those.
func NewUpstream(q Quirks) dialect.Client { return newUpstream(q, true) }

// NewVersion is NewUpstream for a server that is OpenAI's own, but for the quirks of a version.
func NewVersion(q Quirks) dialect.Client { return newUpstream(q, false) }

func newUpstream(q Quirks, functions bool) dialect.Client {
	u := upstream{codec: New(), quirks: &q}
	u.codec.quirks, u.codec.functions = &q, functions
	if q.AsksUsage() {
		return &asking{u}
	}
	return &u
}

var (
	_ dialect.Rewriter  = (*upstream)(nil)
	_ dialect.Reshaper  = (*upstream)(nil)
	_ dialect.Trimmer   = (*upstream)(nil)
	_ dialect.Divergent = (*upstream)(nil)
	_ dialect.Stripper  = (*asking)(nil)
)

// upstream is a server with quirks.
type upstream struct {
	codec  *Codec
	quirks *Quirks
}

// asking is one whose streams carry usage when they are asked to.
type asking struct{ upstream }

func (a *asking) NewStrip() dialect.Strip { return a.codec.NewStrip() }

func (u *upstream) Name() dialect.Name { return u.codec.Name() }

func (u *upstream) NewReader(req *llm.Request, stream bool) dialect.Reader {
	return u.codec.NewReader(req, stream)
}

func (u *upstream) ReadError(status int, h dialect.Header, body []byte) *llm.Error {
	return u.codec.ReadError(status, h, body)
}

// Diverges implements dialect.Divergent.
func (u *upstream) Diverges() bool { return u.quirks.Nameless() }

func (u *upstream) Rewrites(h *dialect.Head) bool {
	return u.quirks.Harms(quirk.Request{Doc: h.Doc, Stream: h.Stream, Usage: h.Usage})
}

func (u *upstream) Reshapes(h *dialect.Head) bool {
	fit, err := u.quirks.Fit(h.Doc, "") // for any model
	return err == nil && len(fit.Edits) > 0 || sealed(h.Doc)
}

func (u *upstream) Trims(h *dialect.Head, model string) ([]llm.Loss, error) {
	fit, err := u.quirks.Fit(h.Doc, model)
	if err != nil {
		return nil, err
	}
	return fit.Losses, nil
}

func (u *upstream) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	model := e.Model
	if model == "" {
		model = h.Model
	}
	fit, err := u.quirks.Fit(h.Doc, model)
	if err != nil {
		return dst, err
	}
	e.AskUsage = e.AskUsage && u.quirks.AsksUsage()
	return splice(dst, h, e, u.codec.seals(h.Doc, model, fit.Edits))
}

// WriteRequest writes the body as for OpenAI, with reasoning as the server wants it, and fits that.
func (u *upstream) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	body, losses, err := u.codec.write(nil, req, t, u.quirks)
	if err != nil {
		return dst, nil, err
	}
	doc, err := jsonx.Scan(body)
	if err != nil {
		return dst, nil, syntax(err)
	}
	model := t.Model
	if model == "" {
		model = req.Model
	}
	fit, bad := u.quirks.Fit(doc, model)
	if bad != nil {
		bad.Param = member.Path(&req.Extra, bad.Param)
		return dst, nil, bad
	}
	for _, l := range fit.Losses {
		if l.Path == "stream_options" && !req.Usage {
			continue // it was ours
		}
		losses = append(losses, llm.Loss{Path: member.Path(&req.Extra, l.Path), Why: l.Why})
	}
	return jsonx.Splice(dst, body, fit.Edits...), losses, nil
}
