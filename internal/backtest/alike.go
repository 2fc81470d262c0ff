package backtest

import (
	"math"
	"slices"
	"sort"
)

// Bounds of the search for changes.
const (
	mostParts = 2048 // that the attempts at a target are taken in: finding where it changes takes the square of it
	slowShare = 0.2  // of answers that count as slow
)

// changeCosts are what a change has to explain before it is believed, times the logarithm of the number of parts: half of it for each
// share that becomes another, and once for where. Whether a few failures that came together were an outage nobody knows: each run has
// one of these views, the first without resampling the one in the middle.
var changeCosts = [views]float64{0.8, 1.2, 2}

const (
	views     = 3
	usualView = 1
)

// counted are attempts, and what they were like.
type counted struct{ n, failed, well, slow int }

func (c counted) minus(o counted) counted {
	return counted{c.n - o.n, c.failed - o.failed, c.well - o.well, c.slow - o.slow}
}

// surprises are n times its logarithm for whole numbers, of which small ones are worked out once.
type surprises []float64

func newSurprises(most int) surprises {
	const mostKept = 1 << 16
	s := make(surprises, min(most, mostKept)+1)
	for i := 2; i < len(s); i++ {
		s[i] = float64(i) * math.Log(float64(i))
	}
	return s
}

func (s surprises) at(n int) float64 {
	if n < len(s) {
		return s[n]
	}
	return float64(n) * math.Log(float64(n))
}

// of is minus the logarithm of how likely attempts are, had their target been alike in all of them.
func (s surprises) of(c counted) float64 {
	return s.at(c.n) - s.at(c.failed) - s.at(c.n-c.failed) + s.at(c.well) - s.at(c.slow) - s.at(c.well-c.slow)
}

// changes finds where a target became another: it began or ceased to fail, or to be slow. It returns the numbers of the
// attempts that begin a stretch in which it was alike, the first left out. What is drawn for an exchange in an outage is
// drawn from the outage, and nothing of it is drawn for others.
//
// It is optimal partitioning (Jackson et al. 2005, arXiv:math/0309285) with the pruning of PELT (Killick et al. 2012,
// arXiv:1101.1438).
func (p *past) changes(all []int32, dear float64) []int32 {
	each := (len(all) + mostParts - 1) / mostParts
	if each == 0 {
		return nil
	}
	sums, surprise := p.count(all, each), newSurprises(len(all))
	m := len(sums) - 1
	penalty := dear * math.Log(float64(max(m, 2)))
	best, from := make([]float64, m+1), make([]int, m+1)
	best[0] = -penalty
	open := []int{0} // where the last stretch may begin
	costs := make([]float64, 0, m)
	for end := 1; end <= m; end++ {
		best[end] = math.Inf(1)
		costs = costs[:0]
		for _, s := range open {
			c := best[s] + surprise.of(sums[end].minus(sums[s]))
			costs = append(costs, c)
			if c+penalty < best[end] {
				best[end], from[end] = c+penalty, s
			}
		}
		left := open[:0]
		for i, s := range open {
			if costs[i] <= best[end] {
				left = append(left, s)
			}
		}
		left = append(left, end)
		open = left
	}
	var out []int32
	for s := from[m]; s > 0; s = from[s] {
		out = append(out, int32(s*each))
	}
	slices.Reverse(out)
	return out
}

// count adds attempts up, in parts of some.
func (p *past) count(all []int32, each int) []counted {
	var firsts []int32
	first := func(a *attempt) int32 {
		if a.first > 0 {
			return a.first
		}
		return a.took
	}
	for _, n := range all {
		if a := &p.attempts[n]; a.code == 0 && first(a) > 0 {
			firsts = append(firsts, first(a))
		}
	}
	slices.Sort(firsts)
	limit := int32(math.MaxInt32)
	if len(firsts) > 0 {
		limit = firsts[int(float64(len(firsts)-1)*(1-slowShare))]
	}
	sums, c := []counted{{}}, counted{}
	for i, n := range all {
		a := &p.attempts[n]
		c.n++
		switch {
		case a.code != 0:
			c.failed++
		case first(a) > limit:
			c.slow++
			fallthrough
		default:
			c.well++
		}
		if (i+1)%each == 0 || i == len(all)-1 {
			sums = append(sums, c)
		}
	}
	return sums
}

// stretch is a range of the attempts at a target in which it was alike.
type stretch struct{ low, high int }

// alike returns the stretch that a time lies in. Between the last attempt of a stretch and the first of the next nobody
// knows when it changed: each run has its own time, which u is drawn for.
func (t *target) alike(p *past, view int, at int64, u func(cut int32) float64) stretch {
	s, cuts := stretch{0, len(t.attempts)}, t.cuts[view]
	n := sort.Search(len(cuts), func(i int) bool {
		c := cuts[i]
		before, after := p.attempts[t.attempts[c-1]].began, p.attempts[t.attempts[c]].began
		return float64(before)+u(c)*float64(after-before) > float64(at)
	})
	if n > 0 {
		s.low = int(cuts[n-1])
	}
	if n < len(cuts) {
		s.high = int(cuts[n])
	}
	return s
}
