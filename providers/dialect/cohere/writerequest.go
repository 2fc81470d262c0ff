package cohere

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

// Limits of the API.
const (
	maxStop = 5
	maxTopK = 500
	minTopP = 0.01
	maxTopP = 0.99
	maxName = 64
)

// requestWriter writes one request.
type requestWriter struct {
	dst     []byte
	req     *llm.Request
	chat    *llm.Chat
	t       dialect.Target
	own     bool // the request came in this dialect
	losses  []llm.Loss
	pending []attachment // of tools' results, for the next user message
	files   []byte       // elements of documents
}

func (w *requestWriter) text(name, value string) { w.dst = jsonx.AppendText(w.dst, name, value) }

func (w *requestWriter) raw(name string, raw []byte) {
	w.dst = append(jsonx.AppendKey(w.dst, name), raw...)
}

func (w *requestWriter) int(name string, n int64) {
	w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, name), n, 10)
}

func (w *requestWriter) lose(path, why string) {
	w.losses = append(w.losses, llm.Loss{Path: member.Path(&w.req.Extra, path), Why: why})
}

// in is a top-level member's name in the client's dialect.
func (w *requestWriter) in(name string) string { return member.In(w.req.Extra.Dialect, name) }

func (w *requestWriter) refuse(path, format string, args ...any) error {
	return &llm.Error{Code: llm.CodeUnsupported, Op: name + ".write", Param: member.Path(&w.req.Extra, path), Reason: "unsupported_parameter", Message: fmt.Sprintf(format, args...)}
}

// chatBody writes what a chat has beside its model.
func (w *requestWriter) chatBody() error {
	for _, step := range [...]func() error{w.messages, w.tools, w.output, w.limits} {
		if err := step(); err != nil {
			return err
		}
	}
	w.thinking()
	w.sampling()
	w.hints()
	if w.req.Stream {
		w.raw("stream", []byte("true"))
	}
	return nil
}

// tools writes the tools that may be called, and how.
func (w *requestWriter) tools() error {
	c := w.chat.Choice
	if len(w.chat.Tools) > 0 {
		w.dst = append(jsonx.AppendKey(w.dst, "tools"), '[')
		for i := range w.chat.Tools {
			t := &w.chat.Tools[i]
			at := fmt.Sprintf("tools[%d]", i)
			if t.Native != "" {
				return w.refuse(at, "The tool type %q has no equal at this model's provider.", t.Native)
			}
			if !w.offered(t) {
				w.lose(at, "it may not be called: it is not offered")
				continue
			}
			w.tool(t, at)
		}
		w.dst = append(w.dst, ']')
		w.strict()
	}
	switch c.Mode {
	case llm.ChoiceAny, llm.ChoiceOne, llm.ChoiceSomeAny:
		if len(w.chat.Tools) == 0 && !w.own {
			return w.refuse(w.in("tool_choice"), "A tool must be called, and there is none.")
		}
		w.text("tool_choice", "REQUIRED")
	case llm.ChoiceNone:
		if len(w.chat.Tools) > 0 || w.own {
			w.text("tool_choice", "NONE")
		}
	}
	if p := w.chat.Parallel; p != nil && !*p {
		w.lose(w.in("parallel_tool_calls"), "the provider cannot be kept from several calls at once")
	}
	return nil
}

// offered reports whether a tool is sent: there is no choice among tools, so the others are left out.
func (w *requestWriter) offered(t *llm.Tool) bool {
	c := &w.chat.Choice
	return c.Mode < llm.ChoiceOne || slices.Contains(c.Names, t.Name)
}

func (w *requestWriter) tool(t *llm.Tool, at string) {
	w.dst = append(jsonx.AppendComma(w.dst), `{"type":"function","function":{`...)
	w.text("name", w.toolName(t.Name))
	if t.Description != "" {
		w.text("description", t.Description)
	}
	switch {
	case !w.own:
		w.raw("parameters", fit.ObjectSchema(t.Schema))
	case t.Schema != nil:
		w.raw("parameters", t.Schema)
	}
	for _, m := range t.Extra {
		if n, inside := strings.CutPrefix(m.Name, inFunction); inside && w.own {
			w.raw(n, m.Raw)
		}
	}
	w.dst = append(w.dst, '}')
	for _, m := range t.Extra {
		switch {
		case !w.own:
			w.lose(at+"."+m.Name, "the dialect does not know the member")
		case !strings.HasPrefix(m.Name, inFunction):
			w.raw(m.Name, m.Raw)
		}
	}
	if t.Cache != nil {
		w.lose(at+".cache_control", "the dialect has no cache marks")
	}
	w.dst = append(w.dst, '}')
}

// strict writes strict_tools, which is of all tools.
func (w *requestWriter) strict() {
	said, on, off := false, false, false
	for i := range w.chat.Tools {
		switch t := &w.chat.Tools[i]; {
		case !w.offered(t):
		case t.Strict != nil:
			said, on, off = true, on || *t.Strict, off || !*t.Strict
		default:
			off = true
		}
	}
	switch {
	case on:
		w.raw("strict_tools", []byte("true"))
		if off {
			w.lose("tools", "the provider is strict with all tools or with none: it is with all")
		}
	case said && w.own:
		w.raw("strict_tools", []byte("false"))
	}
}

// toolName returns a tool's name as the wire carries it. A reader of the answer turns it back.
func (w *requestWriter) toolName(n string) string {
	if w.own {
		return n
	}
	return fit.Name(n, maxName)
}

func (w *requestWriter) output() error {
	o := w.chat.Output
	switch o.Kind {
	case llm.OutputText:
		w.raw("response_format", []byte(`{"type":"text"}`))
	case llm.OutputJSON, llm.OutputSchema:
		if len(w.chat.Tools) > 0 && !w.own {
			return w.refuse(w.in("response_format"), "This model's provider does not hold answers to a format where there are tools.")
		}
		w.dst = append(jsonx.AppendKey(w.dst, "response_format"), `{"type":"json_object"`...)
		if o.Schema != nil {
			w.raw("json_schema", o.Schema)
		}
		w.dst = append(w.dst, '}')
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
	return nil
}

// budgets are the tokens for an effort.
var budgets = [...]struct {
	effort string
	tokens int64
}{{llm.EffortMinimal, 1024}, {llm.EffortLow, 2048}, {llm.EffortMedium, 8192}, {llm.EffortHigh, 16384}, {llm.EffortXHigh, 32768}, {llm.EffortMax, 32768}}

func (w *requestWriter) thinking() {
	th := w.chat.Thinking
	if th == nil {
		return
	}
	at := member.Thinking(w.req.Extra.Dialect, w.chat.Thinking)
	if th.Display != "" {
		w.lose(member.Display(w.req.Extra.Dialect), "the dialect does not say how reasoning is shown")
	}
	never := w.t.Facts.Known && w.t.Facts.Thinking == catalog.ThinkNone
	switch {
	case th.Mode == llm.ThinkOff || th.Mode == llm.ThinkUnset && th.Effort == llm.EffortNone:
		if never && !w.own {
			return
		}
		w.dst = append(jsonx.AppendKey(w.dst, "thinking"), `{"type":"disabled"`...)
		if th.Budget > 0 {
			w.int("token_budget", th.Budget)
		}
		w.dst = append(w.dst, '}')
		return
	case never && !w.own:
		w.lose(at, "the model does not reason")
		return
	}
	budget := th.Budget
	for _, b := range budgets {
		if budget == 0 && b.effort == th.Effort {
			budget = b.tokens
		}
	}
	w.dst = append(jsonx.AppendKey(w.dst, "thinking"), `{"type":"enabled"`...)
	if budget > 0 {
		w.int("token_budget", budget)
	}
	w.dst = append(w.dst, '}')
}

func (w *requestWriter) limits() error {
	if w.chat.N > 1 {
		return w.refuse(w.in("n"), "This model's provider gives one answer to a request.")
	}
	if len(w.chat.Stop) > maxStop && !w.own {
		return w.refuse(w.in("stop"), "This model's provider takes at most %d stop sequences.", maxStop)
	}
	if n := w.chat.MaxTokens; n > 0 {
		w.int("max_tokens", n)
	}
	if len(w.chat.Stop) > 0 {
		w.dst = append(jsonx.AppendKey(w.dst, "stop_sequences"), '[')
		for _, s := range w.chat.Stop {
			w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), s)
		}
		w.dst = append(w.dst, ']')
	}
	return nil
}

func (w *requestWriter) sampling() {
	s := &w.chat.Sampling
	w.float("temperature", "temperature", s.Temperature, 0, 1)
	w.float("p", "top_p", s.TopP, minTopP, maxTopP)
	if k := s.TopK; k != nil {
		n := *k
		if !w.own && (n < 0 || n > maxTopK) {
			n = min(max(n, 0), maxTopK)
			w.lose(w.in("top_k"), fmt.Sprintf("the provider's range is 0 to %d: %d is sent", maxTopK, n))
		}
		w.int("k", n)
	}
	switch {
	case s.Seed == nil:
	case *s.Seed < 0:
		w.lose(w.in("seed"), "the provider's seeds are not negative")
	default:
		w.int("seed", *s.Seed)
	}
	w.float("frequency_penalty", "frequency_penalty", s.FrequencyPenalty, 0, 1)
	w.float("presence_penalty", "presence_penalty", s.PresencePenalty, 0, 1)
	if s.LogitBias != nil {
		w.lose(w.in("logit_bias"), "the provider has none")
	}
	if l := w.chat.Logprobs; l != nil {
		if l.On || w.own {
			w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, "logprobs"), l.On)
		}
		if l.Top != nil {
			w.lose(w.in("top_logprobs"), "the provider gives no alternatives")
		}
	}
}

// float writes a number, within the provider's range.
func (w *requestWriter) float(name, as string, v *float64, low, high float64) {
	if v == nil {
		return
	}
	f := *v
	if !w.own && (f < low || f > high) {
		f = min(max(f, low), high)
		w.lose(w.in(as), fmt.Sprintf("the provider's range is %g to %g: %g is sent", low, high, f))
	}
	w.dst = jsonx.AppendFloat(jsonx.AppendKey(w.dst, name), f)
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
