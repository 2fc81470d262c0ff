package cohere

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

const maxFrame = 16 << 20

// newReader makes a reader of one answer to a chat.
func newReader(c *Codec, req *llm.Request, stream bool) *reader {
	r := &reader{codec: c, document: !stream, parser: sse.Parser{Max: maxFrame}}
	if r.asked.any = req == nil; !r.asked.any {
		r.asked.model = req.Model // the answer does not say
	}
	r.whole = document.New(name+".read", r.readWhole)
	if chat := chatOf(req); chat != nil && req.Extra.Dialect != name {
		for i := range chat.Tools {
			if n := fit.Name(chat.Tools[i].Name, maxName); n != chat.Tools[i].Name {
				if r.asked.names == nil {
					r.asked.names = map[string]string{}
				}
				r.asked.names[n] = chat.Tools[i].Name
			}
		}
	}
	r.onEvent = r.event
	return r
}

func chatOf(req *llm.Request) *llm.Chat {
	if req == nil {
		return nil
	}
	return req.Chat()
}

// reader reads one answer to a chat. It believes the bytes and not what was announced.
type reader struct {
	codec    *Codec
	asked    asked
	document bool
	begun    bool
	done     bool // nothing more will be emitted
	stopped  bool // Finished was emitted
	parser   sse.Parser
	whole    *document.Reader
	onEvent  func(*sse.Event) error
	emit     llm.Emit
	buf      []byte
	open     block
	next     int // the next block's number
	said     said
	ev       llm.Event
}

// asked is what a reader knows of the request.
type asked struct {
	any   bool              // nothing: it may be of any operation
	model string            // which answers do not name
	names map[string]string // tool names as they were, by name on the wire
}

// said is where the texts of an answer begin, and how long they are in all, in code points.
type said struct {
	texts []span
	total int
}

// block is the block that is open: the dialect has one at a time.
type block struct {
	is   bool
	part llm.PartKind
	at   int
	plan bool
}

// span is where a text of the answer begins among all of them, by its index on the wire.
type span struct{ index, from int }

// Feed takes the next bytes.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	if r.done {
		return nil
	}
	r.emit = emit
	for i := 0; !r.begun && i < len(chunk); i++ {
		switch chunk[i] { // the first byte that is neither white space nor of a byte order mark tells
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf:
		case 'd', 'e', 'i', 'r', ':':
			r.begun, r.document = true, false
		default:
			r.begun, r.document = true, true
		}
	}
	if r.document {
		return r.whole.Feed(chunk, eof, emit)
	}
	err := r.parser.Feed(chunk, eof, r.onEvent)
	if err == sse.ErrTooLong { //nolint:errorlint // the parser returns it bare
		return r.fail(broken("The provider sent a chunk that is too large."))
	}
	if err != nil || !eof || r.done {
		return err
	}
	if r.stopped {
		r.done = true
		return nil
	}
	return r.fail(endedEarly())
}

func (r *reader) fail(e *llm.Error) error {
	if r.done {
		return nil
	}
	r.done = true
	if r.stopped {
		return nil // the answer is whole; what comes after it is nobody's loss
	}
	return r.emit(&llm.Event{Kind: llm.EvFailed, Err: e})
}

// event takes one frame of a stream.
func (r *reader) event(ev *sse.Event) error {
	data := bytes.TrimSpace(ev.Data)
	switch {
	case r.done, r.stopped:
		return nil
	case ev.Comment && len(data) == 0, string(data) == "[DONE]":
		return nil
	case ev.Comment, len(data) == 0:
		return r.send(llm.Event{Kind: llm.EvPing})
	case ev.Partial && jsonx.Valid(data) != nil:
		return nil // cut in its middle: the end is judged by what was whole
	case data[0] != '{' || data[len(data)-1] != '}':
		return r.fail(broken("The provider's answer is not valid JSON."))
	}
	var f frame
	f.read(data)
	kind := member.Plain(f.kind)
	if kind == nil {
		if f.message == nil && f.fault == nil && ev.Name != nil {
			kind = ev.Name
		} else {
			return r.fail(r.codec.failure(data))
		}
	}
	return r.step(string(kind), &f)
}

// frame is an event's members, raw.
type frame struct{ kind, id, index, message, fault, logprobs, finish, usage, why []byte }

// read indexes an event. What stands in delta.message is message; an error has a message of its own.
func (f *frame) read(data []byte) {
	for k, v := range jsonx.Members(data) {
		switch string(k) {
		case "type":
			f.kind = v
		case "id":
			f.id = v
		case "index":
			f.index = v
		case "logprobs":
			f.logprobs = v
		case "message":
			f.message = v
		case "error":
			f.fault = v
		case "delta":
			for k, v := range jsonx.Members(v) {
				switch string(k) {
				case "message":
					f.message = v
				case "finish_reason":
					f.finish = v
				case "usage":
					f.usage = v
				case "error":
					f.why = v
				}
			}
		}
	}
}

// step takes one event by its type. Unknown ones are signs of life.
func (r *reader) step(kind string, f *frame) error {
	switch kind {
	case "message-start":
		id := member.Plain(f.id)
		return r.send(llm.Event{Kind: llm.EvStarted, ID: string(id), Name: r.asked.model})
	case "tool-plan-delta":
		if !r.open.is || !r.open.plan {
			if err := r.begin(llm.PartText, -1, "", ""); err != nil {
				return err
			}
			r.open.plan = true
		}
		return r.text(jsonx.Get(f.message, "tool_plan"), nil)
	case "content-start":
		c := jsonx.Get(f.message, "content")
		part, member := llm.PartText, "text"
		if thinks(c) {
			part, member = llm.PartThought, "thinking"
		}
		if err := r.begin(part, number(f.index), "", ""); err != nil {
			return err
		}
		return r.text(jsonx.Get(c, member), nil)
	case "content-delta":
		return r.contentDelta(f)
	case "content-end", "tool-call-end":
		return r.shut()
	case "tool-call-start":
		return r.callStart(jsonx.Get(f.message, "tool_calls"))
	case "tool-call-delta":
		if !r.open.is || r.open.part != llm.PartCall {
			return nil
		}
		return r.text(jsonx.At(f.message, "tool_calls", "function", "arguments"), nil)
	case "citation-start":
		return r.cite(jsonx.Get(f.message, "citations"))
	case "citation-end":
		return nil
	case "message-end":
		return r.end(f)
	}
	return r.send(llm.Event{Kind: llm.EvPing})
}

func thinks(content []byte) bool {
	return string(member.Plain(jsonx.Get(content, "type"))) == "thinking" || jsonx.Get(content, "type") == nil && jsonx.Kind(jsonx.Get(content, "thinking")) == '"'
}

// number is an index on the wire, -1 for none.
func number(raw []byte) int {
	if n, ok := jsonx.Int(raw); ok && n >= 0 && n < 1<<20 {
		return int(n)
	}
	return -1
}

func (r *reader) contentDelta(f *frame) error {
	c := jsonx.Get(f.message, "content")
	raw, part := jsonx.Get(c, "text"), llm.PartText
	if t := jsonx.Get(c, "thinking"); jsonx.IsNull(raw) && !jsonx.IsNull(t) {
		raw, part = t, llm.PartThought
	}
	if !r.open.is || r.open.part != part || r.open.plan {
		if err := r.begin(part, number(f.index), "", ""); err != nil {
			return err
		}
	}
	return r.text(raw, readLogprob(nil, f.logprobs))
}

func (r *reader) callStart(call []byte) error {
	if jsonx.Kind(call) == '[' { // by the book it is an object
		for _, c := range jsonx.Elements(call) {
			call = c
			break
		}
	}
	id, _ := jsonx.String(jsonx.Get(call, "id"))
	tool, _ := jsonx.String(jsonx.At(call, "function", "name"))
	if id == "" {
		id = "call_" + strings.ReplaceAll(r.codec.mint(), "-", "")[:24]
	}
	if was, changed := r.asked.names[tool]; changed {
		tool = was
	}
	if err := r.begin(llm.PartCall, -1, id, tool); err != nil {
		return err
	}
	return r.text(jsonx.At(call, "function", "arguments"), nil)
}

func (r *reader) send(ev llm.Event) error {
	r.ev = ev
	return r.emit(&r.ev)
}

// begin opens a block. index is that of a text on the wire, -1 for none.
func (r *reader) begin(part llm.PartKind, index int, id, tool string) error {
	if err := r.shut(); err != nil {
		return err
	}
	r.open = block{is: true, part: part, at: r.next}
	r.next++
	if part == llm.PartText {
		r.said.texts = append(r.said.texts, span{index, r.said.total})
	}
	return r.send(llm.Event{Kind: llm.EvBlockStarted, Index: r.open.at, Part: part, ID: id, Name: tool})
}

// shut ends the open block.
func (r *reader) shut() error {
	if !r.open.is {
		return nil
	}
	r.open.is = false
	return r.send(llm.Event{Kind: llm.EvBlockEnded, Index: r.open.at, Part: r.open.part})
}

// text emits a piece of the open block.
func (r *reader) text(raw, logprobs []byte) error {
	r.buf, _ = jsonx.AppendString(r.buf[:0], raw)
	if len(r.buf) == 0 && logprobs == nil {
		return nil
	}
	if r.open.part == llm.PartText {
		r.said.total += utf8.RuneCount(r.buf)
	}
	return r.send(llm.Event{Kind: llm.EvDelta, Index: r.open.at, Part: r.open.part, Text: r.buf, Logprobs: logprobs})
}

// end takes the last event.
func (r *reader) end(f *frame) error {
	if u := readUsage(f.usage); u.Known() {
		if err := r.send(llm.Event{Kind: llm.EvUsage, Usage: u}); err != nil {
			return err
		}
	}
	stop := readStop(f.finish)
	if stop.Reason == llm.StopFault {
		e := broken("The provider ended its answer with " + stop.Native + ".")
		if why, _ := jsonx.String(f.why); why != "" {
			e.Message = fit.Scrub(why)
		}
		if stop.Native == "TIMEOUT" {
			e.Code = llm.CodeTimeout
		}
		return r.fail(e)
	}
	return r.finish(stop)
}

func (r *reader) finish(stop llm.Stop) error {
	if err := r.shut(); err != nil {
		return err
	}
	r.stopped = true
	return r.send(llm.Event{Kind: llm.EvFinished, Stop: stop})
}

// readStop reads why an answer ended.
func readStop(raw []byte) (s llm.Stop) {
	s.Native, _ = jsonx.String(raw)
	switch s.Native {
	case "MAX_TOKENS", "ERROR_LIMIT":
		s.Reason = llm.StopLength
	case "TOOL_CALL":
		s.Reason = llm.StopCalls
	case "STOP_SEQUENCE":
		s.Reason = llm.StopSequence
	case "ERROR_TOXIC":
		s.Reason = llm.StopFilter
	case "ERROR", "TIMEOUT":
		s.Reason = llm.StopFault
	}
	return s
}

// readWhole reads an answer in one document.
func (r *reader) readWhole(doc []byte, emit llm.Emit) error {
	r.emit = emit
	if r.asked.any { // of any operation: the document tells
		switch {
		case jsonx.Get(doc, "embeddings") != nil:
			return r.codec.embeddings(doc, -1, r.asked.model, emit)
		case jsonx.Get(doc, "results") != nil:
			return r.codec.results(doc, -1, r.asked.model, emit)
		}
	}
	m := jsonx.Get(doc, "message")
	if jsonx.Kind(m) != '{' || jsonx.Get(doc, "finish_reason") == nil {
		return r.fail(r.codec.failure(doc))
	}
	id, _ := jsonx.String(jsonx.Get(doc, "id"))
	if err := r.send(llm.Event{Kind: llm.EvStarted, ID: id, Name: r.asked.model}); err != nil {
		return err
	}
	if err := r.message(m, readLogprobs(jsonx.Get(doc, "logprobs"))); err != nil {
		return err
	}
	if u := readUsage(jsonx.Get(doc, "usage")); u.Known() {
		if err := r.send(llm.Event{Kind: llm.EvUsage, Usage: u}); err != nil {
			return err
		}
	}
	r.done = true
	return r.finish(readStop(jsonx.Get(doc, "finish_reason")))
}

// message reads the message of a document. Log probabilities belong to its first text.
func (r *reader) message(m, logprobs []byte) error {
	if plan := jsonx.Get(m, "tool_plan"); jsonx.Kind(plan) == '"' && len(plan) > 2 {
		if err := r.begin(llm.PartText, -1, "", ""); err != nil {
			return err
		}
		if err := r.text(plan, nil); err != nil {
			return err
		}
	}
	for i, c := range jsonx.Elements(jsonx.Get(m, "content")) {
		part, of := llm.PartText, "text"
		if thinks(c) {
			part, of = llm.PartThought, "thinking"
		}
		raw := jsonx.Get(c, of)
		if jsonx.Kind(raw) != '"' {
			continue // an unknown kind of part
		}
		if err := r.begin(part, i, "", ""); err != nil {
			return err
		}
		var l []byte
		if part == llm.PartText {
			l, logprobs = logprobs, nil
		}
		if err := r.text(raw, l); err != nil {
			return err
		}
	}
	for _, c := range jsonx.Elements(jsonx.Get(m, "citations")) {
		if err := r.cite(c); err != nil {
			return err
		}
	}
	for _, c := range jsonx.Elements(jsonx.Get(m, "tool_calls")) {
		if err := r.callStart(c); err != nil {
			return err
		}
	}
	return nil
}
