package anthropicmessages

import (
	"bytes"
	"errors"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

const (
	maxAnswer = 64 << 20 // bytes of an answer in one document
	maxFrame  = 8 << 20  // bytes of one event of a stream

	notJSON = "an event of the provider's answer is not JSON"
)

// NewReader makes a reader of one answer. What the answer is decides its first byte, whatever stream says:
// some proxies answer a request for a stream with a document, and the other way round.
func (c *Codec) NewReader(req *llm.Request, stream bool) dialect.Reader {
	r := &reader{stream: stream, sse: sse.Parser{Max: maxFrame}}
	r.onFrame = r.frame
	if req == nil || req.Chat() == nil {
		return r
	}
	chat := req.Chat()
	switch m := chat.Choice.Mode; {
	case chat.Output.Kind != llm.OutputSchema || chat.Output.Schema == nil:
	case m == llm.ChoiceOne || m == llm.ChoiceAny || m == llm.ChoiceSomeAny:
	default:
		r.trick = outputTool(chat)
	}
	if req.Extra.Dialect != name {
		for i := range chat.Tools {
			if n := chat.Tools[i].Name; wireName(n) != n {
				if r.names == nil {
					r.names = make(map[string]string)
				}
				r.names[wireName(n)] = n
			}
		}
	}
	return fit.Unwrap(req, r)
}

// reader reads one answer.
type reader struct {
	stream  bool
	begun   bool // the first byte was seen
	sse     sse.Parser
	onFrame func(*sse.Event) error
	doc     []byte            // of an answer in one document
	names   map[string]string // tools that were sent under another name
	trick   string            // the tool whose input is the answer's text
	state   answer
	emit    llm.Emit  // of the Feed under way
	ev      llm.Event // reused: an event is valid until Emit returns
	text    []byte    // reused for unescaped text
}

// answer is what is known of the answer so far.
type answer struct {
	started, done bool
	blocks        []inBlock
	chars         int // code points of text so far
	calls, trick  bool
	usage         usage
	stop          llm.Stop
}

// inBlock is a block of the answer.
type inBlock struct {
	src   int64 // its index upstream
	part  llm.PartKind
	open  bool
	fed   bool     // it had a delta with content
	input []byte   // a call's input from the block's start
	from  int      // code points of text before it
	cites [][]byte // raw
}

// Feed takes the next bytes.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	r.emit = emit
	defer func() { r.emit = nil }()
	if !r.begun {
		if chunk = bytes.TrimLeft(chunk, " \t\r\n"); len(chunk) > 0 {
			r.begun = true
			switch chunk[0] {
			case '{', '[', '<':
				r.stream = false
			case 'e', 'd', ':', 'i', 'r':
				r.stream = true
			}
		}
	}
	if r.state.done {
		return nil
	}
	if !r.stream {
		return r.document(chunk, eof)
	}
	err := r.sse.Feed(chunk, eof, r.onFrame)
	if errors.Is(err, sse.ErrTooLong) {
		err = r.fail(llm.CodeUpstream, "an event of the provider's answer is too large")
	}
	if err == nil && eof && !r.state.done {
		err = r.fail(llm.CodeReset, "the provider's answer ended before it was whole")
	}
	return err
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
			return r.fail(llm.CodeReset, "the provider's answer ended before it was whole")
		}
		return r.fail(llm.CodeUpstream, "the provider's answer is not JSON")
	}
	content := jsonx.Get(r.doc, "content")
	if kind := plain(jsonx.Get(r.doc, "type")); string(kind) == "error" || jsonx.Kind(content) != '[' {
		if jsonx.Get(r.doc, "error") != nil {
			return r.failure(r.doc)
		}
		if _, counted := jsonx.Int(jsonx.Get(r.doc, "input_tokens")); counted && content == nil {
			return r.counted()
		}
		return r.fail(llm.CodeUpstream, "the provider's answer is not a message")
	}
	if err := r.start(r.doc); err != nil {
		return err
	}
	for i, b := range jsonx.Elements(content) {
		if err := r.block(int64(i), b, b); err != nil {
			return err
		}
		if err := r.end(&r.state.blocks[len(r.state.blocks)-1]); err != nil {
			return err
		}
	}
	r.stopped(r.doc)
	return r.finish()
}

// counted reads a count of tokens.
func (r *reader) counted() error {
	if err := r.start(nil); err != nil {
		return err
	}
	if err := r.used(r.doc); err != nil {
		return err
	}
	return r.finish()
}

// send emits the event that was set up in r.ev.
func (r *reader) send() error { return r.emit(&r.ev) }

func (r *reader) fail(code llm.Code, message string) error {
	return r.failed(&llm.Error{Code: code, Op: name + ".answer", Message: message})
}

// failure reads an error object within an answer.
func (r *reader) failure(body []byte) error {
	e := readError(body)
	e.Op = name + ".answer"
	settle(e, 0)
	if e.Message == "" {
		e.Message = "the provider's answer ended in an error"
	}
	return r.failed(e)
}

func (r *reader) failed(e *llm.Error) error {
	r.state.done = true
	r.ev = llm.Event{Kind: llm.EvFailed, Err: e}
	return r.send()
}

// frame reads one event of a stream.
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
	case len(e.Data) == 0, e.Partial && jsonx.Valid(e.Data) != nil:
		return nil
	case string(e.Data) == "[DONE]": // as OpenAI-compatible proxies end every stream
		return nil
	}
	var f frame
	whole := f.read(e.Data)
	kind := f.kind
	if kind == nil {
		kind = e.Name
	}
	if string(kind) == "content_block_delta" && whole {
		return r.delta(&f)
	}
	if err := jsonx.Valid(e.Data); err != nil {
		return r.fail(llm.CodeUpstream, notJSON)
	}
	switch string(kind) {
	case "message_start":
		if r.state.started {
			return nil
		}
		return r.start(f.message)
	case "content_block_start":
		return r.block(f.index, f.block, e.Data)
	case "content_block_stop":
		if b := r.find(f.index); b != nil {
			return r.end(b)
		}
		return nil
	case "message_delta":
		r.stopped(f.delta)
		return r.used(f.usage)
	case "message_stop":
		return r.finish()
	case "ping":
		r.ev = llm.Event{Kind: llm.EvPing}
		return r.send()
	case "error":
		return r.failure(e.Data)
	}
	if f.fault != nil {
		return r.failure(e.Data)
	}
	return nil // a kind of event that came after this was written
}

// frame is an event's members, raw.
type frame struct {
	kind                                 []byte
	index                                int64
	message, block, delta, usage, fault  []byte
	deltaKind, text, seal, partial, cite []byte
	data                                 []byte
}

// read walks the event once, and its delta. It reports whether what a delta needs is there.
func (f *frame) read(data []byte) bool {
	f.data = data
	for n, v := range jsonx.Members(data) {
		switch string(n) {
		case "type":
			f.kind = plain(v)
		case "index":
			f.index, _ = jsonx.Int(v)
		case "message":
			f.message = v
		case "content_block":
			f.block = v
		case "delta":
			f.delta = v
		case "usage":
			f.usage = v
		case "error":
			f.fault = v
		}
	}
	for n, v := range jsonx.Members(f.delta) {
		switch string(n) {
		case "type":
			f.deltaKind = plain(v)
		case "text", "thinking":
			f.text = v
		case "signature":
			f.seal = v
		case "partial_json":
			f.partial = v
		case "citation":
			f.cite = v
		}
	}
	return f.deltaKind != nil
}
