package mock

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Shapes of anthropic-messages.

type message struct {
	ID           string       `json:"id"`
	Type         string       `json:"type"`
	Role         string       `json:"role"`
	Model        string       `json:"model"`
	Content      []any        `json:"content"`
	StopReason   *string      `json:"stop_reason"`
	StopSequence *string      `json:"stop_sequence"`
	StopDetails  *stopDetails `json:"stop_details,omitzero"`
	Usage        *antUsage    `json:"usage,omitzero"`
}

type stopDetails struct {
	Type        string `json:"type"`
	Category    string `json:"category"`
	Explanation string `json:"explanation"`
}

type antUsage struct {
	InputTokens              int `json:"input_tokens"`
	CacheCreationInputTokens int `json:"cache_creation_input_tokens"`
	CacheReadInputTokens     int `json:"cache_read_input_tokens"`
	OutputTokens             int `json:"output_tokens"`
}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type thinkingBlock struct {
	Type      string `json:"type"`
	Thinking  string `json:"thinking"`
	Signature string `json:"signature"`
}

type toolBlock struct {
	Type  string    `json:"type"`
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	Input jsonx.Raw `json:"input"`
}

// antDelta is a content block's delta; one member counts.
type antDelta struct {
	Type        string  `json:"type"`
	Text        *string `json:"text,omitzero"`
	Thinking    *string `json:"thinking,omitzero"`
	Signature   *string `json:"signature,omitzero"`
	PartialJSON *string `json:"partial_json,omitzero"`
}

// anthropicStop returns the stop_reason.
func anthropicStop(stop string) string {
	switch stop {
	case "length":
		return "max_tokens"
	case "calls":
		return "tool_use"
	case "filter", "refuse":
		return "refusal"
	case "sequence":
		return "stop_sequence"
	case "pause":
		return "pause_turn"
	}
	return "end_turn"
}

// anthropicEnd sets how m ended.
func (e *exchange) anthropicEnd(m *message, a *answer) {
	reason := anthropicStop(a.stop)
	m.StopReason = &reason
	if reason == "stop_sequence" {
		m.StopSequence = &e.req.sequence
	}
	if reason == "refusal" {
		m.StopDetails = &stopDetails{"refusal", "general_harms", "This request was refused, as asked."}
	}
}

func (e *exchange) anthropicHead() message {
	return message{ID: e.name("msg_"), Type: "message", Role: "assistant", Model: e.req.model, Content: []any{}}
}

func (e *exchange) anthropicUsage(in, out int) *antUsage {
	if e.sc.noUsage {
		return nil
	}
	return &antUsage{InputTokens: in, OutputTokens: out}
}

// seal is the signature of a thought: no client may read anything into it.
func (e *exchange) seal() string {
	return base64.StdEncoding.EncodeToString([]byte(e.name("seal_")))
}

// anthropicWhole writes an answer as one document.
func (e *exchange) anthropicWhole(a *answer) []byte {
	m := e.anthropicHead()
	if len(a.thoughts) > 0 {
		m.Content = append(m.Content, thinkingBlock{"thinking", join(a.thoughts), e.seal()})
	}
	if text := join(a.text) + a.refused; text != "" {
		m.Content = append(m.Content, textBlock{"text", text})
	}
	for _, c := range a.calls {
		m.Content = append(m.Content, toolBlock{"tool_use", c.id, c.name, jsonx.Raw(c.args)})
	}
	e.anthropicEnd(&m, a)
	m.Usage = e.anthropicUsage(a.in, a.out)
	return encode(m)
}

// antStream writes events until the reader has had enough.
type antStream struct {
	yield func(frame) bool
	index int
	done  bool
}

func (s *antStream) send(p phase, name string, v map[string]any) {
	if s.done {
		return
	}
	data := append([]byte(`{"type":"`), name...) // the type comes first, as it does from the provider
	data = append(data, '"')
	if len(v) > 0 {
		data = append(data, ',')
	}
	data = append(data, encode(v)[1:]...)
	s.done = !s.yield(frame{p, event(name, data)})
}

// block sends one content block.
func (s *antStream) block(start any, kind string, chunks []string, set func(*antDelta, *string), last *antDelta) {
	before := joint
	if s.index == 0 {
		before = opening
	}
	s.send(before, "content_block_start", map[string]any{"index": s.index, "content_block": start})
	if s.index == 0 {
		s.send(opening, "ping", map[string]any{})
	}
	for _, chunk := range chunks {
		d := antDelta{Type: kind}
		set(&d, &chunk)
		s.send(content, "content_block_delta", map[string]any{"index": s.index, "delta": d})
	}
	if last != nil {
		s.send(joint, "content_block_delta", map[string]any{"index": s.index, "delta": *last})
	}
	s.send(joint, "content_block_stop", map[string]any{"index": s.index})
	s.index++
}

// anthropicFrames writes an answer as a stream.
func (e *exchange) anthropicFrames(a *answer) frames {
	return func(yield func(frame) bool) {
		s := &antStream{yield: yield}
		head := e.anthropicHead()
		head.Usage = e.anthropicUsage(a.in, min(a.out, 1))
		s.send(opening, "message_start", map[string]any{"message": head})
		if len(a.thoughts) > 0 {
			seal := e.seal()
			s.block(thinkingBlock{Type: "thinking"}, "thinking_delta", a.thoughts,
				func(d *antDelta, c *string) { d.Thinking = c }, &antDelta{Type: "signature_delta", Signature: &seal})
		}
		if chunks := slices.Concat(a.text, words(a.refused)); len(chunks) > 0 {
			s.block(textBlock{Type: "text"}, "text_delta", chunks, func(d *antDelta, c *string) { d.Text = c }, nil)
		}
		for _, c := range a.calls {
			var chunks []string
			if c.args != "{}" {
				chunks = pieces(c.args)
			}
			s.block(toolBlock{"tool_use", c.id, c.name, jsonx.Raw("{}")}, "input_json_delta", chunks,
				func(d *antDelta, c *string) { d.PartialJSON = c }, nil)
		}
		end := e.anthropicHead()
		e.anthropicEnd(&end, a)
		delta := map[string]any{"stop_reason": end.StopReason, "stop_sequence": end.StopSequence}
		if end.StopDetails != nil {
			delta["stop_details"] = end.StopDetails
		}
		v := map[string]any{"delta": delta}
		if usage := e.anthropicUsage(a.in, a.out); usage != nil {
			v["usage"] = usage
		}
		s.send(closing, "message_delta", v)
		s.send(closing, "message_stop", map[string]any{})
	}
}

func join(chunks []string) string { return strings.Join(chunks, "") }
