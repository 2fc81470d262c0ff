package ollama

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// requestWriter writes one request.
type requestWriter struct {
	dst     []byte
	req     *llm.Request
	chat    *llm.Chat
	t       dialect.Target
	losses  []llm.Loss
	pending []attachment // of tools' results, for the next user message
}

func (w *requestWriter) text(name, value string) { w.dst = jsonx.AppendText(w.dst, name, value) }

func (w *requestWriter) raw(name string, raw []byte) {
	w.dst = append(jsonx.AppendKey(w.dst, name), raw...)
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

// in is a top-level member's name in the client's dialect.
func (w *requestWriter) in(name string) string { return member.In(w.req.Extra.Dialect, name) }

func (w *requestWriter) refuse(path, format string, args ...any) error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Reason: "unsupported_parameter", Message: fmt.Sprintf(format, args...)}
}

// chatBody writes what a chat has beside its model. Streams are the API's default, so that it is always said.
func (w *requestWriter) chatBody() error {
	if w.chat.N > 1 {
		return w.refuse(w.in("n"), "This model's provider gives one answer to a request.")
	}
	if err := w.messages(); err != nil {
		return err
	}
	if err := w.tools(); err != nil {
		return err
	}
	w.output()
	w.think()
	w.options()
	w.logprobs()
	w.hints()
	w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, "stream"), w.req.Stream)
	return nil
}

func (w *requestWriter) tools() error {
	c := w.chat.Choice
	switch c.Mode {
	case llm.ChoiceAny, llm.ChoiceOne, llm.ChoiceSomeAny:
		return w.refuse(w.in("tool_choice"), "This model's provider cannot be made to call a tool.")
	case llm.ChoiceNone: // without tools it calls none
		for i := range w.chat.Tools {
			w.lose(fmt.Sprintf("tools[%d]", i), "no tool may be called: none is offered")
		}
		return nil
	}
	if p := w.chat.Parallel; p != nil && !*p {
		w.lose(w.in("parallel_tool_calls"), "the provider cannot be kept from several calls at once")
	}
	if len(w.chat.Tools) == 0 {
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "tools"), '[')
	for i := range w.chat.Tools {
		t := &w.chat.Tools[i]
		at := fmt.Sprintf("tools[%d]", i)
		if t.Native != "" {
			return w.refuse(at, "The tool type %q has no equal at this model's provider.", t.Native)
		}
		if c.Mode == llm.ChoiceSomeAuto && !slices.Contains(c.Names, t.Name) {
			w.lose(at, "it may not be called: it is not offered")
			continue
		}
		w.dst = append(jsonx.AppendComma(w.dst), `{"type":"function","function":{`...)
		w.text("name", t.Name)
		if t.Description != "" {
			w.text("description", t.Description)
		}
		w.raw("parameters", fit.ObjectSchema(t.Schema))
		w.dst = append(w.dst, "}}"...)
		if t.Strict != nil && *t.Strict {
			w.lose(at+".strict", "the provider does not hold calls to their schema")
		}
		if t.Cache != nil {
			w.lose(at+".cache_control", "the dialect has no cache marks")
		}
		for _, m := range t.Extra {
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		}
	}
	w.dst = append(w.dst, ']')
	return nil
}

// output writes format: the word json, or a schema.
func (w *requestWriter) output() {
	o := w.chat.Output
	switch {
	case o.Kind == llm.OutputSchema && o.Schema != nil:
		w.raw("format", o.Schema)
	case o.Kind == llm.OutputSchema, o.Kind == llm.OutputJSON:
		w.text("format", "json")
	}
	at := w.in("response_format")
	if w.req.Extra.Dialect == string(dialect.OpenAIChat) {
		at += ".json_schema"
	}
	if o.Description != "" {
		w.lose(at+".description", "the provider takes no description of a schema")
	}
	if o.Name != "" && o.Name != "output" { // which is what a schema without a name is called
		w.lose(at+".name", "the provider takes no name of a schema")
	}
}

// levels are the words that gpt-oss takes; all other models reason or do not.
var levels = [...]string{llm.EffortLow, llm.EffortMedium, llm.EffortHigh}

func (w *requestWriter) think() {
	th := w.chat.Thinking
	if th == nil {
		return
	}
	at := member.Thinking(w.req.Extra.Dialect, w.chat.Thinking)
	if th.Display != "" {
		w.lose(member.Display(w.req.Extra.Dialect), "the dialect does not say how reasoning is shown")
	}
	off := th.Mode == llm.ThinkOff || th.Effort == llm.EffortNone
	if w.t.Facts.Known && w.t.Facts.Thinking == catalog.ThinkNone {
		if !off {
			w.lose(at, "the model does not reason")
		}
		return
	}
	if th.Mode == llm.ThinkBudget {
		w.lose(at+".budget_tokens", "the provider has no budget of tokens to reason within")
	}
	switch {
	case off:
		w.raw("think", []byte("false"))
	case strings.Contains(strings.ToLower(w.t.Model), "gpt-oss"):
		if effort := fit.WantedEffort(th, true); effort != "" {
			w.text("think", fit.NearestEffort(effort, levels[:]))
		} else {
			w.raw("think", []byte("true"))
		}
	default:
		if th.Effort != "" {
			w.lose(at, "the model reasons or does not: there are no efforts")
		}
		w.raw("think", []byte("true"))
	}
}

// options writes what steers how tokens are drawn.
func (w *requestWriter) options() {
	s := &w.chat.Sampling
	o := []byte{'{'}
	float := func(name string, v *float64) {
		if v != nil {
			o = jsonx.AppendFloat(jsonx.AppendKey(o, name), *v)
		}
	}
	whole := func(name string, v *int64) {
		if v != nil {
			o = strconv.AppendInt(jsonx.AppendKey(o, name), *v, 10)
		}
	}
	float("temperature", s.Temperature)
	float("top_p", s.TopP)
	whole("top_k", s.TopK)
	whole("seed", s.Seed)
	if n := w.chat.MaxTokens; n > 0 {
		whole("num_predict", &n)
	}
	float("presence_penalty", s.PresencePenalty)
	float("frequency_penalty", s.FrequencyPenalty)
	if len(w.chat.Stop) > 0 {
		o = append(jsonx.AppendKey(o, "stop"), '[')
		for _, s := range w.chat.Stop {
			o = jsonx.AppendQuote(jsonx.AppendComma(o), s)
		}
		o = append(o, ']')
	}
	if len(o) > 1 {
		w.raw("options", append(o, '}'))
	}
	if s.LogitBias != nil {
		w.lose(w.in("logit_bias"), "the provider has none")
	}
}

func (w *requestWriter) logprobs() {
	l := w.chat.Logprobs
	if l == nil {
		return
	}
	if l.On {
		w.raw("logprobs", []byte("true"))
	}
	if l.Top != nil {
		w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, "top_logprobs"), *l.Top, 10)
	}
}

func (w *requestWriter) hints() {
	h := &w.chat.Hints
	for _, m := range [...]struct {
		name  string
		given bool
	}{
		{"user", h.User != ""}, {"service_tier", h.ServiceTier != "" && h.ServiceTier != "auto"}, {"prompt_cache_key", h.CacheKey != ""},
		{"prompt_cache_retention", h.CacheTTL != ""}, {"verbosity", h.Verbosity != ""}, {"metadata", h.Metadata != nil}, {"store", h.Store != nil},
	} {
		if m.given {
			w.lose(w.in(m.name), "the provider has no such member")
		}
	}
}

// embed writes what a request for vectors has beside its model.
func (w *requestWriter) embed(e *llm.Embed) error {
	w.dst = append(jsonx.AppendKey(w.dst, "input"), '[')
	for i := range e.Inputs {
		in := &e.Inputs[i]
		at := member.Input(w.req.Extra.Dialect, e, i)
		switch {
		case in.Tokens != nil:
			return w.refuse(at, "This model's provider embeds text; it does not take tokens.")
		case in.Media != nil:
			return w.refuse(at, "This model's provider embeds no images.")
		}
		w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), in.Text)
	}
	w.dst = append(w.dst, ']')
	if e.Dimensions > 0 {
		w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, "dimensions"), e.Dimensions, 10)
	}
	if e.Truncate != "" {
		w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, "truncate"), e.Truncate != "none")
	}
	for _, m := range [...]struct {
		name  string
		given bool
		why   string
	}{
		{"truncate", e.Truncate == "start", "the provider cuts at the end"}, {"input_type", e.Task != "", "the provider does not ask what vectors are for"},
		{"title", e.Title != "", "the dialect has no title of a text"}, {"user", e.User != "", "the dialect has no user"},
	} {
		if m.given {
			w.lose(w.in(m.name), m.why)
		}
	}
	return nil
}
