package routing

import (
	"iter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/health"
)

// Explained is why a decision came out as it did. A decision that is explained is made exactly as one that is not.
type Explained struct {
	Targets  []Estimate // of the route, in its order
	Policies []Verdict  // in the order in which they were applied
	Unusable []Dropped  // targets that were next and cannot do the request, or of which all keys rest
	Plan     []string   // targets in the order of the plan
}

// Estimate is what a decision expects of a target.
type Estimate struct {
	Target
	Signals health.Signals
	Prompt  int64         // tokens
	Answer  int64         // tokens
	Cost    int64         // of the request, in nano-USD
	Priced  bool          // a price is known
	Takes   time.Duration // to the end of the answer; 0: not known
}

// Explain says of every route why it does not take a request; "": it does. First come those that take the model, in the
// order in which their conditions are tried, then the others. It finds what Find finds.
func (t *Table) Explain(v *View, may func(*Route) bool) iter.Seq2[*Route, string] {
	return func(yield func(*Route, string) bool) {
		v.At = v.Now
		seen := map[*Route]bool{}
		found := ""
		for r := range t.Of(v.Model) {
			if seen[r] {
				continue
			}
			seen[r] = true
			var why string
			if found != "" {
				why = "comes after " + found
			} else if why = r.lacks(v, may); why == "" {
				found = r.Name
			}
			if !yield(r, why) {
				return
			}
		}
		for _, r := range t.routes {
			if !seen[r] && !yield(r, "takes other models") {
				return
			}
		}
	}
}

// lacks says why a route that takes the model does not take the request.
func (r *Route) lacks(v *View, may func(*Route) bool) string {
	if may != nil && !may(r) {
		return "the key may not use it, or the model's name is none that it could hand on"
	}
	if ok, what := r.Match.Holds(&v.Request); !ok {
		return "asks for other " + what
	}
	return ""
}

// estimate writes down what is expected of the candidates.
func (e *Explained) estimate(v *View, c *Candidates) {
	for i := range c.all {
		k := &c.all[i]
		x := Estimate{Target: k.Target, Signals: k.Signals, Prompt: v.Tokens(k), Answer: v.Answer(k), Takes: v.Takes(k)}
		x.Cost, x.Priced = v.Cost(k)
		e.Targets = append(e.Targets, x)
	}
}

// Verdict is what one policy did.
type Verdict struct {
	Policy  string
	In, Out []string // targets before and after, best first
	Dropped []Dropped
	Scores  []Scored // what the order was made of
}

// Dropped is a target that a decision left out, or put last, and why.
type Dropped struct{ Target, Why string }

// Scored is what a policy thinks of a target.
type Scored struct{ Target, Score string }

func (e *Explained) begin(name string, c *Candidates) {
	e.Policies = append(e.Policies, Verdict{Policy: name, In: c.names()})
}

func (e *Explained) end(c *Candidates) {
	e.Policies[len(e.Policies)-1].Out = c.names()
}

func (e *Explained) drop(_ string, k *Candidate, why string) {
	v := &e.Policies[len(e.Policies)-1]
	v.Dropped = append(v.Dropped, Dropped{k.Target.String(), why})
}

func (e *Explained) score(_ string, k *Candidate, why string) {
	v := &e.Policies[len(e.Policies)-1]
	v.Scores = append(v.Scores, Scored{k.Target.String(), why})
}

func (c *Candidates) names() []string {
	out := make([]string, len(c.at))
	for n := range c.at {
		out[n] = c.At(n).Target.String()
	}
	return out
}
