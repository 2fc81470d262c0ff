package openaichat

import (
	"bytes"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// Limits of an answer.
const (
	maxFrame    = 16 << 20 // a chunk may carry a picture
	maxDocument = 64 << 20
)

// NewReader makes a reader of one answer.
func (c *Codec) NewReader(req *llm.Request, stream bool) dialect.Reader {
	r := &reader{codec: c, document: !stream, parser: sse.Parser{Max: maxFrame}}
	if req != nil {
		if r.chat = req.Chat(); r.chat == nil {
			r.chat = new(llm.Chat)
		}
		if req.Extra.Dialect != name {
			r.names = originalNames(r.chat.Tools)
		}
	}
	r.onEvent = r.event
	if c.functions && req != nil && req.Extra.Dialect != name {
		return fit.Unwrap(req, r)
	}
	return r
}

// originalNames maps the names that WriteRequest changed back to what they were.
func originalNames(tools []llm.Tool) map[string]string {
	var names map[string]string
	for i := range tools {
		if n := wireName(tools[i].Name); n != tools[i].Name {
			if names == nil {
				names = make(map[string]string)
			}
			names[n] = tools[i].Name
		}
	}
	return names
}

// reader reads one answer. It believes the bytes and not what was announced: a document may come where a
// stream was asked for.
type reader struct {
	codec    *Codec
	chat     *llm.Chat         // what was asked; nil: not known
	names    map[string]string // tool names as they were, by name on the wire
	document bool
	begun    bool
	started  bool
	done     bool // nothing more will be emitted
	stopped  bool // Finished was emitted
	parser   sse.Parser
	onEvent  func(*sse.Event) error
	emit     llm.Emit
	buf      []byte // of a document; in a stream, of unescaped text
	choices  []inChoice
	usage    llm.Usage
	ev       llm.Event
}

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
		return r.feedDocument(chunk, eof)
	}
	err := r.parser.Feed(chunk, eof, r.onEvent)
	if err == sse.ErrTooLong { //nolint:errorlint // the parser returns it bare
		return r.fail(&llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: "The provider sent a chunk that is too large."})
	}
	if err != nil || !eof {
		return err
	}
	return r.end()
}

func (r *reader) feedDocument(chunk []byte, eof bool) error {
	if len(r.buf)+len(chunk) > maxDocument {
		return r.fail(&llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: "The provider's answer is too large."})
	}
	r.buf = append(r.buf, chunk...)
	if !eof {
		return nil
	}
	doc := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(r.buf), []byte("\xef\xbb\xbf")))
	r.buf = nil
	if len(doc) == 0 {
		return r.fail(endedEarly())
	}
	if doc[0] == '[' { // errors of some providers come as a list
		for _, e := range jsonx.Elements(doc) {
			doc = e
			break
		}
	}
	return r.frame(doc, true)
}

// event takes one frame of a stream.
func (r *reader) event(ev *sse.Event) error {
	switch {
	case r.done:
		return nil
	case ev.Comment:
		if len(ev.Data) > 0 {
			return r.ping()
		}
		return nil
	}
	data := bytes.TrimSpace(ev.Data)
	switch {
	case len(data) == 0:
		return r.ping()
	case string(data) == "[DONE]":
		return r.endSaid()
	case ev.Partial && jsonx.Valid(data) != nil:
		return nil // cut in its middle: the end is judged by what was whole
	case string(ev.Name) == "error" && jsonx.Get(data, "error") == nil:
		return r.fault(data)
	}
	return r.frame(data, false)
}

// frame is a chunk's or a document's members, raw.
type frame struct {
	id, model, object    []byte
	choices, usage       []byte
	fault, message, code []byte
	citations, results   []byte
}

// read indexes a frame and reports whether it is an object with an end.
func (f *frame) read(data []byte) bool {
	if len(data) == 0 || data[0] != '{' {
		return false
	}
	end := 1
	for n, v := range jsonx.Members(data) {
		end = jsonx.Offset(data, v) + len(v)
		switch string(n) {
		case "id":
			f.id = v
		case "model":
			f.model = v
		case "object":
			f.object = v
		case "choices":
			f.choices = v
		case "usage":
			if jsonx.Kind(v) == '{' {
				f.usage = v
			}
		case "x_groq":
			if u := jsonx.Get(v, "usage"); f.usage == nil && jsonx.Kind(u) == '{' {
				f.usage = u
			}
		case "error":
			if !jsonx.IsNull(v) && string(v) != `""` {
				f.fault = v
			}
		case "message", "detail", "base_resp": // MiniMax has the last, also beside an answer
			f.message = v
		case "code":
			f.code = v
		case "citations":
			f.citations = v
		case "search_results":
			f.results = v
		}
	}
	return string(bytes.TrimSpace(data[end:])) == "}"
}

// frame takes a chunk, or a whole document.
func (r *reader) frame(data []byte, whole bool) error {
	var f frame
	switch {
	case !f.read(data):
		return r.fail(&llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: "The provider's answer is not valid JSON."})
	case f.fault != nil, string(plain(f.object)) == "error", jsonx.IsNull(f.choices) && f.message != nil:
		return r.fault(data)
	case f.choices == nil && whole:
		return r.fail(&llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: "The provider's answer has no choices."})
	}
	for _, c := range jsonx.Elements(f.choices) {
		if e := jsonx.Get(c, "error"); jsonx.Kind(e) == '{' {
			return r.fault(c)
		}
	}
	r.ev.Kind = llm.EvPing
	if err := r.start(&f); err != nil {
		return err
	}
	for i, c := range jsonx.Elements(f.choices) {
		if err := r.choice(i, c, &f, whole); err != nil || r.done {
			return err
		}
	}
	if f.usage != nil {
		if err := r.used(data, f.usage); err != nil {
			return err
		}
	}
	if err := r.settle(false); err != nil {
		return err
	}
	if whole {
		return r.end()
	}
	if r.ev.Kind == llm.EvPing && !r.done { // the frame said nothing
		return r.ping()
	}
	return nil
}

// start emits Started at the first frame that is part of an answer.
func (r *reader) start(f *frame) error {
	if r.started {
		return nil
	}
	id, model := plain(f.id), plain(f.model)
	empty := true
	for range jsonx.Elements(f.choices) {
		empty = false
		break
	}
	if empty && len(id) == 0 { // Azure's first chunk has neither
		return nil
	}
	r.started = true
	r.ev = llm.Event{Kind: llm.EvStarted, ID: string(id), Name: string(model)}
	return r.emit(&r.ev)
}

func (r *reader) ping() error {
	r.ev = llm.Event{Kind: llm.EvPing}
	return r.emit(&r.ev)
}

// used emits usage when it grew.
func (r *reader) used(data, raw []byte) error {
	u := r.usage
	u.Merge(usage.Of(data, raw))
	if u == r.usage {
		return nil
	}
	r.usage = u
	r.ev = llm.Event{Kind: llm.EvUsage, Usage: u}
	return r.emit(&r.ev)
}

// settle emits Finished for the choices that ended, once it is certain that none of them is cut: a choice
// of several may still break when another has ended.
func (r *reader) settle(end bool) error {
	if r.stopped || r.done || len(r.choices) == 0 {
		return nil
	}
	for i := range r.choices {
		if !r.choices[i].finished {
			return nil
		}
	}
	if !end && (r.chat == nil || len(r.choices) < r.chat.N) {
		return nil
	}
	r.stopped = true
	for i := range r.choices {
		c := &r.choices[i]
		r.ev = llm.Event{Kind: llm.EvFinished, Choice: c.number, Stop: c.stop}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	return nil
}

// end is the end of the stream: an answer without all its stops was cut.
func (r *reader) end() error {
	if r.done {
		return nil
	}
	if err := r.settle(true); err != nil {
		return err
	}
	if !r.stopped {
		return r.fail(endedEarly())
	}
	r.done = true
	return nil
}

// endSaid is [DONE]. Some providers never say why a choice ended (OpenAI's own with sound, Snowflake): where
// they gave the usage of the whole answer and then said that it is done, it is.
func (r *reader) endSaid() error {
	if r.usage.Known() && !r.stopped {
		for i := range r.choices {
			if c := &r.choices[i]; !c.finished {
				if err := r.finish(c, llm.Stop{}); err != nil {
					return err
				}
			}
		}
	}
	return r.end()
}

// fault emits the provider's own error.
func (r *reader) fault(data []byte) error {
	e := r.codec.ReadError(0, nil, data)
	return r.fail(e)
}

func (r *reader) fail(e *llm.Error) error {
	if r.done {
		return nil
	}
	r.done = true
	if r.stopped {
		return nil // the answer is whole; what comes after it is nobody's loss
	}
	r.ev = llm.Event{Kind: llm.EvFailed, Err: e}
	emit := r.emit
	r.emit = func(*llm.Event) error { return nil } // what the frame at hand has yet to say is over
	return emit(&r.ev)
}

// maxInChoices bounds how many answers one stream may claim to have.
const maxInChoices = 256

// element is a choice's members, raw.
type element struct {
	delta, message, index       []byte
	finish, details, stopReason []byte
	logprobs, usage             []byte
}

func (e *element) read(raw []byte) {
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "delta":
			e.delta = v
		case "message":
			e.message = v
		case "index":
			e.index = v
		case "finish_reason":
			e.finish = v
		case "finish_details":
			e.details = v
		case "stop_reason":
			e.stopReason = v
		case "logprobs":
			e.logprobs = v
		case "usage":
			if jsonx.Kind(v) == '{' {
				e.usage = v
			}
		}
	}
}

// choice takes one element of choices.
func (r *reader) choice(i int, raw []byte, f *frame, whole bool) error {
	var e element
	e.read(raw)
	if f.usage == nil {
		f.usage = e.usage // Moonshot has it here
	}
	if r.stopped {
		return nil // more than was asked for
	}
	number, ok := jsonx.Int(e.index)
	if !ok || number < 0 || number > 1<<20 {
		number = int64(i)
	}
	c := r.at(int(number))
	if c == nil {
		return r.fail(&llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: "The provider sent too many choices."})
	}
	if c.finished {
		return nil
	}
	var d delta
	document := whole && jsonx.Kind(e.message) == '{' // Perplexity's documents have an empty delta too
	if jsonx.Kind(e.delta) == '{' && !document {
		d.read(e.delta)
	} else if !c.said {
		d.read(e.message)
	}
	if jsonx.Kind(e.logprobs) == '{' {
		d.logprobs = e.logprobs
	}
	if f.results != nil {
		c.cites = append(c.cites[:0], f.results...)
	} else if f.citations != nil {
		c.cites = append(c.cites[:0], f.citations...)
	}
	if err := r.delta(c, &d); err != nil {
		return err
	}
	stop, ended := readStopReason(e.finish, e.details)
	if seq, _ := jsonx.String(e.stopReason); seq != "" && stop.Reason == llm.StopEnd && r.stopsAt(seq) {
		stop.Reason, stop.Sequence = llm.StopSequence, seq // vLLM names the sequence
	}
	if !ended && !whole {
		return nil
	}
	return r.finish(c, stop)
}

// stopsAt reports whether a stop_reason is a stop sequence, and not another's word for the end.
func (r *reader) stopsAt(seq string) bool {
	if r.chat != nil {
		return slices.Contains(r.chat.Stop, seq)
	}
	return seq != "stop" && seq != "end_turn" && seq != "eos" && seq != "tool_use"
}

func (r *reader) at(number int) *inChoice {
	for i := range r.choices {
		if r.choices[i].number == number {
			return &r.choices[i]
		}
	}
	if len(r.choices) >= maxInChoices {
		return nil
	}
	r.choices = append(r.choices, inChoice{number: number})
	return &r.choices[len(r.choices)-1]
}

// finish ends a choice: the blocks now, the Finished event when settle finds it certain.
func (r *reader) finish(c *inChoice, stop llm.Stop) error {
	if err := r.cite(c, c.cites); err != nil {
		return err
	}
	if err := r.shut(c); err != nil {
		return err
	}
	for k := range c.calls {
		if err := r.endCall(c, &c.calls[k]); err != nil {
			return err
		}
	}
	if stop.Reason == llm.StopEnd && len(c.calls) > 0 {
		stop.Reason = llm.StopCalls // some providers say stop all the same
	}
	c.stop, c.finished = stop, true
	return nil
}

// inChoice is one answer of several, as it arrives.
type inChoice struct {
	number   int
	next     int // the next block's number
	isOpen   bool
	open     llm.PartKind // kind of the open block, where it is no call
	openAt   int
	said     bool // a delta had content: a message beside it repeats it
	finished bool
	calls    []inCall
	cites    []byte // citations of the whole answer, raw
	stop     llm.Stop
}

// inCall is a call as it arrives.
type inCall struct {
	key    int64 // its index on the wire; below 0: it has none
	id     string
	block  int
	ended  bool
	begun  bool // its arguments began
	depth  int
	inText bool // within a string of its arguments
	escape bool
}
