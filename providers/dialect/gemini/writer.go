package gemini

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini/status"
)

// NewWriter makes a writer of one answer. Thoughts are written where the client asked to see them: one that did
// not would take them for text.
func (c *Codec) NewWriter(req *llm.Request, stream bool) dialect.Writer {
	w := &writer{codec: c, stream: stream, thoughts: true, op: llm.OpChat}
	if req == nil {
		return w
	}
	w.op, w.array, w.model = req.Op, req.Form == formArray, req.Model
	if chat := req.Chat(); chat != nil && req.Extra.Dialect == name {
		w.thoughts = chat.Thinking != nil && chat.Thinking.Display == thoughtsShown
	}
	if e := req.Embed(); e != nil {
		w.single = e.Single
	}
	return w
}

var _ dialect.Typed = (*writer)(nil)

// writer writes one answer. A stream has a piece for each delta of text; calls and the end come whole.
type writer struct {
	codec    *Codec
	op       llm.Op
	stream   bool
	array    bool // a stream is one JSON array
	thoughts bool // the client wants to see them
	single   bool // one vector was asked for, and no list
	id       string
	model    string
	begun    bool // a piece was written
	choices  []outChoice
	usage    llm.Usage
	result   *llm.Embeddings
	finished bool
	failed   *llm.Error
	closed   bool
}

// outChoice is one candidate.
type outChoice struct {
	number   int
	tail     []byte // of every piece, behind its parts
	blocks   []outBlock
	text     []byte // all of it: citations count in its bytes
	cites    []llm.Citation
	logprobs []byte // elements of logprobsResult, of a document
	finished bool
	refused  bool
	stop     llm.Stop
}

// outBlock is a block of an answer.
type outBlock struct {
	src      int // its index in the events
	part     llm.PartKind
	id, name string
	seal     string
	buf      []byte // text of a document, arguments, or a part as it stands
	ended    bool
}

// ContentType implements dialect.Typed.
func (w *writer) ContentType() string {
	if w.array {
		return "application/json; charset=UTF-8"
	}
	return "text/event-stream"
}

// Write takes the next event.
func (w *writer) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	if w.failed != nil || w.closed {
		return dst, nil
	}
	switch ev.Kind {
	case llm.EvFailed:
		return w.fail(dst, ev.Err), nil
	case llm.EvUsage:
		w.usage.Merge(ev.Usage)
		return dst, nil
	case llm.EvStarted:
		if w.id == "" {
			w.id = ev.ID
			if ev.Name != "" {
				w.model = ev.Name
			}
		}
		return dst, nil
	case llm.EvPing:
		return dst, nil
	case llm.EvResult:
		w.result, _ = ev.Result.(*llm.Embeddings)
		return dst, nil
	}
	c := w.choice(ev.Choice)
	if c.finished {
		return dst, nil
	}
	switch ev.Kind {
	case llm.EvBlockStarted:
		w.block(c, ev)
	case llm.EvDelta:
		if b := c.find(ev.Index); b != nil {
			dst = w.delta(dst, c, b, ev)
		}
	case llm.EvBlockEnded:
		if b := c.find(ev.Index); b != nil {
			dst = w.ended(dst, c, b)
		}
	case llm.EvFinished:
		c.finished, c.stop, w.finished = true, ev.Stop, true
		c.stop.Details = slices.Clone(ev.Stop.Details)
	}
	return dst, nil
}

func (w *writer) choice(number int) *outChoice {
	for i := range w.choices {
		if w.choices[i].number == number {
			return &w.choices[i]
		}
	}
	if w.id == "" {
		w.id = w.codec.mint()
	}
	c := outChoice{number: number}
	c.tail = strconv.AppendInt(append(c.tail, `,"index":`...), int64(number), 10)
	c.tail = append(c.tail, `}],"modelVersion":`...)
	c.tail = jsonx.AppendText(jsonx.AppendQuote(c.tail, w.model), "responseId", w.id)
	w.choices = append(w.choices, c)
	return &w.choices[len(w.choices)-1]
}

func (c *outChoice) find(src int) *outBlock {
	for i := len(c.blocks) - 1; i >= 0; i-- {
		if b := &c.blocks[i]; b.src == src && !b.ended {
			return b
		}
	}
	return nil
}

// block takes the start of a block. Blocks that the dialect has no word for are left out.
func (w *writer) block(c *outChoice, ev *llm.Event) {
	b := outBlock{src: ev.Index, part: ev.Part, id: ev.ID, name: ev.Name, seal: wireSeal(ev.Seal)}
	switch ev.Part {
	case llm.PartThought:
		if !w.thoughts {
			return
		}
	case llm.PartAudio: // in the form of another provider's
		return
	case llm.PartCall:
		if b.id == "" {
			b.id = "call_" + w.codec.mint()
		}
	case llm.PartNative:
		if ev.Name == "" || jsonx.Get(ev.Raw, ev.Name) == nil { // another dialect's
			return
		}
		b.buf = oneLine(ev.Raw)
	}
	c.blocks = append(c.blocks, b)
}

// wireSeal is a signature as clients of the dialect take it, which is as bytes in base64.
func wireSeal(seal string) string {
	if s := dialect.ShownSeal(name, seal); !dialect.ForeignSeal(name, s) {
		return s
	}
	return base64.StdEncoding.EncodeToString([]byte(seal))
}

// oneLine returns a copy of what an upstream wrote, without the line ends that would end a frame's data.
func oneLine(value []byte) []byte {
	if bytes.ContainsAny(value, "\r\n") {
		if c, err := jsonx.Compact(value); err == nil {
			return c
		}
	}
	return slices.Clone(value)
}

func (w *writer) delta(dst []byte, c *outChoice, b *outBlock, ev *llm.Event) []byte {
	if ev.Cite != nil {
		cite := *ev.Cite
		cite.Raw = nil
		c.cites = append(c.cites, cite)
	}
	c.refused = c.refused || b.part == llm.PartRefusal && len(ev.Text) > 0
	switch b.part {
	case llm.PartCall:
		b.buf = append(b.buf, ev.Text...)
		if ev.Seal != "" {
			b.seal = wireSeal(ev.Seal)
		}
		return dst
	case llm.PartImage:
		return w.image(dst, c, b, ev.Raw)
	case llm.PartNative:
		return dst
	case llm.PartText, llm.PartRefusal:
		c.text = append(c.text, ev.Text...)
	}
	seal := wireSeal(ev.Seal)
	if !w.stream {
		b.buf = append(b.buf, ev.Text...)
		if seal != "" {
			b.seal = seal
		}
		if ev.Logprobs != nil {
			c.logprobs = append(c.logprobs, ev.Logprobs...)
			c.logprobs = append(c.logprobs, '\n')
		}
		return dst
	}
	if len(ev.Text) == 0 && seal == "" && ev.Logprobs == nil {
		return dst
	}
	dst = append(w.open(dst), `{"text":`...)
	dst = jsonx.AppendQuote(dst, ev.Text)
	if b.part == llm.PartThought {
		dst = append(dst, `,"thought":true`...)
	}
	if seal != "" {
		dst = jsonx.AppendText(dst, "thoughtSignature", seal)
	}
	return w.shut(append(dst, '}'), c, ev.Logprobs)
}

// open begins a piece, up to its first part.
func (w *writer) open(dst []byte) []byte {
	dst = w.frame(dst)
	return append(dst, `{"candidates":[{"content":{"parts":[`...)
}

// frame begins a piece.
func (w *writer) frame(dst []byte) []byte {
	begun := w.begun
	w.begun = true
	switch {
	case !w.array:
		return append(dst, "data: "...)
	case begun:
		return append(dst, ",\r\n"...)
	}
	return append(dst, '[')
}

// shut ends a piece behind its parts.
func (w *writer) shut(dst []byte, c *outChoice, logprobs []byte) []byte {
	dst = append(dst, `],"role":"model"}`...)
	if logprobs != nil {
		dst = appendLogprobs(dst, logprobs)
	}
	return w.end(append(append(dst, c.tail...), '}'))
}

func (w *writer) end(dst []byte) []byte {
	if w.array {
		return dst
	}
	return append(dst, "\r\n\r\n"...)
}

// image takes a picture in openai-chat's shape.
func (w *writer) image(dst []byte, c *outChoice, b *outBlock, shape []byte) []byte {
	link, _ := jsonx.String(jsonx.At(shape, "image_url", "url"))
	head, data, ok := strings.Cut(strings.TrimPrefix(link, "data:"), ";base64,")
	if !ok {
		return dst
	}
	part := jsonx.AppendText([]byte(`{"inlineData":{`), "mimeType", head)
	part = append(jsonx.AppendText(part, "data", data), "}}"...)
	if !w.stream {
		b.buf = append(jsonx.AppendComma(b.buf), part...)
		return dst
	}
	return w.shut(append(w.open(dst), part...), c, nil)
}

// ended writes what comes whole.
func (w *writer) ended(dst []byte, c *outChoice, b *outBlock) []byte {
	b.ended = true
	if !w.stream {
		return dst
	}
	switch {
	case b.part == llm.PartCall, b.part == llm.PartNative:
		dst = appendPart(w.open(dst), b)
	case b.part == llm.PartThought && b.seal != "" && len(b.buf) == 0: // it began with its signature: redacted
		dst = append(w.open(dst), `{"text":"","thought":true`...)
		dst = append(jsonx.AppendText(dst, "thoughtSignature", b.seal), '}')
	default:
		return dst
	}
	return w.shut(dst, c, nil)
}

// appendPart appends a part that is whole, or nothing where a block holds nothing.
func appendPart(dst []byte, b *outBlock) []byte {
	switch b.part {
	case llm.PartNative, llm.PartImage:
		if len(b.buf) == 0 {
			return dst
		}
		return append(jsonx.AppendComma(dst), b.buf...)
	case llm.PartCall:
		dst = append(jsonx.AppendComma(dst), `{"functionCall":{`...)
		dst = jsonx.AppendText(dst, "id", b.id)
		dst = jsonx.AppendText(dst, "name", b.name)
		dst = append(raw(dst, "args", oneLine(fit.Args(string(b.buf)))), '}')
	default:
		if len(b.buf) == 0 && b.seal == "" {
			return dst
		}
		dst = jsonx.AppendQuote(append(jsonx.AppendComma(dst), `{"text":`...), b.buf)
		if b.part == llm.PartThought {
			dst = append(dst, `,"thought":true`...)
		}
	}
	if b.seal != "" {
		dst = jsonx.AppendText(dst, "thoughtSignature", b.seal)
	}
	return append(dst, '}')
}

// fail ends a stream with the error. A document is never written: its error is Close's.
func (w *writer) fail(dst []byte, e *llm.Error) []byte {
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	w.failed = e
	if !w.stream {
		return dst
	}
	dst = w.end(status.Append(w.frame(dst), e, ""))
	if w.array {
		dst = append(dst, ']')
	}
	return dst
}
