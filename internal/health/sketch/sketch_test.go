package sketch

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestQuantiles holds for every list of durations: a quantile is within 4.5 % of a duration that has its rank.
func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1e9, 0)
		s := Sketch{Half: time.Minute}
		all := rapid.SliceOfN(rapid.Int64Range(int64(Shortest), int64(Longest)), 1, 200).Draw(t, "durations")
		for _, d := range all {
			s.Add(time.Duration(d), now)
		}
		slices.Sort(all)
		for _, q := range []float64{0.01, 0.5, 0.95, 1} {
			rank := min(max(int(q*float64(len(all))+0.9999)-1, 0), len(all)-1)
			got := float64(s.Quantile(q))
			ok := false
			for _, r := range []int{max(rank-1, 0), rank, min(rank+1, len(all)-1)} {
				ok = ok || got > float64(all[r])*0.955 && got < float64(all[r])*1.045
			}
			if !ok {
				t.Fatalf("q %v: %v, want near %v", q, s.Quantile(q), time.Duration(all[rank]))
			}
		}
		if w := s.Weight(now.Add(time.Minute)); w < float64(len(all))*0.499 || w > float64(len(all))*0.501 {
			t.Fatalf("after its half-life %d weigh %v", len(all), w)
		}
	})
}

func TestWhatIsOlderWeighsLess(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := Sketch{Half: time.Minute}
	for range 100 {
		s.Add(time.Second, now)
	}
	for range few + 1 {
		s.Add(time.Minute, now.Add(10*time.Minute))
	}
	if got := s.Quantile(0.5); got < 57*time.Second {
		t.Errorf("the median is %v", got)
	}
}

// TestWeightsNeverOverflow adds for ten years.
func TestWeightsNeverOverflow(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := Sketch{Half: time.Minute}
	for range 100_000 {
		now = now.Add(50 * time.Minute)
		s.Add(time.Second, now)
	}
	if w := s.Weight(now); w < few+0.9 || w > few+1.1 {
		t.Errorf("the last ones weigh %v", w)
	}
	if got := s.Quantile(0.5); got < 950*time.Millisecond || got > 1050*time.Millisecond {
		t.Errorf("the median is %v", got)
	}
}

func TestMergeAndShares(t *testing.T) {
	now := time.Unix(1e9, 0)
	a, b, c := Sketch{Half: time.Minute}, Sketch{Half: time.Minute}, Sketch{Half: time.Minute}
	for range 10 {
		a.Add(time.Second, now)
		b.Add(time.Minute, now.Add(time.Minute))
	}
	now = now.Add(2 * time.Minute)
	for _, s := range b.Shares(now) {
		c.Put(s, now)
	}
	c.Put(Share{-1, 1}, now)
	c.Put(Share{buckets, 1}, now)
	a.Merge(&c, now)
	if w := a.Weight(now); w < 7.4 || w > 7.6 { // 10/4 and 10/2
		t.Errorf("weighs %v", w)
	}
	if got := a.Quantile(0.9); got < 57*time.Second || got > 63*time.Second {
		t.Errorf("got %v", got)
	}
}
