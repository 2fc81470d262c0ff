package bedrockconverse

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// ReadRequest decodes the whole request. It checks everything that Peek checks.
func (c *Codec) ReadRequest(in dialect.Inbound) (*llm.Request, error) {
	head, err := c.Peek(in)
	if err != nil {
		return nil, err
	}
	chat := &llm.Chat{MaxTokens: head.MaxTokens}
	req := &llm.Request{
		Op: in.Op, Model: head.Model, Stream: head.Stream, Usage: true, Body: chat,
		Extra: llm.Extra{Dialect: name},
	}
	r := requestReader{req: req, chat: chat}
	if in.Op != llm.OpCount {
		req.Op = llm.OpChat
		return req, r.members(head.Doc.Body)
	}
	input, _ := head.Doc.Get("input")
	if native := jsonx.Get(input, "invokeModel"); native != nil {
		req.Bound = "input.invokeModel" // a body in the model's own form
		r.extra("invokeModel", native)
		return req, nil
	}
	r.at = "input.converse."
	for i := range head.Doc.Members {
		if m := &head.Doc.Members[i]; m.Name != "input" {
			r.extra(m.Name, head.Doc.Body[m.Start:m.End])
		}
	}
	return req, r.members(jsonx.Get(input, "converse"))
}

// requestReader decodes one request.
type requestReader struct {
	req  *llm.Request
	chat *llm.Chat
	at   string // what comes before a member's name
}

func (r *requestReader) extra(name string, raw []byte) {
	if raw != nil {
		r.req.Extra.Members = append(r.req.Extra.Members, llm.Member{Name: name, Raw: raw})
	}
}

// members reads the members of a request. The system prompt comes first in the conversation.
func (r *requestReader) members(obj []byte) error {
	if v := jsonx.Get(obj, "system"); v != nil {
		if err := r.member("system", v); err != nil {
			return err
		}
	}
	for n, v := range jsonx.Members(obj) {
		if k := string(n); k != "system" {
			if err := r.member(k, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *requestReader) member(name string, raw []byte) error {
	at := r.at + name
	if jsonx.IsNull(raw) {
		return nil // null stands for the absence of what need not be there
	}
	if jsonx.Deeper(raw, maxDepth) {
		return bad(at, member.Value, fmt.Sprintf("the value is nested deeper than %d levels", maxDepth))
	}
	switch name {
	case "messages":
		return r.messages(at, raw)
	case "system":
		return r.system(at, raw)
	case "inferenceConfig":
		return r.inference(at, raw)
	case "toolConfig":
		return r.toolConfig(at, raw)
	case "outputConfig":
		return r.output(at, raw)
	case "additionalModelRequestFields":
		return r.fields(at, raw)
	case "requestMetadata":
		r.chat.Hints.Metadata = raw
		return wantObject(at, raw)
	case "serviceTier":
		return r.tier(at, raw)
	case "guardrailConfig", "promptVariables": // nobody else checks, or knows the prompt
		r.req.Bound = name
	}
	r.extra(name, raw)
	return nil
}

func (r *requestReader) tier(at string, raw []byte) (err error) {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	r.chat.Hints.ServiceTier, err = member.String(at+".type", jsonx.Get(raw, "type"))
	return err
}

// inference reads what Peek has checked.
func (r *requestReader) inference(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	float := func(v []byte) *float64 {
		if f, ok := jsonx.Float(v); ok {
			return &f
		}
		return nil
	}
	for n, v := range jsonx.Members(raw) {
		switch string(n) {
		case "maxTokens":
			r.chat.MaxTokens, _ = jsonx.Int(v)
		case "temperature":
			r.chat.Sampling.Temperature = float(v)
		case "topP":
			r.chat.Sampling.TopP = float(v)
		case "stopSequences":
			for _, s := range jsonx.Elements(v) {
				text, _ := jsonx.String(s)
				r.chat.Stop = append(r.chat.Stop, text)
			}
		}
	}
	r.extra("inferenceConfig", member.Without(raw, "maxTokens", "temperature", "topP", "stopSequences"))
	return nil
}

func (r *requestReader) think() *llm.Thinking {
	if r.chat.Thinking == nil {
		r.chat.Thinking = new(llm.Thinking)
	}
	return r.chat.Thinking
}

func (r *requestReader) output(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	if e := jsonx.Get(raw, "effort"); !jsonx.IsNull(e) {
		if err := r.effort(at+".effort", e); err != nil {
			return err
		}
	}
	r.extra("outputConfig", member.Without(raw, "effort", "textFormat"))
	f := jsonx.Get(raw, "textFormat")
	if jsonx.IsNull(f) {
		return nil
	}
	at += ".textFormat"
	if err := wantObject(at, f); err != nil {
		return err
	}
	if _, err := member.Word(at+".type", jsonx.Get(f, "type"), "json_schema"); err != nil {
		return err
	}
	at += ".structure.jsonSchema"
	s := jsonx.At(f, "structure", "jsonSchema")
	if err := wantObject(at, s); err != nil {
		return err
	}
	o := &r.chat.Output
	schema, err := member.String(at+".schema", jsonx.Get(s, "schema"))
	if err != nil {
		return err
	}
	o.Kind, o.Schema = llm.OutputSchema, []byte(schema)
	o.Name, _ = jsonx.String(jsonx.Get(s, "name"))
	o.Description, _ = jsonx.String(jsonx.Get(s, "description"))
	switch {
	case len(schema) > maxSchema:
		return bad(at+".schema", member.Value, fmt.Sprintf("the schema is larger than %d bytes", maxSchema))
	case jsonx.Valid(o.Schema) != nil || jsonx.Kind(o.Schema) != '{':
		return bad(at+".schema", member.Value, "the schema must be a JSON object, as a string")
	case jsonx.Deeper(o.Schema, maxDepth):
		return bad(at+".schema", member.Value, fmt.Sprintf("the schema is nested deeper than %d levels", maxDepth))
	}
	return nil
}

func (r *requestReader) effort(at string, raw []byte) (err error) {
	r.think().Effort, err = member.Word(at, raw, llm.EffortNone, llm.EffortMinimal, llm.EffortLow, llm.EffortMedium, llm.EffortHigh, llm.EffortXHigh, llm.EffortMax)
	return err
}

// fields reads the members for single families of models that the vocabulary has words for.
func (r *requestReader) fields(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	var rest []byte
	for n, v := range jsonx.Members(raw) {
		taken, err := r.field(at+"."+string(n), string(n), v)
		if err != nil {
			return err
		}
		if !taken {
			if rest == nil {
				rest = []byte{'{'}
			}
			rest = append(jsonx.AppendKey(rest, string(n)), v...)
		}
	}
	if rest != nil {
		r.extra("additionalModelRequestFields", append(rest, '}'))
	}
	return nil
}

func (r *requestReader) field(at, n string, v []byte) (taken bool, err error) {
	switch {
	case n == "top_k" && r.chat.Sampling.TopK == nil:
		return r.topK(v), nil
	case n == "inferenceConfig" && jsonx.Get(v, "topK") != nil && member.Without(v, "topK") == nil && r.chat.Sampling.TopK == nil:
		return r.topK(jsonx.Get(v, "topK")), nil
	case n == "reasoning_effort":
		return true, r.effort(at, v)
	case n == "reasoning_config" && jsonx.Kind(v) == '"':
		return true, r.effort(at, v)
	case n == "thinking", n == "reasoning_config":
		return true, r.thinking(at, v)
	case n == "reasoningConfig":
		return r.novaThinking(at, v)
	case n == "output_config" && jsonx.Kind(v) == '{' && member.Without(v, "effort") == nil:
		return true, r.effort(at+".effort", jsonx.Get(v, "effort"))
	case n == "tool_choice" && jsonx.Kind(v) == '{' && member.Without(v, "type", "name", "disable_parallel_tool_use") == nil:
		return true, r.claudeChoice(at, v)
	}
	return false, nil
}

func (r *requestReader) topK(v []byte) bool {
	k, ok := jsonx.Int(v)
	if ok {
		r.chat.Sampling.TopK = &k
	}
	return ok
}

// thinking reads Claude's way of asking for reasoning.
func (r *requestReader) thinking(at string, raw []byte) (err error) {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	t := r.think()
	kind, err := member.Word(at+".type", jsonx.Get(raw, "type"), "enabled", "adaptive", "disabled")
	if err != nil {
		return err
	}
	switch kind {
	case "enabled":
		t.Mode = llm.ThinkBudget
		t.Budget, err = member.Int(at+".budget_tokens", jsonx.Get(raw, "budget_tokens"), 1, 1<<53-1)
	case "adaptive":
		t.Mode = llm.ThinkAdaptive
	default:
		t.Mode = llm.ThinkOff
	}
	if d := jsonx.Get(raw, "display"); err == nil && !jsonx.IsNull(d) {
		t.Display, err = member.String(at+".display", d)
	}
	return err
}

// novaThinking reads Nova's way.
func (r *requestReader) novaThinking(at string, raw []byte) (bool, error) {
	if jsonx.Kind(raw) != '{' || member.Without(raw, "type", "maxReasoningEffort") != nil {
		return false, nil
	}
	switch string(member.Plain(jsonx.Get(raw, "type"))) {
	case "disabled":
		r.think().Mode = llm.ThinkOff
	case "enabled":
		r.think().Mode = llm.ThinkUnset
		if e := jsonx.Get(raw, "maxReasoningEffort"); e != nil {
			return true, r.effort(at+".maxReasoningEffort", e)
		}
		r.think().Effort = llm.EffortMedium
	default:
		return false, nil
	}
	return true, nil
}

// claudeChoice reads Claude's own choice of tools, which alone can say that one call is to be made at a time.
func (r *requestReader) claudeChoice(at string, raw []byte) error {
	kind, err := member.Word(at+".type", jsonx.Get(raw, "type"), "auto", "any", "tool", "none")
	if err != nil {
		return err
	}
	c := &r.chat.Choice
	switch kind {
	case "auto":
		c.Mode = llm.ChoiceAuto
	case "any":
		c.Mode = llm.ChoiceAny
	case "none":
		c.Mode = llm.ChoiceNone
	default:
		c.Mode = llm.ChoiceOne
		n, err := member.String(at+".name", jsonx.Get(raw, "name"))
		if err != nil {
			return err
		}
		c.Names = []string{n}
	}
	if d := jsonx.Get(raw, "disable_parallel_tool_use"); !jsonx.IsNull(d) {
		off, err := member.Bool(at+".disable_parallel_tool_use", d)
		if err != nil {
			return err
		}
		off = !off
		r.chat.Parallel = &off
	}
	return nil
}

func (r *requestReader) toolConfig(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	err := each(at+".tools", jsonx.Get(raw, "tools"), maxTools, r.tool)
	if err != nil {
		return err
	}
	r.extra("toolConfig", member.Without(raw, "tools", "toolChoice"))
	choice := jsonx.Get(raw, "toolChoice")
	if jsonx.IsNull(choice) {
		return nil
	}
	at += ".toolChoice"
	if err := wantObject(at, choice); err != nil {
		return err
	}
	c := &r.chat.Choice
	for n, v := range jsonx.Members(choice) {
		switch string(n) {
		case "auto":
			c.Mode, c.Names = llm.ChoiceAuto, nil
		case "any":
			c.Mode, c.Names = llm.ChoiceAny, nil
		case "tool":
			one, err := member.String(at+".tool.name", jsonx.Get(v, "name"))
			if err != nil {
				return err
			}
			c.Mode, c.Names = llm.ChoiceOne, []string{one}
		default:
			return bad(at+"."+clip(string(n)), member.Unknown, "the choice must be auto, any or tool")
		}
	}
	return nil
}

func (r *requestReader) tool(at string, raw []byte) error {
	if err := wantObject(at, raw); err != nil {
		return err
	}
	kind, body := only(raw)
	switch kind {
	case "":
		return bad(at, member.Value, "the tool must have exactly one member")
	case "cachePoint":
		if n := len(r.chat.Tools); n > 0 && r.chat.Tools[n-1].Cache == nil && r.chat.Tools[n-1].Native == "" {
			r.chat.Tools[n-1].Cache = cacheOf(body)
			return nil
		}
	case "toolSpec":
		t, err := readSpec(at+".toolSpec", body)
		r.chat.Tools = append(r.chat.Tools, t)
		return err
	}
	t := llm.Tool{Native: kind, Raw: raw}
	t.Name, _ = jsonx.String(jsonx.Get(body, "name"))
	r.chat.Tools = append(r.chat.Tools, t)
	return nil
}

func readSpec(at string, raw []byte) (t llm.Tool, err error) {
	if err := wantObject(at, raw); err != nil {
		return t, err
	}
	for n, v := range jsonx.Members(raw) {
		if jsonx.IsNull(v) {
			continue
		}
		switch k := string(n); k {
		case "name":
			t.Name, err = member.String(at+".name", v)
		case "description":
			t.Description, err = member.String(at+".description", v)
		case "inputSchema":
			if t.Schema = jsonx.Get(v, "json"); jsonx.Kind(t.Schema) != '{' {
				err = wantObject(at+".inputSchema.json", t.Schema)
			}
		case "strict":
			t.Strict, err = member.Ptr(member.Bool(at+".strict", v))
		default:
			t.Extra = append(t.Extra, llm.Member{Name: k, Raw: v})
		}
		if err != nil {
			return t, err
		}
	}
	switch {
	case t.Name == "":
		return t, member.Wanted(at + ".name")
	case t.Schema == nil:
		return t, member.Wanted(at + ".inputSchema.json")
	case len(t.Schema) > maxSchema:
		return t, bad(at+".inputSchema.json", member.Value, fmt.Sprintf("the schema is larger than %d bytes", maxSchema))
	}
	return t, nil
}

// only returns the one member of a union; "" where there are none or several.
func only(obj []byte) (kind string, value []byte) {
	for n, v := range jsonx.Members(obj) {
		if jsonx.IsNull(v) {
			continue
		}
		if kind != "" {
			return "", nil
		}
		kind, value = string(n), v
	}
	return kind, value
}

// cacheOf returns the mark that a cachePoint is.
func cacheOf(raw []byte) *llm.CacheMark {
	m := new(llm.CacheMark)
	m.TTL, _ = jsonx.String(jsonx.Get(raw, "ttl"))
	return m
}
