package backtest

import (
	"math"

	"github.com/signalbox-ai/signalbox/routing"
)

// The figures that are estimated, before the shares of targets.
const (
	costOf     = iota // nano-USD an exchange
	failedOf          // share
	attemptsOf        // an exchange
	tookMedian        // milliseconds
	tookHigh          // the 95th percentile
	firstMedian
	firstHigh
	figures
)

// points are figures, then the shares of targets in their order.
type points []float64

// Parameters of the bootstrap.
const (
	replicates = 200
	mostBlocks = 200
	clusterMs  = 5 * 60 * 1000 // attempts at a target within it are one piece of evidence: outages hit them together
	normal     = 1.96          // standard deviations in which 95 % lie
)

// estimator compares outcomes as they were with those of a replay.
type estimator struct {
	targets  int
	old, new sheet
	clusters int
	was      points // of the old, without weights
}

func newEstimator(p *past, old, now []outcome) *estimator {
	e := &estimator{targets: len(p.targets)}
	seen := map[[2]int64]int32{}
	cluster := func(drawn int32) int32 {
		a := &p.attempts[drawn-1]
		at := [2]int64{int64(a.target), a.began / clusterMs}
		n, ok := seen[at]
		if !ok {
			n = short(int64(len(seen)))
			seen[at] = n
		}
		return n
	}
	e.old, e.new = newSheet(p, old, cluster), newSheet(p, now, cluster)
	e.clusters = len(seen)
	e.was = e.old.figures(nil)
	return e
}

// weights are of one replicate: of blocks of exchanges that follow each other, and of what outcomes were drawn from.
type weights struct{ block, cluster []float64 }

// difference is what a replay comes to more than the past; w nil: each exchange counts once.
func (e *estimator) difference(w *weights) points {
	was := e.was
	if w != nil {
		was = e.old.figures(w)
	}
	is := e.new.figures(w)
	for i := range is {
		is[i] -= was[i]
	}
	return is
}

// spread is the standard deviation of the difference by a bootstrap: exchanges are weighed by blocks, what was drawn by the
// evidence that it was drawn from, both with exponential weights (the Bayesian bootstrap).
func (e *estimator) spread(seed uint64) []float64 {
	w := &weights{make([]float64, len(e.old.blocks)), make([]float64, e.clusters)}
	sum := make([]float64, figures+e.targets)
	squares := make([]float64, len(sum))
	var d draws
	d.state = routing.Mix(seed ^ 0x5851f42d4c957f2d)
	for range replicates {
		d.fill(w.block)
		d.fill(w.cluster)
		for i, v := range e.difference(w) {
			sum[i] += v
			squares[i] += v * v
		}
	}
	for i := range sum {
		mean := sum[i] / replicates
		sum[i] = math.Sqrt(max(squares[i]/replicates-mean*mean, 0))
	}
	return sum
}

// draws are exponential numbers of a seed.
type draws struct{ state uint64 }

func (d *draws) fill(to []float64) {
	for i := range to {
		d.state += 0x9e3779b97f4a7c15
		to[i] = -math.Log((float64(routing.Mix(d.state)>>11) + 1) / (1 << 53))
	}
}

// combine makes intervals of runs: what they come to in the mean, how far each run may be off, and how far they are
// from each other.
func combine(runs []points, spread []float64, was points) []Interval {
	n := len(was)
	for _, r := range runs {
		n = max(n, len(r)) // a run may ask targets that no run before did
	}
	out := make([]Interval, n)
	for i := range out {
		mean, between := 0.0, 0.0
		for _, r := range runs {
			mean += at(r, i) / float64(len(runs))
		}
		for _, r := range runs {
			between += (at(r, i) - mean) * (at(r, i) - mean)
		}
		if len(runs) > 1 {
			between /= float64(len(runs) - 1)
		}
		half := math.Sqrt(square(normal*at(spread, i)) + square(student(len(runs)-1))*between*(1+1/float64(len(runs))))
		low, high := mean-half, mean+half
		for _, r := range runs { // what a breaker does now and then is far from the mean
			low, high = min(low, at(r, i)-normal*at(spread, i)), max(high, at(r, i)+normal*at(spread, i))
		}
		old := at(was, i)
		out[i] = Interval{Old: old, New: max(old+mean, 0), Low: max(old+low, 0), High: max(old+high, 0)}
	}
	return out
}

func square(v float64) float64 { return v * v }

// student is the 97.5th percentile of Student's distribution: of few runs nobody knows well how far they are apart.
func student(freedom int) float64 {
	table := [...]float64{0, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179}
	if freedom < len(table) {
		return table[max(freedom, 0)]
	}
	return normal + 2.4/float64(freedom) // within 1 % of it
}

// at returns 0 beyond the end.
func at(p points, i int) float64 {
	if i < len(p) {
		return p[i]
	}
	return 0
}
