package openaichat

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/usage"
)

// document gathers a choice for an answer in one piece.
type document struct {
	text, reasoning, refusal []byte
	said                     bool   // a text began, be it empty
	thoughts                 []byte // elements of thinking_blocks
	annotations, images      []byte // elements
	logText, logRefusal      []byte // elements of logprobs
	logs                     bool
	audio                    []byte
	seal                     string
	calls                    []docCall
}

type docCall struct {
	id, name, seal string
	custom         bool
	args           []byte
}

func (d *document) call(c docCall) { d.calls = append(d.calls, c) }

func (d *document) delta(b *outBlock, ev *llm.Event) {
	switch b.part {
	case llm.PartText:
		d.said = true
		d.text = append(d.text, ev.Text...)
	case llm.PartThought:
		d.reasoning = append(d.reasoning, ev.Text...)
	case llm.PartRefusal:
		d.refusal = append(d.refusal, ev.Text...)
	case llm.PartCall:
		d.calls[b.tool].args = append(d.calls[b.tool].args, ev.Text...)
	case llm.PartAudio:
		if ev.Raw != nil {
			d.audio = append(d.audio[:0], ev.Raw...)
		}
	case llm.PartImage:
		if ev.Raw != nil {
			d.images = append(jsonx.AppendComma(d.images), ev.Raw...)
		}
	}
	if ev.Cite != nil {
		if a := appendCitation(nil, ev.Cite); a != nil {
			d.annotations = append(jsonx.AppendComma(d.annotations), a...)
		}
	}
	if ev.Logprobs != nil {
		d.logs = true
		for n, v := range jsonx.Members(ev.Logprobs) {
			for _, e := range jsonx.Elements(v) {
				switch string(n) {
				case "content":
					d.logText = append(jsonx.AppendComma(d.logText), e...)
				case "refusal":
					d.logRefusal = append(jsonx.AppendComma(d.logRefusal), e...)
				}
			}
		}
	}
}

// document appends the whole answer. Members that a strict client misses are there even when empty.
func (w *writer) document(dst []byte) []byte {
	dst = append(w.envelope(dst, "chat.completion"), `,"choices":[`...)
	for i := range w.choices {
		c := &w.choices[i]
		dst = append(jsonx.AppendComma(dst), `{"index":`...)
		dst = strconv.AppendInt(dst, int64(c.number), 10)
		dst = append(dst, `,"message":`...)
		dst = w.message(dst, c)
		dst = append(dst, `,"logprobs":`...)
		if d := &c.doc; d.logs {
			dst = append(append(dst, `{"content":`...), list(d.logText)...)
			dst = append(append(dst, `,"refusal":`...), list(d.logRefusal)...)
			dst = append(dst, '}')
		} else {
			dst = append(dst, "null"...)
		}
		dst = jsonx.AppendText(dst, "finish_reason", w.reason(c))
		dst = append(appendStop(dst, &c.stop), '}')
	}
	dst = append(dst, `],"usage":`...)
	return append(usage.Append(dst, &w.total), '}')
}

// list closes a list of elements; null when there are none.
func list(elements []byte) []byte {
	if len(elements) == 0 {
		return []byte("null")
	}
	return append(append([]byte{'['}, elements...), ']')
}

func (w *writer) message(dst []byte, c *outChoice) []byte {
	d := &c.doc
	dst = append(dst, `{"role":"assistant","content":`...)
	if len(d.text) == 0 && (len(d.calls) > 0 || len(d.refusal) > 0 || d.audio != nil) {
		dst = append(dst, "null"...)
	} else {
		dst = jsonx.AppendQuote(dst, d.text)
	}
	dst = append(dst, `,"refusal":`...)
	if len(d.refusal) > 0 {
		dst = jsonx.AppendQuote(dst, d.refusal)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(append(dst, `,"annotations":[`...), d.annotations...)
	dst = append(dst, ']')
	if len(d.reasoning) > 0 {
		dst = jsonx.AppendQuote(jsonx.AppendKey(dst, "reasoning_content"), d.reasoning)
	}
	if len(d.thoughts) > 0 {
		dst = append(jsonx.AppendKey(dst, "thinking_blocks"), list(d.thoughts)...)
	}
	if d.seal != "" {
		dst = googleSeal(dst, d.seal)
	}
	if d.audio != nil {
		dst = append(jsonx.AppendKey(dst, "audio"), d.audio...)
	}
	if d.images != nil {
		dst = append(jsonx.AppendKey(dst, "images"), list(d.images)...)
	}
	switch {
	case len(d.calls) == 0:
	case w.functions:
		dst = append(jsonx.AppendKey(dst, "function_call"), '{')
		dst = append(d.calls[0].body(dst, "arguments"), '}')
	default:
		dst = append(jsonx.AppendKey(dst, "tool_calls"), '[')
		for i := range d.calls {
			dst = d.calls[i].append(jsonx.AppendComma(dst))
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (c *docCall) append(dst []byte) []byte {
	dst = jsonx.AppendText(append(dst, '{'), "id", c.id)
	if c.custom {
		dst = c.body(append(dst, `,"type":"custom","custom":{`...), "input")
	} else {
		dst = c.body(append(dst, `,"type":"function","function":{`...), "arguments")
	}
	dst = append(dst, '}')
	if c.seal != "" {
		dst = googleSeal(dst, c.seal)
	}
	return append(dst, '}')
}

func (c *docCall) body(dst []byte, args string) []byte {
	dst = jsonx.AppendKey(jsonx.AppendText(dst, "name", c.name), args)
	if len(c.args) == 0 && !c.custom {
		return append(dst, `"{}"`...)
	}
	return jsonx.AppendQuote(dst, c.args)
}

// appendCitation appends a citation as an annotation; nothing for one without a URL.
func appendCitation(dst []byte, c *llm.Citation) []byte {
	if c.From == name && c.Raw != nil {
		return append(dst, flat(c.Raw)...)
	}
	if c.URL == "" {
		return dst
	}
	dst = append(dst, `{"type":"url_citation","url_citation":{"start_index":`...)
	dst = strconv.AppendInt(dst, int64(c.Start), 10)
	dst = strconv.AppendInt(append(dst, `,"end_index":`...), int64(c.End), 10)
	dst = jsonx.AppendText(jsonx.AppendText(dst, "url", c.URL), "title", c.Title)
	if c.Text != "" {
		dst = jsonx.AppendText(dst, "content", c.Text)
	}
	return append(dst, "}}"...)
}

// readStopReason reads why a choice ended, and whether it did.
func readStopReason(finish, details []byte) (s llm.Stop, ended bool) {
	s.Native, _ = jsonx.String(finish)
	if s.Native == "" { // old vision models have finish_details in its place
		s.Native, _ = jsonx.String(jsonx.Get(details, "type"))
	}
	switch strings.ToLower(s.Native) {
	case "":
		return s, false
	case "length", "max_tokens", "model_length":
		s.Reason = llm.StopLength
	case "tool_calls", "function_call", "tool_use":
		s.Reason = llm.StopCalls
	case "content_filter", "safety", "refusal":
		s.Reason = llm.StopFilter
	case "error", "insufficient_system_resource":
		s.Reason = llm.StopFault
	}
	return s, true
}

func readCitation(raw []byte) *llm.Citation {
	if u, ok := jsonx.String(raw); ok {
		return &llm.Citation{URL: u}
	}
	if jsonx.Kind(raw) != '{' || jsonx.Valid(raw) != nil {
		return nil
	}
	cite := new(llm.Citation)
	body := raw
	if jsonx.Get(raw, "type") != nil {
		cite.Raw, cite.From = bytes.Clone(raw), name
		body = jsonx.Get(raw, "url_citation")
	}
	cite.URL, _ = jsonx.String(jsonx.Get(body, "url"))
	cite.Title, _ = jsonx.String(jsonx.Get(body, "title"))
	cite.Text, _ = jsonx.String(jsonx.Get(body, "content"))
	start, _ := jsonx.Int(jsonx.Get(body, "start_index"))
	end, _ := jsonx.Int(jsonx.Get(body, "end_index"))
	cite.Start, cite.End = int(start), int(end)
	if cite.URL == "" && cite.Raw == nil {
		return nil
	}
	return cite
}

// anyLogprob reports whether log probabilities name any token.
func anyLogprob(raw []byte) bool {
	for _, v := range jsonx.Members(raw) {
		for range jsonx.Elements(v) {
			return true
		}
	}
	return false
}

// flat returns a JSON value without line ends, which a stream of events cannot carry.
func flat(raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}
	if c, err := jsonx.Compact(raw); err == nil {
		return c
	}
	return []byte("null")
}

// cite emits citations: annotations of a text, or a list of sources of the whole answer.
func (r *reader) cite(c *inChoice, list []byte) error {
	for _, e := range jsonx.Elements(list) {
		cite := readCitation(e)
		if cite == nil {
			continue
		}
		if err := r.begin(c, llm.PartText); err != nil {
			return err
		}
		r.ev = llm.Event{Kind: llm.EvDelta, Choice: c.number, Index: c.openAt, Part: llm.PartText, Cite: cite}
		if err := r.emit(&r.ev); err != nil {
			return err
		}
	}
	return nil
}
