package openairesponses

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// Limits of a request. A provider's own may be lower; these keep the gateway's work bounded.
const (
	maxItems  = 8192
	maxTools  = 512
	maxDepth  = 64        // of what is decoded; members that are only carried may nest deeper
	maxText   = 64 << 10  // of a tool's name and description
	maxSchema = 256 << 10 // of a JSON Schema
)

// control names the members that decide identity, price, routing or limits. A provider that ignores case
// would take a variant of one for the real thing.
var control = [...]string{
	"model", "input", "instructions", "stream", "max_output_tokens", "max_tool_calls", "tools", "tool_choice",
	"parallel_tool_calls", "text", "reasoning", "temperature", "top_p", "top_logprobs", "service_tier", "store", "include",
	"previous_response_id", "conversation", "background", "prompt", "truncation", "user", "safety_identifier", "metadata",
}

// stated reports whether a member names something stored at the provider.
func stated(name string) bool {
	return name == "previous_response_id" || name == "conversation" || name == "prompt"
}

func plain(raw []byte) []byte { return member.Plain(raw) }

// Peek validates the body and the members that steer the gateway. It decodes no content.
func (c *Codec) Peek(in dialect.Inbound) (*dialect.Head, error) {
	doc, err := member.Scan(in.Body, control[:]...)
	if err != nil {
		return nil, err
	}
	p := peek{head: dialect.Head{Doc: doc, Usage: true, N: 1}}
	for i := range doc.Members {
		m := &doc.Members[i]
		p.stored = p.stored || stated(m.Name) && !jsonx.IsNull(doc.Body[m.Start:m.End])
	}
	for i := range doc.Members {
		m := &doc.Members[i]
		if err := p.member(m.Name, doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	switch {
	case p.head.Model == "": // of a count too, where the API can do without: it decides who counts
		return nil, member.Wanted("model")
	case !p.input && !p.stored:
		return nil, member.Wanted("input")
	}
	if in.Op == llm.OpCount {
		p.head.Stream, p.head.MaxTokens = false, 0
	}
	return &p.head, nil
}

// peek is what one walk over the top-level members gathers.
type peek struct {
	head   dialect.Head
	input  bool
	stored bool // the conversation goes on from what the provider stored
}

func (p *peek) member(name string, raw []byte) (err error) {
	if jsonx.IsNull(raw) && name != "model" {
		return nil // null says nothing, as OpenAI reads it
	}
	switch name {
	case "model":
		p.head.Model, err = member.String(name, raw)
	case "stream":
		p.head.Stream, err = member.Bool(name, raw)
	case "max_output_tokens":
		p.head.MaxTokens, err = member.Int(name, raw, 1, 1<<53-1)
	case "max_tool_calls":
		_, err = member.Int(name, raw, 1, 1<<53-1)
	case "input":
		p.input = true
		err = p.items(raw)
	case "tools":
		if jsonx.Kind(raw) != '[' {
			return member.Wrong(name, "an array of objects", raw)
		}
		for i, t := range jsonx.Elements(raw) {
			at := fmt.Sprintf("tools[%d]", i)
			if i >= maxTools {
				return tooLong(name, maxTools)
			}
			if jsonx.Kind(t) != '{' {
				return member.Wrong(at, "an object", t)
			}
		}
	case "temperature":
		_, err = member.Float(name, raw, 0, 2)
	case "top_p":
		_, err = member.Float(name, raw, 0, 1)
	case "top_logprobs":
		_, err = member.Int(name, raw, 0, 20)
	case "store", "background", "parallel_tool_calls":
		_, err = member.Bool(name, raw)
	case "instructions", "previous_response_id", "service_tier", "truncation", "user", "safety_identifier":
		if name == "instructions" && jsonx.Kind(raw) == '[' {
			return nil // as the API answers them; some clients send them back so
		}
		_, err = member.String(name, raw)
	}
	return err
}

func tooLong(at string, limit int) error {
	return member.Bad(at, member.TooLong, fmt.Sprintf("Invalid '%s': array too long. Expected an array with maximum length %d.", at, limit))
}

// items checks each item's kind and role, and that every output has its call before it.
func (p *peek) items(raw []byte) error {
	switch jsonx.Kind(raw) {
	case '"':
		return nil
	case '[':
	default:
		return member.Wrong("input", "a string or an array of objects", raw)
	}
	var calls member.IDs
	for i, v := range jsonx.Elements(raw) {
		if i >= maxItems {
			return tooLong("input", maxItems)
		}
		if jsonx.Kind(v) != '{' {
			return member.Wrong(fmt.Sprintf("input[%d]", i), "an object", v)
		}
		it := peekItem(v)
		switch string(it.kind) {
		case "", "message":
			if err := it.checkRole(i); err != nil {
				return err
			}
		case "item_reference", "compaction":
			p.stored = true
		case "function_call", "custom_tool_call":
			if jsonx.Kind(it.call) == '"' {
				calls.Add(it.call)
			}
		case "function_call_output", "custom_tool_call_output":
			switch {
			case jsonx.Kind(it.call) != '"':
				return member.Wanted(fmt.Sprintf("input[%d].call_id", i))
			case !p.stored && !calls.Has(it.call):
				return member.Bad(fmt.Sprintf("input[%d].call_id", i), member.Value, "No tool call found for function call output with call_id "+clip(string(plain(it.call)))+".")
			}
		}
	}
	return nil
}

// item is what tells of an item what it is.
type item struct{ kind, role, call []byte }

func peekItem(raw []byte) (it item) {
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "type":
			it.kind = plain(v)
		case "role":
			it.role = v
		case "call_id":
			it.call = v
		}
	}
	return it
}

func (it *item) checkRole(i int) error {
	at := fmt.Sprintf("input[%d].role", i)
	switch string(plain(it.role)) {
	case "user", "assistant", "system", "developer":
		return nil
	}
	switch {
	case it.role == nil && it.kind == nil:
		return member.Wanted(fmt.Sprintf("input[%d].type", i))
	case it.role == nil:
		return member.Wanted(at)
	case jsonx.Kind(it.role) != '"':
		return member.Wrong(at, "a string", it.role)
	}
	return member.Bad(at, member.Value, "Invalid value: '"+at+"' must be one of 'assistant', 'system', 'developer' and 'user'.")
}

// clip shortens what a client sent for a message about it.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
