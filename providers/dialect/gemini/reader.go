package gemini

import (
	"bytes"
	"errors"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini/status"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/wire/jsonarray"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

const (
	maxAnswer  = 64 << 20 // bytes of an answer in one document
	maxFrame   = 24 << 20 // bytes of one piece of a stream: pictures come whole
	maxChoices = 128

	cutShort = "the provider's answer ended before it was whole"
	notJSON  = "a piece of the provider's answer is not JSON"
)

// form is how an answer is framed.
type form uint8

const (
	formUnknown  form = iota
	formEvents        // server-sent events
	formPieces        // one JSON array
	formDocument      // one JSON object
)

// NewReader makes a reader of one answer. What the answer is decides its first byte, whatever stream says.
func (c *Codec) NewReader(req *llm.Request, _ bool) dialect.Reader {
	r := &reader{codec: c, sse: sse.Parser{Max: maxFrame}, array: jsonarray.Parser{Max: maxFrame}}
	r.onFrame, r.onPiece = r.frame, r.piece
	if req == nil || req.Chat() == nil || req.Extra.Dialect == name {
		return r
	}
	for i := range req.Chat().Tools {
		if n := req.Chat().Tools[i].Name; wireName(n) != n {
			if r.names == nil {
				r.names = make(map[string]string)
			}
			r.names[wireName(n)] = n
		}
	}
	return fit.Unwrap(req, r)
}

// reader reads one answer.
type reader struct {
	codec   *Codec
	form    form
	sse     sse.Parser
	array   jsonarray.Parser
	onFrame func(*sse.Event) error
	onPiece func([]byte) error
	valid   jsonx.Validator
	doc     []byte            // of an answer in one document
	names   map[string]string // tools that were sent under another name
	state   answer
	emit    llm.Emit  // of the Feed under way
	ev      llm.Event // reused: an event is valid until Emit returns
	text    []byte    // reused for unescaped text
}

// answer is what is known of the answer so far.
type answer struct {
	started, done bool
	id            string
	choices       []*inChoice
	usage         llm.Usage
	blocked       *llm.Stop // the prompt was refused
	result        bool      // an answer to something else than a chat was seen
	calls         int
}

// Feed takes the next bytes.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	r.emit = emit
	defer func() { r.emit = nil }()
	if r.form == formUnknown {
		if chunk = bytes.TrimLeft(chunk, " \t\r\n"); len(chunk) > 0 {
			r.form = formOf(chunk[0])
		}
	}
	if r.state.done {
		return nil
	}
	var err error
	switch r.form {
	case formEvents:
		err = r.sse.Feed(chunk, eof, r.onFrame)
	case formPieces:
		err = r.array.Feed(chunk, r.onPiece)
	case formDocument:
		return r.document(chunk, eof)
	}
	if errors.Is(err, sse.ErrTooLong) || errors.Is(err, jsonarray.ErrTooLong) {
		err = r.fail(llm.CodeUpstream, "a piece of the provider's answer is too large")
	}
	if err == nil && eof && !r.state.done {
		err = r.finish(false)
	}
	return err
}

func formOf(first byte) form {
	switch first {
	case 'd', 'e', ':', 'i', 'r', 0xef:
		return formEvents
	case '[':
		return formPieces
	}
	return formDocument
}

func (r *reader) document(chunk []byte, eof bool) error {
	if len(r.doc)+len(chunk) > maxAnswer {
		return r.fail(llm.CodeUpstream, "the provider's answer is too large")
	}
	r.doc = append(r.doc, chunk...)
	if !eof {
		return nil
	}
	if jsonx.Valid(r.doc) != nil {
		if jsonx.Kind(r.doc) == '{' {
			return r.fail(llm.CodeReset, cutShort)
		}
		return r.fail(llm.CodeUpstream, "the provider's answer is not JSON")
	}
	if err := r.chunk(r.doc); err != nil || r.state.done {
		return err
	}
	return r.finish(true)
}

// frame reads one server-sent event.
func (r *reader) frame(e *sse.Event) error {
	switch {
	case r.state.done:
		return nil
	case e.Comment:
		if len(e.Data) == 0 {
			return nil
		}
		r.ev = llm.Event{Kind: llm.EvPing}
		return r.send()
	case len(e.Data) == 0, string(e.Data) == "[DONE]": // the latter as OpenAI-compatible proxies end every stream
		return nil
	case r.valid.Valid(e.Data) != nil:
		if e.Partial {
			return nil
		}
		return r.fail(llm.CodeUpstream, notJSON)
	}
	return r.chunk(e.Data)
}

// piece reads one element of a JSON array.
func (r *reader) piece(element []byte) error {
	switch {
	case r.state.done:
		return nil
	case r.valid.Valid(element) != nil:
		return r.fail(llm.CodeUpstream, notJSON)
	}
	return r.chunk(element)
}

// send emits the event that was set up in r.ev.
func (r *reader) send() error { return r.emit(&r.ev) }

func (r *reader) fail(code llm.Code, message string) error {
	return r.failed(&llm.Error{Code: code, Op: name + ".answer", Message: message})
}

func (r *reader) failed(e *llm.Error) error {
	r.state.done = true
	if err := r.spent(); err != nil {
		return err
	}
	r.ev = llm.Event{Kind: llm.EvFailed, Err: e}
	return r.send()
}

// members are the raw members of a piece of an answer.
type members struct {
	candidates, usage, feedback, fault []byte
	id, model                          []byte
	total, details                     []byte // of countTokens
	embedding, embeddings              []byte
	predictions                        []byte
}

func (m *members) read(data []byte) {
	for n, v := range jsonx.Members(data) {
		switch string(n) {
		case "candidates":
			m.candidates = v
		case "usageMetadata":
			m.usage = v
		case "promptFeedback":
			m.feedback = v
		case "error":
			m.fault = v
		case "responseId":
			m.id = v
		case "modelVersion":
			m.model = v
		case "totalTokens":
			m.total = v
		case "promptTokensDetails":
			m.details = v
		case "embedding":
			m.embedding = v
		case "embeddings":
			m.embeddings = v
		case "predictions":
			m.predictions = v
		}
	}
}

// chunk reads one piece of an answer, or a whole one. It is valid JSON.
func (r *reader) chunk(data []byte) error {
	var m members
	m.read(data)
	if m.fault != nil {
		e := fault.Read(0, data)
		e.Op = name + ".answer"
		status.Settle(e, 0, data)
		return r.failed(e)
	}
	if !r.state.started {
		if err := r.start(&m); err != nil {
			return err
		}
	}
	if done, err := r.other(&m); done || err != nil {
		return err
	}
	n := -1
	for i, raw := range jsonx.Elements(m.candidates) {
		n = i
		if err := r.candidate(i, raw); err != nil || r.state.done {
			return err
		}
	}
	if n < 0 {
		r.refused(m.feedback)
	}
	r.used(m.usage)
	return nil
}

// start emits what an answer begins with.
func (r *reader) start(m *members) error {
	r.state.started = true
	r.state.id, _ = jsonx.String(m.id)
	model, _ := jsonx.String(m.model)
	r.ev = llm.Event{Kind: llm.EvStarted, ID: r.state.id, Name: model}
	return r.send()
}

// refused takes note of a prompt that was refused: then there are no candidates.
func (r *reader) refused(feedback []byte) {
	reason := feedbackReason(jsonx.Get(feedback, "blockReason"))
	if reason == "" {
		return
	}
	s := &llm.Stop{Reason: llm.StopFilter, Native: reason}
	s.Details = jsonx.AppendText([]byte{'{'}, "category", reason)
	if why, ok := jsonx.String(jsonx.Get(feedback, "blockReasonMessage")); ok && why != "" {
		s.Details = jsonx.AppendText(s.Details, "explanation", why)
	}
	s.Details = append(s.Details, '}')
	r.state.blocked = s
}

// finish emits the end of the answer. A choice that has not said how it ended was cut, unless the answer was
// one document, which says by its end that it is whole.
func (r *reader) finish(document bool) error {
	s := &r.state
	switch {
	case s.result:
		s.done = true
		r.ev = llm.Event{Kind: llm.EvFinished}
		return r.send()
	case len(s.choices) == 0 && s.blocked != nil:
		s.done = true
		if err := r.spent(); err != nil {
			return err
		}
		r.ev = llm.Event{Kind: llm.EvFinished, Stop: *s.blocked}
		return r.send()
	case len(s.choices) == 0 && document:
		return r.fail(llm.CodeUpstream, "the provider's answer has no candidates")
	case len(s.choices) == 0:
		return r.fail(llm.CodeReset, cutShort)
	}
	for _, c := range s.choices {
		if !c.stopped && !document {
			return r.fail(llm.CodeReset, cutShort)
		}
	}
	s.done = true
	for _, c := range s.choices {
		if n := queries(c.grounding); n > 0 {
			s.usage.WebSearches = llm.Tokens(s.usage.WebSearches.N + n)
		}
	}
	if err := r.spent(); err != nil {
		return err
	}
	for _, c := range s.choices {
		if err := r.end(c); err != nil {
			return err
		}
	}
	return nil
}

// used takes note of the usage so far. Numbers are cumulative, but some models correct the prompt's downward in the
// last piece: what counts is known at the end alone.
func (r *reader) used(raw []byte) {
	if jsonx.Kind(raw) != '{' {
		return
	}
	u := &r.state.usage
	now, d := readUsage(raw)
	for _, c := range [...]struct{ was, is *llm.Count }{
		{&u.Input, &now.Input}, {&u.Cached, &now.Cached}, {&u.Output, &now.Output}, {&u.Reasoning, &now.Reasoning},
		{&u.AudioIn, &now.AudioIn}, {&u.AudioOut, &now.AudioOut},
	} {
		if c.is.Known {
			*c.was = *c.is
		}
	}
	if d != (llm.Details{}) && (u.Details == nil || *u.Details != d) {
		u.Details = new(d)
	}
}

// spent emits the usage, where there is any.
func (r *reader) spent() error {
	if r.state.usage == (llm.Usage{}) {
		return nil
	}
	r.ev = llm.Event{Kind: llm.EvUsage, Usage: r.state.usage}
	return r.send()
}

// readUsage reads usageMetadata. Thoughts stand outside the candidates' tokens, and what tools put into the
// prompt outside the prompt's.
func readUsage(raw []byte) (u llm.Usage, d llm.Details) {
	var candidates, tools llm.Count
	for n, v := range jsonx.Members(raw) {
		var c *llm.Count
		switch string(n) {
		case "promptTokenCount":
			c = &u.Input
		case "toolUsePromptTokenCount":
			c = &tools
		case "cachedContentTokenCount":
			c = &u.Cached
		case "candidatesTokenCount", "responseTokenCount":
			c = &candidates
		case "thoughtsTokenCount":
			c = &u.Reasoning
		case "promptTokensDetails":
			u.AudioIn, d.ImageIn = audio(v), tokensOf(v, "IMAGE")
			continue
		case "candidatesTokensDetails":
			u.AudioOut, d.ImageOut = audio(v), tokensOf(v, "IMAGE")
			continue
		case "trafficType", "serviceTier":
			d.Tier = tierOf(v)
			continue
		default:
			continue
		}
		if k, ok := jsonx.Int(v); ok && k >= 0 {
			*c = llm.Tokens(k)
		}
	}
	if u.Input.Known || tools.Known {
		u.Input = llm.Tokens(u.Input.N + tools.N)
	}
	if candidates.Known || u.Reasoning.Known {
		u.Output = llm.Tokens(candidates.N + u.Reasoning.N)
	}
	return u, d
}

// tierOf reads the service tier: Gemini's own word, or Vertex's kind of traffic
// (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#TrafficType).
func tierOf(v []byte) string {
	switch s := string(plain(v)); s {
	case "TRAFFIC_TYPE_UNSPECIFIED", "SERVICE_TIER_UNSPECIFIED", "unspecified":
		return ""
	case "ON_DEMAND":
		return "standard"
	default:
		return strings.ToLower(strings.TrimPrefix(s, "ON_DEMAND_"))
	}
}

// audio returns the tokens of sound in a list of counts by modality.
func audio(details []byte) llm.Count { return tokensOf(details, "AUDIO") }

// tokensOf returns the tokens of a modality.
func tokensOf(details []byte, modality string) (c llm.Count) {
	for _, d := range jsonx.Elements(details) {
		if string(plain(jsonx.Get(d, "modality"))) == modality {
			if n, ok := jsonx.Int(jsonx.Get(d, "tokenCount")); ok && n > 0 {
				c = llm.Tokens(n)
			}
		}
	}
	return c
}
