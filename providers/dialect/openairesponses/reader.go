package openairesponses

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/fault"
	"github.com/signalbox-ai/signalbox/providers/wire/sse"
)

// Limits of an answer.
const (
	maxFrame    = 32 << 20 // the last event repeats the whole answer
	maxDocument = 64 << 20
)

// NewReader makes a reader of one answer.
func (c *Codec) NewReader(req *llm.Request, stream bool) dialect.Reader {
	r := &reader{vendor: c.vendor, document: !stream, parser: sse.Parser{Max: maxFrame}}
	r.onEvent = r.event
	if req == nil || req.Extra.Dialect == name || req.Chat() == nil {
		return r
	}
	for i := range req.Chat().Tools {
		t := &req.Chat().Tools[i]
		if n := fit.Name(t.Name, maxName); n != t.Name {
			if r.names == nil {
				r.names = make(map[string]string)
			}
			r.names[n] = t.Name
		}
	}
	return r
}

// reader reads one answer. It believes the bytes and not what was announced: a document may come where a stream was
// asked for.
type reader struct {
	vendor   string            // whose seals the provider makes
	names    map[string]string // tool names as they were, by name on the wire
	document bool
	begun    bool   // what comes is known
	lead     []byte // what came before it was
	started  bool
	done     bool // nothing more will be emitted
	parser   sse.Parser
	onEvent  func(*sse.Event) error
	emit     llm.Emit
	buf      []byte // of a document; in a stream, of unescaped text
	items    []inItem
	blocks   int // how many began
	chars    int // code points of text so far
	ev       llm.Event
}

// Feed takes the next bytes.
func (r *reader) Feed(chunk []byte, eof bool, emit llm.Emit) error {
	if r.done {
		return nil
	}
	r.emit = emit
	if !r.begun {
		r.lead = append(r.lead, chunk...)
		if chunk = r.lead; !r.tell() && !eof {
			return nil
		}
	}
	if r.document {
		return r.feedDocument(chunk, eof)
	}
	err := r.parser.Feed(chunk, eof, r.onEvent)
	if err == sse.ErrTooLong { //nolint:errorlint // the parser returns it bare
		return r.fail(broken("The provider sent an event that is too large."))
	}
	if err == nil && eof && !r.done {
		err = r.fail(endedEarly())
	}
	return err
}

func broken(message string) *llm.Error {
	return &llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: message}
}

func endedEarly() *llm.Error {
	return &llm.Error{Code: llm.CodeReset, Op: name + ".read", Message: "The provider's answer ended early."}
}

// tell decides what the answer is by its first byte that is neither white space nor of a byte order mark, and reports
// whether it came.
func (r *reader) tell() bool {
	for _, c := range r.lead {
		switch c {
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf:
			continue
		case 'd', 'e', 'i', 'r', ':':
			r.document = false
		default:
			r.document = true
		}
		r.begun = true
		return true
	}
	return false
}

func (r *reader) feedDocument(chunk []byte, eof bool) error {
	if len(r.buf)+len(chunk) > maxDocument {
		return r.fail(broken("The provider's answer is too large."))
	}
	r.buf = append(r.buf, chunk...)
	if !eof {
		return nil
	}
	doc := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(r.buf), []byte("\xef\xbb\xbf")))
	r.buf = nil
	switch {
	case len(doc) == 0:
		return r.fail(endedEarly())
	case jsonx.Valid(doc) != nil:
		if doc[0] == '{' {
			return r.fail(endedEarly())
		}
		return r.fail(broken("The provider's answer is not valid JSON."))
	}
	return r.whole(doc)
}

// whole reads an answer in one document, or a count of tokens.
func (r *reader) whole(doc []byte) error {
	var f response
	f.read(doc)
	switch {
	case jsonx.Kind(f.output) == '[':
		return r.ended(&f)
	case jsonx.Kind(f.fault) == '{' || f.message != nil:
		return r.fail(fault.Read(0, doc))
	case f.tokens != nil:
		n, _ := jsonx.Int(f.tokens)
		if err := r.start(&f); err != nil {
			return err
		}
		r.ev = llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(n)}}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
		return r.finish(llm.Stop{})
	}
	return r.fail(broken("The provider's answer is no response."))
}

// event takes one frame of a stream.
func (r *reader) event(ev *sse.Event) error {
	data := bytes.TrimSpace(ev.Data)
	switch {
	case r.done:
		return nil
	case ev.Comment && len(ev.Data) == 0:
		return nil
	case ev.Comment, len(data) == 0, string(data) == "[DONE]":
		return r.ping()
	case ev.Partial && jsonx.Valid(data) != nil:
		return nil // cut in its middle: the end is judged by what was whole
	}
	var f frame
	if !f.read(data) {
		return r.fail(broken("An event of the provider's answer is not valid JSON."))
	}
	if f.kind == nil {
		f.kind = ev.Name
	}
	return r.frame(&f, data)
}

func (r *reader) ping() error {
	r.ev = llm.Event{Kind: llm.EvPing}
	return r.emit(&r.ev)
}

// frame is an event's members, raw.
type frame struct {
	kind                    []byte // its type
	item, response, fault   []byte
	delta, text, part, cite []byte
	logprobs, arguments     []byte
	output, content         int64 // output_index, and content_index or summary_index
}

// read indexes an event and reports whether it is an object with an end.
func (f *frame) read(data []byte) bool {
	if data[0] != '{' {
		return false
	}
	end := 1
	for n, v := range jsonx.Members(data) {
		end = jsonx.Offset(data, v) + len(v)
		switch string(n) {
		case "type":
			f.kind = plain(v)
		case "delta":
			f.delta = v
		case "output_index":
			f.output, _ = jsonx.Int(v)
		case "content_index":
			f.content, _ = jsonx.Int(v)
		case "summary_index":
			f.content, _ = jsonx.Int(v)
		case "logprobs":
			f.logprobs = v
		case "item":
			f.item = v
		case "response":
			f.response = v
		case "part":
			f.part = v
		case "text", "refusal":
			f.text = v
		case "arguments", "input":
			f.arguments = v
		case "annotation":
			f.cite = v
		case "error":
			f.fault = v
		}
	}
	return string(bytes.TrimSpace(data[end:])) == "}"
}

// frame takes one event. The kinds that come most are first.
func (r *reader) frame(f *frame, data []byte) error {
	switch string(f.kind) {
	case "response.output_text.delta":
		return r.words(f, llm.PartText)
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		return r.args(f)
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		return r.reasoned(f)
	case "response.refusal.delta":
		return r.words(f, llm.PartRefusal)
	}
	if jsonx.Valid(data) != nil {
		return r.fail(broken("An event of the provider's answer is not valid JSON."))
	}
	switch string(f.kind) {
	case "response.created", "response.in_progress", "response.queued":
		var head response
		head.read(f.response)
		return r.start(&head)
	case "response.output_item.added":
		return r.added(f, data)
	case "response.output_item.done":
		return r.itemDone(f, data)
	case "response.output_text.done", "response.refusal.done":
		return r.wordsDone(f)
	case "response.content_part.done":
		return r.partDone(f)
	case "response.output_text.annotation.added":
		return r.cited(f)
	case "response.function_call_arguments.done", "response.custom_tool_call_input.done":
		return r.argsDone(f)
	case "response.completed", "response.incomplete", "response.failed", "response.cancelled":
		var last response
		last.read(f.response)
		return r.ended(&last)
	case "error":
		return r.fail(fault.Read(0, data))
	}
	if f.fault != nil && f.kind == nil {
		return r.fail(fault.Read(0, data))
	}
	return r.native(f, data)
}

func (r *reader) fail(e *llm.Error) error {
	if r.done {
		return nil
	}
	r.done = true
	r.ev = llm.Event{Kind: llm.EvFailed, Err: e}
	return r.emit(&r.ev)
}

// start emits Started once.
func (r *reader) start(f *response) error {
	if r.started {
		return nil
	}
	r.started = true
	r.ev = llm.Event{Kind: llm.EvStarted, ID: string(plain(f.id)), Name: string(plain(f.model))}
	return r.emit(&r.ev)
}

// ended takes the whole response that an answer ends with, or is.
func (r *reader) ended(f *response) error {
	if err := r.start(f); err != nil {
		return err
	}
	status := string(plain(f.status))
	if status == "failed" || status == "cancelled" {
		if u, known := readUsage(f.usage); known {
			f.spent(&u)
			r.ev = llm.Event{Kind: llm.EvUsage, Usage: u}
			if err := r.emit(&r.ev); err != nil {
				return err
			}
		}
		if jsonx.Kind(f.fault) != '{' {
			return r.fail(broken("The provider says that the response is " + status + "."))
		}
		e := fault.Read(0, append(append([]byte(`{"error":`), f.fault...), '}'))
		return r.fail(e)
	}
	for i, v := range jsonx.Elements(f.output) { // what was not streamed, and all of a document
		if err := r.late(int64(i), v); err != nil {
			return err
		}
	}
	for i := range r.items {
		if err := r.shut(&r.items[i]); err != nil {
			return err
		}
	}
	if u, known := readUsage(f.usage); known {
		f.spent(&u)
		r.ev = llm.Event{Kind: llm.EvUsage, Usage: u}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	return r.finish(r.stop(status, f.details))
}

// stop says why the answer ended. A response that is queued or in progress is a whole answer to one that was asked
// for in the background.
func (r *reader) stop(status string, details []byte) llm.Stop {
	s := llm.Stop{Native: status}
	if status == "incomplete" {
		s.Native, _ = jsonx.String(jsonx.Get(details, "reason"))
		switch s.Reason = llm.StopLength; s.Native {
		case "content_filter":
			s.Reason = llm.StopFilter
		case "max_tool_calls":
			s.Reason = llm.StopPause
		}
		return s
	}
	for i := range r.items {
		if r.items[i].calls {
			s.Reason = llm.StopCalls
		}
	}
	return s
}

func (r *reader) finish(s llm.Stop) error {
	r.done = true
	r.ev = llm.Event{Kind: llm.EvFinished, Stop: s}
	return r.emit(&r.ev)
}

// response is a response object's members, raw.
type response struct {
	id, model, status, details, output, usage []byte
	fault, message, tokens, tier              []byte
}

func (f *response) read(raw []byte) {
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "id":
			f.id = v
		case "model":
			f.model = v
		case "status":
			f.status = v
		case "incomplete_details":
			f.details = v
		case "output":
			f.output = v
		case "usage":
			f.usage = v
		case "service_tier":
			f.tier = v
		case "error":
			f.fault = v
		case "message":
			f.message = v
		case "input_tokens":
			f.tokens = v
		}
	}
}

// spent adds what is billed beside tokens: calls of OpenAI's own tools (of those for the web only what searches,
// https://platform.openai.com/docs/pricing), and the service tier.
func (f *response) spent(u *llm.Usage) {
	var web, files int64
	for _, item := range jsonx.Elements(f.output) {
		switch string(plain(jsonx.Get(item, "type"))) {
		case "web_search_call":
			if do := plain(jsonx.At(item, "action", "type")); len(do) == 0 || string(do) == "search" {
				web++
			}
		case "file_search_call":
			files++
		}
	}
	if web > 0 {
		u.WebSearches = llm.Tokens(web)
	}
	var d llm.Details
	if files > 0 {
		d.FileSearches = llm.Tokens(files)
	}
	if d.Tier = string(plain(f.tier)); d != (llm.Details{}) {
		u.Merge(llm.Usage{Details: &d})
	}
}

// readUsage reads usage. Input includes what was cached, and output the reasoning.
func readUsage(raw []byte) (u llm.Usage, known bool) {
	count := func(c *llm.Count, v []byte) {
		if n, ok := jsonx.Int(v); ok && n >= 0 {
			*c = llm.Tokens(n)
		}
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "input_tokens":
			count(&u.Input, v)
		case "output_tokens":
			count(&u.Output, v)
		case "input_tokens_details":
			count(&u.Cached, jsonx.Get(v, "cached_tokens"))
			count(&u.CacheWrite, jsonx.Get(v, "cache_write_tokens"))
			count(&u.AudioIn, jsonx.Get(v, "audio_tokens"))
		case "output_tokens_details":
			count(&u.Reasoning, jsonx.Get(v, "reasoning_tokens"))
			count(&u.AudioOut, jsonx.Get(v, "audio_tokens"))
		}
	}
	if u.Input.Known && u.Cached.N > u.Input.N {
		u.Cached.N = u.Input.N
	}
	return u, u.Known()
}

// chatLogprobs turns log probabilities into openai-chat's form, where every token has its bytes or null.
func chatLogprobs(raw []byte) []byte {
	if jsonx.Kind(raw) != '[' || jsonx.Valid(raw) != nil {
		return nil
	}
	b := []byte(`{"content":[`)
	for _, v := range jsonx.Elements(raw) {
		b = appendLogprob(jsonx.AppendComma(b), v)
	}
	return append(b, "]}"...)
}

func appendLogprob(b, raw []byte) []byte {
	b = append(b, '{')
	var top []byte
	sized := false
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "top_logprobs":
			top = v
			continue
		case "bytes":
			sized = true
		}
		b = append(jsonx.AppendKey(b, string(n)), v...)
	}
	if !sized {
		b = append(b, `,"bytes":null`...)
	}
	if top != nil {
		b = append(b, `,"top_logprobs":[`...)
		for _, t := range jsonx.Elements(top) {
			b = appendLogprob(jsonx.AppendComma(b), t)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}
