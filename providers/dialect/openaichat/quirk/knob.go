package quirk

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect/fit"
)

// Reasoning is how a server's models are asked to reason, and what becomes of reasoning that is sent back.
type Reasoning struct {
	Knob    string   `yaml:"knob" json:"knob,omitempty" enum:"effort,thinking,enable_thinking,template,reasoning" doc:"Its member: reasoning_effort; thinking with a type; enable_thinking; chat_template_kwargs with enable_thinking; or reasoning with an effort. Empty: as OpenAI's."`
	Efforts []string `yaml:"efforts" json:"efforts,omitempty" enum:"none,minimal,low,medium,high,xhigh,max" doc:"The efforts that it takes, where it takes any."`
	Budget  string   `yaml:"budget" json:"budget,omitempty" doc:"The member beside the knob that takes a budget of tokens."`
	Models  []string `yaml:"models" json:"models,omitempty" doc:"The models that have the knob, as names or with one * at an end; empty: all."`
	History string   `yaml:"history" json:"history,omitempty" enum:"keep,drop,calls,always" zero:"keep" doc:"Reasoning in earlier answers: kept as the client sent it, dropped, sent back only in conversations with tool calls, or always sent back."`
	Member  string   `yaml:"member" json:"member,omitempty" enum:"reasoning_content,reasoning" zero:"reasoning_content" doc:"The member of a message that holds reasoning."`
}

var (
	knobs     = [...]string{"", "effort", "thinking", "enable_thinking", "template", "reasoning"}
	histories = [...]string{"", "keep", "drop", "calls", "always"}
	// ladder is the order of the efforts.
	ladder = [...]string{llm.EffortNone, llm.EffortMinimal, llm.EffortLow, llm.EffortMedium, llm.EffortHigh, llm.EffortXHigh, llm.EffortMax}
)

func (r *Reasoning) check() error {
	if r.Budget != "" && r.Knob != "enable_thinking" && r.Knob != "thinking" && r.Knob != "reasoning" {
		return errors.New("reasoning.budget: only the knobs enable_thinking, thinking and reasoning have one")
	}
	for _, m := range r.Models {
		if strings.Count(m, "*") > 2 || strings.Contains(strings.Trim(m, "*"), "*") {
			return errors.New("reasoning.models: a * stands at an end of a name only: " + m)
		}
	}
	return nil
}

// Has reports whether a model has the knob; "" stands for any model.
func (r *Reasoning) Has(model string) bool {
	return len(r.Models) == 0 || model == "" || Matches(r.Models, model)
}

// Matches reports whether a name is one of those that are written whole or with a * at an end.
func Matches(names []string, model string) bool {
	return slices.ContainsFunc(names, func(p string) bool { return glob(p, model) })
}

func glob(p, s string) bool {
	core := strings.Trim(p, "*")
	switch front, back := strings.HasPrefix(p, "*"), strings.HasSuffix(p, "*"); {
	case front && back:
		return strings.Contains(s, core)
	case front:
		return strings.HasSuffix(s, core)
	case back:
		return strings.HasPrefix(s, core)
	}
	return p == s
}

// Ask returns the members by which the server is asked for an effort, one of the ladder's, and a budget of
// tokens (0: none). lost says what of it the server does not take, or "".
func (r *Reasoning) Ask(effort string, budget int64) (members []llm.Member, lost string) {
	sent := effort
	if len(r.Efforts) > 0 {
		sent = fit.NearestEffort(effort, r.Efforts)
	}
	switch on := effort != llm.EffortNone; r.Knob {
	case "thinking":
		word := "enabled"
		if !on {
			word = "disabled"
		}
		raw := append(jsonx.AppendQuote([]byte(`{"type":`), word), '}')
		if r.Budget != "" && on && budget > 0 {
			raw = append(jsonx.AppendQuote([]byte(`{"type":"enabled",`), r.Budget), ':')
			raw = append(strconv.AppendInt(raw, budget, 10), '}')
		}
		members = append(members, llm.Member{Name: "thinking", Raw: raw})
		if on && len(r.Efforts) > 0 {
			members = append(members, llm.Member{Name: "reasoning_effort", Raw: jsonx.AppendQuote(nil, sent)})
		} else {
			sent = effort // it is off, or on without a word for how much
		}
	case "enable_thinking":
		members = append(members, llm.Member{Name: "enable_thinking", Raw: strconv.AppendBool(nil, on)})
		if on && r.Budget != "" && budget > 0 {
			members = append(members, llm.Member{Name: r.Budget, Raw: strconv.AppendInt(nil, budget, 10)})
		}
	case "template":
		members = append(members, llm.Member{Name: "chat_template_kwargs", Raw: append(strconv.AppendBool([]byte(`{"enable_thinking":`), on), '}')})
	case "reasoning":
		raw := append(jsonx.AppendQuote([]byte(`{"effort":`), sent), '}')
		if r.Budget != "" && on && budget > 0 {
			raw = append(jsonx.AppendQuote([]byte{'{'}, r.Budget), ':')
			raw = append(strconv.AppendInt(raw, budget, 10), '}')
		}
		members = append(members, llm.Member{Name: "reasoning", Raw: raw})
	default:
		members = append(members, llm.Member{Name: "reasoning_effort", Raw: jsonx.AppendQuote(nil, sent)})
	}
	if sent != effort {
		lost = "the model does not take the effort " + strconv.Quote(effort) + "; " + strconv.Quote(sent) + " is sent"
	}
	return members, lost
}

// sends reports whether reasoning of an earlier answer is sent back; calls says that the conversation has tool calls. A server that was not asked for it (keep)
// gets what a client of the dialect sends, and none of another's.
func (r *Reasoning) sends(calls bool) bool {
	switch r.History {
	case "drop":
		return false
	case "calls":
		return calls
	}
	return true
}

// Echoes returns the member in which reasoning of an earlier answer is to be sent back, or "".
func (r *Reasoning) Echoes(calls bool) string {
	if r.History == "" || r.History == "keep" || !r.sends(calls) {
		return ""
	}
	return r.member()
}

func (r *Reasoning) member() string {
	if r.Member == "" {
		return "reasoning_content"
	}
	return r.Member
}
