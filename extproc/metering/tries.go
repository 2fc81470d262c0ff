package metering

import (
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Tries is what may be made of the steps of a plan, beside one attempt at each until one answers.
type Tries struct {
	Rounds   int  // how often the steps are taken one after the other; 0 is 1
	Again    bool // an attempt that was cut may be made once more, in the first round
	Unwanted bool // an answer may be looked at and not be taken: it is billed whole, and the next step follows
	Repairs  bool // such an answer may be sent back once, to the step that gave it
}

// mostAsk is more than the tokens of what a model is told of an answer that it is to repair.
const mostAsk = 4096

// repaired is what the exchange can use at a step that is asked to repair its answer, which is part of the prompt then.
func (a *ask) repaired(w *Want, s *Step) ask {
	window := s.Provider.Facts(s.Model, s.Like).Context
	if window == 0 {
		window = anyPrompt
	}
	out := *a
	out.most.Input = max(a.most.Input, min(a.most.Input+a.most.Output/int64(max(w.N, 1))+mostAsk, window))
	return out
}

// share is what one step can use of one unit.
type share struct {
	cost.Step
	repair int64 // when it is asked to repair its answer; 0: it is not
}

// tokens is what a step can use of the prompt's tokens, of those of answers, or of both.
func tokens(r billing.Rules, in, out int64, repair *ask, of quota.Unit) share {
	l := func(in, out int64) cost.Limit {
		switch of {
		case quota.TokensIn:
			return cost.Limit{Full: in, Prompt: in}
		case quota.TokensOut:
			return cost.Limit{Full: out}
		}
		return cost.Limit{Full: min(in+out, quota.Max), Prompt: in}
	}
	p := share{Step: cost.Step{Full: l(in, out).Full, Cut: r.Cut(l(in, out))}}
	if repair != nil {
		p.repair = l(repair.most.Input, repair.most.Output).Full
	}
	return p
}

// together is the most that the attempts of an exchange can use of a unit, of which each step can use a part. A step whose answer is not
// wanted is not asked in a further round: only in the last may it be billed whole beside the others.
func (t *Tries) together(shares []share) int64 {
	var all cost.Sum
	var repair int64
	rounds := max(t.Rounds, 1)
	for round := range rounds {
		for _, p := range shares {
			if t.Again && round == 0 {
				all.Add(cost.Step{Full: p.Full, Cut: p.Cut})
			}
			if t.Unwanted && round == rounds-1 {
				p.Cut = p.Full
			}
			all.Add(p.Step)
			repair = max(repair, p.repair)
		}
	}
	return min(all.Most()+repair, quota.Max)
}
