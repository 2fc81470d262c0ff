package anthropicmessages

import (
	"fmt"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// thinking is what the request says of reasoning on the wire.
type thinking struct {
	form    string // the type: "", "disabled", "enabled", "adaptive"
	budget  int64
	effort  string // output_config.effort
	display string
}

func (t *thinking) on() bool { return t.form == "enabled" || t.form == "adaptive" }

const minBudget = 1024

// efforts is the table of what an effort means: Anthropic's word for it, and the budget for models that
// take only that.
var efforts = [...]struct {
	effort, word string
	budget       int64
}{
	{llm.EffortMinimal, llm.EffortLow, 1024},
	{llm.EffortLow, llm.EffortLow, 2048},
	{llm.EffortMedium, llm.EffortMedium, 8192},
	{llm.EffortHigh, llm.EffortHigh, 16384},
	{llm.EffortXHigh, llm.EffortXHigh, 32768},
	{llm.EffortMax, llm.EffortMax, 32768},
}

// effortOf is the table backwards.
func effortOf(budget int64) string {
	switch {
	case budget <= 4096:
		return llm.EffortLow
	case budget <= 12288:
		return llm.EffortMedium
	case budget < 24576:
		return llm.EffortHigh
	}
	return llm.EffortXHigh
}

// budgetOf is the budget for an effort; for none given, that of the provider's default.
func budgetOf(effort string) int64 {
	for _, e := range efforts {
		if e.effort == effort || effort == "" && e.effort == llm.EffortHigh {
			return e.budget
		}
	}
	return minBudget
}

// decide settles reasoning and the output limit, which hang together.
func (w *requestWriter) decide() error {
	w.max = w.chat.MaxTokens
	if w.max <= 0 {
		if w.max = w.t.Facts.MaxOutput; w.max <= 0 {
			w.max = defaultMax
		}
	}
	if th := w.chat.Thinking; th != nil {
		w.wanted(th)
	}
	f := &w.t.Facts
	if w.trick != "" {
		if w.think.on() {
			w.lose(w.thinkPath(), "the model cannot reason where the form of its answer is forced")
			w.think = thinking{}
			if f.ThinkDefault {
				w.think.form = "disabled"
			}
		}
		if f.NoForcedThink && f.ThinkAlways {
			return w.refuse("response_format", "This model cannot be held to a schema.")
		}
	}
	if w.think.form == "enabled" {
		w.room()
	}
	return nil
}

// thinkPath is the member that asked for reasoning, in the client's dialect.
func (w *requestWriter) thinkPath() string { return w.member("thinking", "reasoning_effort") }

// wanted maps what the client said of reasoning to what the model takes.
func (w *requestWriter) wanted(th *llm.Thinking) {
	f, at := &w.t.Facts, w.thinkPath()
	bare := th.Mode == llm.ThinkUnset && w.own // an effort alone does not turn reasoning on
	switch {
	case w.own && w.unknown():
		w.asIs(th)
	case th.Mode == llm.ThinkOff, th.Effort == llm.EffortNone:
		w.off(th)
	case th.Mode == llm.ThinkUnset && th.Effort == "":
	case f.Thinking != catalog.ThinkBudget && f.Thinking != catalog.ThinkAdaptive:
		w.lose(at, "the model is not asked to reason")
	case !bare && !(f.ThinkAlways && f.ThinkDefault) && w.unsealed():
		w.lose(at, "the results of tools follow an answer whose reasoning did not come back with them")
		if f.ThinkDefault {
			w.think.form = "disabled"
		}
	case bare:
		w.effort(th.Effort)
	case f.Thinking == catalog.ThinkAdaptive:
		w.think.form, w.think.display = "adaptive", th.Display
		effort := th.Effort
		if effort == "" && th.Mode == llm.ThinkBudget {
			effort = effortOf(th.Budget)
		}
		if effort != "" {
			w.effort(effort)
		}
	default:
		w.think.form, w.think.display, w.think.budget = "enabled", th.Display, th.Budget
		if th.Mode != llm.ThinkBudget {
			w.think.budget = budgetOf(th.Effort)
		} else if th.Effort != "" {
			w.effort(th.Effort)
		}
	}
}

// asIs takes the client's own members for a model that nothing is known of.
func (w *requestWriter) asIs(th *llm.Thinking) {
	w.think = thinking{budget: th.Budget, display: th.Display, effort: th.Effort}
	switch th.Mode {
	case llm.ThinkOff:
		w.think.form = "disabled"
	case llm.ThinkBudget:
		w.think.form = "enabled"
	case llm.ThinkAdaptive:
		w.think.form = "adaptive"
	}
}

func (w *requestWriter) off(th *llm.Thinking) {
	switch f := &w.t.Facts; {
	case f.ThinkAlways:
		w.lose(w.thinkPath(), "the model cannot be told not to reason")
	case f.Thinking == catalog.ThinkBudget || f.Thinking == catalog.ThinkAdaptive:
		w.think.form, w.think.display = "disabled", th.Display
	}
	switch th.Effort {
	case "", llm.EffortNone:
	case llm.EffortXHigh, llm.EffortMax: // refused without reasoning
		w.lose("output_config.effort", "the model takes no effort above high without reasoning")
		w.effort(llm.EffortHigh)
	default:
		w.effort(th.Effort)
	}
}

// effort picks the effort that the model takes, next to the wanted one.
func (w *requestWriter) effort(want string) {
	at := w.member("output_config.effort", "reasoning_effort")
	word, rank := want, 0
	for i, e := range efforts {
		if e.effort == want {
			word, rank = e.word, i
		}
	}
	accepted := w.t.Facts.Efforts
	switch {
	case accepted == nil || slices.Contains(accepted, word):
		w.think.effort = word
		return
	case len(accepted) == 0:
		w.lose(at, "the model takes no effort")
		return
	case want == llm.EffortXHigh && slices.Contains(accepted, llm.EffortMax):
		w.think.effort = llm.EffortMax
	default:
		for i := rank; i >= 0 && w.think.effort == ""; i-- {
			if slices.Contains(accepted, efforts[i].effort) {
				w.think.effort = efforts[i].effort
			}
		}
		if w.think.effort == "" {
			w.think.effort = accepted[0]
		}
	}
	w.lose(at, fmt.Sprintf("the model does not take the effort %q; %q is sent", want, w.think.effort))
}

// room makes the output limit larger than the budget, which is part of it.
func (w *requestWriter) room() {
	t, most := &w.think, w.t.Facts.MaxOutput
	if t.budget < minBudget {
		w.lose(w.thinkPath(), fmt.Sprintf("the smallest budget is %d tokens", minBudget))
		t.budget = minBudget
	}
	if w.max > t.budget {
		return
	}
	asked := w.max
	w.max = t.budget + max(asked, minBudget)
	if most > 0 && w.max > most {
		w.max = max(most, asked)
	}
	if w.max <= t.budget { // the model's limit leaves less than the budget
		t.budget = w.max - minBudget
	}
	if t.budget < minBudget {
		w.lose(w.thinkPath(), "the model's output limit leaves no room to reason")
		w.think, w.max = thinking{}, asked
		return
	}
	if w.max != asked && w.chat.MaxTokens > 0 {
		w.lose(w.member("max_tokens", "max_completion_tokens"),
			fmt.Sprintf("raised from %d to %d: the limit must be above the budget for reasoning", asked, w.max))
	}
}

// unsealed reports whether the conversation ends in results of tools that were called in an answer whose
// reasoning, with its signature, did not come back. The provider refuses to reason on from there.
func (w *requestWriter) unsealed() bool {
	turns := w.chat.Turns
	i := len(turns) - 1
	replies := false
	for ; i >= 0 && turns[i].Role != llm.RoleAssistant; i-- {
		replies = replies || slices.ContainsFunc(turns[i].Parts, func(p llm.Part) bool { return p.Kind == llm.PartReply })
	}
	if !replies {
		return false
	}
	sealed, bare, calls := false, false, false
	for ; i >= 0 && turns[i].Role == llm.RoleAssistant; i-- {
		for j := range turns[i].Parts {
			p := &turns[i].Parts[j]
			calls = calls || p.Kind == llm.PartCall
			sealed = sealed || ownSeal(p)
			bare = bare || p.Kind == llm.PartThought && !ownSeal(p)
		}
	}
	if w.own { // the client knows the rule; what breaks it is reasoning that cannot go back
		return calls && bare && !sealed
	}
	return calls && !sealed
}

// ownSeal reports whether a part is reasoning that this provider signed.
func ownSeal(p *llm.Part) bool {
	return p.Kind == llm.PartThought && p.Seal != "" && p.From == name
}

// fields returns the members of an object that hold what the vocabulary has words for, and whether there
// are such.
func (w *requestWriter) fields(object string) (b []byte, ours bool) {
	switch object {
	case "thinking":
		t := &w.think
		if t.form == "" {
			return nil, true
		}
		b = text(b, "type", t.form)
		if t.form == "enabled" {
			b = number(b, "budget_tokens", t.budget)
		}
		if t.display != "" {
			b = text(b, "display", t.display)
		}
	case "output_config":
		if w.think.effort != "" {
			b = text(b, "effort", w.think.effort)
		}
		if schema := w.schema(); schema != nil {
			b = append(append(append(key(b, "format"), `{"type":"json_schema","schema":`...), schema...), '}')
		}
	case "metadata":
		if u := w.chat.Hints.User; u != "" {
			b = text(b, "user_id", u)
		}
	default:
		return nil, false
	}
	return b, true
}

// schema returns the schema to hold the answer to, nil where there is none or a tool stands for it.
func (w *requestWriter) schema() []byte {
	o := &w.chat.Output
	switch {
	case o.Kind != llm.OutputSchema || o.Schema == nil || w.trick != "" || !w.t.Facts.JSONSchema && !(w.own && w.unknown()):
		return nil
	case w.own:
		return o.Schema
	}
	return fit.ClosedSchema(o.Schema, o.Description)
}

// needsTrick returns the name of the tool that must stand for the answer's schema, or "".
func (w *requestWriter) needsTrick() string {
	o := &w.chat.Output
	if o.Kind != llm.OutputSchema || o.Schema == nil || w.t.Facts.JSONSchema || w.own && w.unknown() {
		return ""
	}
	switch w.chat.Choice.Mode {
	case llm.ChoiceOne, llm.ChoiceAny, llm.ChoiceSomeAny:
		return "" // the answer will be the call that the client forces, and no text
	}
	return outputTool(w.chat)
}

// outputTool is the name of the tool that stands for the answer's schema: one that no tool of the client
// has. The Reader finds it by the same rule.
func outputTool(c *llm.Chat) string {
	n := "json_output"
	for slices.ContainsFunc(c.Tools, func(t llm.Tool) bool { return wireName(t.Name) == n }) {
		n += "_"
	}
	return n
}

func (w *requestWriter) sampling() {
	s, f := &w.chat.Sampling, &w.t.Facts
	float := func(member string, v *float64, why string) bool {
		switch {
		case v == nil:
			return false
		case f.NoSampling:
			why = "the model does not take it"
		}
		if why != "" {
			w.lose(member, why)
			return false
		}
		w.dst = jsonx.AppendFloat(key(w.dst, member), *v)
		return true
	}
	const reasoning = "the model does not take it while it reasons"
	temperature, why := s.Temperature, ""
	switch {
	case temperature == nil || f.NoSampling:
	case w.think.on() && *temperature != 1:
		why = reasoning
	case *temperature > 1:
		w.lose("temperature", fmt.Sprintf("%g is above the provider's range; 1 is sent", *temperature))
		one := 1.0
		temperature = &one
	}
	sent := float("temperature", temperature, why)
	why = ""
	switch {
	case s.TopP == nil:
	case w.think.on() && *s.TopP < 0.95:
		why = reasoning
	case f.OneSampling && sent:
		why = "the model refuses it beside temperature"
	}
	float("top_p", s.TopP, why)
	switch k := s.TopK; {
	case k == nil:
	case f.NoSampling:
		w.lose("top_k", "the model does not take it")
	case w.think.on():
		w.lose("top_k", reasoning)
	case *k < 0:
		w.lose("top_k", "the provider's smallest is 0")
	default:
		w.dst = number(w.dst, "top_k", *k)
	}
}

func (w *requestWriter) hints() {
	h, s := &w.chat.Hints, &w.chat.Sampling
	switch {
	case h.ServiceTier == "":
	case w.own || h.ServiceTier == "auto": // the one tier that means the same everywhere
		w.dst = text(w.dst, "service_tier", h.ServiceTier)
	default:
		w.lose("service_tier", "the tier has no equal at this provider")
	}
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
		{"metadata", h.Metadata != nil},
	} {
		if m.said {
			w.lose(m.name, "the provider has no equal")
		}
	}
}
