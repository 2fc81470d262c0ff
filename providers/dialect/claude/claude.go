// Package claude decides how a Claude model is asked to reason, and with it the output limit: the same wherever the
// model is served. It writes nothing; the dialects that reach the model do.
package claude

import (
	"fmt"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Thinking is what a request says of reasoning on the wire.
type Thinking struct {
	Form    string // the type: "", "disabled", "enabled", "adaptive"
	Budget  int64  // tokens, for "enabled"
	Effort  string // output_config.effort
	Display string
}

// On reports whether the model is asked to reason.
func (t *Thinking) On() bool { return t.Form == "enabled" || t.Form == "adaptive" }

const (
	minBudget  = 1024
	defaultMax = 4096 // max_tokens for a model of which nothing is known; Anthropic's API demands the member
)

// Ask is a request that a Claude model is asked.
type Ask struct {
	Chat   *llm.Chat
	Facts  *catalog.Facts
	Own    bool   // the client knows the rules: what it said stands where nothing is known of the model
	Seals  string // whose seals the provider takes back
	Forced bool   // a tool stands for the answer's schema
	Names  Names
}

// Names are members in the client's dialect, for losses and errors.
type Names struct{ Thinking, Effort, Max, Format string }

// Told is how the model is to be asked.
type Told struct {
	Thinking
	Max    int64 // the output limit; never 0
	Losses []llm.Loss
}

// decision is an answer in the making.
type decision struct {
	*Ask
	Told
}

// Unknown reports whether nothing is known of a model.
func Unknown(f *catalog.Facts) bool {
	return f.Context == 0 && f.MaxOutput == 0 && f.Thinking == catalog.ThinkNone && !f.JSONSchema
}

func (w *decision) lose(path, why string) {
	w.Losses = append(w.Losses, llm.Loss{Path: path, Why: why})
}

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

// Decide settles reasoning and the output limit, which hang together.
func Decide(a *Ask) (*Told, error) {
	w := &decision{Ask: a}
	w.Max = a.Chat.MaxTokens
	if w.Max <= 0 {
		if w.Max = a.Facts.MaxOutput; w.Max <= 0 {
			w.Max = defaultMax
		}
	}
	if th := a.Chat.Thinking; th != nil {
		w.wanted(th)
	}
	f := a.Facts
	if a.Forced {
		if w.On() {
			w.lose(a.Names.Thinking, "the model cannot reason where the form of its answer is forced")
			w.Thinking = Thinking{}
			if f.ThinkDefault {
				w.Form = "disabled"
			}
		}
		if f.NoForcedThink && f.ThinkAlways {
			return nil, &llm.Error{
				Code: llm.CodeUnsupported, Op: "claude.write", Param: a.Names.Format, Message: "This model cannot be held to a schema.", Reason: "unsupported_parameter",
			}
		}
	}
	if w.Form == "enabled" {
		w.room()
	}
	return &w.Told, nil
}

// wanted maps what the client said of reasoning to what the model takes.
func (w *decision) wanted(th *llm.Thinking) {
	f, at := w.Facts, w.Names.Thinking
	bare := th.Mode == llm.ThinkUnset && w.Own // an effort alone does not turn reasoning on
	switch {
	case w.Own && Unknown(w.Facts):
		w.asIs(th)
	case th.Mode == llm.ThinkOff, th.Effort == llm.EffortNone:
		w.off(th)
	case th.Mode == llm.ThinkUnset && th.Effort == "":
	case f.Thinking != catalog.ThinkBudget && f.Thinking != catalog.ThinkAdaptive:
		w.lose(at, "the model is not asked to reason")
	case !bare && !(f.ThinkAlways && f.ThinkDefault) && w.unsealed():
		w.lose(at, "the results of tools follow an answer whose reasoning did not come back with them")
		if f.ThinkDefault {
			w.Form = "disabled"
		}
	case bare:
		w.level(th.Effort)
	case f.Thinking == catalog.ThinkAdaptive:
		w.Form, w.Display = "adaptive", w.display(th)
		effort := th.Effort
		if effort == "" && th.Mode == llm.ThinkBudget {
			effort = effortOf(th.Budget)
		}
		if effort != "" {
			w.level(effort)
		}
	default:
		w.Form, w.Display, w.Budget = "enabled", w.display(th), th.Budget
		if th.Mode != llm.ThinkBudget {
			w.Budget = budgetOf(th.Effort)
		} else if th.Effort != "" {
			w.level(th.Effort)
		}
	}
}

// display is how reasoning is to be shown, in Anthropic's words. Other dialects have their own for how much of it, and
// whoever asks for any wants to see it.
func (w *decision) display(th *llm.Thinking) string {
	switch {
	case w.Own, th.Display == "summarized", th.Display == "omitted":
		return th.Display
	case th.Display == "" || th.Display == "none" || th.Mode == llm.ThinkOff:
		return ""
	}
	return "summarized"
}

// asIs takes the client's own members for a model that nothing is known of.
func (w *decision) asIs(th *llm.Thinking) {
	w.Thinking = Thinking{Budget: th.Budget, Display: th.Display, Effort: th.Effort}
	switch th.Mode {
	case llm.ThinkOff:
		w.Form = "disabled"
	case llm.ThinkBudget:
		w.Form = "enabled"
	case llm.ThinkAdaptive:
		w.Form = "adaptive"
	}
}

func (w *decision) off(th *llm.Thinking) {
	switch f := w.Facts; {
	case f.ThinkAlways:
		w.lose(w.Names.Thinking, "the model cannot be told not to reason")
	case f.Thinking == catalog.ThinkBudget || f.Thinking == catalog.ThinkAdaptive:
		w.Form, w.Display = "disabled", w.display(th)
	}
	switch th.Effort {
	case "", llm.EffortNone:
	case llm.EffortXHigh, llm.EffortMax: // refused without reasoning
		w.lose(w.Names.Effort, "the model takes no effort above high without reasoning")
		w.level(llm.EffortHigh)
	default:
		w.level(th.Effort)
	}
}

// level picks the effort that the model takes, next to the wanted one.
func (w *decision) level(want string) {
	at := w.Names.Effort
	word, rank := want, 0
	for i, e := range efforts {
		if e.effort == want {
			word, rank = e.word, i
		}
	}
	accepted := w.Facts.Efforts
	switch {
	case accepted == nil || slices.Contains(accepted, word):
		w.Effort = word
		return
	case len(accepted) == 0:
		w.lose(at, "the model takes no effort")
		return
	case want == llm.EffortXHigh && slices.Contains(accepted, llm.EffortMax):
		w.Effort = llm.EffortMax
	default:
		for i := rank; i >= 0 && w.Effort == ""; i-- {
			if slices.Contains(accepted, efforts[i].effort) {
				w.Effort = efforts[i].effort
			}
		}
		if w.Effort == "" {
			w.Effort = accepted[0]
		}
	}
	w.lose(at, fmt.Sprintf("the model does not take the effort %q; %q is sent", want, w.Effort))
}

// room makes the output limit larger than the budget, which is part of it.
func (w *decision) room() {
	t, most := &w.Thinking, w.Facts.MaxOutput
	if t.Budget < minBudget {
		w.lose(w.Names.Thinking, fmt.Sprintf("the smallest budget is %d tokens", minBudget))
		t.Budget = minBudget
	}
	if w.Max > t.Budget {
		return
	}
	asked := w.Max
	w.Max = t.Budget + max(asked, minBudget)
	if most > 0 && w.Max > most {
		w.Max = max(most, asked)
	}
	if w.Max <= t.Budget { // the model's limit leaves less than the budget
		t.Budget = w.Max - minBudget
	}
	if t.Budget < minBudget {
		w.lose(w.Names.Thinking, "the model's output limit leaves no room to reason")
		w.Thinking, w.Max = Thinking{}, asked
		return
	}
	if w.Max != asked && w.Chat.MaxTokens > 0 {
		w.lose(w.Names.Max,
			fmt.Sprintf("raised from %d to %d: the limit must be above the budget for reasoning", asked, w.Max))
	}
}

// unsealed reports whether the conversation ends in results of tools that were called in an answer whose
// reasoning, with its signature, did not come back. The provider refuses to reason on from there.
func (w *decision) unsealed() bool {
	turns := w.Chat.Turns
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
			sealed = sealed || w.sealed(p)
			bare = bare || p.Kind == llm.PartThought && !w.sealed(p)
		}
	}
	if w.Own { // the client knows the rule; what breaks it is reasoning that cannot go back
		return calls && bare && !sealed
	}
	return calls && !sealed
}

// sealed reports whether a part is reasoning that the provider signed.
func (w *decision) sealed(p *llm.Part) bool {
	return p.Kind == llm.PartThought && p.Seal != "" && p.From == w.Seals
}
