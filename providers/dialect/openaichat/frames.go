package openaichat

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// delta is a delta's or message's members, raw. Nulls are absent.
type delta struct {
	content, refusal           []byte
	reasoning, details, blocks []byte
	calls, call                []byte
	annotations, audio, images []byte
	seal, logprobs             []byte
}

func (d *delta) read(raw []byte) {
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) || len(v) == 2 && v[0] != '[' && v[0] != '0' && (v[1] == '"' || v[1] == '}') {
			continue // null, "" and {} stand for absence
		}
		switch string(n) {
		case "content":
			d.content = v
		case "refusal":
			d.refusal = v
		case "reasoning_content":
			d.reasoning = v
		case "reasoning":
			if d.reasoning == nil {
				d.reasoning = v
			}
		case "reasoning_details":
			d.details = v
		case "thinking_blocks":
			d.blocks = v
		case "tool_calls":
			d.calls = v
		case "function_call":
			d.call = v
		case "annotations":
			d.annotations = v
		case "audio":
			d.audio = v
		case "images":
			d.images = v
		case "thought_signature":
			if d.seal == nil {
				d.seal = v
			}
		case "extra_content":
			if s := jsonx.At(v, "google", "thought_signature"); jsonx.Kind(s) == '"' {
				d.seal = s
			}
		}
	}
}

// delta takes what a chunk adds to a choice, in the order in which a model makes it.
func (r *reader) delta(c *inChoice, d *delta) error {
	if err := r.thought(c, d); err != nil {
		return err
	}
	if err := r.content(c, d); err != nil {
		return err
	}
	if err := r.toolCalls(c, d); err != nil {
		return err
	}
	return r.extras(c, d)
}

// piece emits a piece of text of a kind, in the open block of that kind or a new one.
func (r *reader) piece(c *inChoice, kind llm.PartKind, text []byte, logprobs []byte) error {
	if err := r.begin(c, kind); err != nil {
		return err
	}
	c.said = true
	r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Index: c.openAt, Part: kind, Text: text, Logprobs: logprobs}
	return r.emit(&r.ev)
}

// begin opens a block unless one of its kind is open.
func (r *reader) begin(c *inChoice, kind llm.PartKind) error {
	if c.isOpen && c.open == kind {
		return nil
	}
	return r.fresh(c, kind, "")
}

// fresh opens a block.
func (r *reader) fresh(c *inChoice, kind llm.PartKind, seal string) error {
	if err := r.shut(c); err != nil {
		return err
	}
	if err := r.endWhole(c); err != nil {
		return err
	}
	c.isOpen, c.open, c.openAt = true, kind, c.next
	c.next++
	r.ev = llm.Event{Kind: llm.EvBlockStarted, Choice: c.number, Index: c.openAt, Part: kind, Seal: seal}
	return r.emit(&r.ev)
}

// shut ends the open block.
func (r *reader) shut(c *inChoice) error {
	if !c.isOpen {
		return nil
	}
	c.isOpen = false
	r.ev = llm.Event{Kind: llm.EvBlockEnded, Choice: c.number, Index: c.openAt, Part: c.open}
	return r.emit(&r.ev)
}

func (r *reader) unescape(raw []byte) []byte {
	r.buf, _ = jsonx.AppendString(r.buf[:0], raw)
	return r.buf
}

// thought reads reasoning, of which a provider may send several renderings: the first that has text counts.
func (r *reader) thought(c *inChoice, d *delta) error {
	text := r.unescape(d.reasoning)
	if len(text) > 0 {
		if err := r.piece(c, llm.PartThought, text, nil); err != nil {
			return err
		}
	}
	shown := len(text) > 0
	for _, e := range jsonx.Elements(d.details) {
		if err := r.detail(c, e, shown); err != nil {
			return err
		}
	}
	for _, b := range jsonx.Elements(d.blocks) {
		if data, ok := jsonx.String(jsonx.Get(b, "data")); ok && data != "" {
			if err := r.fresh(c, llm.PartThought, dialect.WrapSeal(sealAnthropic, data)); err != nil {
				return err
			}
			if err := r.shut(c); err != nil {
				return err
			}
			continue
		}
		if !shown && (!c.isOpen || c.open != llm.PartThought) {
			if text := r.unescape(jsonx.Get(b, "thinking")); len(text) > 0 {
				if err := r.piece(c, llm.PartThought, text, nil); err != nil {
					return err
				}
			}
		}
		if err := r.sealed(c, jsonx.Get(b, "signature")); err != nil {
			return err
		}
	}
	return nil
}

// sealed emits the signature of the open thought, which ends it.
func (r *reader) sealed(c *inChoice, sig []byte) error {
	s, _ := jsonx.String(sig)
	s = dialect.WrapSeal(sealAnthropic, s)
	if s == "" || !c.isOpen || c.open != llm.PartThought {
		return nil
	}
	r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Index: c.openAt, Part: llm.PartThought, Seal: s}
	if err := r.emit(&r.ev); err != nil {
		return err
	}
	return r.shut(c)
}

// detail reads one of OpenRouter's reasoning_details. Only Anthropic's signatures have a carrier of their
// own; what is sealed for others stays with them.
func (r *reader) detail(c *inChoice, e []byte, shown bool) error {
	format := plain(jsonx.Get(e, "format"))
	vendor := bytes.HasPrefix(format, []byte("anthropic"))
	var text []byte
	switch string(plain(jsonx.Get(e, "type"))) {
	case "reasoning.encrypted":
		data, _ := jsonx.String(jsonx.Get(e, "data"))
		if !vendor || data == "" {
			return nil
		}
		if err := r.fresh(c, llm.PartThought, dialect.WrapSeal(sealAnthropic, data)); err != nil {
			return err
		}
		return r.shut(c)
	case "reasoning.summary":
		text = jsonx.Get(e, "summary")
	default:
		text = jsonx.Get(e, "text")
	}
	if t := r.unescape(text); !shown && len(t) > 0 {
		if err := r.piece(c, llm.PartThought, t, nil); err != nil {
			return err
		}
	}
	if !vendor {
		return nil
	}
	return r.sealed(c, jsonx.Get(e, "signature"))
}

// content reads content and refusal.
func (r *reader) content(c *inChoice, d *delta) error {
	if d.logprobs != nil && (jsonx.Valid(d.logprobs) != nil || !anyLogprob(d.logprobs)) {
		d.logprobs = nil
	}
	switch jsonx.Kind(d.content) {
	case '"':
		if err := r.text(c, llm.PartText, d.content, d); err != nil {
			return err
		}
	case '[': // Mistral's parts
		for _, p := range jsonx.Elements(d.content) {
			if err := r.contentPart(c, p, d); err != nil {
				return err
			}
		}
	case '{': // Cloudflare answers a schema with the object itself
		text := d.content
		if b, err := jsonx.Compact(text); err == nil {
			text = b
		}
		if err := r.piece(c, llm.PartText, text, nil); err != nil {
			return err
		}
	}
	if d.refusal != nil {
		if err := r.text(c, llm.PartRefusal, d.refusal, d); err != nil {
			return err
		}
	}
	if d.logprobs != nil { // of a token without visible text
		return r.piece(c, llm.PartText, nil, d.logprobs)
	}
	return nil
}

// text emits a string, with the log probabilities of the chunk if nothing took them yet.
func (r *reader) text(c *inChoice, kind llm.PartKind, raw []byte, d *delta) error {
	text := r.unescape(raw)
	if len(text) == 0 {
		return nil
	}
	logprobs := d.logprobs
	d.logprobs = nil
	return r.piece(c, kind, text, logprobs)
}

func (r *reader) contentPart(c *inChoice, p []byte, d *delta) error {
	switch string(plain(jsonx.Get(p, "type"))) {
	case "text", "output_text":
		return r.text(c, llm.PartText, jsonx.Get(p, "text"), d)
	case "refusal":
		return r.text(c, llm.PartRefusal, jsonx.Get(p, "refusal"), d)
	case "thinking":
		t := jsonx.Get(p, "thinking")
		if jsonx.Kind(t) == '"' {
			return r.text(c, llm.PartThought, t, &delta{})
		}
		for _, e := range jsonx.Elements(t) {
			if err := r.text(c, llm.PartThought, jsonx.Get(e, "text"), &delta{}); err != nil {
				return err
			}
		}
	}
	return nil // an unknown kind of part
}

// toolCalls reads tool_calls and the deprecated function_call.
func (r *reader) toolCalls(c *inChoice, d *delta) error {
	for _, raw := range jsonx.Elements(d.calls) {
		seal := d.seal // of the message: it belongs to the first call
		if err := r.toolCall(c, raw, seal); err != nil {
			return err
		}
		d.seal = nil
	}
	if d.call == nil {
		return nil
	}
	fn, _ := jsonx.String(jsonx.Get(d.call, "name"))
	args := jsonx.Get(d.call, "arguments")
	if fn == "" && (len(c.calls) == 0 || args == nil) {
		return nil // empty strings in place of absence
	}
	if fn != "" {
		if err := r.newCall(c, -1, "", fn, ""); err != nil {
			return err
		}
	}
	return r.arguments(c, &c.calls[len(c.calls)-1], args)
}

// toolCall takes one delta of a call, or a whole call.
func (r *reader) toolCall(c *inChoice, raw, seal []byte) error {
	id, _ := jsonx.String(jsonx.Get(raw, "id"))
	fn := jsonx.Get(raw, "function")
	args := jsonx.Get(fn, "arguments")
	if fn == nil {
		if fn = jsonx.Get(raw, "custom"); fn != nil {
			args = jsonx.Get(fn, "input")
		}
	}
	toolName, _ := jsonx.String(jsonx.Get(fn, "name"))
	key, indexed := jsonx.Int(jsonx.Get(raw, "index"))
	if !indexed || key < 0 {
		key = -1
	}
	if s := jsonx.At(raw, "extra_content", "google", "thought_signature"); jsonx.Kind(s) == '"' {
		seal = s
	}
	sig, _ := jsonx.String(seal)
	sig = dialect.WrapSeal(sealGoogle, sig)
	call := c.find(key, id, toolName)
	if call == nil {
		if len(c.calls) >= maxCalls {
			return r.fail(&llm.Error{Code: llm.CodeUpstream, Op: name + ".read", Message: "The provider sent too many tool calls."})
		}
		if err := r.newCall(c, key, id, toolName, sig); err != nil {
			return err
		}
		call = &c.calls[len(c.calls)-1]
	} else if sig != "" && !call.ended {
		r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Index: call.block, Part: llm.PartCall, Seal: sig}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	return r.arguments(c, call, args)
}

// find returns the call that a delta goes on with, or nil for a new one. Some providers number no calls,
// and some give all the same number: an id of its own with a name begins another.
func (c *inChoice) find(key int64, id, toolName string) *inCall {
	if len(c.calls) == 0 {
		return nil
	}
	last := &c.calls[len(c.calls)-1]
	if key < 0 {
		if toolName != "" || id != "" && id != last.id {
			return nil
		}
		return last
	}
	for i := len(c.calls) - 1; i >= 0; i-- {
		if call := &c.calls[i]; call.key == key {
			if id != "" && id != call.id && toolName != "" || toolName != "" && id == "" && call.begun && call.depth == 0 {
				return nil
			}
			return call
		}
	}
	return nil
}

// maxCalls bounds the calls of one answer.
const maxCalls = 4096

func (r *reader) newCall(c *inChoice, key int64, id, toolName, seal string) error {
	if err := r.shut(c); err != nil {
		return err
	}
	if err := r.endWhole(c); err != nil {
		return err
	}
	if id == "" {
		id = "call_" + r.codec.mint()
	}
	if was, changed := r.names[toolName]; changed {
		toolName = was
	}
	c.calls = append(c.calls, inCall{key: key, id: id, block: c.next})
	c.next++
	c.said = true
	r.ev = llm.Event{
		Kind: llm.EvBlockStarted, Choice: c.number, Index: c.next - 1, Part: llm.PartCall, ID: id, Name: toolName, Seal: seal,
	}
	return r.emit(&r.ev)
}

// endWhole ends the calls whose arguments are whole: a call that is not may be gone on with.
func (r *reader) endWhole(c *inChoice) error {
	for i := range c.calls {
		if call := &c.calls[i]; call.begun && call.depth == 0 {
			if err := r.endCall(c, call); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) endCall(c *inChoice, call *inCall) error {
	if call.ended {
		return nil
	}
	call.ended = true
	r.ev = llm.Event{Kind: llm.EvBlockEnded, Choice: c.number, Index: call.block, Part: llm.PartCall}
	return r.emit(&r.ev)
}

// arguments emits a piece of a call's arguments. An object in place of the string is its text.
func (r *reader) arguments(c *inChoice, call *inCall, raw []byte) error {
	text := raw
	switch jsonx.Kind(raw) {
	case '"':
		text = r.unescape(raw)
	case '{':
		if b, err := jsonx.Compact(raw); err == nil {
			text = b
		}
	default:
		return nil
	}
	if len(text) == 0 || call.ended {
		return nil
	}
	call.follow(text)
	r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Index: call.block, Part: llm.PartCall, Text: text}
	return r.emit(&r.ev)
}

// follow keeps track of whether the arguments are a whole JSON object so far.
func (call *inCall) follow(text []byte) {
	for _, b := range text {
		switch {
		case call.escape:
			call.escape = false
		case call.inText:
			call.escape = b == '\\'
			call.inText = b != '"'
		case b == '"':
			call.inText = true
		case b == '{' || b == '[':
			call.begun = true
			call.depth++
		case b == '}' || b == ']':
			call.depth--
		}
	}
}

// extras reads citations, sounds, pictures and the signature of a text.
func (r *reader) extras(c *inChoice, d *delta) error {
	if err := r.cite(c, d.annotations); err != nil {
		return err
	}
	if s, _ := jsonx.String(d.seal); s != "" {
		if err := r.begin(c, llm.PartText); err != nil {
			return err
		}
		r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Index: c.openAt, Part: llm.PartText, Seal: dialect.WrapSeal(sealGoogle, s)}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	if d.audio != nil && jsonx.Valid(d.audio) == nil && !emptyAudio(d.audio) {
		if err := r.media(c, llm.PartAudio, d.audio, r.unescape(jsonx.Get(d.audio, "transcript"))); err != nil {
			return err
		}
	}
	for _, p := range jsonx.Elements(d.images) {
		if jsonx.Valid(p) == nil {
			if err := r.media(c, llm.PartImage, p, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// emptyAudio reports whether every member is zero, as one provider writes absence.
func emptyAudio(raw []byte) bool {
	for _, v := range jsonx.Members(raw) {
		if s := string(bytes.TrimSpace(v)); s != `""` && s != "0" && s != "null" {
			return false
		}
	}
	return true
}

// media emits a piece that the vocabulary carries as it was received.
func (r *reader) media(c *inChoice, kind llm.PartKind, raw, text []byte) error {
	if err := r.begin(c, kind); err != nil {
		return err
	}
	c.said = true
	r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Index: c.openAt, Part: kind, Text: text, Raw: raw}
	return r.emit(&r.ev)
}
