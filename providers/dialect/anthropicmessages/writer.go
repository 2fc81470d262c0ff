package anthropicmessages

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
)

// NewWriter makes a writer of one answer. The dialect has one answer to a request: other choices are left out.
func (c *Codec) NewWriter(req *llm.Request, stream bool) dialect.Writer {
	if req != nil && req.Op == llm.OpCount {
		return document.NewCount(name+".answer", `{"input_tokens":`, "}")
	}
	return &writer{codec: c, stream: stream}
}

// writer writes one answer. A stream has one block open at a time: what comes for a later one waits in it.
type writer struct {
	codec  *Codec
	stream bool
	id     string
	model  string
	begun  bool // message_start is written
	blocks []outBlock
	cur    int // the block that is open, or is to open next
	usage  llm.Usage
	stop   llm.Stop
	said   struct{ finished, refused, calls bool }
	failed *llm.Error
	closed bool
}

// outBlock is a block as the client numbers it: by its place in writer.blocks.
type outBlock struct {
	src      int // its index in the events
	part     llm.PartKind
	id, name string
	native   []byte // the content_block of a native block
	seal     string
	apart    string // a call's or a text's seal, which goes in a block of its own
	held     bool   // a thought that began with its seal: redacted, unless text follows
	sealed   bool   // a signature was written
	fed      bool   // it had content
	ended    bool   // nothing more comes for it
	buf      []byte // stream: frames that wait; document: text or arguments
	cites    []byte // document: citations, joined by commas
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
	case ev.Choice != 0:
		return dst, nil
	}
	switch ev.Kind {
	case llm.EvStarted:
		if w.id == "" && w.model == "" {
			w.id, w.model = ev.ID, ev.Name
		}
	case llm.EvPing:
		if w.stream && (w.id != "" || w.model != "") && !w.said.finished {
			dst = append(w.begin(dst), "event: ping\ndata: {\"type\":\"ping\"}\n\n"...)
		}
	case llm.EvFinished:
		if !w.said.finished {
			w.said.finished, w.stop = true, ev.Stop
			w.stop.Details = oneLine(ev.Stop.Details)
		}
	case llm.EvBlockStarted:
		if !w.said.finished {
			dst = w.begin(dst)
			if ev.Part == llm.PartCall {
				dst = w.carry(dst, ev.Part, ev.ID, ev.Seal)
			}
			dst = w.block(dst, ev)
		}
	case llm.EvDelta, llm.EvBlockEnded:
		b := w.find(ev.Index)
		if b == nil || w.said.finished {
			break
		}
		if ev.Kind == llm.EvDelta {
			w.into(&dst, b, ev)
		} else {
			b.ended = true
			part, id, seal := b.part, b.id, b.apart
			dst = w.carry(w.advance(dst), part, id, seal)
		}
	}
	return dst, nil
}

// fail ends a stream with the error's event. A document is never written: its error is Close's.
func (w *writer) fail(dst []byte, e *llm.Error) []byte {
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	w.failed = e
	if !w.stream {
		return dst
	}
	dst = append(dst, "event: error\ndata: "...)
	return append(appendError(dst, e, ""), "\n\n"...)
}

// Close writes the end of the answer: what is left of the blocks, how it stopped, and all usage.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.closed {
		return dst, nil
	}
	switch {
	case w.failed != nil:
	case !w.said.finished:
		dst = w.fail(dst, &llm.Error{Code: llm.CodeReset, Op: name + ".answer", Message: "the answer ended before it was whole"})
	case w.stop.Reason == llm.StopFault && !w.content():
		dst = w.fail(dst, &llm.Error{Code: llm.CodeUpstream, Op: name + ".answer", Message: "the provider says that its answer is broken: " + w.stop.Native})
	}
	w.closed = true
	if w.failed != nil {
		if w.stream {
			return dst, nil
		}
		return dst, w.failed
	}
	if !w.stream {
		return w.document(dst), nil
	}
	dst = w.begin(dst)
	for i := range w.blocks {
		w.blocks[i].ended = true
	}
	dst = w.advance(dst)
	dst = append(dst, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	dst = w.ending(dst)
	dst = append(dst, `},"usage":`...)
	dst = appendUsage(dst, &w.usage)
	return append(dst, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...), nil
}

func (w *writer) content() bool {
	return slices.ContainsFunc(w.blocks, func(b outBlock) bool { return b.fed || b.part == llm.PartCall })
}

// begin writes message_start once. It waits for the first content, so that the usage known by then is in it.
func (w *writer) begin(dst []byte) []byte {
	if w.begun {
		return dst
	}
	w.begun = true
	if w.id == "" {
		w.id = "msg_" + w.codec.mint()
	}
	if !w.stream {
		return dst
	}
	dst = append(dst, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"...)
	dst = w.head(dst)
	dst = append(dst, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
	dst = appendUsage(dst, &w.usage)
	return append(dst, "}}\n\n"...)
}

func (w *writer) head(dst []byte) []byte {
	dst = jsonx.AppendText(dst, "id", w.id)
	dst = append(dst, `,"type":"message","role":"assistant"`...)
	return jsonx.AppendText(dst, "model", w.model)
}

// carry writes the seal of a call or a text as a block of its own, because those have no place for it.
func (w *writer) carry(dst []byte, part llm.PartKind, id, seal string) []byte {
	if seal == "" {
		return dst
	}
	if part != llm.PartCall {
		id = ""
	}
	carrier := llm.Event{Kind: llm.EvBlockStarted, Index: ofCarrier, Part: llm.PartThought, Seal: dialect.NewCarrier(id, name, seal).String()}
	dst = w.block(dst, &carrier)
	w.find(ofCarrier).ended = true
	return w.advance(dst)
}

// ofCarrier is the index of a block that stands for no block of the events.
const ofCarrier = -1

func (w *writer) find(src int) *outBlock {
	for i := len(w.blocks) - 1; i >= 0; i-- {
		if b := &w.blocks[i]; b.src == src && !b.ended {
			return b
		}
	}
	return nil
}

// block takes the start of a block. Blocks that the dialect has no word for are left out.
func (w *writer) block(dst []byte, ev *llm.Event) []byte {
	b := outBlock{src: ev.Index, part: ev.Part, id: ev.ID, name: ev.Name}
	switch ev.Part {
	case llm.PartText, llm.PartRefusal:
		b.apart = ev.Seal
	case llm.PartThought:
		var hidden bool
		b.seal, hidden = strings.CutPrefix(dialect.ShownSeal(name, ev.Seal), hiddenPrefix)
		b.held = b.seal != "" && !hidden
	case llm.PartCall:
		w.said.calls = true
		if b.id == "" {
			b.id = "toolu_" + w.codec.mint()
		}
	case llm.PartNative:
		block := jsonx.Get(ev.Raw, "content_block")
		if block == nil { // another dialect's
			return dst
		}
		b.native, b.fed = oneLine(block), true
	default:
		return dst
	}
	w.blocks = append(w.blocks, b)
	last := len(w.blocks) - 1
	if !w.stream || b.held {
		return dst
	}
	w.out(&dst, &w.blocks[last], w.opening)
	return dst
}

// out appends to the client's bytes, or to the block's own while another one is open.
func (w *writer) out(dst *[]byte, b *outBlock, f func([]byte, *outBlock) []byte) {
	if b == &w.blocks[min(w.cur, len(w.blocks)-1)] {
		*dst = f(*dst, b)
	} else {
		b.buf = f(b.buf, b)
	}
}

// number is a block's index toward the client.
func (w *writer) number(b *outBlock) int64 {
	for i := len(w.blocks) - 1; i > 0; i-- {
		if &w.blocks[i] == b {
			return int64(i)
		}
	}
	return 0
}

func (w *writer) opening(dst []byte, b *outBlock) []byte {
	dst = append(dst, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"...)
	dst = strconv.AppendInt(dst, w.number(b), 10)
	dst = append(dst, `,"content_block":`...)
	switch {
	case b.part == llm.PartNative:
		dst = append(dst, b.native...)
	case b.part == llm.PartCall:
		dst = append(dst, `{"type":"tool_use"`...)
		dst = jsonx.AppendText(dst, "id", b.id)
		dst = jsonx.AppendText(dst, "name", b.name)
		dst = append(dst, `,"input":{}}`...)
	case b.held:
		dst = append(dst, `{"type":"redacted_thinking"`...)
		dst = append(jsonx.AppendText(dst, "data", b.seal), '}')
	case b.part == llm.PartThought:
		dst = append(dst, `{"type":"thinking","thinking":"","signature":""}`...)
	default:
		dst = append(dst, `{"type":"text","text":""}`...)
	}
	return append(dst, "}\n\n"...)
}

// into takes a delta of a block.
func (w *writer) into(dst *[]byte, b *outBlock, ev *llm.Event) {
	if len(ev.Text) > 0 {
		w.said.refused = w.said.refused || b.part == llm.PartRefusal
		if b.held { // it was not redacted after all: the seal is a signature
			b.held = false
			if w.stream {
				w.out(dst, b, w.opening)
			}
		}
		b.fed = true
	}
	if ev.Seal != "" && b.part != llm.PartThought {
		b.apart = ev.Seal
	}
	if ev.Seal != "" && b.part == llm.PartThought {
		b.seal = strings.TrimPrefix(dialect.ShownSeal(name, ev.Seal), hiddenPrefix)
	}
	if !w.stream {
		w.collect(b, ev)
		return
	}
	to := dst
	if b != &w.blocks[min(w.cur, len(w.blocks)-1)] {
		to = &b.buf
	}
	if b.part == llm.PartNative {
		if delta := jsonx.Get(ev.Raw, "delta"); delta != nil {
			*to = append(append(w.deltaHead(*to, b), oneLine(delta)...), "}\n\n"...)
		}
		return
	}
	if len(ev.Text) > 0 {
		*to = w.deltaHead(*to, b)
		switch b.part {
		case llm.PartThought:
			*to = append(*to, `{"type":"thinking_delta","thinking":`...)
		case llm.PartCall:
			*to = append(*to, `{"type":"input_json_delta","partial_json":`...)
		default:
			*to = append(*to, `{"type":"text_delta","text":`...)
		}
		*to = append(jsonx.AppendQuote(*to, ev.Text), "}}\n\n"...)
	}
	if ev.Seal != "" && b.part == llm.PartThought {
		*to = w.signature(*to, b)
	}
	if ev.Cite != nil && b.part == llm.PartText {
		*to = append(w.deltaHead(*to, b), `{"type":"citations_delta","citation":`...)
		*to = append(citation(*to, ev.Cite), "}}\n\n"...)
	}
}

func (w *writer) deltaHead(dst []byte, b *outBlock) []byte {
	dst = append(dst, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	return append(strconv.AppendInt(dst, w.number(b), 10), `,"delta":`...)
}

func (w *writer) signature(dst []byte, b *outBlock) []byte {
	b.sealed = true
	dst = append(w.deltaHead(dst, b), `{"type":"signature_delta"`...)
	return append(jsonx.AppendText(dst, "signature", b.seal), "}}\n\n"...)
}

// envelope is the signature for a thought that has none: SDKs send only signed thoughts back.
func (w *writer) envelope() string {
	return sealPrefix + base64.RawURLEncoding.EncodeToString([]byte(w.model))
}

// advance closes the open block once nothing more comes for it, and opens what waited behind it.
func (w *writer) advance(dst []byte) []byte {
	if !w.stream {
		return dst
	}
	for w.cur < len(w.blocks) && w.blocks[w.cur].ended {
		b := &w.blocks[w.cur]
		switch {
		case b.held:
			dst = w.opening(dst, b)
		case b.part == llm.PartThought && !b.sealed:
			if b.seal == "" {
				b.seal = w.envelope()
			}
			dst = w.signature(dst, b)
		case b.part == llm.PartCall && !b.fed:
			dst = append(w.deltaHead(dst, b), "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n"...)
		}
		dst = append(dst, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
		dst = append(strconv.AppendInt(dst, w.number(b), 10), "}\n\n"...)
		if w.cur++; w.cur < len(w.blocks) {
			next := &w.blocks[w.cur]
			dst = append(dst, next.buf...)
			next.buf = nil
		}
	}
	return dst
}

// collect takes a delta of a document.
func (w *writer) collect(b *outBlock, ev *llm.Event) {
	switch {
	case b.part == llm.PartNative:
		piece, _ := jsonx.String(jsonx.At(ev.Raw, "delta", "partial_json"))
		b.buf = append(b.buf, piece...)
	case ev.Cite != nil:
		if len(b.cites) > 0 {
			b.cites = append(b.cites, ',')
		}
		b.cites = citation(b.cites, ev.Cite)
	default:
		b.buf = append(b.buf, ev.Text...)
	}
}

// document writes the whole answer.
func (w *writer) document(dst []byte) []byte {
	w.begin(nil)
	dst = w.head(append(dst, '{'))
	dst = append(jsonx.AppendKey(dst, "content"), '[')
	for i := range w.blocks {
		dst = w.whole(jsonx.AppendComma(dst), &w.blocks[i])
	}
	dst = append(dst, "],"...)
	dst = w.ending(dst)
	dst = append(dst, `,"usage":`...)
	return append(appendUsage(dst, &w.usage), '}')
}

func (w *writer) whole(dst []byte, b *outBlock) []byte {
	switch {
	case b.part == llm.PartNative:
		if len(b.buf) == 0 {
			return append(dst, b.native...)
		}
		dst = append(dst, '{')
		for n, v := range jsonx.Members(b.native) {
			if string(n) != "input" {
				dst = raw(dst, string(n), v)
			}
		}
		dst = raw(dst, "input", fit.Args(string(b.buf)))
	case b.part == llm.PartCall:
		dst = append(dst, `{"type":"tool_use"`...)
		dst = jsonx.AppendText(dst, "id", b.id)
		dst = jsonx.AppendText(dst, "name", b.name)
		dst = raw(dst, "input", fit.Args(string(b.buf)))
	case b.held:
		dst = append(dst, `{"type":"redacted_thinking"`...)
		dst = jsonx.AppendText(dst, "data", b.seal)
	case b.part == llm.PartThought:
		if b.seal == "" {
			b.seal = w.envelope()
		}
		dst = append(dst, `{"type":"thinking","thinking":`...)
		dst = jsonx.AppendText(jsonx.AppendQuote(dst, b.buf), "signature", b.seal)
	default:
		dst = jsonx.AppendQuote(append(dst, `{"type":"text","text":`...), b.buf)
		if len(b.cites) > 0 {
			dst = append(append(append(jsonx.AppendKey(dst, "citations"), '['), b.cites...), ']')
		}
	}
	return append(dst, '}')
}

// ending writes why the answer ended, as members. The words are of the client's closed list.
func (w *writer) ending(dst []byte) []byte {
	reason := w.stop.Reason
	switch {
	case reason == llm.StopEnd && w.said.refused:
		reason = llm.StopFilter
	case reason == llm.StopEnd && w.said.calls:
		reason = llm.StopCalls
	}
	word := ""
	for _, s := range stops {
		if s.reason == reason && (word == "" || s.word == w.stop.Native) {
			word = s.word
		}
	}
	dst = append(dst, `"stop_reason":"`...)
	dst = append(append(dst, word...), `","stop_sequence":`...)
	if reason == llm.StopSequence && w.stop.Sequence != "" {
		dst = jsonx.AppendQuote(dst, w.stop.Sequence)
	} else {
		dst = append(dst, "null"...)
	}
	return appendDetails(dst, w.stop.Details)
}
