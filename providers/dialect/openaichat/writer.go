package openaichat

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
)

// NewWriter makes a writer of one answer.
func (c *Codec) NewWriter(req *llm.Request, stream bool) dialect.Writer {
	w := &writer{codec: c, stream: stream}
	if req != nil {
		w.chat, w.usage, w.model = req.Chat(), req.Usage, req.Model
		w.functions = usesFunctions(w.chat)
	}
	return w
}

// writer writes one answer: chunk by chunk, or as one document at the end.
type writer struct {
	codec     *Codec
	stream    bool
	usage     bool // the client wants usage in its stream
	functions bool // the request used the form before tools
	started   bool
	chat      *llm.Chat
	id, model string
	created   int64
	head      []byte // of every chunk, up to the number of its choice
	choices   []outChoice
	total     llm.Usage
	failed    *llm.Error
}

// outChoice is one answer of several.
type outChoice struct {
	number   int
	role     bool // its first chunk is out
	content  bool // something that a client would miss was written
	finished bool
	calls    int
	stop     llm.Stop
	blocks   []outBlock
	doc      document
}

// outBlock is one block of an answer.
type outBlock struct {
	index  int
	part   llm.PartKind
	tool   int // the call's number among the calls
	custom bool
	args   bool   // some of the call's arguments are out
	seal   string // of a thought, which goes out with its whole text
	text   []byte // of a thought
}

// Write appends what the client may see so far.
func (w *writer) Write(dst []byte, ev *llm.Event) ([]byte, error) {
	if w.failed != nil {
		return dst, nil
	}
	switch ev.Kind {
	case llm.EvPing:
		return dst, nil
	case llm.EvUsage:
		w.total.Merge(ev.Usage)
		return dst, nil
	case llm.EvFailed:
		return w.fail(dst, ev.Err), nil
	}
	w.start(ev)
	c := w.choice(ev.Choice)
	if c.finished {
		return dst, nil
	}
	if w.stream && !c.role {
		dst = append(w.open(dst, c), `"role":"assistant","content":""`...)
		dst = shut(dst)
		c.role = true
	}
	c.content = c.content || ev.Content()
	switch ev.Kind {
	case llm.EvBlockStarted:
		dst = w.block(dst, c, ev)
	case llm.EvDelta:
		dst = w.delta(dst, c, ev)
	case llm.EvBlockEnded:
		dst = w.ended(dst, c, ev)
	case llm.EvFinished:
		dst = w.finish(dst, c, ev)
	}
	return dst, nil
}

// start settles what every chunk repeats.
func (w *writer) start(ev *llm.Event) {
	if w.started {
		return
	}
	w.started, w.created = true, w.codec.now().Unix()
	if ev.Kind == llm.EvStarted {
		w.id = ev.ID
		if ev.Name != "" {
			w.model = ev.Name
		}
	}
	if w.id == "" {
		w.id = "chatcmpl-" + w.codec.mint()
	}
	if w.stream {
		w.head = append(w.envelope([]byte("data: "), "chat.completion.chunk"), `,"choices":[{"index":`...)
	}
}

// envelope begins a chunk or a document.
func (w *writer) envelope(dst []byte, object string) []byte {
	dst = append(dst, '{')
	dst = jsonx.AppendText(dst, "id", w.id)
	dst = jsonx.AppendText(dst, "object", object)
	dst = strconv.AppendInt(jsonx.AppendKey(dst, "created"), w.created, 10)
	return jsonx.AppendText(dst, "model", w.model)
}

func (w *writer) choice(number int) *outChoice {
	for i := range w.choices {
		if w.choices[i].number == number {
			return &w.choices[i]
		}
	}
	w.choices = append(w.choices, outChoice{number: number})
	return &w.choices[len(w.choices)-1]
}

func (c *outChoice) block(index int) *outBlock {
	for i := len(c.blocks) - 1; i >= 0; i-- {
		if c.blocks[i].index == index {
			return &c.blocks[i]
		}
	}
	return nil
}

// open begins a chunk with a delta.
func (w *writer) open(dst []byte, c *outChoice) []byte {
	dst = append(dst, w.head...)
	dst = strconv.AppendInt(dst, int64(c.number), 10)
	return append(dst, `,"delta":{`...)
}

// shut ends a chunk that does not finish its choice.
func shut(dst []byte) []byte { return append(dst, "},\"finish_reason\":null}]}\n\n"...) }

func (w *writer) block(dst []byte, c *outChoice, ev *llm.Event) []byte {
	b := outBlock{index: ev.Index, part: ev.Part, seal: ev.Seal}
	if ev.Part != llm.PartCall {
		c.blocks = append(c.blocks, b)
		if ev.Part == llm.PartText && ev.Seal != "" {
			dst = w.seal(dst, c, &b, ev.Seal)
		}
		return dst
	}
	b.tool = c.calls
	c.calls++
	b.custom = w.customTool(ev.Name)
	id := ev.ID
	if id == "" {
		id = "call_" + w.codec.mint()
	}
	c.blocks = append(c.blocks, b)
	if !w.stream {
		c.doc.call(docCall{id: id, name: ev.Name, seal: ev.Seal, custom: b.custom})
		return dst
	}
	if w.functions {
		if b.tool > 0 {
			return dst // the form before tools has room for one call
		}
		dst = append(w.open(dst, c), `"function_call":{`...)
		dst = append(jsonx.AppendText(dst, "name", ev.Name), `,"arguments":""}`...)
		return shut(dst)
	}
	dst = append(w.open(dst, c), `"tool_calls":[{"index":`...)
	dst = jsonx.AppendText(strconv.AppendInt(dst, int64(b.tool), 10), "id", id)
	if b.custom {
		dst = append(dst, `,"type":"custom","custom":{`...)
		dst = append(jsonx.AppendText(dst, "name", ev.Name), `,"input":""}`...)
	} else {
		dst = append(dst, `,"type":"function","function":{`...)
		dst = append(jsonx.AppendText(dst, "name", ev.Name), `,"arguments":""}`...)
	}
	if ev.Seal != "" {
		dst = googleSeal(dst, ev.Seal)
	}
	return shut(append(dst, "}]"...))
}

// customTool reports whether a tool takes free text.
func (w *writer) customTool(n string) bool {
	if w.chat != nil {
		for i := range w.chat.Tools {
			if t := &w.chat.Tools[i]; t.Native == llm.FreeText && t.Name == n {
				return true
			}
		}
	}
	return false
}

func googleSeal(dst []byte, seal string) []byte {
	dst = append(jsonx.AppendKey(dst, "extra_content"), `{"google":{`...)
	return append(jsonx.AppendText(dst, "thought_signature", dialect.ShownSeal(sealGoogle, seal)), "}}"...)
}

func (w *writer) delta(dst []byte, c *outChoice, ev *llm.Event) []byte {
	b := c.block(ev.Index)
	if b == nil {
		return dst // of a block that never began
	}
	if b.part == llm.PartThought {
		b.text = append(b.text, ev.Text...)
	}
	if ev.Seal != "" {
		dst = w.seal(dst, c, b, ev.Seal)
	}
	if !w.stream {
		c.doc.delta(b, ev)
		return dst
	}
	if ev.Cite != nil {
		if a := appendCitation(nil, ev.Cite); a != nil {
			dst = append(w.open(dst, c), `"annotations":[`...)
			dst = shut(append(append(dst, a...), ']'))
		}
	}
	if len(ev.Text) == 0 && ev.Logprobs == nil && ev.Raw == nil {
		return dst
	}
	switch b.part {
	case llm.PartText:
		return w.piece(dst, c, `"content":`, ev)
	case llm.PartThought:
		return w.piece(dst, c, `"reasoning_content":`, ev)
	case llm.PartRefusal:
		return w.piece(dst, c, `"refusal":`, ev)
	case llm.PartAudio:
		if ev.Raw != nil {
			dst = append(append(w.open(dst, c), `"audio":`...), flat(ev.Raw)...)
			dst = shut(dst)
		}
		return dst
	case llm.PartImage:
		if ev.Raw != nil {
			dst = append(append(w.open(dst, c), `"images":[`...), flat(ev.Raw)...)
			dst = shut(append(dst, ']'))
		}
		return dst
	case llm.PartCall:
		return w.args(dst, c, b, ev.Text)
	}
	return dst
}

// piece appends a chunk with a piece of text.
func (w *writer) piece(dst []byte, c *outChoice, member string, ev *llm.Event) []byte {
	dst = append(w.open(dst, c), member...)
	dst = jsonx.AppendQuote(dst, ev.Text)
	if ev.Logprobs == nil {
		return shut(dst)
	}
	dst = append(append(dst, `},"logprobs":`...), flat(ev.Logprobs)...)
	return append(dst, ",\"finish_reason\":null}]}\n\n"...)
}

func (w *writer) args(dst []byte, c *outChoice, b *outBlock, args []byte) []byte {
	if len(args) == 0 {
		return dst
	}
	b.args = true
	if w.functions {
		if b.tool > 0 {
			return dst
		}
		dst = append(w.open(dst, c), `"function_call":{"arguments":`...)
		return shut(append(jsonx.AppendQuote(dst, args), '}'))
	}
	dst = append(w.open(dst, c), `"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(b.tool), 10)
	if b.custom {
		dst = append(dst, `,"custom":{"input":`...)
	} else {
		dst = append(dst, `,"function":{"arguments":`...)
	}
	return shut(append(jsonx.AppendQuote(dst, args), "}}]"...))
}

// seal takes note of a signature, or lets it out where it can stand alone.
func (w *writer) seal(dst []byte, c *outChoice, b *outBlock, seal string) []byte {
	switch {
	case b.part == llm.PartThought:
		b.seal = seal
	case b.part == llm.PartCall && !w.stream:
		c.doc.calls[b.tool].seal = seal
	case b.part == llm.PartText && !w.stream:
		c.doc.seal = seal
	case b.part == llm.PartCall && !w.functions:
		dst = append(w.open(dst, c), `"tool_calls":[{"index":`...)
		dst = strconv.AppendInt(dst, int64(b.tool), 10)
		dst = append(dst, `,"function":{"arguments":""}`...)
		dst = shut(append(googleSeal(dst, seal), "}]"...))
	case b.part == llm.PartText:
		dst = shut(googleSeal(append(w.open(dst, c), `"content":""`...), seal))
	}
	return dst
}

func (w *writer) ended(dst []byte, c *outChoice, ev *llm.Event) []byte {
	b := c.block(ev.Index)
	switch {
	case b == nil:
	case b.part == llm.PartThought && b.seal != "":
		if !w.stream {
			c.doc.thoughts = appendThought(jsonx.AppendComma(c.doc.thoughts), b)
			return dst
		}
		dst = appendThought(append(w.open(dst, c), `"thinking_blocks":[`...), b)
		return shut(append(dst, ']'))
	case b.part == llm.PartCall && !b.args && !b.custom && w.stream:
		return w.args(dst, c, b, []byte("{}"))
	}
	return dst
}

// appendThought appends a thought with its signature, in the vendor's own shape.
func appendThought(dst []byte, b *outBlock) []byte {
	if len(b.text) == 0 {
		dst = append(dst, `{"type":"redacted_thinking"`...)
		dst = jsonx.AppendText(dst, "data", dialect.ShownSeal(sealAnthropic, b.seal))
		return append(dst, '}')
	}
	dst = append(dst, `{"type":"thinking","thinking":`...)
	dst = jsonx.AppendQuote(dst, b.text)
	return append(jsonx.AppendText(dst, "signature", dialect.ShownSeal(sealAnthropic, b.seal)), '}')
}

// finish writes the chunk that ends a choice.
func (w *writer) finish(dst []byte, c *outChoice, ev *llm.Event) []byte {
	c.finished, c.stop = true, ev.Stop
	c.stop.Details = nil
	if ev.Stop.Reason == llm.StopFault && !c.content {
		return w.fail(dst, &llm.Error{
			Code: llm.CodeUpstream, Op: name + ".write", Message: "The provider says that its output is broken: " + ev.Stop.Native,
		})
	}
	if !w.stream {
		return dst
	}
	dst = append(append(w.open(dst, c), `},"finish_reason":`...), '"')
	dst = append(append(dst, w.reason(c)...), '"')
	dst = appendStop(dst, &c.stop)
	return append(dst, "}]}\n\n"...)
}

// reason is the finish_reason of a choice, of the values that every client knows.
func (w *writer) reason(c *outChoice) string {
	switch c.stop.Reason {
	case llm.StopLength:
		return "length"
	case llm.StopFilter:
		return "content_filter"
	case llm.StopCalls, llm.StopEnd:
		switch {
		case c.calls == 0:
		case w.functions:
			return "function_call"
		default:
			return "tool_calls"
		}
	}
	return "stop"
}

// appendStop keeps what finish_reason has no word for in members that other gateways and servers use too.
func appendStop(dst []byte, s *llm.Stop) []byte {
	switch {
	case s.Reason == llm.StopSequence && s.Sequence != "":
		return jsonx.AppendText(dst, "stop_reason", s.Sequence)
	case (s.Reason == llm.StopFault || s.Reason == llm.StopPause) && s.Native != "":
		return jsonx.AppendText(dst, "native_finish_reason", s.Native)
	}
	return dst
}

// fail ends the answer: a stream gets an error and no more.
func (w *writer) fail(dst []byte, e *llm.Error) []byte {
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	w.failed = e
	if !w.stream {
		return dst
	}
	return append(fault.Append(append(dst, "data: "...), e), "\n\n"...)
}

// whole reports whether every choice that began has ended.
func (w *writer) whole() bool {
	for i := range w.choices {
		if !w.choices[i].finished {
			return false
		}
	}
	return len(w.choices) > 0
}

// Close appends the rest: usage and the end of a stream, or the whole document.
func (w *writer) Close(dst []byte) ([]byte, error) {
	if w.failed == nil && !w.whole() {
		dst = w.fail(dst, endedEarly())
	}
	switch {
	case w.failed != nil && w.stream:
		return dst, nil
	case w.failed != nil:
		return dst, w.failed
	case !w.stream:
		return w.document(dst), nil
	}
	if w.usage && w.total.Known() {
		dst = append(w.envelope(append(dst, "data: "...), "chat.completion.chunk"), `,"choices":[],"usage":`...)
		dst = append(usage.Append(dst, &w.total), "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...), nil
}

func endedEarly() *llm.Error {
	return &llm.Error{Code: llm.CodeReset, Op: name + ".read", Message: "The provider's answer ended early."}
}
