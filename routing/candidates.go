package routing

import (
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
)

// Policy narrows or orders the candidates of a decision. It is pure: it keeps no state, reads no clock, and draws by the
// View only. It is safe for concurrent use.
type Policy interface {
	Apply(v *View, c *Candidates)
}

// Lasting is a policy that may leave out targets for good: what it leaves out of a request it leaves out whenever that is
// asked again.
type Lasting interface{ Lasting() bool }

// Candidate is a target that a decision may still choose.
type Candidate struct {
	Target
	About   *About // never nil
	Signals health.Signals
	N       int // its place among the route's targets

	tier   int32
	key    int64
	cost   int64
	priced int8 // 0: not asked yet, 1: cost holds, -1: no price is known
}

// Candidates are the targets that are left, best first as far as policies have said. An order that one policy gives
// stands: what a later policy orders are those that all before left equal.
type Candidates struct {
	all   []Candidate
	at    []int32 // of those that are left, best first
	trace *Explained
	name  string // of the policy at work
}

// Len returns how many are left.
func (c *Candidates) Len() int { return len(c.at) }

// At returns the i-th candidate.
func (c *Candidates) At(i int) *Candidate { return &c.all[c.at[i]] }

// Keep drops candidates for which ok is false. why says why, in words that follow the target's name; it is called for
// explanations only.
func (c *Candidates) Keep(ok func(*Candidate) bool, why func(*Candidate) string) {
	left := c.at[:0]
	for _, i := range c.at {
		if ok(&c.all[i]) {
			left = append(left, i)
		} else if c.trace != nil {
			c.trace.drop(c.name, &c.all[i], why(&c.all[i]))
		}
	}
	c.at = left
}

// Sort orders by a key, smallest first, those that are equal so far. Equal keys stay equal, for the next policy. why says
// what the key means, for explanations only; nil: nothing is said.
func (c *Candidates) Sort(key func(*Candidate) int64, why func(*Candidate) string) {
	for _, i := range c.at {
		c.all[i].key = key(&c.all[i])
	}
	slices.SortStableFunc(c.at, func(a, b int32) int {
		x, y := &c.all[a], &c.all[b]
		if x.tier != y.tier {
			return int(x.tier - y.tier)
		}
		switch {
		case x.key < y.key:
			return -1
		case x.key > y.key:
			return 1
		}
		return 0
	})
	tier, old, last := int32(0), int32(0), int64(0)
	for n, i := range c.at {
		k := &c.all[i]
		if n > 0 && (k.tier != old || k.key != last) {
			tier++
		}
		old, last, k.tier = k.tier, k.key, tier
	}
	if c.trace != nil && why != nil {
		for _, i := range c.at {
			c.trace.score(c.name, &c.all[i], why(&c.all[i]))
		}
	}
}

// Lead puts one candidate before all others that are equal to it so far.
func (c *Candidates) Lead(first *Candidate, why func(*Candidate) string) {
	c.Sort(func(k *Candidate) int64 {
		if k == first {
			return 0
		}
		return 1
	}, nil)
	if c.trace != nil && why != nil {
		c.trace.score(c.name, first, why(first))
	}
}

// Equals returns how many candidates at the head of the list are equal so far, and so are still to be ordered.
func (c *Candidates) Equals() int {
	n := 0
	for n < len(c.at) && c.At(n).tier == c.At(0).tier {
		n++
	}
	return n
}

// Cost returns what the request is expected to cost at a candidate, in nano-USD: the prompt, as far as it is counted or by
// its bytes, with the share that the provider's cache is known to hold, and the length of answers that was learnt there,
// within what the client allows. ok is false where no price is known.
func (v *View) Cost(c *Candidate) (nano int64, ok bool) {
	if c.priced == 0 {
		c.cost, c.priced = v.price(c)
	}
	return c.cost, c.priced > 0
}

func (v *View) price(c *Candidate) (int64, int8) {
	in, out := v.Tokens(c), v.Answer(c)
	cached := int64(float64(in) * min(max(c.Signals.Cached, 0), 1))
	var u cost.Units
	u[price.Input], u[price.CacheRead], u[price.Output], u[price.PerRequest] = in-cached, cached, out, 1
	terms := c.About.Contract.Terms(c.Model, v.Now)
	nano, flags := cost.Total(c.About.Card, u, &terms)
	if flags&cost.Unpriced != 0 {
		return 0, -1
	}
	return nano, 1
}

// Tokens returns how many tokens the prompt has at a candidate, by its bytes where nobody can count it.
func (v *View) Tokens(c *Candidate) int64 { return v.TokensAt(c.Provider, c.Model, c.Like) }

// usualAnswer is how long an answer is taken to be where nothing was learnt, in tokens.
const usualAnswer = 400

// Answer returns how many tokens an answer of a candidate is expected to have.
func (v *View) Answer(c *Candidate) int64 {
	n := int64(c.Signals.Output)
	if n == 0 {
		n = usualAnswer
	}
	if v.Output > 0 {
		n = min(n, v.Output)
	}
	return n
}

// Takes returns how long an answer of a candidate is expected to take to its end; 0: not known.
func (v *View) Takes(c *Candidate) time.Duration {
	if c.Signals.PerToken > 0 && c.Signals.First.P50 > 0 {
		return c.Signals.First.P50 + time.Duration(v.Answer(c))*c.Signals.PerToken
	}
	return c.Signals.Total.P50
}
