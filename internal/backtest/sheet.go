package backtest

import "math"

// sheet is the outcomes of all exchanges, added up as far as every replicate of a bootstrap weighs them alike.
type sheet struct {
	blocks  []sums
	drawn   []entry
	targets int
}

// sums are those of the exchanges of a block.
type sums struct {
	n           float64
	of          points // without quantiles, and without what was drawn but for the shares
	took, first histogram
}

// entry is an exchange whose outcome was drawn.
type entry struct {
	block, cluster, target int32
	took, first            int16 // buckets; -1: not known
	failed                 bool
	attempts               int32
	cost                   int64
}

func newSheet(p *past, all []outcome, cluster func(drawn int32) int32) sheet {
	s := sheet{blocks: make([]sums, min(mostBlocks, len(all))), targets: len(p.targets)}
	for i := range s.blocks {
		s.blocks[i].of = make(points, figures+s.targets)
	}
	for i := range all {
		o := &all[i]
		b := i * len(s.blocks) / len(all)
		to := &s.blocks[b]
		to.n++
		if o.target >= 0 {
			to.of[figures+int(o.target)]++
		}
		e := entry{block: short(int64(b)), target: o.target, took: bucket(o.took), first: -1, failed: o.failed, attempts: o.attempts, cost: o.cost}
		if p.exchanges[i].stream {
			e.first = bucket(o.first)
		}
		if o.drawn > 0 {
			e.cluster = cluster(o.drawn)
			s.drawn = append(s.drawn, e)
		} else {
			e.add(to.of, &to.took, &to.first, 1)
		}
	}
	return s
}

// add counts an exchange.
func (e *entry) add(to points, took, first *histogram, weight float64) {
	to[costOf] += weight * float64(e.cost)
	to[attemptsOf] += weight * float64(e.attempts)
	if e.failed {
		to[failedOf] += weight
		return
	}
	took.add(e.took, weight)
	first.add(e.first, weight)
}

// figures works the figures out; w nil: each exchange counts once.
func (s *sheet) figures(w *weights) points {
	out := make(points, figures+s.targets)
	var took, first histogram
	total := 0.0
	for i := range s.blocks {
		b, weight := &s.blocks[i], 1.0
		if w != nil {
			weight = w.block[i]
		}
		total += weight * b.n
		for j, v := range b.of {
			out[j] += weight * v
		}
		took.merge(&b.took, weight)
		first.merge(&b.first, weight)
	}
	norm := s.norms(w)
	for i := range s.drawn {
		e, weight := &s.drawn[i], 1.0
		if w != nil {
			weight = w.block[e.block] * w.cluster[e.cluster] * norm[e.target]
		}
		e.add(out, &took, &first, weight)
	}
	for i := range out {
		out[i] /= max(total, math.SmallestNonzeroFloat64)
	}
	out[tookMedian], out[tookHigh] = took.quantile(0.5), took.quantile(0.95)
	out[firstMedian], out[firstHigh] = first.quantile(0.5), first.quantile(0.95)
	return out
}

// norms are what weights of drawn outcomes are multiplied with, by target, so that as many exchanges go there as did.
func (s *sheet) norms(w *weights) []float64 {
	if w == nil {
		return nil
	}
	plain, weighed := make([]float64, s.targets), make([]float64, s.targets)
	for i := range s.drawn {
		e := &s.drawn[i]
		plain[e.target] += w.block[e.block]
		weighed[e.target] += w.block[e.block] * w.cluster[e.cluster]
	}
	for i := range plain {
		if weighed[i] > 0 {
			plain[i] /= weighed[i]
		}
	}
	return plain
}

// histogram counts milliseconds in buckets of 2 %.
type histogram [buckets]float64

const (
	buckets     = 850 // the last begins after more than six hours
	bucketWidth = 0.02
)

// bucket returns the bucket of a duration; -1: it is not known.
func bucket(ms int32) int16 {
	if ms <= 0 {
		return -1
	}
	return int16(min(int(math.Log(float64(ms))/bucketWidth), buckets-1))
}

func (h *histogram) add(bucket int16, weight float64) {
	if bucket >= 0 {
		h[bucket] += weight
	}
}

func (h *histogram) merge(o *histogram, weight float64) {
	for i, v := range o {
		h[i] += weight * v
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
