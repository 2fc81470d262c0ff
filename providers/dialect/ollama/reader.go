package ollama

import (
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/wire/document"
	"github.com/signalbox-ai/signalbox/providers/wire/ndjson"
	"github.com/signalbox-ai/signalbox/providers/wire/vector"
)

const maxLine = 16 << 20

// NewReader makes a reader of one answer.
func (c *Codec) NewReader(req *llm.Request, stream bool) dialect.Reader {
	inputs := -1
	if req != nil && req.Embed() != nil {
		inputs = len(req.Embed().Inputs)
	}
	r := &reader{codec: c, stream: stream, lines: ndjson.Parser{Max: maxLine}}
	r.whole = document.New(name+".read", func(doc []byte, emit llm.Emit) error {
		if jsonx.Get(doc, "embeddings") != nil {
			return c.embeddings(doc, inputs, emit)
		}
		r.emit = emit
		if err := r.line(doc, false); err != nil || r.done {
			return err
		}
		return r.fail(endedEarly())
	})
	r.onLine = r.line
	return fit.Unwrap(req, r)
}

// reader reads one answer to a chat.
type reader struct {
	codec   *Codec
	stream  bool
	started bool
	done    bool // nothing more will be emitted
	called  bool // the model called tools
	lines   ndjson.Parser
	whole   *document.Reader
	onLine  func([]byte, bool) error
	emit    llm.Emit
	buf     []byte
	isOpen  bool
	open    llm.PartKind
	next    int // the next block's number
	ev      llm.Event
}

// Feed takes the next bytes.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	if r.done {
		return nil
	}
	r.emit = emit
	if !r.stream {
		return r.whole.Feed(chunk, eof, emit)
	}
	err := r.lines.Feed(chunk, eof, r.onLine)
	if err == ndjson.ErrTooLong { //nolint:errorlint // the parser returns it bare
		return r.fail(broken("The provider sent a line that is too long."))
	}
	if err != nil || !eof || r.done {
		return err
	}
	return r.fail(endedEarly())
}

func broken(message string) *llm.Error {
	return &llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: message}
}

func endedEarly() *llm.Error {
	return &llm.Error{Code: llm.CodeReset, Op: name + ".read", Message: "The provider's answer ended early."}
}

func (r *reader) send(ev llm.Event) error {
	r.ev = ev
	return r.emit(&r.ev)
}

func (r *reader) fail(e *llm.Error) error {
	if r.done {
		return nil
	}
	r.done = true
	return r.send(llm.Event{Kind: llm.EvFailed, Err: e})
}

// frame is a line's members, raw.
type frame struct {
	model, message, done, reason, fault, logprobs []byte
	prompt, output                                []byte // counts of tokens
}

func (f *frame) read(data []byte) {
	for k, v := range jsonx.Members(data) {
		switch string(k) {
		case "model":
			f.model = v
		case "message":
			f.message = v
		case "done":
			f.done = v
		case "done_reason":
			f.reason = v
		case "error":
			f.fault = v
		case "logprobs":
			f.logprobs = v
		case "prompt_eval_count":
			f.prompt = v
		case "eval_count":
			f.output = v
		}
	}
}

// line takes one line of a stream, or a whole answer.
func (r *reader) line(data []byte, partial bool) error {
	if r.done {
		return nil
	}
	if data[0] != '{' || data[len(data)-1] != '}' || partial && jsonx.Valid(data) != nil {
		if partial {
			return nil // cut in its middle: the end is judged by what was whole
		}
		return r.fail(r.codec.ReadError(0, nil, data))
	}
	var f frame
	f.read(data)
	if f.fault != nil || f.message == nil && f.done == nil {
		if f.fault == nil {
			return r.fail(broken("The provider's answer is not one of this API."))
		}
		return r.fail(r.codec.ReadError(0, nil, data))
	}
	if !r.started {
		r.started = true
		if err := r.send(llm.Event{Kind: llm.EvStarted, Name: string(member.Plain(f.model))}); err != nil {
			return err
		}
	}
	if err := r.message(&f); err != nil {
		return err
	}
	if done, _ := jsonx.Bool(f.done); !done {
		return nil
	}
	return r.end(&f)
}

// message takes what a line adds, in the order in which a model makes it.
func (r *reader) message(f *frame) error {
	var thinking, text, calls []byte
	for k, v := range jsonx.Members(f.message) {
		switch string(k) {
		case "thinking":
			thinking = v
		case "content":
			text = v
		case "tool_calls":
			calls = v
		}
	}
	if err := r.piece(llm.PartThought, thinking, nil); err != nil {
		return err
	}
	if err := r.piece(llm.PartText, text, readLogprobs(f.logprobs)); err != nil {
		return err
	}
	for _, c := range jsonx.Elements(calls) {
		if err := r.call(c); err != nil {
			return err
		}
	}
	return nil
}

// piece emits a piece of text of a kind, in the open block of that kind or a new one.
func (r *reader) piece(kind llm.PartKind, raw, logprobs []byte) error {
	r.buf, _ = jsonx.AppendString(r.buf[:0], raw)
	if len(r.buf) == 0 {
		return nil
	}
	if !r.isOpen || r.open != kind {
		if err := r.begin(kind, "", ""); err != nil {
			return err
		}
	}
	return r.send(llm.Event{Kind: llm.EvDelta, Index: r.next - 1, Part: kind, Text: r.buf, Logprobs: logprobs})
}

func (r *reader) begin(kind llm.PartKind, id, tool string) error {
	if err := r.shut(); err != nil {
		return err
	}
	r.isOpen, r.open = true, kind
	r.next++
	return r.send(llm.Event{Kind: llm.EvBlockStarted, Index: r.next - 1, Part: kind, ID: id, Name: tool})
}

func (r *reader) shut() error {
	if !r.isOpen {
		return nil
	}
	r.isOpen = false
	return r.send(llm.Event{Kind: llm.EvBlockEnded, Index: r.next - 1, Part: r.open})
}

// call emits a call, which comes whole. Its arguments are an object; the id may be missing.
func (r *reader) call(raw []byte) error {
	fn := jsonx.Get(raw, "function")
	tool, _ := jsonx.String(jsonx.Get(fn, "name"))
	if tool == "" {
		return nil
	}
	r.called = true
	id, _ := jsonx.String(jsonx.Get(raw, "id"))
	if id == "" {
		id = "call_" + r.codec.mint()
	}
	if err := r.begin(llm.PartCall, id, tool); err != nil {
		return err
	}
	args := jsonx.Get(fn, "arguments")
	switch jsonx.Kind(args) {
	case '"': // of servers that imitate it
		args, _ = jsonx.AppendString(nil, args)
	case '{':
		if b, err := jsonx.Compact(args); err == nil {
			args = b
		}
	default:
		args = nil
	}
	if len(args) > 0 {
		if err := r.send(llm.Event{Kind: llm.EvDelta, Index: r.next - 1, Part: llm.PartCall, Text: args}); err != nil {
			return err
		}
	}
	return r.shut()
}

// end takes the last line: counts, and why the model stopped. A prompt that was cached whole has no count.
func (r *reader) end(f *frame) error {
	if err := r.shut(); err != nil {
		return err
	}
	var u llm.Usage
	if n, ok := jsonx.Int(f.prompt); ok && n >= 0 {
		u.Input = llm.Tokens(n)
	}
	if n, ok := jsonx.Int(f.output); ok && n >= 0 {
		u.Output = llm.Tokens(n)
	}
	if u.Known() {
		if err := r.send(llm.Event{Kind: llm.EvUsage, Usage: u}); err != nil {
			return err
		}
	}
	var stop llm.Stop
	stop.Native, _ = jsonx.String(f.reason)
	switch {
	case stop.Native == "length":
		stop.Reason = llm.StopLength
	case r.called: // it says stop all the same
		stop.Reason = llm.StopCalls
	}
	r.done = true
	return r.send(llm.Event{Kind: llm.EvFinished, Stop: stop})
}

// readLogprobs returns log probabilities in openai-chat's shape; nil where there are none.
func readLogprobs(raw []byte) []byte {
	var b []byte
	for _, e := range jsonx.Elements(raw) {
		token, ok := jsonx.String(jsonx.Get(e, "token"))
		logprob, ok2 := jsonx.Float(jsonx.Get(e, "logprob"))
		if !ok || !ok2 {
			continue
		}
		if b == nil {
			b = []byte(`{"content":[`)
		}
		b = jsonx.AppendFloat(jsonx.AppendKey(jsonx.AppendText(append(jsonx.AppendComma(b), '{'), "token", token), "logprob"), logprob)
		b = append(b, `,"bytes":null,"top_logprobs":[`...)
		for _, t := range jsonx.Elements(jsonx.Get(e, "top_logprobs")) {
			s, ok := jsonx.String(jsonx.Get(t, "token"))
			f, ok2 := jsonx.Float(jsonx.Get(t, "logprob"))
			if ok && ok2 {
				b = jsonx.AppendFloat(jsonx.AppendKey(jsonx.AppendText(append(jsonx.AppendComma(b), '{'), "token", s), "logprob"), f)
				b = append(b, `,"bytes":null}`...)
			}
		}
		b = append(b, "]}"...)
	}
	if b == nil {
		return nil
	}
	return append(b, "]}"...)
}

// embeddings reads a whole answer of vectors. inputs is how many are due, -1 where that is not known.
func (c *Codec) embeddings(doc []byte, inputs int, emit llm.Emit) error {
	res := new(llm.Embeddings)
	for _, raw := range jsonx.Elements(jsonx.Get(doc, "embeddings")) {
		v, ok := vector.Read(raw)
		if !ok {
			return emit(&llm.Event{Kind: llm.EvFailed, Err: broken("The provider sent a vector that is not an array of numbers.")})
		}
		res.Vectors = append(res.Vectors, v)
	}
	if n := len(res.Vectors); n == 0 || inputs >= 0 && n != inputs {
		return emit(&llm.Event{Kind: llm.EvFailed, Err: broken("The provider did not send a vector for each input.")})
	}
	model, _ := jsonx.String(jsonx.Get(doc, "model"))
	events := []llm.Event{{Kind: llm.EvStarted, Name: model}, {Kind: llm.EvResult, Result: res}}
	if n, ok := jsonx.Int(jsonx.Get(doc, "prompt_eval_count")); ok && n >= 0 {
		events = append(events, llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(n), Output: llm.Tokens(0)}})
	}
	for _, ev := range append(events, llm.Event{Kind: llm.EvFinished}) {
		if err := emit(&ev); err != nil {
			return err
		}
	}
	return nil
}
