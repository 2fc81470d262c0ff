package gemini

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini/oas"
	"github.com/signalbox-ai/signalbox/providers/dialect/member"
)

// efforts is the table of what an effort means for models that take budgets, weakest first. A model that cannot
// be told not to reason has its own smallest and largest budget.
var efforts = [...]struct {
	effort         string
	budget, always int64
}{
	{llm.EffortNone, 0, 0},
	{llm.EffortMinimal, 512, 1024},
	{llm.EffortLow, 1024, 1024},
	{llm.EffortMedium, 8192, 8192},
	{llm.EffortHigh, 24576, 24576},
	{llm.EffortXHigh, 24576, 32768},
	{llm.EffortMax, 24576, 32768},
}

const (
	maxStops    = 5  // stopSequences
	maxLogprobs = 20 // alternatives for each token
)

// config writes generationConfig.
func (w *requestWriter) config() error {
	from := len(w.dst)
	w.dst = append(jsonx.AppendKey(w.dst, "generationConfig"), '{')
	empty := len(w.dst)
	s := &w.chat.Sampling
	for _, f := range [...]struct {
		name, other string
		value       *float64
		low, high   float64
	}{
		{"temperature", "temperature", s.Temperature, 0, 2}, {"topP", "top_p", s.TopP, 0, 1},
		{"presencePenalty", "presence_penalty", s.PresencePenalty, -2, 2}, {"frequencyPenalty", "frequency_penalty", s.FrequencyPenalty, -2, 2},
	} {
		if f.value == nil {
			continue
		}
		v := min(max(*f.value, f.low), f.high)
		if v != *f.value {
			w.lose(w.in(f.other), fmt.Sprintf("%g is beyond the provider's range; %g is sent", *f.value, v))
		}
		w.dst = jsonx.AppendFloat(jsonx.AppendKey(w.dst, f.name), v)
	}
	w.integer("topK", "top_k", s.TopK, 0)
	w.integer("seed", "seed", s.Seed, -1<<31)
	w.limit()
	if w.chat.N > 1 || w.own && w.chat.N == 1 {
		w.dst = number(w.dst, "candidateCount", int64(w.chat.N))
	}
	if err := w.stop(); err != nil {
		return err
	}
	w.logprobs()
	w.thinking()
	if err := w.output(); err != nil {
		return err
	}
	w.raws(w.below("generationConfig"))
	if len(w.dst) == empty {
		w.dst = w.dst[:from]
		return nil
	}
	w.dst = append(w.dst, '}')
	return nil
}

// limit writes the output limit. One above the model's own is refused there, and asks for no more than all.
func (w *requestWriter) limit() {
	n, most := w.chat.MaxTokens, w.t.Facts.MaxOutput
	switch {
	case n <= 0:
		return
	case most > 0 && n > most+1: // lists give the limit, or what is below it
		w.lose(w.member(configPrefix+"maxOutputTokens", "max_tokens"), fmt.Sprintf("the model gives at most %d tokens", most))
		n = most
	}
	w.dst = number(w.dst, "maxOutputTokens", n)
}

func (w *requestWriter) integer(name, other string, v *int64, low int64) {
	switch {
	case v == nil:
	case *v < low || *v > 1<<31-1:
		w.lose(w.in(other), "the value is beyond the provider's range")
	default:
		w.dst = number(w.dst, name, *v)
	}
}

func (w *requestWriter) stop() error {
	if len(w.chat.Stop) == 0 {
		return nil
	}
	if len(w.chat.Stop) > maxStops && !w.own {
		return w.refuse(w.in("stop"), fmt.Sprintf("This model's provider takes at most %d stop sequences.", maxStops))
	}
	w.dst = append(jsonx.AppendKey(w.dst, "stopSequences"), '[')
	for _, s := range w.chat.Stop {
		w.dst = jsonx.AppendQuote(jsonx.AppendComma(w.dst), s)
	}
	w.dst = append(w.dst, ']')
	return nil
}

func (w *requestWriter) logprobs() {
	l := w.chat.Logprobs
	if l == nil {
		return
	}
	if l.On || w.own {
		w.dst = append(jsonx.AppendKey(w.dst, "responseLogprobs"), fmt.Append(nil, l.On)...)
	}
	switch {
	case l.Top == nil:
	case w.own:
		w.dst = number(w.dst, "logprobs", *l.Top)
	case !l.On:
		w.lose(w.in("top_logprobs"), "log probabilities are not asked for")
	default:
		w.dst = number(w.dst, "logprobs", min(*l.Top, maxLogprobs))
	}
}

// thinkPath is the member that asked for reasoning, in the client's dialect.
func (w *requestWriter) thinkPath() string {
	return member.Thinking(w.req.Extra.Dialect, w.chat.Thinking)
}

// thinking writes thinkingConfig: a budget or a level, as the model takes it.
func (w *requestWriter) thinking() {
	th := w.chat.Thinking
	var b []byte
	if th != nil {
		switch f := w.t.Facts.Thinking; {
		case w.own && (w.unknown() || f == catalog.ThinkLevel):
			b = asSaid(th)
		case f == catalog.ThinkLevel, w.unknown():
			b = w.level(th)
		case f == catalog.ThinkBudget:
			b = w.budget(th)
		default:
			w.lose(w.thinkPath(), "the model is not asked to reason")
			return
		}
		switch {
		case th.Display == thoughtsHidden:
			if w.own {
				b = raw(b, "includeThoughts", []byte("false"))
			}
		case th.Display != "" || !w.own && len(b) > 0 && th.Mode != llm.ThinkOff && th.Effort != llm.EffortNone:
			b = raw(b, "includeThoughts", []byte("true"))
		}
	}
	rest := w.below(configPrefix + "thinkingConfig")
	if len(b) == 0 && len(rest) == 0 {
		return
	}
	w.dst = append(append(jsonx.AppendKey(w.dst, "thinkingConfig"), '{'), b...)
	w.raws(rest)
	w.dst = append(w.dst, '}')
}

// asSaid takes the client's own members.
func asSaid(th *llm.Thinking) (b []byte) {
	switch th.Mode {
	case llm.ThinkOff:
		b = number(b, "thinkingBudget", 0)
	case llm.ThinkAdaptive:
		b = number(b, "thinkingBudget", -1)
	case llm.ThinkBudget:
		b = number(b, "thinkingBudget", th.Budget)
	default:
		for _, l := range levels {
			if l.effort == th.Effort {
				b = jsonx.AppendText(b, "thinkingLevel", l.word)
			}
		}
	}
	return b
}

// effortOf is the effort that a budget stands for.
func effortOf(budget int64) string {
	switch {
	case budget <= 4096:
		return llm.EffortLow
	case budget <= 12288:
		return llm.EffortMedium
	}
	return llm.EffortHigh
}

// level picks the level next to what is wanted that the model takes.
func (w *requestWriter) level(th *llm.Thinking) []byte {
	want := th.Effort
	switch {
	case th.Mode == llm.ThinkOff:
		want = llm.EffortNone
	case want == "" && th.Mode == llm.ThinkBudget:
		want = effortOf(th.Budget)
	case want == "": // as much as the model sees fit, which is its default
		return nil
	}
	rank := 0
	switch want {
	case llm.EffortNone, llm.EffortMinimal:
	case llm.EffortLow:
		rank = 1
	case llm.EffortMedium:
		rank = 2
	default:
		rank = 3
	}
	if want == llm.EffortNone {
		w.lose(w.thinkPath(), "the model cannot be told not to reason; its lowest level is sent")
	}
	takes := func(i int) bool {
		return w.t.Facts.Efforts == nil || slices.Contains(w.t.Facts.Efforts, levels[i].effort)
	}
	for _, way := range [...]int{1, -1} { // upward first: who asks for more than the least gets no less
		for i := rank; i >= 0 && i < len(levels); i += way {
			if !takes(i) {
				continue
			}
			if i != rank && want != llm.EffortNone {
				w.lose(w.thinkPath(), fmt.Sprintf("the model does not take the effort %q; %q is sent", want, levels[i].word))
			}
			return jsonx.AppendText(nil, "thinkingLevel", levels[i].word)
		}
	}
	return nil
}

// budget picks the budget within the model's bounds.
func (w *requestWriter) budget(th *llm.Thinking) []byte {
	f := &w.t.Facts
	always := f.ThinkAlways
	if th.Mode == llm.ThinkBudget {
		n := max(th.Budget, f.BudgetMin)
		if f.BudgetMax > 0 {
			n = min(n, f.BudgetMax)
		}
		if n != th.Budget {
			w.lose(w.thinkPath(), fmt.Sprintf("a budget of %d tokens is beyond the model's bounds; %d is sent", th.Budget, n))
		}
		return number(nil, "thinkingBudget", n)
	}
	want := th.Effort
	switch {
	case th.Mode == llm.ThinkOff:
		want = llm.EffortNone
	case want == "" && th.Mode == llm.ThinkAdaptive:
		return number(nil, "thinkingBudget", -1)
	}
	for _, e := range efforts {
		if e.effort != want {
			continue
		}
		switch {
		case !always && want == llm.EffortNone:
			return number(nil, "thinkingBudget", 0)
		case !always:
			return number(nil, "thinkingBudget", max(e.budget, f.BudgetMin))
		case want == llm.EffortNone:
			w.lose(w.thinkPath(), fmt.Sprintf("the model cannot be told not to reason; a budget of %d tokens is sent", f.BudgetMin))
		}
		return number(nil, "thinkingBudget", max(e.always, f.BudgetMin))
	}
	return nil
}

// output writes the form of the answer.
func (w *requestWriter) output() error {
	o := &w.chat.Output
	kind := ""
	switch o.Kind {
	case llm.OutputUnset:
		return nil
	case llm.OutputText:
		if w.own {
			w.dst = jsonx.AppendText(w.dst, "responseMimeType", "text/plain")
		}
		return nil
	case llm.OutputJSON, llm.OutputSchema:
		kind = "application/json"
	}
	tools := slices.ContainsFunc(w.chat.Tools, func(t llm.Tool) bool { return t.Native == "" })
	if !w.own && tools && !w.newest() && w.chat.Choice.Mode != llm.ChoiceNone {
		return w.refuse(w.in("response_format"), "This model cannot be held to JSON while it has tools.")
	}
	w.dst = jsonx.AppendText(w.dst, "responseMimeType", kind)
	switch {
	case jsonx.Kind(o.Schema) != '{':
	case w.old():
		schema, lost := oas.FromJSONSchema(o.Schema)
		w.dst = raw(w.dst, "responseSchema", schema)
		if len(lost) > 0 {
			w.lose(w.member(configPrefix+"responseJsonSchema", "response_format.json_schema.schema"), lostWords(lost))
		}
	default:
		w.dst = raw(w.dst, "responseJsonSchema", o.Schema)
	}
	return nil
}

// levels are the API's thinking levels, weakest first, with their numbers
// (google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel).
var levels = [...]struct {
	word, effort string
	number       int64
}{
	{"MINIMAL", llm.EffortMinimal, 4},
	{"LOW", llm.EffortLow, 1},
	{"MEDIUM", llm.EffortMedium, 3},
	{"HIGH", llm.EffortHigh, 2},
}

func (r *requestReader) thinking(at string, raw []byte) error {
	o, err := open(at, raw)
	if err != nil {
		return err
	}
	t := new(llm.Thinking)
	if v := o.take("includeThoughts"); v != nil {
		show, err := wantBool(join(at, "includeThoughts"), v)
		if err != nil {
			return err
		}
		t.Display = thoughtsHidden
		if show {
			t.Display = thoughtsShown
		}
	}
	budget, level := o.take("thinkingBudget"), o.take("thinkingLevel")
	if budget != nil && level != nil {
		return bad(join(at, "thinkingLevel"), "Only one of thinkingBudget and thinkingLevel may be given.")
	}
	if budget != nil {
		n, err := wantInt(join(at, "thinkingBudget"), budget, -1)
		if err != nil {
			return err
		}
		switch n {
		case -1:
			t.Mode = llm.ThinkAdaptive
		case 0:
			t.Mode = llm.ThinkOff
		default:
			t.Mode, t.Budget = llm.ThinkBudget, n
		}
	}
	if level != nil {
		if t.Effort, err = readLevel(join(at, "thinkingLevel"), level); err != nil {
			return err
		}
	}
	for _, m := range o.members {
		r.extra(configPrefix+"thinkingConfig."+m.Name, m.Raw)
	}
	if *t != (llm.Thinking{}) {
		r.chat.Thinking = t
	}
	return nil
}

func readLevel(at string, raw []byte) (string, error) {
	number, isNumber := jsonx.Int(raw)
	word, _ := jsonx.String(raw)
	for _, l := range levels {
		if isNumber && l.number == number || strings.EqualFold(word, l.word) {
			return l.effort, nil
		}
	}
	if isNumber && number == 0 || word == "THINKING_LEVEL_UNSPECIFIED" {
		return "", nil
	}
	return "", bad(at, "The value must be MINIMAL, LOW, MEDIUM or HIGH.")
}
