// Package spend says where use is going, by what was used in each hour of the last weeks: a forecast to the end of a
// window with an interval, when a limit is used up, hours that are out of the ordinary, and how fast a limit burns.
//
//	hours ─ Series ─┬─ Forecast ─► p10, p50, p90, when the limit is reached
//	                └─ Anomaly
//
// Amounts are whole numbers of any unit, money in nano-USD. It reads no database and keeps nothing; the same hours give
// the same answer.
package spend

import (
	"math"
	"slices"
	"time"
)

const (
	day  = 24
	week = 7 * day
	// Weeks is how many weeks of the past count.
	Weeks = 4
)

// Reach is how far back hours count.
const Reach = Weeks * week * time.Hour

// Series is what was used in each hour of a span of time. Hours of which nothing is said had no use.
type Series struct {
	first int64 // hour since the epoch of Unix time
	used  []int64
}

// NewSeries makes a series of the whole hours [from, until).
func NewSeries(from, until time.Time) *Series {
	s := &Series{first: hourOf(from)}
	s.used = make([]int64, max(0, hourOf(until)-s.first))
	return s
}

func hourOf(t time.Time) int64 { return int64(math.Floor(float64(t.Unix()) / 3600)) }

// Set says what was used in the hour that begins at a time. Hours outside of the series do not count, and neither does
// what is below 0, as corrections may leave it.
func (s *Series) Set(start time.Time, used int64) {
	if i := hourOf(start) - s.first; i >= 0 && i < int64(len(s.used)) {
		s.used[i] = max(used, 0)
	}
}

// Move lets the series end at a time, and begin Reach and an hour before: what is older is dropped.
func (s *Series) Move(until time.Time) {
	end := hourOf(until)
	first := end - Weeks*week - 1
	moved := make([]int64, end-first)
	for i, u := range s.used {
		if j := s.first + int64(i) - first; j >= 0 && j < int64(len(moved)) {
			moved[j] = u
		}
	}
	s.first, s.used = first, moved
}

// Idle reports whether nothing was used in any of the hours.
func (s *Series) Idle() bool {
	return !slices.ContainsFunc(s.used, func(u int64) bool { return u != 0 })
}

// known returns the hours that count at a time, from the first with any use on and at most Reach, and the hour that
// they end before.
func (s *Series) known(now time.Time) (used []float64, end int64) {
	end = min(hourOf(now), s.first+int64(len(s.used)))
	from := max(s.first, end-Weeks*week)
	for i := from; i < end; i++ {
		u := s.used[i-s.first]
		if u == 0 && len(used) == 0 {
			continue
		}
		used = append(used, float64(u))
	}
	return used, end
}

// quantile returns the q-th quantile (0 to 1) of sorted values, between two of them by their distance.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func median(values []float64) float64 {
	return quantile(slices.Sorted(slices.Values(values)), .5)
}

func sum(values []float64) (n float64) {
	for _, v := range values {
		n += v
	}
	return n
}

// whole rounds to an amount, at least 0.
func whole(f float64) int64 {
	if f >= math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return int64(math.Round(max(f, 0)))
}
