package bedrockconverse

import (
	"bytes"
	"errors"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse/fault"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

const (
	maxAnswer = 64 << 20 // bytes of an answer in one document

	notJSON = "an event of the provider's answer is not JSON"
	ended   = "the provider's answer ended before it was whole"
)

// NewReader makes a reader of one answer. What the answer is decides its first byte, whatever stream says: an answer
// to a request for a stream may be a document.
func (c *Codec) NewReader(req *llm.Request, _ bool) dialect.Reader {
	r := &reader{}
	r.onFrame = r.frame
	if req == nil || req.Chat() == nil {
		return r
	}
	r.model, r.count = req.Model, req.Op == llm.OpCount
	chat, own := req.Chat(), req.Extra.Dialect == name
	switch m := chat.Choice.Mode; {
	case own, chat.Output.Kind != llm.OutputSchema, chat.Output.Schema == nil:
	case m == llm.ChoiceOne, m == llm.ChoiceAny, m == llm.ChoiceSomeAny:
	default:
		r.trick = outputTool(chat)
	}
	if !own {
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
	begun, framed bool // the first byte was seen; it begins a frame
	frames        awsevents.Parser
	onFrame       func(*awsevents.Message) error
	doc           []byte // of an answer in one document
	model         string
	count         bool              // the answer is a count of tokens
	names         map[string]string // tools that were sent under another name
	trick         string            // the tool whose input is the answer's text
	state         answer
	emit          llm.Emit  // of the Feed under way
	ev            llm.Event // reused: an event is valid until Emit returns
	text          []byte    // reused for unescaped text
}

// answer is what is known of the answer so far.
type answer struct {
	started, done, failed bool // done: Finished or Failed was emitted
	blocks                []inBlock
	chars                 int // code points of text so far
	calls, trick          bool
}

// inBlock is a block of the answer.
type inBlock struct {
	src   int64 // its index upstream
	part  llm.PartKind
	open  bool
	fed   bool     // it had a delta with content
	from  int      // code points of text before it
	cites [][]byte // raw
}

// Feed takes the next bytes.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	r.emit = emit
	defer func() { r.emit = nil }()
	if !r.begun && len(chunk) > 0 {
		r.begun, r.framed = true, chunk[0] == 0 // a frame begins with its length, of which the first byte is 0
	}
	if !r.framed {
		if r.state.done {
			return nil
		}
		return r.document(chunk, eof)
	}
	err := r.frames.Feed(chunk, eof, r.onFrame)
	switch {
	case err == nil, r.state.done && isFraming(err):
		err = nil
	case errors.Is(err, awsevents.ErrCut):
		err = r.fail(llm.CodeReset, ended)
	case isFraming(err):
		err = r.fail(llm.CodeUpstream, "the provider's stream cannot be read: "+err.Error())
	}
	if err == nil && eof && !r.state.done {
		err = r.fail(llm.CodeReset, ended)
	}
	return err
}

func isFraming(err error) bool {
	for _, e := range [...]error{awsevents.ErrPrelude, awsevents.ErrChecksum, awsevents.ErrLength, awsevents.ErrTooLong, awsevents.ErrHeaders, awsevents.ErrCut} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// send emits the event that was set up in r.ev.
func (r *reader) send() error { return r.emit(&r.ev) }

func (r *reader) fail(code llm.Code, message string) error {
	return r.failed(&llm.Error{Code: code, Op: name + ".answer", Message: message})
}

func (r *reader) failed(e *llm.Error) error {
	r.state.done, r.state.failed = true, true
	r.ev = llm.Event{Kind: llm.EvFailed, Err: e}
	return r.send()
}

func (r *reader) document(chunk []byte, eof bool) error {
	if len(r.doc)+len(chunk) > maxAnswer {
		return r.fail(llm.CodeUpstream, "the provider's answer is too large")
	}
	r.doc = append(r.doc, chunk...)
	if !eof {
		return nil
	}
	doc := bytes.TrimSpace(r.doc)
	if jsonx.Valid(doc) != nil {
		if len(doc) == 0 || jsonx.Kind(doc) == '{' {
			return r.fail(llm.CodeReset, ended)
		}
		return r.fail(llm.CodeUpstream, "the provider's answer is not JSON")
	}
	if n, ok := jsonx.Int(jsonx.Get(doc, "inputTokens")); ok && (r.count || jsonx.Get(doc, "output") == nil) {
		return r.counted(n)
	}
	message := jsonx.At(doc, "output", "message")
	content := jsonx.Get(message, "content")
	if jsonx.Kind(content) != '[' || r.count {
		if jsonx.Get(doc, "message") != nil || jsonx.Get(doc, "__type") != nil {
			return r.failed(fault.Read(0, nil, doc))
		}
		return r.fail(llm.CodeUpstream, "the provider's answer is not a message")
	}
	if err := r.start(); err != nil {
		return err
	}
	for i, b := range jsonx.Elements(content) {
		if err := r.whole(int64(i), b); err != nil {
			return err
		}
	}
	if err := r.used(doc); err != nil {
		return err
	}
	return r.finish(doc)
}

// counted emits a count of tokens.
func (r *reader) counted(n int64) error {
	r.state.done = true
	r.ev = llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(n)}}
	if err := r.send(); err != nil {
		return err
	}
	r.ev = llm.Event{Kind: llm.EvFinished}
	return r.send()
}

// frame reads one frame of a stream. Only usage comes behind the end.
func (r *reader) frame(m *awsevents.Message) error {
	var kind, message, exception, code, words []byte
	for n, v := range m.Headers() {
		switch string(n) {
		case ":event-type":
			kind = v.Raw
		case ":message-type":
			message = v.Raw
		case ":exception-type":
			exception = v.Raw
		case ":error-code":
			code = v.Raw
		case ":error-message":
			words = v.Raw
		}
	}
	if r.state.done {
		if string(kind) == "metadata" && !r.state.failed && jsonx.Valid(m.Payload) == nil {
			return r.used(m.Payload)
		}
		return nil
	}
	switch string(message) {
	case "exception":
		return r.failed(fault.Exception(string(exception), m.Payload))
	case "error":
		return r.failed(fault.Exception(string(code), words))
	}
	switch string(kind) {
	case "contentBlockDelta":
		return r.delta(m.Payload)
	case "messageStart", "contentBlockStart", "contentBlockStop", "messageStop", "metadata":
	default:
		return nil // a kind of event that came after this was written
	}
	if jsonx.Valid(m.Payload) != nil {
		return r.fail(llm.CodeUpstream, notJSON)
	}
	if string(kind) == "messageStart" || !r.state.started {
		if err := r.start(); err != nil {
			return err
		}
	}
	src, _ := jsonx.Int(jsonx.Get(m.Payload, "contentBlockIndex"))
	switch string(kind) {
	case "contentBlockStart":
		return r.blockStart(src, jsonx.Get(m.Payload, "start"))
	case "contentBlockStop":
		if b := r.find(src); b != nil {
			return r.end(b)
		}
	case "messageStop":
		return r.finish(m.Payload)
	case "metadata":
		return r.used(m.Payload)
	}
	return nil
}

// start emits what an answer begins with, once.
func (r *reader) start() error {
	if r.state.started {
		return nil
	}
	r.state.started = true
	r.ev = llm.Event{Kind: llm.EvStarted, Name: r.model}
	return r.send()
}

// finish emits the end of the answer. obj has stopReason.
func (r *reader) finish(obj []byte) error {
	for i := range r.state.blocks {
		if b := &r.state.blocks[i]; b.open {
			if err := r.end(b); err != nil {
				return err
			}
		}
	}
	r.state.done = true
	var stop llm.Stop
	stop.Native, _ = jsonx.String(jsonx.Get(obj, "stopReason"))
	stop.Reason = stopOf(stop.Native)
	stop.Sequence, _ = jsonx.String(jsonx.At(obj, "additionalModelResponseFields", "stop_sequence"))
	switch {
	case stop.Reason == llm.StopEnd && r.state.calls: // as some models say
		stop.Reason = llm.StopCalls
	case stop.Reason == llm.StopCalls && r.state.trick && !r.state.calls:
		stop.Reason = llm.StopEnd
	}
	r.ev = llm.Event{Kind: llm.EvFinished, Stop: stop}
	return r.send()
}

// stops are the service's stop reasons. The first of a reason is the one that we write for it.
var stops = [...]struct {
	word   string
	reason llm.StopReason
}{
	{"end_turn", llm.StopEnd},
	{"max_tokens", llm.StopLength},
	{"model_context_window_exceeded", llm.StopLength},
	{"tool_use", llm.StopCalls},
	{"content_filtered", llm.StopFilter},
	{"guardrail_intervened", llm.StopFilter},
	{"stop_sequence", llm.StopSequence},
	{"malformed_model_output", llm.StopFault},
	{"malformed_tool_use", llm.StopFault},
	{"end_turn", llm.StopPause}, // SDKs know no word for it
}

func stopOf(word string) llm.StopReason {
	for _, s := range stops {
		if s.word == word {
			return s.reason
		}
	}
	return llm.StopEnd
}

// used emits usage. What was read from or written to a cache is no part of inputTokens, and some names are doubled.
func (r *reader) used(doc []byte) error {
	raw := jsonx.Get(doc, "usage")
	if jsonx.Kind(raw) != '{' {
		return nil
	}
	var u llm.Usage
	var input llm.Count
	count := func(c *llm.Count, v []byte) {
		if n, ok := jsonx.Int(v); ok && n >= 0 {
			*c = llm.Tokens(n)
		}
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "inputTokens":
			count(&input, v)
		case "outputTokens":
			count(&u.Output, v)
		case "cacheReadInputTokens":
			count(&u.Cached, v)
		case "cacheWriteInputTokens":
			count(&u.CacheWrite, v)
		case "cacheDetails":
			for _, d := range jsonx.Elements(v) {
				if string(member.Plain(jsonx.Get(d, "ttl"))) == "1h" {
					count(&u.CacheWrite1h, jsonx.Get(d, "inputTokens"))
				}
			}
		}
	}
	if input.Known {
		u.Input = llm.Tokens(input.N + u.Cached.N + u.CacheWrite.N)
	}
	if tier, ok := jsonx.String(jsonx.At(doc, "serviceTier", "type")); ok && tier != "" {
		u.Details = &llm.Details{Served: llm.Served{Tier: tier}}
	}
	r.ev = llm.Event{Kind: llm.EvUsage, Usage: u}
	return r.send()
}

// find returns the open block with an index upstream, or nil.
func (r *reader) find(src int64) *inBlock {
	for i := len(r.state.blocks) - 1; i >= 0; i-- {
		if b := &r.state.blocks[i]; b.src == src && b.open {
			return b
		}
	}
	return nil
}

// on sets up an event of a block.
func (r *reader) on(kind llm.EventKind, b *inBlock) *llm.Event {
	i := len(r.state.blocks) - 1
	for &r.state.blocks[i] != b {
		i--
	}
	r.ev = llm.Event{Kind: kind, Index: i, Part: b.part}
	return &r.ev
}
