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
	"crypto/rand"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
)

// Codec is the dialect's codec. It holds no state of any exchange and is safe for concurrent use.
type Codec struct {
	now  func() time.Time
	mint func() string // the random tail of an id that we have to make up
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
	return fault.Read(status, body)
}

// WriteError returns the status and the whole body of an error answer. The request's id goes into a header.
func (c *Codec) WriteError(e *llm.Error, _ string) (status int, body []byte) { return fault.Write(e) }

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
			b = jsonx.AppendQuote(comma(b), a)
		}
		b = append(b, ']')
	}
	if m.Retires != "" {
		b = text(b, "retires", m.Retires)
	}
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

// Splice appends the client's own body with the edits made, and leaves every other byte as it is.
func (c *Codec) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	return splice(dst, h, e, make([]jsonx.Edit, 0, 2))
}

// splice makes the edits of every request beside those that a server needs.
func splice(dst []byte, h *dialect.Head, e dialect.Edits, edits []jsonx.Edit) ([]byte, error) {
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
	if len(edits) == 0 && dst == nil {
		return h.Doc.Body, nil
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

// Quirks say how a server that imitates OpenAI's differs from it. The zero value is OpenAI's own behaviour.
type Quirks = quirk.Set

// NewUpstream makes the client half of the dialect toward a server with quirks, which have passed their Check.
// On the diagonal a body is spliced further where the server needs it, and answers are read and written anew
// where they would harm a client.
func NewUpstream(q Quirks) dialect.Client {
	u := upstream{codec: New(), quirks: &q}
	if q.AsksUsage() {
		return &asking{u}
	}
	return &u
}

var (
	_ dialect.Rewriter = (*upstream)(nil)
	_ dialect.Reshaper = (*upstream)(nil)
	_ dialect.Trimmer  = (*upstream)(nil)
	_ dialect.Stripper = (*asking)(nil)
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

func (u *upstream) Rewrites() bool { return u.quirks.Harms() }

func (u *upstream) Reshapes(h *dialect.Head) bool {
	fit, err := u.quirks.Fit(h.Doc, "") // for any model
	return err == nil && len(fit.Edits) > 0
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
	return splice(dst, h, e, fit.Edits)
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
		bad.Param = clientMember(req.Extra.Dialect, bad.Param)
		return dst, nil, bad
	}
	for _, l := range fit.Losses {
		if l.Path == "stream_options" && !req.Usage {
			continue // it was ours
		}
		losses = append(losses, llm.Loss{Path: clientMember(req.Extra.Dialect, l.Path), Why: l.Why})
	}
	return jsonx.Splice(dst, body, fit.Edits...), losses, nil
}

// clientMember names a member in the client's dialect.
func clientMember(d, member string) string {
	names := map[dialect.Name]map[string]string{
		dialect.AnthropicMessages: {
			"stop": "stop_sequences", "user": "metadata.user_id", "response_format": "output_config.format",
			"parallel_tool_calls": "tool_choice.disable_parallel_tool_use", "reasoning_effort": "thinking",
		},
		dialect.OpenAIResponses: {
			"response_format": "text.format", "reasoning_effort": "reasoning.effort", "verbosity": "text.verbosity",
			"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens", "messages": "input",
		},
		dialect.Gemini: {
			"stop": "generationConfig.stopSequences", "n": "generationConfig.candidateCount", "temperature": "generationConfig.temperature",
			"top_p": "generationConfig.topP", "seed": "generationConfig.seed", "presence_penalty": "generationConfig.presencePenalty",
			"frequency_penalty": "generationConfig.frequencyPenalty", "response_format": "generationConfig.responseMimeType",
			"reasoning_effort": "generationConfig.thinkingConfig", "tool_choice": "toolConfig.functionCallingConfig", "logprobs": "generationConfig.responseLogprobs",
			"top_logprobs": "generationConfig.logprobs",
		},
	}
	if n := names[dialect.Name(d)][member]; n != "" {
		return n
	}
	return member
}

// NewStrip makes a filter that takes the usage frame out of a stream.
func (c *Codec) NewStrip() dialect.Strip { return new(strip) }

// strip passes every byte but those of a frame whose choices are empty and that has usage.
type strip struct {
	held  []byte // an unfinished frame
	seen  int    // bytes of held that were looked at for its end
	flows bool   // the frame at hand is too large to be held: its rest passes as it comes
	usage llm.Usage
	whole bool // an end was seen: a finish reason, an error or [DONE]
}

// maxHeld is the largest frame that is held back. A usage frame is far smaller.
const maxHeld = 64 << 10

// Usage returns what the stream said of usage.
func (s *strip) Usage() llm.Usage { return s.usage }

// Whole implements dialect.Strip.
func (s *strip) Whole() bool { return s.whole }

// ends reports whether a frame says how the stream ended. Inside a string its quotes would be escaped.
func ends(frame []byte) bool {
	if bytes.Contains(frame, []byte("[DONE]")) || bytes.Contains(frame, []byte(`"error"`)) || bytes.Contains(frame, []byte(`"finish_details"`)) {
		return true
	}
	_, rest, found := bytes.Cut(frame, []byte(`"finish_reason"`))
	rest = bytes.TrimLeft(rest, " \t:")
	return found && len(rest) > 1 && rest[0] == '"' && rest[1] != '"'
}

// Feed appends to dst what the client gets of chunk.
func (s *strip) Feed(dst, chunk []byte, eof bool) []byte {
	src := chunk
	if len(s.held) > 0 {
		s.held = append(s.held, chunk...)
		src = s.held
	}
	for {
		n := s.frame(src, eof)
		if n == 0 {
			break
		}
		if s.flows || !s.drop(src[:n]) {
			dst = append(dst, src[:n]...)
		}
		s.flows, s.seen = false, 0
		src = src[n:]
	}
	switch {
	case eof:
		if len(src) > 0 && (s.flows || !s.drop(src)) {
			dst = append(dst, src...)
		}
		s.held, s.seen = s.held[:0], 0
		return dst
	case len(src) > maxHeld || s.flows && len(src) > 4:
		// Its last bytes stay: they may begin the blank line that ends it.
		n := len(src) - 4
		dst = append(dst, src[:n]...)
		src, s.seen, s.flows = src[n:], 0, true
	}
	s.held = append(s.held[:0], src...)
	return dst
}

// frame returns the length of the first frame of b with its blank line, or 0.
func (s *strip) frame(b []byte, eof bool) int {
	for i := s.seen; i < len(b); {
		j := bytes.IndexAny(b[i:], "\r\n")
		if j < 0 {
			s.seen = max(0, len(b)-1)
			return 0
		}
		i += j
		end := i + lineEnd(b[i:])
		if end >= len(b) || b[i] == '\r' && end == i+1 && end >= len(b) {
			s.seen = i
			return 0
		}
		if next := lineEnd(b[end:]); next > 0 {
			if b[end] == '\r' && end+1 == len(b) && !eof { // a line feed may follow
				s.seen = i
				return 0
			}
			return end + next
		}
		i = end
	}
	return 0
}

// lineEnd is the length of the line end at the start of b, or 0.
func lineEnd(b []byte) int {
	switch {
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	case len(b) > 0 && (b[0] == '\r' || b[0] == '\n'):
		return 1
	}
	return 0
}

// drop reports whether a frame is the usage frame. It takes note of usage wherever it stands.
func (s *strip) drop(frame []byte) bool {
	s.whole = s.whole || ends(frame)
	_, after, ok := bytes.Cut(frame, []byte(`"usage"`))
	if !ok {
		return false
	}
	rest := bytes.TrimLeft(after, " \t:")
	if len(rest) == 0 || rest[0] != '{' && !bytes.Contains(rest, []byte(`"usage"`)) {
		return false // null, as in every frame but one
	}
	_, after0, ok0 := bytes.Cut(frame, []byte("data:"))
	if !ok0 {
		return false
	}
	data, _, _ := bytes.Cut(after0, []byte("\n"))
	data = bytes.TrimSpace(data)
	var f struct{ choices, usage []byte }
	for n, v := range jsonx.Members(data) {
		switch string(n) {
		case "choices":
			f.choices = v
		case "usage":
			f.usage = v
		}
	}
	if jsonx.Kind(f.usage) != '{' {
		return false
	}
	s.usage.Merge(readUsage(f.usage))
	if jsonx.Kind(f.choices) != '[' {
		return false
	}
	for range jsonx.Elements(f.choices) {
		return false
	}
	return true
}
