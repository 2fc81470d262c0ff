package backtest

import (
	"math"
	"slices"
)

// combine makes intervals of runs. Those that keep what is known say what is to be expected. Those that draw everything anew say how far
// that may be off: each is a day as it may have been, with outcomes, choices and what was learnt from them of its own, and with other evidence to
// draw from. So the interval is one of prediction, of Student's distribution as the runs are few. Where the two kinds do not
// agree on the middle, as what is drawn is not quite like what was, or few failures sway what is learnt, nobody knows which of
// them is right: it reaches as far below the one as above the other. And where runs are farther off on one side, as a share that
// is nearly all has more room below, it reaches farther on that side.
func combine(kept, drawn []points, was points) []Interval {
	if len(drawn) < 2 {
		drawn = kept
	}
	n := len(was)
	for _, r := range slices.Concat(kept, drawn) {
		n = max(n, len(r)) // a run may ask targets that no run before did
	}
	out := make([]Interval, n)
	for i := range out {
		k, d := spreadOf(kept, i), spreadOf(drawn, i)
		reach := func(side float64) float64 {
			return student(len(drawn)-1) * math.Sqrt(max(side, d.both)*(1+1/float64(len(drawn)))+k.both/float64(len(kept)))
		}
		out[i] = Interval{Old: at(was, i), New: k.mean, Low: max(min(k.mean, d.mean)-reach(d.below), 0), High: max(k.mean, d.mean) + reach(d.above)}
	}
	return out
}

// spread is how far runs are apart: the variance of a figure about its mean, and what that would be were all as far off as those below
// and those above.
type spread struct{ mean, both, below, above float64 }

func spreadOf(runs []points, i int) (s spread) {
	for _, r := range runs {
		s.mean += at(r, i) / float64(len(runs))
	}
	if len(runs) < 2 {
		return s
	}
	for _, r := range runs {
		d := at(r, i) - s.mean
		if d < 0 {
			s.below += 2 * d * d / float64(len(runs)-1)
		} else {
			s.above += 2 * d * d / float64(len(runs)-1)
		}
	}
	s.both = (s.below + s.above) / 2
	return s
}

// student is the 97.5th percentile of Student's distribution: of few runs nobody knows well how far they are apart.
func student(freedom int) float64 {
	table := [...]float64{0, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179}
	if freedom < len(table) {
		return table[max(freedom, 0)]
	}
	return 1.96 + 2.4/float64(freedom) // within 1 % of it
}

// at returns 0 beyond the end.
func at(p points, i int) float64 {
	if i < len(p) {
		return p[i]
	}
	return 0
}
