package backtest

import "math"

// combine makes intervals of runs. Those that keep what is known say what is to be expected. Those that draw everything anew say how far
// that may be off: each is a day as it may have been, with outcomes, choices and what was learnt from them of its own, and with other evidence to
// draw from. So the interval is one of prediction, of Student's distribution as the runs are few. Where the two kinds do not
// agree on the middle, as what is drawn is not quite like what was, or few failures sway what is learnt, nobody knows which of
// them is right: it reaches as far about the one as about the other.
func combine(kept, drawn []points, was points) []Interval {
	if len(drawn) < 2 {
		drawn = kept
	}
	n := len(was)
	for _, r := range append(kept[:len(kept):len(kept)], drawn...) {
		n = max(n, len(r)) // a run may ask targets that no run before did
	}
	out := make([]Interval, n)
	for i := range out {
		middle, _ := moments(kept, i)
		other, between := moments(drawn, i)
		half := student(len(drawn)-1) * math.Sqrt(between*(1+1/float64(len(drawn))))
		out[i] = Interval{Old: at(was, i), New: middle, Low: max(min(middle, other)-half, 0), High: max(middle, other) + half}
	}
	return out
}

// moments are the mean of a figure, and its variance; 0: of one run nobody knows it.
func moments(runs []points, i int) (mean, variance float64) {
	for _, r := range runs {
		mean += at(r, i) / float64(len(runs))
	}
	if len(runs) < 2 {
		return mean, 0
	}
	for _, r := range runs {
		variance += (at(r, i) - mean) * (at(r, i) - mean) / float64(len(runs)-1)
	}
	return mean, variance
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
