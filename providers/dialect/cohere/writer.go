package cohere

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

func newWriter(c *Codec, stream bool) *writer { return &writer{codec: c, stream: stream} }

// writer writes one answer to a chat. A stream has one block open at a time, as clients gather calls one after the
// other: what comes for a later one waits in it. The dialect has one answer to a request: other choices are left out.
type writer struct {
	codec    *Codec
	stream   bool
	id       string
	begun    bool // message-start is written
	blocks   []outBlock
	cur      int // the block that is open, or is to open next
	contents int // content blocks so far
	calls    int
	total    int    // code points of the texts before the last
	logs     []byte // elements of a document's log probabilities
	usage    llm.Usage
	stop     llm.Stop
	finished bool
	failed   *llm.Error
	closed   bool
}

// outBlock is a block of the answer.
type outBlock struct {
	src      int // its index in the events
	part     llm.PartKind
	id, name string
	number   int  // among the contents, or among the calls
	fed      bool // it had content
	ended    bool // nothing more comes for it
	opened   bool
	length   int    // code points of a text
	shift    int    // of all texts before it
	buf      []byte // stream: frames that wait; document: text or arguments
	cites    []byte // document: citations
}

// Write takes the next event.
func (w *writer) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	switch {
	case w.failed != nil || w.closed:
		return dst, nil
	case ev.Kind == llm.EvFailed:
		return w.fail(dst, ev.Err), nil
	case ev.Kind == llm.EvUsage:
		w.usage.Merge(ev.Usage)
		return dst, nil
	case ev.Choice != 0, w.finished:
		return dst, nil
	}
	switch ev.Kind {
	case llm.EvStarted:
		if w.id == "" {
			w.id = ev.ID
		}
		w.usage.Merge(ev.Usage)
	case llm.EvFinished:
		w.finished, w.stop = true, ev.Stop
		w.usage.Merge(ev.Usage)
	case llm.EvBlockStarted:
		dst = w.block(w.begin(dst), ev)
	case llm.EvDelta, llm.EvBlockEnded:
		b := w.find(ev.Index)
		if b == nil {
			break
		}
		if ev.Kind == llm.EvDelta {
			dst = w.delta(dst, b, ev)
		} else {
			b.ended = true
			dst = w.advance(dst)
		}
	}
	return dst, nil
}

// begin writes message-start once.
func (w *writer) begin(dst []byte) []byte {
	if w.begun {
		return dst
	}
	w.begun = true
	if w.id == "" {
		w.id = w.codec.mint()
	}
	if !w.stream {
		return dst
	}
	dst = append(dst, "event: message-start\ndata: {\"type\":\"message-start\""...)
	return append(jsonx.AppendText(dst, "id", w.id), ",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_plan\":\"\",\"tool_calls\":[],\"citations\":[]}}}\n\n"...)
}

func (w *writer) find(src int) *outBlock {
	for i := len(w.blocks) - 1; i >= 0; i-- {
		if b := &w.blocks[i]; b.src == src && !b.ended {
			return b
		}
	}
	return nil
}

// block takes the start of a block. Those that the dialect has no word for are left out.
func (w *writer) block(dst []byte, ev *llm.Event) []byte {
	b := outBlock{src: ev.Index, part: ev.Part, id: ev.ID, name: ev.Name}
	switch ev.Part {
	case llm.PartText, llm.PartRefusal:
		b.part = llm.PartText
		b.number = w.contents
		w.contents++
	case llm.PartThought:
		b.number = w.contents
		w.contents++
	case llm.PartCall:
		b.number = w.calls
		w.calls++
		if b.id == "" {
			b.id = "call_" + strings.ReplaceAll(w.codec.mint(), "-", "")[:24]
		}
	default:
		return dst
	}
	w.blocks = append(w.blocks, b)
	return w.advance(dst)
}

// advance writes what is due: the start of the block whose turn it is, what waited for it, and its end.
func (w *writer) advance(dst []byte) []byte {
	if !w.stream {
		return dst
	}
	for w.cur < len(w.blocks) {
		b := &w.blocks[w.cur]
		if !b.opened {
			b.opened, b.shift = true, w.total
			dst = append(b.start(dst), b.buf...)
			b.buf = nil
		}
		if !b.ended {
			return dst
		}
		dst = b.end(dst)
		w.total += b.length
		w.cur++
	}
	return dst
}

func (b *outBlock) start(dst []byte) []byte {
	switch b.part {
	case llm.PartCall:
		dst = b.head(dst, "tool-call-start")
		dst = jsonx.AppendText(append(dst, `"tool_calls":{`...), "id", b.id)
		dst = append(jsonx.AppendText(append(dst, `,"type":"function","function":{`...), "name", b.name), `,"arguments":""}}`...)
	case llm.PartThought:
		dst = append(b.head(dst, "content-start"), `"content":{"type":"thinking","thinking":""}`...)
	default:
		dst = append(b.head(dst, "content-start"), `"content":{"type":"text","text":""}`...)
	}
	return tail(dst)
}

// head begins an event of the block, up to what is in its message.
func (b *outBlock) head(dst []byte, kind string) []byte {
	dst = append(append(append(dst, "event: "...), kind...), "\ndata: {\"type\":\""...)
	dst = strconv.AppendInt(append(append(dst, kind...), `","index":`...), int64(b.number), 10)
	return append(dst, `,"delta":{"message":{`...)
}

func tail(dst []byte) []byte { return append(dst, "}}}\n\n"...) }

func (b *outBlock) end(dst []byte) []byte {
	kind := "content-end"
	if b.part == llm.PartCall {
		kind = "tool-call-end"
		if !b.fed { // empty arguments are an object all the same
			dst = tail(append(b.head(dst, "tool-call-delta"), `"tool_calls":{"function":{"arguments":"{}"}}`...))
		}
	}
	return bare(dst, kind, b.number)
}

// bare appends an event that says no more than its index.
func bare(dst []byte, kind string, n int) []byte {
	dst = append(append(append(dst, "event: "...), kind...), "\ndata: {\"type\":\""...)
	dst = strconv.AppendInt(append(append(dst, kind...), `","index":`...), int64(n), 10)
	return append(dst, "}\n\n"...)
}

// delta takes a piece of a block: into the stream when the block is open, else into the block.
func (w *writer) delta(dst []byte, b *outBlock, ev *llm.Event) []byte {
	b.fed = b.fed || len(ev.Text) > 0
	if !w.stream {
		b.buf = append(b.buf, ev.Text...)
		if ev.Logprobs != nil {
			w.logs = appendLogprobs(w.logs, ev.Logprobs)
		}
		if ev.Cite != nil {
			b.cites = appendCitation(jsonx.AppendComma(b.cites), ev.Cite, w.before(b))
		}
		return dst
	}
	to := &dst
	if !b.opened {
		to = &b.buf
	}
	if len(ev.Text) > 0 {
		*to = b.piece(*to, ev)
	}
	if ev.Cite != nil && b.part == llm.PartText {
		*to = append(b.head(*to, "citation-start"), `"citations":`...)
		*to = tail(appendCitation(*to, ev.Cite, b.shift))
		*to = bare(*to, "citation-end", b.number)
	}
	return dst
}

// before is how many code points stand in the texts of a document before a block.
func (w *writer) before(b *outBlock) (n int) {
	for i := range w.blocks {
		if &w.blocks[i] == b {
			break
		}
		if w.blocks[i].part == llm.PartText {
			n += utf8.RuneCount(w.blocks[i].buf)
		}
	}
	return n
}

// piece appends the event of a piece of text, of reasoning, or of a call's arguments.
func (b *outBlock) piece(dst []byte, ev *llm.Event) []byte {
	switch b.part {
	case llm.PartCall:
		dst = append(b.head(dst, "tool-call-delta"), `"tool_calls":{"function":{"arguments":`...)
		return tail(append(jsonx.AppendQuote(dst, ev.Text), "}}"...))
	case llm.PartThought:
		dst = append(b.head(dst, "content-delta"), `"content":{"thinking":`...)
		return tail(append(jsonx.AppendQuote(dst, ev.Text), '}'))
	}
	b.length += utf8.RuneCount(ev.Text)
	dst = append(b.head(dst, "content-delta"), `"content":{"text":`...)
	dst = append(jsonx.AppendQuote(dst, ev.Text), "}}}"...)
	if ev.Logprobs != nil {
		var one []byte
		for _, e := range jsonx.Elements(append(appendLogprobs([]byte{'['}, ev.Logprobs), ']')) {
			one = e // of several tokens in one piece, the last
		}
		if one != nil {
			dst = append(jsonx.AppendKey(dst, "logprobs"), one...)
		}
	}
	return append(dst, "}\n\n"...)
}

// fail ends a stream as the API does: the last event says that there was an error, and no more follows. A document is
// never written: its error is Close's.
func (w *writer) fail(dst []byte, e *llm.Error) []byte {
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	w.failed = e
	if !w.stream {
		return dst
	}
	reason := "ERROR"
	if e.Code == llm.CodeTimeout {
		reason = "TIMEOUT"
	}
	dst = append(dst, "event: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\""...)
	dst = append(jsonx.AppendText(append(append(dst, reason...), '"'), "error", messageOf(e)), `,"usage":`...)
	return append(appendUsage(dst, &w.usage), "}}\n\n"...)
}

// Close writes the end of the answer: what is left of the blocks, how it stopped, and all usage.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.closed {
		return dst, nil
	}
	switch {
	case w.failed != nil:
	case !w.finished:
		dst = w.fail(dst, endedEarly())
	case w.stop.Reason == llm.StopFault && !w.content():
		dst = w.fail(dst, &llm.Error{Code: llm.CodeUpstream, Op: name + ".write", Message: "The provider says that its output is broken: " + w.stop.Native})
	}
	w.closed = true
	switch {
	case w.failed != nil && w.stream:
		return dst, nil
	case w.failed != nil:
		return dst, w.failed
	case !w.stream:
		return w.document(w.begin(dst)), nil
	}
	dst = w.begin(dst)
	for i := range w.blocks {
		w.blocks[i].ended = true
	}
	dst = w.advance(dst)
	dst = append(dst, "event: message-end\ndata: {\"type\":\"message-end\""...)
	dst = append(jsonx.AppendText(dst, "id", w.id), `,"delta":{`...)
	dst = jsonx.AppendText(dst, "finish_reason", w.reason())
	dst = appendUsage(jsonx.AppendKey(dst, "usage"), &w.usage)
	return append(dst, "}}\n\ndata: [DONE]\n\n"...), nil
}

func (w *writer) content() bool {
	for i := range w.blocks {
		if w.blocks[i].fed || w.blocks[i].part == llm.PartCall {
			return true
		}
	}
	return false
}

// reason is the finish_reason, of the API's words.
func (w *writer) reason() string {
	switch w.stop.Reason {
	case llm.StopLength:
		return "MAX_TOKENS"
	case llm.StopFilter:
		return "ERROR_TOXIC"
	case llm.StopSequence:
		return "STOP_SEQUENCE"
	case llm.StopCalls, llm.StopEnd:
		if w.calls > 0 {
			return "TOOL_CALL"
		}
	}
	return "COMPLETE"
}

// document appends the whole answer.
func (w *writer) document(dst []byte) []byte {
	dst = jsonx.AppendText(jsonx.AppendText(append(dst, '{'), "id", w.id), "finish_reason", w.reason())
	dst = append(dst, `,"message":{"role":"assistant"`...)
	var content, calls, cites []byte
	for i := range w.blocks {
		b := &w.blocks[i]
		switch b.part {
		case llm.PartCall:
			if len(b.buf) == 0 {
				b.buf = []byte("{}")
			}
			calls = jsonx.AppendText(append(jsonx.AppendComma(calls), '{'), "id", b.id)
			calls = jsonx.AppendText(append(calls, `,"type":"function","function":{`...), "name", b.name)
			calls = append(jsonx.AppendQuote(jsonx.AppendKey(calls, "arguments"), b.buf), "}}"...)
		case llm.PartThought:
			content = append(jsonx.AppendComma(content), `{"type":"thinking","thinking":`...)
			content = append(jsonx.AppendQuote(content, b.buf), '}')
		default:
			content = append(jsonx.AppendComma(content), `{"type":"text","text":`...)
			content = append(jsonx.AppendQuote(content, b.buf), '}')
		}
		if b.cites != nil {
			cites = append(jsonx.AppendComma(cites), b.cites...)
		}
	}
	if content == nil && calls == nil {
		content = []byte(`{"type":"text","text":""}`)
	}
	for _, l := range [...]struct {
		name string
		list []byte
	}{{"content", content}, {"tool_calls", calls}, {"citations", cites}} {
		if l.list != nil {
			dst = append(append(append(jsonx.AppendKey(dst, l.name), '['), l.list...), ']')
		}
	}
	dst = append(dst, '}')
	dst = appendUsage(jsonx.AppendKey(dst, "usage"), &w.usage)
	if w.logs != nil {
		dst = append(append(append(jsonx.AppendKey(dst, "logprobs"), '['), w.logs...), ']')
	}
	return append(dst, '}')
}
