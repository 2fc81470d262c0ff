package anthropicmessages

import (
	"slices"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// start emits what an answer begins with.
func (r *reader) start(message []byte) error {
	r.state.started = true
	id, _ := jsonx.String(jsonx.Get(message, "id"))
	model, _ := jsonx.String(jsonx.Get(message, "model"))
	r.ev = llm.Event{Kind: llm.EvStarted, ID: id, Name: model}
	if err := r.send(); err != nil {
		return err
	}
	return r.used(jsonx.Get(message, "usage"))
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

// block emits the start of a block, and what of its content came with it. data is the frame.
func (r *reader) block(src int64, raw, data []byte) error {
	if b := r.find(src); b != nil { // as after a fallback of the provider's own
		if err := r.end(b); err != nil {
			return err
		}
	}
	kind := string(plain(jsonx.Get(raw, "type")))
	r.state.blocks = append(r.state.blocks, inBlock{src: src, open: true, from: r.state.chars})
	b := &r.state.blocks[len(r.state.blocks)-1]
	var words, seal []byte
	ev := llm.Event{}
	switch kind {
	case "text":
		b.part, words = llm.PartText, jsonx.Get(raw, "text")
	case "thinking":
		b.part, words, seal = llm.PartThought, jsonx.Get(raw, "thinking"), jsonx.Get(raw, "signature")
	case "redacted_thinking":
		b.part = llm.PartThought
		ev.Seal, _ = jsonx.String(jsonx.Get(raw, "data"))
		ev.Seal = dialect.WrapSeal(name, ev.Seal)
	case "tool_use":
		b.input = slices.Clone(jsonx.Get(raw, "input"))
		ev.ID, _ = jsonx.String(jsonx.Get(raw, "id"))
		ev.Name, _ = jsonx.String(jsonx.Get(raw, "name"))
		if ev.Name == r.trick && r.trick != "" {
			ev.ID, ev.Name, r.state.trick = "", "", true // its input is the text
			break
		}
		b.part, r.state.calls = llm.PartCall, true
		if n, renamed := r.names[ev.Name]; renamed {
			ev.Name = n
		}
	default:
		b.part, ev.Name, ev.Raw = llm.PartNative, kind, r.startFrame(raw, data)
	}
	e := r.on(llm.EvBlockStarted, b)
	e.ID, e.Name, e.Seal, e.Raw = ev.ID, ev.Name, ev.Seal, ev.Raw
	if err := r.send(); err != nil {
		return err
	}
	if err := r.words(b, words); err != nil {
		return err
	}
	for _, c := range jsonx.Elements(jsonx.Get(raw, "citations")) {
		b.cites = append(b.cites, oneLine(c))
	}
	return r.seal(b, seal)
}

// startFrame is the frame that starts a block: of a stream as it came, of a document as it would have come.
func (r *reader) startFrame(block, data []byte) []byte {
	if r.stream {
		return data
	}
	f := append([]byte(`{"type":"content_block_start","index":0,"content_block":`), block...)
	return append(f, '}')
}

// words emits a piece of text.
func (r *reader) words(b *inBlock, raw []byte) error {
	var ok bool
	if r.text, ok = jsonx.AppendString(r.text[:0], raw); !ok || len(r.text) == 0 {
		return nil
	}
	b.fed = true
	if b.part == llm.PartText {
		r.state.chars += utf8.RuneCount(r.text)
	}
	r.on(llm.EvDelta, b).Text = r.text
	return r.send()
}

func (r *reader) seal(b *inBlock, raw []byte) error {
	s, _ := jsonx.String(raw)
	if s == "" {
		return nil
	}
	if _, _, wrapped := dialect.OpenSeal(s); !b.fed && !wrapped {
		s = hiddenPrefix + s
	}
	r.on(llm.EvDelta, b).Seal = dialect.WrapSeal(name, s)
	return r.send()
}

// delta emits a piece of a block.
func (r *reader) delta(f *frame) error {
	b := r.find(f.index)
	if b == nil { // some servers leave the start of a text block out
		if string(f.deltaKind) != "text_delta" {
			return nil
		}
		if err := r.block(f.index, []byte(`{"type":"text"}`), nil); err != nil {
			return err
		}
		b = r.find(f.index)
	}
	// What is passed on as it came must be JSON; words are decoded, which mends them.
	if kind := string(f.deltaKind); (b.part == llm.PartNative || kind == "citations_delta") && jsonx.Valid(f.data) != nil {
		return r.fail(llm.CodeUpstream, notJSON)
	}
	if b.part == llm.PartNative {
		r.on(llm.EvDelta, b).Raw = f.data
		return r.send()
	}
	switch string(f.deltaKind) {
	case "text_delta", "thinking_delta":
		return r.words(b, f.text)
	case "input_json_delta":
		return r.words(b, f.partial)
	case "signature_delta":
		return r.seal(b, f.seal)
	case "citations_delta":
		b.cites = append(b.cites, oneLine(f.cite))
	}
	return nil
}

// end emits what a block ends with. Citations are for the whole block, so its end must be known.
func (r *reader) end(b *inBlock) error {
	if len(b.input) > 0 && !b.fed {
		input := b.input
		if string(input) != "{}" || b.part == llm.PartText {
			b.fed = true
			if b.part == llm.PartText {
				r.state.chars += utf8.RuneCount(input)
			}
			r.on(llm.EvDelta, b).Text = input
			if err := r.send(); err != nil {
				return err
			}
		}
	}
	for _, raw := range b.cites {
		c := llm.Citation{Start: b.from, End: r.state.chars, Raw: raw, From: name}
		c.URL, _ = jsonx.String(jsonx.Get(raw, "url"))
		c.Text, _ = jsonx.String(jsonx.Get(raw, "cited_text"))
		for _, n := range [...]string{"title", "document_title"} {
			if c.Title == "" {
				c.Title, _ = jsonx.String(jsonx.Get(raw, n))
			}
		}
		r.on(llm.EvDelta, b).Cite = &c
		if err := r.send(); err != nil {
			return err
		}
	}
	b.open, b.cites = false, nil
	r.on(llm.EvBlockEnded, b)
	return r.send()
}

// finish emits the end of the answer.
func (r *reader) finish() error {
	for i := range r.state.blocks {
		if b := &r.state.blocks[i]; b.open {
			if err := r.end(b); err != nil {
				return err
			}
		}
	}
	r.state.done = true
	stop := r.state.stop
	switch {
	case stop.Reason == llm.StopEnd && r.state.calls: // as compatible servers may say
		stop.Reason = llm.StopCalls
	case stop.Reason == llm.StopCalls && r.state.trick && !r.state.calls:
		stop.Reason = llm.StopEnd
	}
	r.ev = llm.Event{Kind: llm.EvFinished, Stop: stop}
	return r.send()
}

// stopped reads why the answer ended, from the message or its last delta.
func (r *reader) stopped(obj []byte) {
	s := &r.state.stop
	for n, v := range jsonx.Members(obj) {
		if jsonx.IsNull(v) {
			continue
		}
		switch string(n) {
		case "stop_reason":
			s.Native, _ = jsonx.String(v)
			s.Reason = stopOf(s.Native)
		case "stop_sequence":
			s.Sequence, _ = jsonx.String(v)
		case "stop_details":
			s.Details = oneLine(v)
		}
	}
}

// stops are the API's stop reasons. The first of a reason is the one that we write for it.
var stops = [...]struct {
	word   string
	reason llm.StopReason
}{
	{"end_turn", llm.StopEnd},
	{"max_tokens", llm.StopLength},
	{"model_context_window_exceeded", llm.StopLength},
	{"tool_use", llm.StopCalls},
	{"refusal", llm.StopFilter},
	{"stop_sequence", llm.StopSequence},
	{"pause_turn", llm.StopPause},
	{"end_turn", llm.StopFault}, // the client's SDK knows no word for it
}

func stopOf(word string) llm.StopReason {
	for _, s := range stops {
		if s.word == word {
			return s.reason
		}
	}
	return llm.StopEnd
}

// usage is the API's own numbers. They are merged before they are added up: a later event may repeat some
// of them only.
type usage struct {
	input, read, write, write1h, output, thought, searches llm.Count
	details                                                *llm.Details // nil: it says nothing of how it was served
}

func (r *reader) used(raw []byte) error {
	if jsonx.Kind(raw) != '{' {
		return nil
	}
	u := &r.state.usage
	count := func(c *llm.Count, v []byte) {
		if n, ok := jsonx.Int(v); ok && n >= 0 {
			*c = c.Max(llm.Tokens(n))
		}
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "input_tokens":
			count(&u.input, v)
		case "cache_read_input_tokens":
			count(&u.read, v)
		case "cache_creation_input_tokens":
			count(&u.write, v)
		case "cache_creation":
			count(&u.write1h, jsonx.Get(v, "ephemeral_1h_input_tokens"))
		case "output_tokens":
			count(&u.output, v)
		case "output_tokens_details":
			count(&u.thought, jsonx.Get(v, "thinking_tokens"))
		case "server_tool_use":
			count(&u.searches, jsonx.Get(v, "web_search_requests"))
		case "service_tier":
			u.served(llm.Served{Tier: word(v)})
		case "inference_geo":
			u.served(llm.Served{Geo: word(v)})
		case "speed":
			u.served(llm.Served{Speed: word(v)})
		}
	}
	r.ev = llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{
		Cached: u.read, CacheWrite: u.write, CacheWrite1h: u.write1h,
		Output: u.output, Reasoning: u.thought, WebSearches: u.searches, Details: u.details,
	}}
	if u.input.Known || u.read.Known || u.write.Known {
		r.ev.Usage.Input = llm.Tokens(u.input.N + u.read.N + u.write.N)
	}
	return r.send()
}

// served takes note of how the answer is served.
func (u *usage) served(s llm.Served) {
	if s == (llm.Served{}) {
		return
	}
	both := llm.Usage{Details: u.details}
	both.Merge(llm.Usage{Details: &llm.Details{Served: s}})
	u.details = both.Details
}

// word is a word of the API; "" is none.
func word(v []byte) string {
	s, _ := jsonx.String(v)
	return s
}
