package bedrockconverse

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// unlimited reports whether the model refuses limits and sampling members: Nova at its highest effort.
func (w *requestWriter) unlimited() bool {
	return !w.own && w.family.asks == asksNova && w.effort() == llm.EffortHigh
}

// inference writes the members that all models take.
func (w *requestWriter) inference() error {
	var err error
	w.object("inferenceConfig", func() {
		w.limit()
		w.sampling()
		err = w.stop()
		w.rest("inferenceConfig")
	})
	return err
}

func (w *requestWriter) limit() {
	most := w.chat.MaxTokens
	if w.told != nil && (most > 0 || w.told.Form == "enabled") {
		most = w.told.Max
	}
	switch {
	case most <= 0:
	case w.unlimited():
		w.lose("max_completion_tokens", "the model does not take a limit at its highest effort")
	default:
		w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, "maxTokens"), most, 10)
	}
}

func (w *requestWriter) sampling() {
	const reasoning = "the model does not take it while it reasons"
	s, f := &w.chat.Sampling, &w.t.Facts
	thinks := w.told != nil && w.told.On()
	temperature, why := s.Temperature, ""
	switch {
	case temperature == nil || w.own:
	case w.unlimited():
		why = reasoning
	case f.NoSampling:
		why = "the model does not take it"
	case thinks && *temperature != 1:
		why = reasoning
	case *temperature > 1:
		w.lose("temperature", fmt.Sprintf("%g is above the provider's range; 1 is sent", *temperature))
		one := 1.0
		temperature = &one
	}
	sent := w.float("temperature", w.member("inferenceConfig.temperature", "temperature"), temperature, why)
	why = ""
	switch {
	case s.TopP == nil || w.own:
	case w.unlimited():
		why = reasoning
	case f.NoSampling:
		why = "the model does not take it"
	case thinks && *s.TopP < 0.95:
		why = reasoning
	case f.OneSampling && sent:
		why = "the model refuses it beside temperature"
	}
	w.float("topP", w.member("inferenceConfig.topP", "top_p"), s.TopP, why)
}

// float writes a number, unless there is a reason not to, and reports whether it did.
func (w *requestWriter) float(name, at string, v *float64, why string) bool {
	switch {
	case v == nil:
		return false
	case why != "":
		w.lose(at, why)
		return false
	}
	w.dst = jsonx.AppendFloat(jsonx.AppendKey(w.dst, name), *v)
	return true
}

func (w *requestWriter) stop() error {
	kept := make([]string, 0, len(w.chat.Stop))
	for i, s := range w.chat.Stop {
		if blank(s) && !w.own {
			w.lose(item(w.in("stop"), i), "the provider refuses a stop sequence that is blank")
			continue
		}
		kept = append(kept, s)
	}
	if most := w.family.stops; !w.own && most > 0 && len(kept) > most {
		return w.invalid("stop", fmt.Sprintf("This model's provider takes at most %d stop sequences.", most))
	}
	if len(kept) == 0 {
		return nil
	}
	w.dst = append(jsonx.AppendKey(w.dst, "stopSequences"), '[')
	for _, s := range kept {
		w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), s)
	}
	w.dst = append(w.dst, ']')
	return nil
}

// output writes the form in which the answer is due.
func (w *requestWriter) output() {
	o := &w.chat.Output
	schema := o.Kind == llm.OutputSchema && o.Schema != nil && w.trick == ""
	w.object("outputConfig", func() {
		switch {
		case !schema:
		case w.own || w.takesSchema():
			w.schema(o)
		case w.family.choice:
			w.lose("response_format", "the model holds to no schema; the forced call is the answer")
		default:
			w.lose("response_format", "the model holds to no schema; it is told the schema in words")
		}
		w.rest("outputConfig")
	})
}

func (w *requestWriter) schema(o *llm.Output) {
	schema := o.Schema
	if !w.own && w.family.asks == asksClaude {
		schema = fit.ClosedSchema(schema, "")
	}
	w.dst = append(jsonx.AppendKey(w.dst, "textFormat"), `{"type":"json_schema","structure":{"jsonSchema":{`...)
	w.dst = jsonx.AppendQuote(jsonx.AppendKey(w.dst, "schema"), schema)
	if o.Name != "" {
		w.dst = jsonx.AppendText(w.dst, "name", w.toolName(o.Name))
	}
	if o.Description != "" {
		w.dst = jsonx.AppendText(w.dst, "description", o.Description)
	}
	w.dst = append(w.dst, "}}}"...)
}

// spoken returns what the system prompt must say of the answer's form, because no member does.
func (w *requestWriter) spoken() string {
	o := &w.chat.Output
	switch {
	case w.own:
	case o.Kind == llm.OutputJSON, o.Kind == llm.OutputSchema && o.Schema == nil:
		return "Answer with one JSON object and nothing else."
	case o.Kind == llm.OutputSchema && !w.takesSchema() && !w.family.choice:
		return "Answer with one JSON value that fits this JSON Schema, and nothing else:\n" + string(o.Schema)
	}
	return ""
}

// effort is the effort for a model that takes one word for it, "" where nothing is asked.
func (w *requestWriter) effort() string {
	th := w.chat.Thinking
	if th == nil {
		return ""
	}
	want := fit.WantedEffort(th, false)
	if want == "" || want == llm.EffortNone || len(w.family.efforts) == 0 {
		return want
	}
	return fit.NearestEffort(want, w.family.efforts)
}

// fields writes the members that single families take.
func (w *requestWriter) fields() {
	w.object("additionalModelRequestFields", func() {
		left := w.extra("additionalModelRequestFields")
		w.reasoning()
		if k := w.chat.Sampling.TopK; k != nil {
			w.topK(*k)
		}
		if w.claudeChoice() && w.req.Op != llm.OpCount {
			w.ownChoice()
		}
		for n, v := range jsonx.Members(left) {
			w.dst = append(jsonx.AppendKey(w.dst, string(n)), v...)
		}
	})
}

func (w *requestWriter) topK(k int64) {
	at := w.member("additionalModelRequestFields", "top_k")
	path := w.family.topK
	switch {
	case path == "" && w.own:
		path = "top_k"
	case path == "":
		w.lose(at, "the model has no equal")
		return
	case w.own:
	case w.t.Facts.NoSampling:
		w.lose(at, "the model does not take it")
		return
	case w.told != nil && w.told.On(), w.unlimited():
		w.lose(at, "the model does not take it while it reasons")
		return
	case k < 0:
		w.lose(at, "the provider's smallest is 0")
		return
	}
	outer, inner, nested := strings.Cut(path, ".")
	if nested {
		w.dst = append(strconv.AppendInt(jsonx.AppendKey(append(jsonx.AppendKey(w.dst, outer), '{'), inner), k, 10), '}')
		return
	}
	w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, outer), k, 10)
}

// ownChoice writes the choice of tools in Claude's own form.
func (w *requestWriter) ownChoice() {
	c := w.chat.Choice
	kind := "auto"
	switch c.Mode {
	case llm.ChoiceAny, llm.ChoiceSomeAny:
		kind = "any"
	case llm.ChoiceOne:
		kind = "tool"
	case llm.ChoiceNone:
		kind = "none"
	}
	w.dst = append(jsonx.AppendKey(w.dst, "tool_choice"), '{')
	w.dst = jsonx.AppendText(w.dst, "type", kind)
	if kind == "tool" && len(c.Names) > 0 {
		w.dst = jsonx.AppendText(w.dst, "name", w.toolName(c.Names[0]))
	}
	if p := w.chat.Parallel; p != nil && kind != "none" {
		w.dst = strconv.AppendBool(jsonx.AppendKey(w.dst, "disable_parallel_tool_use"), !*p)
	}
	w.dst = append(w.dst, '}')
}

// reasoning writes how the model is asked to reason, each family in its own words.
func (w *requestWriter) reasoning() {
	th := w.chat.Thinking
	if th == nil {
		return
	}
	asks := w.family.asks
	if asks == asksNothing && w.own { // the words that the client itself may have used
		if asks = asksEffort; th.Mode != llm.ThinkUnset {
			asks = asksClaude
		}
	}
	if asks == asksClaude {
		w.claudeThinking(th)
		return
	}
	at := w.member("additionalModelRequestFields", member.Thinking(w.req.Extra.Dialect, w.chat.Thinking))
	want := fit.WantedEffort(th, false)
	effort := w.effort()
	switch {
	case want == "":
		return
	case asks == asksNothing:
		if want != llm.EffortNone {
			w.lose(at, "the model is not asked to reason")
		}
		return
	case want == llm.EffortNone && asks == asksNova:
		w.dst = append(jsonx.AppendKey(w.dst, "reasoningConfig"), `{"type":"disabled"}`...)
		return
	case want == llm.EffortNone && !w.own:
		if asks == asksWord { // which reasons only where it is told to
			return
		}
		w.lose(at, "the model cannot be told not to reason")
		effort = w.family.efforts[0]
	case effort != want:
		w.lose(at, fmt.Sprintf("the model does not take the effort %q; %q is sent", want, effort))
	}
	switch asks {
	case asksNova:
		w.dst = append(jsonx.AppendKey(w.dst, "reasoningConfig"), `{"type":"enabled"`...)
		w.dst = append(jsonx.AppendText(w.dst, "maxReasoningEffort", effort), '}')
	case asksWord:
		w.dst = jsonx.AppendText(w.dst, "reasoning_config", effort)
	default:
		w.dst = jsonx.AppendText(w.dst, "reasoning_effort", effort)
	}
}

func (w *requestWriter) claudeThinking(th *llm.Thinking) {
	t := w.told
	if t == nil { // own, and of an unknown family
		form := map[llm.ThinkMode]string{llm.ThinkOff: "disabled", llm.ThinkBudget: "enabled", llm.ThinkAdaptive: "adaptive"}[th.Mode]
		w.thinking(form, th.Budget, th.Display, th.Effort)
		return
	}
	w.thinking(t.Form, t.Budget, t.Display, t.Effort)
}

func (w *requestWriter) thinking(form string, budget int64, display, effort string) {
	if form != "" {
		w.dst = append(jsonx.AppendKey(w.dst, "thinking"), '{')
		w.dst = jsonx.AppendText(w.dst, "type", form)
		if form == "enabled" {
			w.dst = strconv.AppendInt(jsonx.AppendKey(w.dst, "budget_tokens"), budget, 10)
		}
		if display != "" {
			w.dst = jsonx.AppendText(w.dst, "display", display)
		}
		w.dst = append(w.dst, '}')
	}
	if effort != "" {
		w.dst = append(jsonx.AppendText(append(jsonx.AppendKey(w.dst, "output_config"), '{'), "effort", effort), '}')
	}
}

// hints writes what steers bookkeeping, and records the loss of what has no equal.
func (w *requestWriter) hints() {
	h, s := &w.chat.Hints, &w.chat.Sampling
	switch {
	case h.ServiceTier == "", h.ServiceTier == "auto" && !w.own: // the model's usual one
	case w.own, h.ServiceTier == "default", h.ServiceTier == "flex", h.ServiceTier == "priority":
		w.dst = append(jsonx.AppendText(append(jsonx.AppendKey(w.dst, "serviceTier"), '{'), "type", h.ServiceTier), '}')
	default:
		w.lose("service_tier", "the tier has no equal at this provider")
	}
	w.metadata()
	l := w.chat.Logprobs
	for _, m := range [...]struct {
		name string
		said bool
	}{
		{"seed", s.Seed != nil},
		{"presence_penalty", s.PresencePenalty != nil},
		{"frequency_penalty", s.FrequencyPenalty != nil},
		{"logit_bias", s.LogitBias != nil},
		{"logprobs", l != nil && l.On},
		{"top_logprobs", l != nil && l.Top != nil},
		{"verbosity", h.Verbosity != ""},
		{"prompt_cache_key", h.CacheKey != ""},
		{"prompt_cache_retention", h.CacheTTL != ""},
		{"store", h.Store != nil},
	} {
		if m.said {
			w.lose(m.name, "the provider has no equal")
		}
	}
}

// Limits of requestMetadata.
const (
	maxPairs = 16
	maxWord  = 256
)

// metadata writes requestMetadata, which stands in the provider's own logs: the client's pairs of words, and its user.
func (w *requestWriter) metadata() {
	h := &w.chat.Hints
	n := 0
	w.object("requestMetadata", func() {
		for k, v := range jsonx.Members(h.Metadata) {
			s, ok := jsonx.String(v)
			if !w.own && (!ok || n >= maxPairs || len(k) == 0 || len(k) > maxWord || len(s) > maxWord || !metaWord(string(k)) || !metaWord(s)) {
				w.lose("metadata."+clip(string(k)), "the provider does not take it")
				continue
			}
			n++
			w.dst = append(jsonx.AppendKey(w.dst, string(k)), v...)
		}
		if u := h.User; u != "" {
			if _, taken := jsonx.String(jsonx.Get(h.Metadata, "user_id")); taken || n >= maxPairs || len(u) > maxWord || !metaWord(u) {
				w.lose("user", "the provider does not take it")
				return
			}
			w.dst = jsonx.AppendText(w.dst, "user_id", u)
		}
	})
}

// metaWord reports whether the service takes a word in requestMetadata.
func metaWord(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(" :_@$#=/+,-.", r)
	})
}
