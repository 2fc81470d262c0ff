// Package sketch is quantiles of durations that forget: a histogram of fixed size in which what is older weighs less. It
// reads no clock and takes no lock; who owns a sketch does both.
package sketch

import (
	"math"
	"time"
)

// Bounds of what is told apart. Shorter and longer durations count as these.
const (
	Shortest = 100 * time.Microsecond
	Longest  = 30 * time.Minute
)

const (
	perDoubling = 8   // buckets for each doubling: a quantile is wrong by half of a bucket, at most 4.5 %
	buckets     = 193 // up to Longest: log2(Longest/Shortest) × perDoubling
)

// Sketch counts durations, of which those that are older by the half-life weigh half; where few come, the last ones are kept
// for longer, or one would be judged by. The zero Sketch is empty. It is not safe for concurrent use.
type Sketch struct {
	counts [buckets]float32
	sum    float64
	one    float64   // what a duration of the last time weighs
	last   time.Time // when one was added
	Half   time.Duration
}

// few is how many durations are not forgotten before others come.
const few = 16

// Add counts a duration. Time does not run backwards: what comes from before the last one counts as of then.
func (s *Sketch) Add(d time.Duration, now time.Time) {
	if s.sum == 0 {
		s.one, s.last = 1, now
	}
	if now.After(s.last) {
		n := s.sum / s.one
		s.one, s.last = min(s.weight(now), s.one*n/min(n, few)), now
	}
	if s.one > 1<<60 { // far from the end of a float32
		s.scale(1 / s.one)
		s.one = 1
	}
	s.counts[bucket(d)] += float32(s.one)
	s.sum += s.one
}

// weight is what a duration of a time weighs.
func (s *Sketch) weight(now time.Time) float64 {
	return s.one * math.Exp2(float64(now.Sub(s.last))/float64(s.Half))
}

func (s *Sketch) scale(by float64) {
	s.sum = 0
	for i := range s.counts {
		s.counts[i] = float32(float64(s.counts[i]) * by)
		s.sum += float64(s.counts[i])
	}
}

// Weight returns how many durations of now the counted ones are worth.
func (s *Sketch) Weight(now time.Time) float64 {
	if s.sum == 0 {
		return 0
	}
	return s.sum / s.weight(now)
}

// Quantile returns the duration below which the share q of the weight lies, within 4.5 % of it; 0 where nothing was counted.
func (s *Sketch) Quantile(q float64) time.Duration {
	if s.sum == 0 {
		return 0
	}
	left := q * s.sum
	last := 0
	for i, n := range s.counts {
		if n == 0 {
			continue
		}
		last = i
		if left -= float64(n); left <= 0 {
			break
		}
	}
	return middle(last)
}

// Merge adds what another sketch has counted.
func (s *Sketch) Merge(o *Sketch, now time.Time) {
	if o.sum == 0 {
		return
	}
	if s.sum == 0 {
		s.one, s.last = 1, now
	}
	by := s.weight(now) / o.weight(now)
	for i, n := range o.counts {
		w := float64(n) * by
		s.counts[i] += float32(w)
		s.sum += w
	}
}

// Share is a bucket with its share of the weight, for what leaves the process.
type Share struct {
	Bucket int
	Weight float64 // as of the time of Shares
}

// Shares returns what is counted, as of a time.
func (s *Sketch) Shares(now time.Time) (out []Share) {
	w := s.weight(now)
	for i, n := range s.counts {
		if v := float64(n) / w; v > 1e-3 {
			out = append(out, Share{i, v})
		}
	}
	return out
}

// Put adds a bucket with a weight. A bucket that cannot be is left out.
func (s *Sketch) Put(b Share, now time.Time) {
	if b.Bucket < 0 || b.Bucket >= buckets || !(b.Weight > 0) || b.Weight > 1e9 {
		return
	}
	if s.sum == 0 {
		s.one, s.last = 1, now
	}
	w := s.weight(now) * b.Weight
	s.counts[b.Bucket] += float32(w)
	s.sum += w
}

func bucket(d time.Duration) int {
	d = min(max(d, Shortest), Longest)
	return min(int(math.Log2(float64(d)/float64(Shortest))*perDoubling), buckets-1)
}

// middle is the geometric middle of a bucket.
func middle(i int) time.Duration {
	return time.Duration(float64(Shortest) * math.Exp2((float64(i)+0.5)/perDoubling))
}
