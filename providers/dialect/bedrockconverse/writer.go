package bedrockconverse

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

// heads are the headers of the frames that are written, encoded once.
type heads struct{ start, block, delta, stop, end, metadata []byte }

func newHeads() heads {
	event := func(kind string) []byte {
		h := awsevents.AppendString(nil, ":event-type", kind)
		h = awsevents.AppendString(h, ":content-type", "application/json")
		return awsevents.AppendString(h, ":message-type", "event")
	}
	return heads{
		start: event("messageStart"), block: event("contentBlockStart"), delta: event("contentBlockDelta"),
		stop: event("contentBlockStop"), end: event("messageStop"), metadata: event("metadata"),
	}
}

// NewWriter makes a writer of one answer. The dialect has one answer to a request: other choices are left out.
func (c *Codec) NewWriter(req *llm.Request, stream bool) dialect.Writer {
	w := &writer{codec: c, stream: stream, began: c.now()}
	if req != nil && req.Op == llm.OpCount {
		w.count, w.stream = true, false
	}
	return w
}

// writer writes one answer. A stream has one block open at a time: what comes for a later one waits in it.
type writer struct {
	codec  *Codec
	stream bool
	count  bool // the answer is a count of tokens
	began  time.Time
	begun  bool // messageStart is written
	blocks []outBlock
	cur    int // the block that is open, or is to open next
	usage  llm.Usage
	stop   llm.Stop
	said   struct{ finished, refused, calls bool }
	failed *llm.Error
	closed bool
}

var _ dialect.Typed = (*writer)(nil)

// ContentType implements dialect.Typed.
func (w *writer) ContentType() string {
	if w.stream {
		return awsevents.ContentType
	}
	return "application/json"
}

// outBlock is a block as the client numbers it: by its place in writer.blocks.
type outBlock struct {
	src      int // its index in the events
	part     llm.PartKind
	id, name string
	seal     string // of redacted reasoning until text follows, or in a document the signature
	apart    string // of a call or a text, which goes in a block of its own
	held     bool   // a thought that began with its seal: redacted, unless text follows
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
	case llm.EvFinished:
		if !w.said.finished {
			w.said.finished, w.stop = true, ev.Stop
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

// fail ends a stream with an exception. A document is never written: its error is Close's.
func (w *writer) fail(dst []byte, e *llm.Error) []byte {
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	w.failed = e
	if !w.stream {
		return dst
	}
	h := awsevents.AppendString(nil, ":exception-type", fault.Member(e.Code))
	h = awsevents.AppendString(h, ":content-type", "application/json")
	h = awsevents.AppendString(h, ":message-type", "exception")
	dst, at := awsevents.Open(dst, h)
	return awsevents.Close(fault.Append(dst, e), at)
}

// Close writes the end of the answer: what is left of the blocks, how it stopped, and all usage.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.closed {
		return dst, nil
	}
	switch {
	case w.failed != nil:
	case w.count && !w.usage.Input.Known:
		dst = w.fail(dst, &llm.Error{Code: llm.CodeUpstream, Op: name + ".answer", Message: "the provider did not say how many tokens there are"})
	case !w.said.finished && !w.count:
		dst = w.fail(dst, &llm.Error{Code: llm.CodeReset, Op: name + ".answer", Message: ended})
	}
	w.closed = true
	switch {
	case w.failed != nil && w.stream:
		return dst, nil
	case w.failed != nil:
		return dst, w.failed
	case w.count:
		dst = append(dst, `{"inputTokens":`...)
		return append(strconv.AppendInt(dst, w.usage.Input.N, 10), '}'), nil
	case !w.stream:
		return w.document(dst), nil
	}
	dst = w.begin(dst)
	for i := range w.blocks {
		w.blocks[i].ended = true
	}
	dst = w.advance(dst)
	dst, at := awsevents.Open(dst, w.codec.heads.end)
	dst = awsevents.Close(append(w.ending(append(dst, '{')), '}'), at)
	dst, at = awsevents.Open(dst, w.codec.heads.metadata)
	dst = append(dst, `{"usage":`...)
	dst = append(appendUsage(dst, &w.usage), `,"metrics":`...)
	return awsevents.Close(append(w.metrics(dst), '}'), at), nil
}

func (w *writer) metrics(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"latencyMs":`...), w.codec.now().Sub(w.began).Milliseconds(), 10)
	return append(dst, '}')
}

// begin writes messageStart once, with the first content.
func (w *writer) begin(dst []byte) []byte {
	if w.begun || !w.stream {
		return dst
	}
	w.begun = true
	return awsevents.Append(dst, w.codec.heads.start, []byte(`{"role":"assistant"}`))
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
		b.seal, b.held = ev.Seal, ev.Seal != ""
	case llm.PartCall:
		w.said.calls = true
		if b.id == "" {
			b.id = "tooluse_" + w.codec.mint()
		}
	default:
		return dst
	}
	w.blocks = append(w.blocks, b)
	if p := &w.blocks[len(w.blocks)-1]; w.stream && p.part == llm.PartCall { // text and reasoning have no start
		to := w.to(&dst, p)
		var at int
		*to, at = awsevents.Open(*to, w.codec.heads.block)
		*to = append(w.index(*to, p), `,"start":{"toolUse":{`...)
		*to = jsonx.AppendText(*to, "toolUseId", p.id)
		*to = append(jsonx.AppendText(*to, "name", p.name), "}}}"...)
		*to = awsevents.Close(*to, at)
	}
	return dst
}

// to is where a block's frames go: to the client, or into the block while another one is open.
func (w *writer) to(dst *[]byte, b *outBlock) *[]byte {
	if b == &w.blocks[min(w.cur, len(w.blocks)-1)] {
		return dst
	}
	return &b.buf
}

// index begins a frame's payload with the block's number toward the client.
func (w *writer) index(dst []byte, b *outBlock) []byte {
	i := len(w.blocks) - 1
	for &w.blocks[i] != b {
		i--
	}
	return strconv.AppendInt(append(dst, `{"contentBlockIndex":`...), int64(i), 10)
}

// into takes a delta of a block.
func (w *writer) into(dst *[]byte, b *outBlock, ev *llm.Event) {
	if len(ev.Text) > 0 {
		w.said.refused = w.said.refused || b.part == llm.PartRefusal
		b.held, b.fed = false, true // it was not redacted after all: the seal is a signature
	}
	seal := ""
	if b.part != llm.PartThought && ev.Seal != "" {
		b.apart = ev.Seal
	}
	if b.part == llm.PartThought && ev.Seal != "" {
		seal, b.seal = ev.Seal, ev.Seal
		b.held, b.fed = false, true
	}
	if !w.stream {
		w.collect(b, ev)
		return
	}
	to := w.to(dst, b)
	if len(ev.Text) > 0 {
		w.delta(to, b, func(p []byte) []byte {
			switch b.part {
			case llm.PartThought:
				return append(jsonx.AppendQuote(append(p, `{"reasoningContent":{"text":`...), ev.Text), "}}"...)
			case llm.PartCall:
				return append(jsonx.AppendQuote(append(p, `{"toolUse":{"input":`...), ev.Text), "}}"...)
			}
			return append(jsonx.AppendQuote(append(p, `{"text":`...), ev.Text), '}')
		})
	}
	if seal != "" {
		w.delta(to, b, func(p []byte) []byte {
			return append(jsonx.AppendQuote(append(p, `{"reasoningContent":{"signature":`...), signature(seal)), "}}"...)
		})
	}
	if ev.Cite != nil && b.part == llm.PartText {
		w.delta(to, b, func(p []byte) []byte { return append(citation(append(p, `{"citation":`...), ev.Cite), '}') })
	}
}

// signature is a seal as a client of this dialect gets it.
func signature(seal string) string {
	s, _ := strings.CutPrefix(dialect.ShownSeal(name, seal), hiddenPrefix)
	return s
}

// delta writes a frame with a piece of a block.
func (w *writer) delta(to *[]byte, b *outBlock, fill func([]byte) []byte) {
	p, at := awsevents.Open(*to, w.codec.heads.delta)
	p = append(w.index(p, b), `,"delta":`...)
	*to = awsevents.Close(append(fill(p), '}'), at)
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
			w.delta(&dst, b, func(p []byte) []byte {
				return append(jsonx.AppendText(append(p, `{"reasoningContent":{`...), "redactedContent", redacted(b.seal)), "}}"...)
			})
		case b.fed:
		case b.part != llm.PartCall: // clients know a block of text by its first piece
			w.delta(&dst, b, func(p []byte) []byte { return append(p, `{"text":""}`...) })
		default:
			w.delta(&dst, b, func(p []byte) []byte { return append(p, `{"toolUse":{"input":"{}"}}`...) })
		}
		p, at := awsevents.Open(dst, w.codec.heads.stop)
		dst = awsevents.Close(append(w.index(p, b), '}'), at)
		if w.cur++; w.cur < len(w.blocks) {
			next := &w.blocks[w.cur]
			dst = append(dst, next.buf...)
			next.buf = nil
		}
	}
	return dst
}

// citation appends a citation in the dialect's form.
func citation(dst []byte, c *llm.Citation) []byte {
	if c.From == name && len(c.Raw) > 0 {
		return append(dst, c.Raw...)
	}
	dst = append(dst, '{')
	if c.Title != "" {
		dst = jsonx.AppendText(dst, "title", c.Title)
	}
	if c.Text != "" {
		dst = append(jsonx.AppendText(append(jsonx.AppendKey(dst, "sourceContent"), "[{"...), "text", c.Text), "}]"...)
	}
	if c.URL != "" {
		dst = append(jsonx.AppendText(append(jsonx.AppendKey(dst, "location"), `{"web":{`...), "url", c.URL), "}}"...)
	}
	return append(dst, '}')
}

// collect takes a delta of a document.
func (w *writer) collect(b *outBlock, ev *llm.Event) {
	if ev.Cite != nil {
		if len(b.cites) > 0 {
			b.cites = append(b.cites, ',')
		}
		b.cites = citation(b.cites, ev.Cite)
		return
	}
	b.buf = append(b.buf, ev.Text...)
}

// document writes the whole answer.
func (w *writer) document(dst []byte) []byte {
	dst = append(dst, `{"output":{"message":{"role":"assistant","content":[`...)
	for i := range w.blocks {
		dst = w.whole(dst, &w.blocks[i])
	}
	dst = append(dst, "]}},"...)
	dst = append(w.ending(dst), `,"usage":`...)
	dst = append(appendUsage(dst, &w.usage), `,"metrics":`...)
	return append(w.metrics(dst), '}')
}

func (w *writer) whole(dst []byte, b *outBlock) []byte {
	dst = append(jsonx.AppendComma(dst), '{')
	switch {
	case b.part == llm.PartCall:
		dst = append(dst, `"toolUse":{`...)
		dst = jsonx.AppendText(dst, "toolUseId", b.id)
		dst = jsonx.AppendText(dst, "name", b.name)
		dst = append(append(jsonx.AppendKey(dst, "input"), fit.Args(string(b.buf))...), '}')
	case b.held:
		dst = append(jsonx.AppendText(append(dst, `"reasoningContent":{`...), "redactedContent", redacted(b.seal)), '}')
	case b.part == llm.PartThought:
		dst = jsonx.AppendQuote(append(dst, `"reasoningContent":{"reasoningText":{"text":`...), b.buf)
		if b.seal != "" {
			dst = jsonx.AppendText(dst, "signature", signature(b.seal))
		}
		dst = append(dst, "}}"...)
	case len(b.cites) > 0:
		dst = jsonx.AppendQuote(append(dst, `"citationsContent":{"content":[{"text":`...), b.buf)
		dst = append(append(append(dst, `}],"citations":[`...), b.cites...), "]}"...)
	default:
		dst = jsonx.AppendQuote(append(dst, `"text":`...), b.buf)
	}
	return append(dst, '}')
}

// ending writes why the answer ended, as a member. The words are of the client's closed list.
func (w *writer) ending(dst []byte) []byte {
	reason := w.stop.Reason
	switch {
	case reason == llm.StopEnd && w.said.refused:
		reason = llm.StopFilter
	case reason == llm.StopEnd && w.said.calls:
		reason = llm.StopCalls
	}
	i := slices.IndexFunc(stops[:], func(s struct {
		word   string
		reason llm.StopReason
	}) bool {
		return s.reason == reason && s.word == w.stop.Native
	})
	if i < 0 {
		for i = 0; stops[i].reason != reason; i++ {
		}
	}
	dst = append(append(append(dst, `"stopReason":"`...), stops[i].word...), '"')
	if reason == llm.StopSequence && w.stop.Sequence != "" {
		dst = append(jsonx.AppendText(append(dst, `,"additionalModelResponseFields":{`...), "stop_sequence", w.stop.Sequence), '}')
	}
	return dst
}

// appendUsage writes usage in the service's counting, where what was cached is no part of the input. What is not known
// is 0: SDKs demand the members.
func appendUsage(dst []byte, u *llm.Usage) []byte {
	number := func(name string, n int64) { dst = strconv.AppendInt(jsonx.AppendKey(dst, name), n, 10) }
	dst = append(dst, '{')
	input := max(u.Input.N-u.Cached.N-u.CacheWrite.N, 0)
	number("inputTokens", input)
	number("outputTokens", u.Output.N)
	number("totalTokens", input+u.Cached.N+u.CacheWrite.N+u.Output.N)
	if u.Cached.Known {
		number("cacheReadInputTokens", u.Cached.N)
	}
	if u.CacheWrite.Known {
		number("cacheWriteInputTokens", u.CacheWrite.N)
	}
	if u.CacheWrite1h.Known {
		dst = append(jsonx.AppendKey(dst, "cacheDetails"), `[{"ttl":"1h","inputTokens":`...)
		dst = append(strconv.AppendInt(dst, u.CacheWrite1h.N, 10), "}]"...)
	}
	return append(dst, '}')
}
