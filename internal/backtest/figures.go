package backtest

import "math"

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

// figuresOf works out what outcomes come to, over so many targets.
func (p *past) figuresOf(all []outcome, targets int) points {
	out := make(points, figures+targets)
	var took, first histogram
	for i := range all {
		o := &all[i]
		out[costOf] += float64(o.cost)
		out[attemptsOf] += float64(o.attempts)
		if o.target >= 0 {
			out[figures+int(o.target)]++
		}
		if o.failed {
			out[failedOf]++
			continue
		}
		took.add(o.took)
		if p.exchanges[i].stream {
			first.add(o.first)
		}
	}
	for i := range out {
		out[i] /= float64(max(len(all), 1))
	}
	out[tookMedian], out[tookHigh] = took.quantile(0.5), took.quantile(0.95)
	out[firstMedian], out[firstHigh] = first.quantile(0.5), first.quantile(0.95)
	return out
}

// histogram counts milliseconds in buckets of 2 %.
type histogram [buckets]float64

const (
	buckets     = 850 // the last begins after more than six hours
	bucketWidth = 0.02
)

// bucket returns the bucket of a duration; -1: it is not known.
func bucket(ms int32) int {
	if ms <= 0 {
		return -1
	}
	return min(int(math.Log(float64(ms))/bucketWidth), buckets-1)
}

func (h *histogram) add(ms int32) {
	if b := bucket(ms); b >= 0 {
		h[b]++
	}
}

// quantile returns milliseconds; 0 where nothing was counted.
func (h *histogram) quantile(q float64) float64 {
	total := 0.0
	for _, n := range h {
		total += n
	}
	left := q * total
	if left <= 0 {
		return 0
	}
	for i, n := range h {
		if left <= n {
			return math.Exp((float64(i) + left/n) * bucketWidth)
		}
		left -= n
	}
	return math.Exp(buckets * bucketWidth)
}
