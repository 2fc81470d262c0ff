package override

import (
	"cmp"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// chat is https://platform.openai.com/docs/api-reference/chat/create.
func (w *writer) chat(p *Parameters) {
	w.sampling(p, w.set, "top_p", 2)
	most := "max_completion_tokens"
	if old, _ := w.get("max_tokens"); old != nil { // deprecated; what the client names is what its provider knows
		if current, _ := w.get(most); current != nil && p.MaxTokens > 0 {
			w.set(most, whole(int64(p.MaxTokens)))
		}
		most = "max_tokens"
	}
	limit(p, w.set, most, "stop")
	if p.Effort != "" {
		w.set("reasoning_effort", text(p.Effort))
	}
	if c := w.choice(p); c != "" {
		w.set("tool_choice", text(c))
	}
	switch f := &p.Format; f.Type {
	case "text":
		w.set("response_format", []byte(`{"type":"text"}`))
	case "json":
		w.set("response_format", []byte(`{"type":"json_object"}`))
	case "schema":
		w.set("response_format", append(append([]byte(`{"type":"json_schema","json_schema":`), schema(p, true)...), '}'))
	}
}

// schema is an object with the schema of answers as OpenAI has it.
func schema(p *Parameters, bare bool) []byte {
	f := &p.Format
	out := []byte{'{'}
	if !bare {
		out = jsonx.AppendText(out, "type", "json_schema")
	}
	out = jsonx.AppendText(out, "name", cmp.Or(f.Name, "answer"))
	out = append(jsonx.AppendKey(out, "schema"), f.Schema...)
	if f.Strict != nil {
		out = append(jsonx.AppendKey(out, "strict"), map[bool]string{true: "true", false: "false"}[*f.Strict]...)
	}
	return append(out, '}')
}

// completions is https://platform.openai.com/docs/api-reference/completions/create.
func (w *writer) completions(p *Parameters) {
	w.sampling(p, w.set, "top_p", 2)
	limit(p, w.set, "max_tokens", "stop")
	w.lacks(p, "tool_choice", "reasoning_effort", "response_format")
}

// responses is https://platform.openai.com/docs/api-reference/responses/create.
func (w *writer) responses(p *Parameters) {
	w.sampling(p, w.set, "top_p", 2)
	limit(p, w.set, "max_output_tokens", "")
	w.lacks(p, "stop")
	if p.Effort != "" {
		w.in("reasoning", "effort", text(p.Effort))
	}
	if c := w.choice(p); c != "" {
		w.set("tool_choice", text(c))
	}
	switch p.Format.Type {
	case "text":
		w.in("text", "format", []byte(`{"type":"text"}`))
	case "json":
		w.in("text", "format", []byte(`{"type":"json_object"}`))
	case "schema":
		w.in("text", "format", schema(p, false))
	}
}

// effort is a word for how much a model reasons, with the tokens that stand for it elsewhere.
type effort struct {
	word, claude, level string
	budget              int64
}

// efforts are weakest first. Words and budgets are as in the translation of dialects.
func efforts() []effort {
	return []effort{
		{llm.EffortMinimal, llm.EffortLow, "MINIMAL", 1024}, {llm.EffortLow, llm.EffortLow, "LOW", 2048}, {llm.EffortMedium, llm.EffortMedium, "MEDIUM", 8192},
		{llm.EffortHigh, llm.EffortHigh, "HIGH", 16384}, {llm.EffortXHigh, llm.EffortXHigh, "HIGH", 32768}, {llm.EffortMax, llm.EffortMax, "HIGH", 32768},
	}
}

func effortOf(word string) effort {
	all := efforts()
	return all[max(slices.IndexFunc(all, func(e effort) bool { return e.word == word }), 0)]
}

// messages is https://docs.claude.com/en/api/messages.
func (w *writer) messages(p *Parameters) {
	w.sampling(p, w.set, "top_p", 1)
	limit(p, w.set, "max_tokens", "stop_sequences")
	w.claude(p)
	switch w.choice(p) {
	case "auto":
		w.set("tool_choice", []byte(`{"type":"auto"}`))
	case "none":
		w.set("tool_choice", []byte(`{"type":"none"}`))
	case "required":
		w.set("tool_choice", []byte(`{"type":"any"}`))
	}
	switch f := &p.Format; f.Type {
	case "text":
		w.in("output_config", "format", nil)
	case "json":
		w.lacks(p, "response_format")
	case "schema":
		w.in("output_config", "format", append(append([]byte(`{"type":"json_schema","schema":`), f.Schema...), '}'))
	}
}

// claude sets how much a Claude model reasons: a word or, for those that know budgets alone, the budget of a request that has one.
// Whether one reasons at all is not changed but by none: what follows a call of a tool has to come with its reasoning.
func (w *writer) claude(p *Parameters) {
	const least = 1024 // tokens of a budget
	thinking, _ := w.get("thinking")
	words := w.Facts.Thinking != catalog.ThinkBudget || slices.Contains(w.Facts.Efforts, p.Effort)
	switch e := effortOf(p.Effort); {
	case p.Effort == "":
	case p.Effort == llm.EffortNone:
		w.set("thinking", []byte(`{"type":"disabled"}`))
		w.in("output_config", "effort", nil)
	case w.Facts.Known && w.Facts.Thinking == catalog.ThinkNone && w.Facts.Efforts == nil:
		w.lose("reasoning_effort", "the model does not reason")
	case words:
		w.in("output_config", "effort", text(e.claude))
	case !same(thinking, "enabled"):
		w.lose("reasoning_effort", "the model reasons within a budget, and the request does not ask it to")
	default:
		most, _ := w.get("max_tokens")
		room, _ := jsonx.Int(most)
		if p.MaxTokens > 0 {
			room = int64(p.MaxTokens)
		}
		if room <= least {
			w.lose("reasoning_effort", "max_tokens leaves no room for it")
			return
		}
		w.in("thinking", "budget_tokens", whole(min(e.budget, room-1)))
	}
}

// gemini is https://ai.google.dev/api/generate-content#generationconfig.
func (w *writer) gemini(p *Parameters) {
	const at = "generationConfig"
	put := func(name string, raw []byte) { w.in(at, name, raw) }
	w.sampling(p, put, "topP", 2)
	limit(p, put, "maxOutputTokens", "stopSequences")
	if p.Effort != "" {
		w.thinking(p)
	}
	if c := w.choice(p); c != "" {
		w.in("toolConfig", "functionCallingConfig", []byte(`{"mode":"`+map[string]string{"auto": "AUTO", "none": "NONE", "required": "ANY"}[c]+`"}`))
	}
	if p.Format.Type == "" {
		return
	}
	put("responseSchema", nil)
	put("responseJsonSchema", nil)
	switch f := &p.Format; f.Type {
	case "text":
		put("responseMimeType", []byte(`"text/plain"`))
	case "schema":
		put("responseMimeType", []byte(`"application/json"`))
		put("responseJsonSchema", f.Schema)
	default:
		put("responseMimeType", []byte(`"application/json"`))
	}
}

// thinking sets how much a Gemini model reasons: a level, or a budget before Gemini 3. Whether thoughts are shown stays as it is.
func (w *writer) thinking(p *Parameters) {
	const at = "generationConfig"
	e := effortOf(p.Effort)
	out := []byte{'{'}
	config, _ := w.get(at)
	for name, raw := range jsonx.Members(config) {
		if w.plain(string(name)) != "thinkingconfig" {
			continue
		}
		for name, raw := range jsonx.Members(raw) {
			if w.plain(string(name)) == "includethoughts" {
				out = append(jsonx.AppendKey(out, string(name)), raw...)
			}
		}
	}
	switch off := p.Effort == llm.EffortNone; {
	case w.Facts.Known && w.Facts.Thinking == catalog.ThinkNone:
		w.lose("reasoning_effort", "the model does not reason")
		return
	case w.Facts.Thinking == catalog.ThinkBudget && off && w.Facts.ThinkAlways:
		w.lose("reasoning_effort", "the model cannot be told not to reason; its smallest budget is sent")
		out = append(jsonx.AppendKey(out, "thinkingBudget"), whole(max(w.Facts.BudgetMin, 1))...)
	case w.Facts.Thinking == catalog.ThinkBudget && off:
		out = append(jsonx.AppendKey(out, "thinkingBudget"), '0')
	case w.Facts.Thinking == catalog.ThinkBudget:
		n := max(e.budget, w.Facts.BudgetMin)
		if most := w.Facts.BudgetMax; most > 0 {
			n = min(n, most)
		}
		out = append(jsonx.AppendKey(out, "thinkingBudget"), whole(n)...)
	case off:
		w.lose("reasoning_effort", "the model cannot be told not to reason; its lowest level is sent")
		out = jsonx.AppendText(out, "thinkingLevel", "MINIMAL")
	default:
		if e.word != llm.EffortMinimal && e.budget > 16384 {
			w.lose("reasoning_effort", "the highest level is high, which is sent")
		}
		out = jsonx.AppendText(out, "thinkingLevel", e.level)
	}
	w.in(at, "thinkingConfig", append(out, '}'))
}

// converse is https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
func (w *writer) converse(p *Parameters) {
	put := func(name string, raw []byte) { w.in("inferenceConfig", name, raw) }
	w.sampling(p, put, "topP", 1)
	limit(p, put, "maxTokens", "stopSequences")
	w.lacks(p, "reasoning_effort") // each family of models has its own
	tools, _ := w.get("toolConfig")
	switch choice := p.ToolChoice; {
	case choice == "" || jsonx.Kind(tools) != '{':
	case choice == "auto":
		w.in("toolConfig", "toolChoice", []byte(`{"auto":{}}`))
	case choice == "required":
		w.in("toolConfig", "toolChoice", []byte(`{"any":{}}`))
	default:
		w.lose("tool_choice", "tools cannot be forbidden here")
	}
	switch f := &p.Format; f.Type {
	case "text":
		w.in("outputConfig", "textFormat", nil)
	case "json":
		w.lacks(p, "response_format")
	case "schema":
		inner := append(jsonx.AppendKey([]byte{'{'}, "schema"), text(string(f.Schema))...)
		inner = jsonx.AppendText(inner, "name", cmp.Or(f.Name, "answer"))
		w.in("outputConfig", "textFormat", append(append([]byte(`{"type":"json_schema","structure":{"jsonSchema":`), inner...), "}}}"...))
	}
}

// cohere is https://docs.cohere.com/reference/chat.
func (w *writer) cohere(p *Parameters) {
	w.sampling(p, w.set, "p", 1)
	limit(p, w.set, "max_tokens", "stop_sequences")
	switch {
	case p.Effort == "":
	case p.Effort == llm.EffortNone:
		w.set("thinking", []byte(`{"type":"disabled"}`))
	case w.Facts.Known && w.Facts.Thinking == catalog.ThinkNone:
		w.lose("reasoning_effort", "the model does not reason")
	default:
		w.set("thinking", append(append([]byte(`{"type":"enabled","token_budget":`), whole(effortOf(p.Effort).budget)...), '}'))
	}
	switch w.choice(p) {
	case "auto":
		w.set("tool_choice", nil)
	case "none":
		w.set("tool_choice", []byte(`"NONE"`))
	case "required":
		w.set("tool_choice", []byte(`"REQUIRED"`))
	}
	switch f := &p.Format; {
	case f.Type == "":
	case f.Type == "text":
		w.set("response_format", []byte(`{"type":"text"}`))
	case w.tooled():
		w.lose("response_format", "answers are not held to a format where there are tools")
	case f.Type == "schema":
		w.set("response_format", append(append([]byte(`{"type":"json_object","json_schema":`), f.Schema...), '}'))
	default:
		w.set("response_format", []byte(`{"type":"json_object"}`))
	}
}
