package openairesponses

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
)

// NewWriter makes a writer of one answer. The dialect has one answer to a request: other choices are left out.
func (c *Codec) NewWriter(req *llm.Request, stream bool) dialect.Writer {
	w := &writer{codec: c, stream: stream, req: req}
	if req != nil {
		w.model = req.Model
		if req.Op == llm.OpCount {
			return document.NewCount(name+".write", `{"object":"response.input_tokens","input_tokens":`, "}")
		}
	}
	return w
}

// writer writes one answer, as events or as one document at the end. A stream has one item open at a time: what
// comes for a later one waits in its block. An item is closed when the next one begins or the answer ends, because
// only then it is known whether it is whole.
type writer struct {
	codec    *Codec
	req      *llm.Request
	stream   bool
	id       string
	model    string
	created  int64
	progress progress
	blocks   []outBlock
	message  message
	output   []byte // the items that are done, joined
	echo     []byte // what the response repeats of the request
	usage    llm.Usage
	stop     llm.Stop
	failed   *llm.Error
}

// progress is how far the writing has come.
type progress struct {
	begun    bool // response.created is written
	finished bool
	closed   bool
	content  bool  // something that a client would miss came
	seq      int64 // the next sequence_number
	cur      int   // the block that is open, or is to open next
	item     int64 // the open item's output_index
	chars    int   // code points of text in closed blocks
	tail     string
}

// message is the open message: neighboring texts are parts of one.
type message struct {
	open    bool
	id      string
	parts   int64
	content []byte // the parts that are done, joined
}

// outBlock is a block of the answer.
type outBlock struct {
	src      int // its index in the events
	part     llm.PartKind
	id, name string
	item     string // the item's id
	seal     string
	native   []byte // the item of a native block
	text     []byte
	sent     int // bytes of text that are out
	logprobs []byte
	unsent   []byte // log probabilities of the text that is not out, joined
	cites    []byte
	waiting  []llm.Citation
	state    blockState
}

// blockState is how far a block has come.
type blockState struct {
	open, ended bool
	cites       int64 // citations that are out
	custom      bool  // a call of a tool that takes free text
}

// Write takes the next event.
func (w *writer) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	p := &w.progress
	switch {
	case w.failed != nil || p.closed:
		return dst, nil
	case ev.Kind == llm.EvFailed:
		return w.fail(dst, ev.Err), nil
	case ev.Kind == llm.EvUsage:
		w.usage.Merge(ev.Usage)
		return dst, nil
	case ev.Kind == llm.EvPing, ev.Choice != 0, p.finished:
		return dst, nil
	}
	if ev.Kind == llm.EvStarted && !p.begun {
		w.id = ev.ID
		if ev.Name != "" {
			w.model = ev.Name
		}
	}
	dst = w.begin(dst)
	p.content = p.content || ev.Content()
	switch ev.Kind {
	case llm.EvBlockStarted:
		w.block(ev)
		return w.advance(dst), nil
	case llm.EvDelta:
		if i := w.find(ev.Index); i >= 0 {
			return w.delta(dst, i, ev), nil
		}
	case llm.EvBlockEnded:
		if i := w.find(ev.Index); i >= 0 {
			b := &w.blocks[i]
			b.state.ended = true
			if b.part == llm.PartNative && ev.Raw != nil {
				b.native = withID(oneLine(itemOf(ev.Raw)), b.item)
			}
			return w.advance(dst), nil
		}
	case llm.EvFinished:
		p.finished, w.stop = true, ev.Stop
		w.stop.Details = nil
	}
	return dst, nil
}

// begin writes the first two events once.
func (w *writer) begin(dst []byte) []byte {
	p := &w.progress
	if p.begun {
		return dst
	}
	p.begun, w.created, p.tail = true, w.codec.now().Unix(), w.codec.mint()
	if w.id == "" {
		w.id = "resp_" + p.tail
	}
	if !w.stream {
		return dst
	}
	dst = append(w.object(w.head(dst, "response.created", `,"response":`), "in_progress"), "}\n\n"...)
	return append(w.object(w.head(dst, "response.in_progress", `,"response":`), "in_progress"), "}\n\n"...)
}

// head begins an event, up to a member that the caller writes.
func (w *writer) head(dst []byte, kind, next string) []byte {
	dst = append(append(dst, "event: "...), kind...)
	dst = append(append(append(dst, "\ndata: {\"type\":\""...), kind...), `","sequence_number":`...)
	dst = strconv.AppendInt(dst, w.progress.seq, 10)
	w.progress.seq++
	return append(dst, next...)
}

// of begins an event of the open item.
func (w *writer) of(dst []byte, kind string, b *outBlock) []byte {
	dst = append(append(w.head(dst, kind, `,"item_id":"`), b.item...), `","output_index":`...)
	return strconv.AppendInt(dst, w.progress.item, 10)
}

func (w *writer) find(src int) int {
	for i := len(w.blocks) - 1; i >= 0; i-- {
		if b := &w.blocks[i]; b.src == src && !b.state.ended {
			return i
		}
	}
	return -1
}

// block takes the start of a block. Blocks that the dialect has no word for are left out.
func (w *writer) block(ev *llm.Event) {
	b := outBlock{src: ev.Index, part: ev.Part, id: ev.ID, name: ev.Name, seal: ev.Seal}
	switch ev.Part {
	case llm.PartText, llm.PartRefusal, llm.PartThought:
	case llm.PartCall:
		b.state.custom = w.customTool(ev.Name)
		if b.id == "" {
			b.id = "call_" + w.codec.mint()
		}
	case llm.PartNative:
		it := itemOf(ev.Raw)
		if jsonx.Kind(jsonx.Get(it, "type")) != '"' || jsonx.Get(ev.Raw, "content_block") != nil {
			return // another dialect's
		}
		b.native = oneLine(it)
	default:
		return
	}
	w.blocks = append(w.blocks, b)
}

// itemOf returns the item of an event that brings one, or the item that raw is.
func itemOf(raw []byte) []byte {
	if it := jsonx.Get(raw, "item"); it != nil {
		return it
	}
	return raw
}

// withID returns an item with an id, where it has another: all events of an item name the same.
func withID(item []byte, id string) []byte {
	if id == "" || string(plain(jsonx.Get(item, "id"))) == id {
		return item
	}
	b := jsonx.AppendText([]byte{'{'}, "id", id)
	for n, v := range jsonx.Members(item) {
		if string(n) != "id" {
			b = append(jsonx.AppendKey(b, string(n)), v...)
		}
	}
	return append(b, '}')
}

func (w *writer) customTool(n string) bool {
	if w.req == nil || w.req.Chat() == nil {
		return false
	}
	for i := range w.req.Chat().Tools {
		if t := &w.req.Chat().Tools[i]; t.Native == custom && t.Name == n {
			return true
		}
	}
	return false
}

// delta takes a piece of a block.
func (w *writer) delta(dst []byte, i int, ev *llm.Event) []byte {
	b := &w.blocks[i]
	if ev.Seal != "" {
		b.seal = ev.Seal
	}
	if b.part == llm.PartNative {
		if w.stream && i == w.progress.cur && b.state.open && ev.Raw != nil {
			dst = w.nativeEvent(dst, b, ev.Raw)
		}
		return dst
	}
	b.text = append(b.text, ev.Text...)
	if ev.Logprobs != nil && b.part == llm.PartText {
		for _, v := range jsonx.Elements(jsonx.Get(ev.Logprobs, "content")) {
			b.unsent = append(jsonx.AppendComma(b.unsent), oneLine(v)...)
		}
	}
	if ev.Cite != nil && b.part == llm.PartText {
		c := *ev.Cite
		c.Raw = oneLine(c.Raw)
		b.waiting = append(b.waiting, c)
	}
	if i == w.progress.cur && b.state.open {
		return w.flush(dst, b)
	}
	return dst
}

// advance opens the next block once the one before it is at its end.
func (w *writer) advance(dst []byte) []byte {
	p := &w.progress
	for p.cur < len(w.blocks) {
		b := &w.blocks[p.cur]
		if !b.state.open {
			dst = w.flush(w.open(dst, b), b)
		}
		if !b.state.ended || p.cur == len(w.blocks)-1 && !p.finished {
			break
		}
		dst = w.shut(dst, b)
		p.cur++
	}
	return dst
}

// fail ends the answer: a stream gets the event of a failed response, or an error where none has begun.
func (w *writer) fail(dst []byte, e *llm.Error) []byte {
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	w.failed = e
	switch {
	case !w.stream:
		return dst
	case w.progress.begun:
		return append(w.object(w.head(dst, "response.failed", `,"response":`), "failed"), "}\n\n"...)
	}
	kind, reason, message := fault.Words(e)
	if reason == "" {
		reason = kind
	}
	dst = jsonx.AppendText(w.head(dst, "error", ""), "code", reason)
	dst = jsonx.AppendText(dst, "message", message)
	if dst = jsonx.AppendKey(dst, "param"); e.Param == "" {
		dst = append(dst, "null"...)
	} else {
		dst = jsonx.AppendQuote(dst, e.Param)
	}
	return append(dst, "}\n\n"...)
}

// Close writes the end of the answer: what is left of the items, and the whole response.
func (w *writer) Close(dst []byte) ([]byte, error) {
	p := &w.progress
	if p.closed {
		return dst, nil
	}
	switch {
	case w.failed != nil:
	case !p.finished:
		dst = w.fail(dst, endedEarly())
	case w.stop.Reason == llm.StopFault && !p.content:
		dst = w.fail(dst, broken("The provider says that its output is broken: "+w.stop.Native))
	}
	p.closed = true
	if w.failed != nil {
		if w.stream {
			return dst, nil
		}
		return dst, w.failed
	}
	for i := range w.blocks {
		w.blocks[i].state.ended = true
	}
	dst = w.endMessage(w.advance(w.begin(dst)))
	status := "completed"
	if w.stop.Reason == llm.StopLength || w.stop.Reason == llm.StopFilter {
		status = "incomplete"
	}
	if !w.stream {
		return w.object(dst, status), nil
	}
	return append(w.object(w.head(dst, "response."+status, `,"response":`), status), "}\n\n"...), nil
}

// status is an item's, when it ends: the last one is cut where the answer is.
func (w *writer) status() string {
	if w.progress.finished && w.progress.cur >= len(w.blocks)-1 && (w.stop.Reason == llm.StopLength || w.stop.Reason == llm.StopFilter) {
		return "incomplete"
	}
	return "completed"
}
