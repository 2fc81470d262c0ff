package evals

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Comparison is what a run found, target by target.
type Comparison struct {
	Name    string   `json:"name,omitzero"`
	Targets []Score  `json:"targets"`
	Pairs   []Versus `json:"pairs,omitzero"` // each target against the first
}

// Score is how a target did.
type Score struct {
	Target   string  `json:"target"`
	Cases    int     `json:"cases"`
	Passed   int     `json:"passed"`
	Failed   int     `json:"errors"` // no answer came
	Void     int     `json:"undecided"`
	Rate     float64 `json:"rate"`
	Low      float64 `json:"low"` // Wilson's interval of the rate, at 95 %
	High     float64 `json:"high"`
	Prompt   int64   `json:"prompt_tokens"`
	Output   int64   `json:"output_tokens"`
	Cost     int64   `json:"cost_nano_usd"`
	Unpriced int     `json:"unpriced"`
	FirstP50 float64 `json:"first_token_p50_ms,omitzero"`
	TotalP50 float64 `json:"total_p50_ms"`
	TotalP95 float64 `json:"total_p95_ms"`
}

// Versus compares a target with another over the cases that both have answered.
type Versus struct {
	Target string  `json:"target"`
	With   string  `json:"with"`
	Cases  int     `json:"cases"`
	Better int     `json:"better"` // cases that Target passes and With does not
	Worse  int     `json:"worse"`
	P      float64 `json:"p"` // McNemar's exact test, two-sided: how likely so uneven a count is where both are alike
	Cost   Span    `json:"cost_ratio"`
	Time   Span    `json:"time_ratio"`
	Says   string  `json:"says"`
}

// Span is an estimate with its interval at 95 %, by the bootstrap over cases.
type Span struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Compare makes the comparison of outcomes. Targets come in the order given. Its intervals are of the cases at hand: they
// say what other cases of the same sort would show, not what other sorts would.
func Compare(name string, targets []string, all []Outcome) Comparison {
	c := Comparison{Name: name}
	of := map[string]map[string]*Outcome{}
	for i := range all {
		o := &all[i]
		if of[o.Target] == nil {
			of[o.Target] = map[string]*Outcome{}
		}
		of[o.Target][o.Case] = o
	}
	for _, t := range targets {
		c.Targets = append(c.Targets, score(t, of[t]))
	}
	if len(targets) == 0 {
		return c
	}
	for _, t := range targets[1:] {
		c.Pairs = append(c.Pairs, versus(t, targets[0], of[t], of[targets[0]]))
	}
	return c
}

func score(target string, of map[string]*Outcome) Score {
	s := Score{Target: target, Cases: len(of)}
	var first, total []float64
	for _, o := range of {
		if o.Pass {
			s.Passed++
		}
		if slices.ContainsFunc(o.Checks, func(f Found) bool { return f.Void }) {
			s.Void++
		}
		if o.Error != "" {
			s.Failed++
			continue
		}
		s.Prompt += o.Prompt
		s.Output += o.Output
		s.Cost += o.Cost
		if !o.Priced {
			s.Unpriced++
		}
		total = append(total, o.Total)
		if o.First > 0 {
			first = append(first, o.First)
		}
	}
	s.Rate, s.Low, s.High = Wilson(s.Passed, s.Cases)
	s.FirstP50, s.TotalP50, s.TotalP95 = quantile(first, 0.5), quantile(total, 0.5), quantile(total, 0.95)
	return s
}

// quantile is the value of a rank (nearest rank); 0 of nothing.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(max(int(math.Ceil(q*float64(len(v))))-1, 0), len(v)-1)]
}

// Wilson is the share k of n with Wilson's score interval at 95 %.
func Wilson(k, n int) (rate, low, high float64) {
	if n == 0 {
		return 0, 0, 1
	}
	const z = 1.959963984540054
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return p, max(0, middle-half), min(1, middle+half)
}

// McNemar is the exact two-sided test of b cases against c.
func McNemar(b, c int) float64 {
	n, k := b+c, min(b, c)
	if n == 0 {
		return 1
	}
	sum, term := 0.0, math.Exp2(-float64(n))
	if n > 1000 { // where the term is no number any more, the normal curve is as good
		z := (math.Abs(float64(b-c)) - 1) / math.Sqrt(float64(n))
		return min(1, math.Erfc(max(z, 0)/math.Sqrt2))
	}
	for i := 0; i <= k; i++ {
		sum += term
		term *= float64(n-i) / float64(i+1)
	}
	return min(1, 2*sum)
}

// pair is a case that both targets have answered.
type pair struct{ a, b *Outcome }

func versus(target, with string, a, b map[string]*Outcome) Versus {
	v := Versus{Target: target, With: with}
	var both, answered []pair
	for id, o := range a {
		p := b[id]
		if p == nil {
			continue
		}
		both = append(both, pair{o, p})
		switch {
		case o.Pass && !p.Pass:
			v.Better++
		case p.Pass && !o.Pass:
			v.Worse++
		}
	}
	slices.SortFunc(both, func(x, y pair) int { return cmp.Compare(x.a.Case, y.a.Case) })
	for _, p := range both {
		if p.a.Error == "" && p.b.Error == "" {
			answered = append(answered, p)
		}
	}
	v.Cases, v.P = len(both), McNemar(v.Better, v.Worse)
	v.Cost = ratio(answered, func(o *Outcome) float64 {
		if !o.Priced {
			return math.NaN()
		}
		return float64(o.Cost)
	})
	v.Time = ratio(answered, func(o *Outcome) float64 { return o.Total })
	v.Says = v.conclude()
	return v
}

// draws is how often the bootstrap draws.
const draws = 2000

// ratio is the sum of one over that of the other, with the interval of drawing cases anew. It is 0 where either is nothing,
// or not known.
func ratio(cases []pair, of func(*Outcome) float64) Span {
	sums := func(at func(int) int) float64 {
		var x, y float64
		for i := range cases {
			p := cases[at(i)]
			x += of(p.a)
			y += of(p.b)
		}
		return x / y
	}
	s := Span{Value: sums(func(i int) int { return i })}
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) || s.Value == 0 {
		return Span{}
	}
	r := rand.New(rand.NewPCG(1, uint64(len(cases))))
	all := make([]float64, draws)
	for i := range all {
		all[i] = sums(func(int) int { return r.IntN(len(cases)) })
	}
	s.Low, s.High = quantile(all, 0.025), quantile(all, 0.975)
	return s
}

// conclude says what the comparison shows, and what it does not.
func (v *Versus) conclude() string {
	var said []string
	switch {
	case v.Cases == 0:
		return "no case was answered by both"
	case v.P < 0.05 && v.Better > v.Worse:
		said = append(said, fmt.Sprintf("passes more (%d to %d, p %.3f)", v.Better, v.Worse, v.P))
	case v.P < 0.05:
		said = append(said, fmt.Sprintf("passes less (%d to %d, p %.3f)", v.Better, v.Worse, v.P))
	default:
		said = append(said, fmt.Sprintf("no difference in passing is shown (%d to %d, p %.2f)", v.Better, v.Worse, v.P))
	}
	for _, r := range []struct {
		s          Span
		less, more string
	}{{v.Cost, "cheaper", "dearer"}, {v.Time, "faster", "slower"}} {
		switch {
		case r.s.Value == 0:
		case r.s.High < 1:
			said = append(said, fmt.Sprintf("%s by %.0f to %.0f %%", r.less, 100*(1-r.s.High), 100*(1-r.s.Low)))
		case r.s.Low > 1:
			said = append(said, fmt.Sprintf("%s by %.0f to %.0f %%", r.more, 100*(r.s.Low-1), 100*(r.s.High-1)))
		}
	}
	return strings.Join(said, "; ")
}

// Text writes the comparison as a table.
func (c *Comparison) Text(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TARGET\tPASSED\tRATE\t95 %\tERRORS\tUNDECIDED\tTOKENS IN/OUT\tUSD\tFIRST P50\tTOTAL P50/P95")
	for i := range c.Targets {
		s := &c.Targets[i]
		cost := dollars(s.Cost)
		if s.Unpriced > 0 {
			cost += fmt.Sprintf(" (%d unpriced)", s.Unpriced)
		}
		first := "-"
		if s.FirstP50 > 0 {
			first = fmt.Sprintf("%.0f ms", s.FirstP50)
		}
		fmt.Fprintf(w, "%s\t%d/%d\t%.1f %%\t%.1f–%.1f\t%d\t%d\t%d/%d\t%s\t%s\t%.0f/%.0f ms\n",
			s.Target, s.Passed, s.Cases, 100*s.Rate, 100*s.Low, 100*s.High, s.Failed, s.Void, s.Prompt, s.Output, cost, first, s.TotalP50, s.TotalP95)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range c.Pairs {
		if _, err := fmt.Fprintf(out, "\n%s against %s, %d cases: %s\n", c.Pairs[i].Target, c.Pairs[i].With, c.Pairs[i].Cases, c.Pairs[i].Says); err != nil {
			return err
		}
	}
	return nil
}

// CSV writes the scores, a line each.
func (c *Comparison) CSV(out io.Writer) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"target", "cases", "passed", "errors", "undecided", "rate", "low", "high", "prompt_tokens", "output_tokens", "cost_usd", "unpriced", "first_token_p50_ms", "total_p50_ms", "total_p95_ms"}) // the error is w.Error's
	f := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
	for i := range c.Targets {
		s := &c.Targets[i]
		_ = w.Write([]string{s.Target, strconv.Itoa(s.Cases), strconv.Itoa(s.Passed), strconv.Itoa(s.Failed), strconv.Itoa(s.Void), f(s.Rate), f(s.Low), f(s.High),
			strconv.FormatInt(s.Prompt, 10), strconv.FormatInt(s.Output, 10), dollars(s.Cost), strconv.Itoa(s.Unpriced), f(s.FirstP50), f(s.TotalP50), f(s.TotalP95)})
	}
	w.Flush()
	return w.Error()
}

// dollars writes nano-USD.
func dollars(nano int64) string { return strconv.FormatFloat(float64(nano)/1e9, 'f', 6, 64) }

// Why says what is wrong with an outcome; "": nothing.
func (o *Outcome) Why() string {
	if o.Error != "" {
		return o.Error
	}
	var why []string
	for _, f := range o.Checks {
		if !f.Pass {
			say := f.Check
			if f.Why != "" { // else it is not kept
				say += ": " + f.Why
			}
			why = append(why, say)
		}
	}
	return strings.Join(why, "; ")
}

// Diff compares two runs of a set: each target of the later with the same of the earlier, or with its first.
func Diff(old Run, before []Outcome, now Run, after []Outcome) Comparison {
	c := Comparison{Name: now.Name + " against " + old.Name}
	split := func(all []Outcome, run string) map[string]map[string]*Outcome {
		of := map[string]map[string]*Outcome{}
		for i := range all {
			o := &all[i]
			if of[o.Target] == nil {
				of[o.Target] = map[string]*Outcome{}
			}
			of[o.Target][o.Case] = o
		}
		for t, m := range of {
			c.Targets = append(c.Targets, score(run+":"+t, m))
		}
		return of
	}
	a, b := split(before, old.Name), split(after, now.Name)
	slices.SortFunc(c.Targets, func(x, y Score) int { return strings.Compare(x.Target, y.Target) })
	for _, t := range now.Targets {
		with := t
		if a[with] == nil && len(old.Targets) > 0 {
			with = old.Targets[0]
		}
		v := versus(t, with, b[t], a[with])
		v.Target, v.With = now.Name+":"+t, old.Name+":"+with
		c.Pairs = append(c.Pairs, v)
	}
	return c
}
