package anthropicmessages

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Limits of one tool.
const (
	maxToolText = 64 << 10  // name and description
	maxSchema   = 256 << 10 // a JSON Schema
)

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	head, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	if in.Op == llm.OpModels {
		return &llm.Request{Op: in.Op, Model: head.Model}, nil
	}
	op := llm.OpChat
	if in.Op == llm.OpCount {
		op = in.Op
	}
	chat := &llm.Chat{MaxTokens: head.MaxTokens}
	req := &llm.Request{
		Op: op, Model: head.Model, Stream: head.Stream, Usage: true, Body: chat,
		Extra: llm.Extra{Dialect: name},
	}
	r := requestReader{req: req, chat: chat}
	// The system prompt comes first in the conversation, wherever its member stands.
	if raw, found := head.Doc.Get("system"); found {
		if err := r.system(raw); err != nil {
			return nil, err
		}
	}
	for i := range head.Doc.Members {
		m := &head.Doc.Members[i]
		if err := r.member(m.Name, head.Doc.Body[m.Start:m.End]); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// requestReader decodes one request.
type requestReader struct {
	req  *llm.Request
	chat *llm.Chat
}

func (r *requestReader) extra(name string, raw []byte) {
	if raw != nil {
		if name == "mcp_servers" {
			for range jsonx.Elements(raw) { // tools that the provider itself reaches
				r.req.Bound = name
			}
		}
		r.req.Extra.Members = append(r.req.Extra.Members, llm.Member{Name: name, Raw: raw})
	}
}

func (r *requestReader) member(name string, raw []byte) (err error) {
	switch name {
	case "model", "stream", "max_tokens", "system":
		return nil // read already
	case "messages", "tools", "tool_choice", "output_config", "output_format", "thinking":
		if jsonx.Deeper(raw, maxDepth) {
			return bad(name, fmt.Sprintf("Input is nested deeper than %d levels", maxDepth))
		}
	}
	if jsonx.IsNull(raw) {
		if !known(name) {
			r.extra(name, raw)
		}
		return nil
	}
	s := &r.chat.Sampling
	switch name {
	case "messages":
		return r.messages(raw)
	case "tools":
		return r.tools(raw)
	case "tool_choice":
		return r.choice(raw)
	case "thinking":
		return r.thinking(raw)
	case "output_config":
		return r.outputConfig(raw)
	case "output_format":
		return r.format(name, raw)
	case "temperature":
		s.Temperature, err = wantUnit(name, raw)
	case "top_p":
		s.TopP, err = wantUnit(name, raw)
	case "top_k":
		var k int64
		k, err = wantInt(name, raw, 0)
		s.TopK = &k
	case "stop_sequences":
		for i, v := range jsonx.Elements(raw) {
			q, err := wantString(item(name, i), v)
			if err != nil {
				return err
			}
			r.chat.Stop = append(r.chat.Stop, q)
		}
	case "metadata":
		return r.metadata(raw)
	case "service_tier":
		r.chat.Hints.ServiceTier, err = wantString(name, raw)
	default:
		r.extra(name, raw)
	}
	return err
}

// known reports whether null stands for the absence of a member.
func known(name string) bool {
	switch name {
	case "tools", "tool_choice", "thinking", "output_config", "output_format", "temperature", "top_p", "top_k",
		"stop_sequences", "metadata", "service_tier":
		return true
	}
	return false
}

func (r *requestReader) metadata(raw []byte) (err error) {
	if err := wantObject("metadata", raw); err != nil {
		return err
	}
	if u := jsonx.Get(raw, "user_id"); !jsonx.IsNull(u) {
		if r.chat.Hints.User, err = wantString("metadata.user_id", u); err != nil {
			return err
		}
	}
	r.extra("metadata", without(raw, "user_id"))
	return nil
}

func (r *requestReader) think() *llm.Thinking {
	if r.chat.Thinking == nil {
		r.chat.Thinking = new(llm.Thinking)
	}
	return r.chat.Thinking
}

func (r *requestReader) thinking(raw []byte) (err error) {
	if err := wantObject("thinking", raw); err != nil {
		return err
	}
	t := r.think()
	budget := jsonx.Get(raw, "budget_tokens")
	switch string(plain(jsonx.Get(raw, "type"))) {
	case "enabled":
		t.Mode = llm.ThinkBudget
		if budget == nil {
			return bad("thinking.enabled.budget_tokens", missing)
		}
		if t.Budget, err = wantInt("thinking.enabled.budget_tokens", budget, 1024); err != nil {
			return err
		}
		budget = nil
	case "adaptive":
		t.Mode = llm.ThinkAdaptive
	case "disabled":
		t.Mode = llm.ThinkOff
	default:
		if jsonx.Get(raw, "type") == nil {
			return bad("thinking.type", missing)
		}
		return bad("thinking.type", "Input should be 'adaptive', 'disabled' or 'enabled'")
	}
	if d := jsonx.Get(raw, "display"); !jsonx.IsNull(d) {
		if t.Display, err = wantString("thinking.display", d); err != nil {
			return err
		}
	}
	if !jsonx.IsNull(budget) {
		return bad("thinking.budget_tokens", extra)
	}
	r.extra("thinking", without(raw, "type", "budget_tokens", "display"))
	return nil
}

func (r *requestReader) outputConfig(raw []byte) (err error) {
	const at = "output_config"
	if err := wantObject(at, raw); err != nil {
		return err
	}
	if e := jsonx.Get(raw, "effort"); !jsonx.IsNull(e) {
		effort, err := wantString(at+".effort", e)
		if err != nil {
			return err
		}
		switch effort {
		case llm.EffortLow, llm.EffortMedium, llm.EffortHigh, llm.EffortXHigh, llm.EffortMax:
			r.think().Effort = effort
		default:
			return bad(at+".effort", "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
		}
	}
	if f := jsonx.Get(raw, "format"); !jsonx.IsNull(f) {
		if err := r.format(at+".format", f); err != nil {
			return err
		}
	}
	r.extra(at, without(raw, "effort", "format"))
	return nil
}

// format reads the form of the answer, from its place or from the beta's, which was before.
func (r *requestReader) format(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	if r.chat.Output.Kind != llm.OutputUnset {
		return bad(at, "Only one of 'output_config.format' and 'output_format' may be given")
	}
	if t := jsonx.Get(raw, "type"); string(plain(t)) != "json_schema" {
		if t == nil {
			return bad(at+".type", missing)
		}
		return bad(at+".type", "Input should be 'json_schema'")
	}
	o := &r.chat.Output
	o.Kind, o.Schema = llm.OutputSchema, jsonx.Get(raw, "schema")
	if err := wantObject(at+".schema", o.Schema); err != nil {
		return err
	}
	if len(o.Schema) > maxSchema {
		return bad(at+".schema", fmt.Sprintf("The schema is larger than %d bytes", maxSchema))
	}
	for n := range jsonx.Members(raw) {
		if k := string(n); k != "type" && k != "schema" {
			return bad(join(at, clip(k)), extra)
		}
	}
	return nil
}

func (r *requestReader) choice(raw []byte) (err error) {
	const at = "tool_choice"
	if err := wantObject(at, raw); err != nil {
		return err
	}
	c := &r.chat.Choice
	switch kind := plain(jsonx.Get(raw, "type")); string(kind) {
	case "auto":
		c.Mode = llm.ChoiceAuto
	case "any":
		c.Mode = llm.ChoiceAny
	case "none":
		c.Mode = llm.ChoiceNone
	case "tool":
		c.Mode = llm.ChoiceOne
		n, err := wantString(at+".name", jsonx.Get(raw, "name"))
		if err != nil {
			return err
		}
		c.Names = []string{n}
	default:
		if kind == nil {
			return bad(at+".type", missing)
		}
		return bad(at+".type", "Input should be 'auto', 'any', 'tool' or 'none'")
	}
	if d := jsonx.Get(raw, "disable_parallel_tool_use"); !jsonx.IsNull(d) {
		if r.chat.Parallel, err = boolean(at+".disable_parallel_tool_use", d); err != nil {
			return err
		}
		*r.chat.Parallel = !*r.chat.Parallel
	}
	for n := range jsonx.Members(raw) {
		switch k := string(n); k {
		case "type", "disable_parallel_tool_use":
		case "name":
			if c.Mode != llm.ChoiceOne {
				return bad(join(at, k), extra)
			}
		default:
			return bad(join(at, clip(k)), extra)
		}
	}
	return nil
}

func (r *requestReader) tools(raw []byte) error {
	for i, v := range jsonx.Elements(raw) {
		t, err := readTool(item("tools", i), v)
		if err != nil {
			return err
		}
		r.chat.Tools = append(r.chat.Tools, t)
	}
	return nil
}

func readTool(at string, raw []byte) (t llm.Tool, err error) {
	if kind := jsonx.Get(raw, "type"); !jsonx.IsNull(kind) {
		if t.Native, err = wantString(at+".type", kind); err != nil {
			return t, err
		}
		if t.Native != "custom" { // a server tool, named by its version
			t.Raw = raw
			t.Name, _ = jsonx.String(jsonx.Get(raw, "name"))
			return t, nil
		}
		t.Native = ""
	}
	at += ".custom"
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch k := string(n); k {
		case "type":
		case "name":
			t.Name, err = wantString(at+".name", v)
		case "description":
			t.Description, err = wantString(at+".description", v)
		case "input_schema":
			t.Schema = v
			err = wantObject(at+".input_schema", v)
		case "strict":
			t.Strict, err = boolean(at+".strict", v)
		default:
			if k == "cache_control" {
				if t.Cache = readCache(v); t.Cache != nil {
					continue
				}
			}
			t.Extra = append(t.Extra, llm.Member{Name: k, Raw: v})
		}
		if err != nil {
			return t, err
		}
	}
	switch {
	case t.Name == "":
		return t, bad(at+".name", missing)
	case t.Schema == nil:
		return t, bad(at+".input_schema", missing)
	case len(t.Schema) > maxSchema:
		return t, bad(at+".input_schema", fmt.Sprintf("The schema is larger than %d bytes", maxSchema))
	case len(t.Name)+len(t.Description) > maxToolText:
		e := bad(at, fmt.Sprintf("Name and description are longer than %d bytes", maxToolText))
		e.Code = llm.CodeTooLarge
		return t, e
	}
	return t, nil
}
