package openaicompletions

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// Limits of an answer.
const (
	maxFrame     = 4 << 20
	maxDocument  = 64 << 20
	maxInChoices = maxPrompts * 4
)

// NewReader makes a reader of one answer.
func (c *Codec) NewReader(_ *llm.Request, stream bool) dialect.Reader {
	r := &reader{document: !stream, parser: sse.Parser{Max: maxFrame}}
	r.onEvent = r.event
	return r
}

// reader reads one answer. It believes the bytes and not what was announced: a document may come where a stream was
// asked for. Each choice is one block of text.
type reader struct {
	document bool
	begun    bool   // what comes is known
	lead     []byte // what came before it was
	started  bool
	done     bool // nothing more will be emitted
	parser   sse.Parser
	onEvent  func(*sse.Event) error
	emit     llm.Emit
	buf      []byte // of a document; in a stream, of unescaped text
	choices  []inChoice
	usage    llm.Usage
	ev       llm.Event
}

// inChoice is one answer of several.
type inChoice struct {
	number   int
	open     bool
	finished bool
	stop     llm.Stop
}

// Feed takes the next bytes.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	if r.done {
		return nil
	}
	r.emit = emit
	if !r.begun {
		r.lead = append(r.lead, chunk...)
		if chunk = r.lead; !r.tell() && !eof {
			return nil
		}
	}
	if r.document {
		return r.feedDocument(chunk, eof)
	}
	err := r.parser.Feed(chunk, eof, r.onEvent)
	if err == sse.ErrTooLong { //nolint:errorlint // the parser returns it bare
		return r.fail(broken("The provider sent a chunk that is too large."))
	}
	if err == nil && eof {
		err = r.end()
	}
	return err
}

// tell decides what the answer is by its first byte that is neither white space nor of a byte order mark, and reports
// whether it came.
func (r *reader) tell() bool {
	for _, c := range r.lead {
		switch c {
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf:
			continue
		case 'd', 'e', 'i', 'r', ':':
			r.document = false
		default:
			r.document = true
		}
		r.begun = true
		return true
	}
	return false
}

func (r *reader) feedDocument(chunk []byte, eof bool) error {
	if len(r.buf)+len(chunk) > maxDocument {
		return r.fail(broken("The provider's answer is too large."))
	}
	r.buf = append(r.buf, chunk...)
	if !eof {
		return nil
	}
	doc := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(r.buf), []byte("\xef\xbb\xbf")))
	r.buf = nil
	switch {
	case len(doc) == 0:
		return r.fail(endedEarly())
	case jsonx.Valid(doc) != nil && doc[0] == '{':
		return r.fail(endedEarly())
	case jsonx.Valid(doc) != nil:
		return r.fail(broken("The provider's answer is not valid JSON."))
	case jsonx.Kind(jsonx.Get(doc, "choices")) != '[' && jsonx.IsNull(jsonx.Get(doc, "error")):
		return r.fail(broken("The provider's answer has no choices."))
	}
	if err := r.frame(doc, true); err != nil || r.done {
		return err
	}
	return r.end()
}

// event takes one frame of a stream.
func (r *reader) event(ev *sse.Event) error {
	data := bytes.TrimSpace(ev.Data)
	switch {
	case r.done:
		return nil
	case ev.Comment && len(ev.Data) > 0, !ev.Comment && len(data) == 0:
		r.ev = llm.Event{Kind: llm.EvPing}
		return r.emit(&r.ev)
	case ev.Comment:
		return nil
	case string(data) == "[DONE]":
		return r.end()
	case ev.Partial && jsonx.Valid(data) != nil:
		return nil // cut in its middle: the end is judged by what was whole
	case string(ev.Name) == "error":
		return r.fail(fault.Read(0, data))
	}
	return r.frame(data, false)
}

// frame is a chunk's or a document's members, raw.
type frame struct{ id, model, choices, usage, fault []byte }

// read indexes a frame and reports whether it is an object with an end.
func (f *frame) read(data []byte) bool {
	if data[0] != '{' {
		return false
	}
	end := 1
	for n, v := range jsonx.Members(data) {
		end = jsonx.Offset(data, v) + len(v)
		switch string(n) {
		case "id":
			f.id = v
		case "model":
			f.model = v
		case "choices":
			f.choices = v
		case "usage":
			f.usage = v
		case "error":
			if !jsonx.IsNull(v) {
				f.fault = v
			}
		}
	}
	return string(bytes.TrimSpace(data[end:])) == "}"
}

// frame takes a chunk, or a whole document.
func (r *reader) frame(data []byte, whole bool) error {
	var f frame
	switch {
	case !f.read(data):
		return r.fail(broken("The provider's answer is not valid JSON."))
	case f.fault != nil:
		return r.fail(fault.Read(0, data))
	}
	if !r.started {
		r.started = true
		r.ev = llm.Event{Kind: llm.EvStarted, ID: plain(f.id), Name: plain(f.model)}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	for i, c := range jsonx.Elements(f.choices) {
		if err := r.choice(i, c, whole); err != nil || r.done {
			return err
		}
	}
	if jsonx.Kind(f.usage) == '{' {
		u := r.usage
		if u.Merge(usage.Read(f.usage)); u != r.usage {
			r.usage = u
			r.ev = llm.Event{Kind: llm.EvUsage, Usage: u}
			return r.emit(&r.ev)
		}
	}
	return nil
}

// element is a choice's members, raw.
type element struct{ text, index, finish, logprobs, sequence []byte }

func (e *element) read(raw []byte) {
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "text":
			e.text = v
		case "index":
			e.index = v
		case "finish_reason":
			e.finish = v
		case "logprobs":
			e.logprobs = v
		case "stop_reason":
			e.sequence = v
		}
	}
}

// choice takes one element of choices.
func (r *reader) choice(i int, raw []byte, whole bool) error {
	var e element
	e.read(raw)
	number, ok := jsonx.Int(e.index)
	if !ok || number < 0 || number > 1<<20 {
		number = int64(i)
	}
	c := r.at(int(number))
	if c == nil {
		return r.fail(broken("The provider sent too many choices."))
	}
	if c.finished {
		return nil
	}
	if err := r.text(c, e.text, e.logprobs); err != nil {
		return err
	}
	c.stop.Native, ok = jsonx.String(e.finish)
	if (!ok || c.stop.Native == "") && !whole {
		return nil
	}
	switch c.finished = true; c.stop.Native {
	case "length":
		c.stop.Reason = llm.StopLength
	case "content_filter":
		c.stop.Reason = llm.StopFilter
	case "error":
		c.stop.Reason = llm.StopFault
	case "stop":
		if s, _ := jsonx.String(e.sequence); s != "" {
			c.stop.Reason, c.stop.Sequence = llm.StopSequence, s // vLLM names it
		}
	}
	if !c.open {
		return nil
	}
	c.open = false
	r.ev = llm.Event{Kind: llm.EvBlockEnded, Choice: c.number, Part: llm.PartText}
	return r.emit(&r.ev)
}

func (r *reader) at(number int) *inChoice {
	for i := range r.choices {
		if r.choices[i].number == number {
			return &r.choices[i]
		}
	}
	if len(r.choices) >= maxInChoices {
		return nil
	}
	r.choices = append(r.choices, inChoice{number: number})
	return &r.choices[len(r.choices)-1]
}

// text emits a piece of a choice's text.
func (r *reader) text(c *inChoice, raw, logprobs []byte) error {
	var ok bool
	if r.buf, ok = jsonx.AppendString(r.buf[:0], raw); !ok || len(r.buf) == 0 {
		return nil
	}
	if !c.open {
		c.open = true
		r.ev = llm.Event{Kind: llm.EvBlockStarted, Choice: c.number, Part: llm.PartText}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Part: llm.PartText, Text: r.buf}
	if jsonx.Kind(logprobs) == '{' && jsonx.Valid(logprobs) == nil {
		r.ev.Logprobs = chatLogprobs(logprobs)
	}
	return r.emit(&r.ev)
}

// end is the end of the answer: one without all its stops was cut.
func (r *reader) end() error {
	if r.done {
		return nil
	}
	whole := len(r.choices) > 0
	for i := range r.choices {
		whole = whole && r.choices[i].finished
	}
	if !whole {
		return r.fail(endedEarly())
	}
	r.done = true
	for i := range r.choices {
		r.ev = llm.Event{Kind: llm.EvFinished, Choice: r.choices[i].number, Stop: r.choices[i].stop}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) fail(e *llm.Error) error {
	if r.done {
		return nil
	}
	r.done = true
	r.ev = llm.Event{Kind: llm.EvFailed, Err: e}
	return r.emit(&r.ev)
}

// chatLogprobs turns parallel lists of tokens and their log probabilities into openai-chat's list of objects.
func chatLogprobs(raw []byte) []byte {
	var logprobs, tops [][]byte
	for _, v := range jsonx.Elements(jsonx.Get(raw, "token_logprobs")) {
		logprobs = append(logprobs, v)
	}
	for _, v := range jsonx.Elements(jsonx.Get(raw, "top_logprobs")) {
		tops = append(tops, v)
	}
	b, n := []byte(`{"content":[`), 0
	for i, t := range jsonx.Elements(jsonx.Get(raw, "tokens")) {
		if i >= len(logprobs) || jsonx.Kind(logprobs[i]) != '0' {
			continue // the first token of an echo has none
		}
		b = append(append(jsonx.AppendComma(b), `{"token":`...), t...)
		b = append(append(append(b, `,"logprob":`...), logprobs[i]...), `,"bytes":null,"top_logprobs":[`...)
		if i < len(tops) {
			for k, v := range jsonx.Members(tops[i]) {
				b = jsonx.AppendQuote(append(jsonx.AppendComma(b), `{"token":`...), k)
				b = append(append(append(b, `,"logprob":`...), v...), `,"bytes":null}`...)
			}
		}
		b = append(b, "]}"...)
		n++
	}
	if n == 0 {
		return nil
	}
	return append(b, "]}"...)
}
