package backtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// figure is one to be estimated.
type figure struct {
	name string
	of   func(*Report) Interval
	true func(points, *past) float64
}

func all() []figure {
	at := func(i int) func(points, *past) float64 { return func(p points, _ *past) float64 { return p[i] } }
	out := []figure{
		{"failed", func(r *Report) Interval { return r.Failed }, at(failedOf)},
		{"attempts", func(r *Report) Interval { return r.Attempts }, at(attemptsOf)},
		{"median time", func(r *Report) Interval { return r.Took.P50 }, at(tookMedian)},
		{"high time", func(r *Report) Interval { return r.Took.P95 }, at(tookHigh)},
		{"median first token", func(r *Report) Interval { return r.First.P50 }, at(firstMedian)},
		{"cost", func(r *Report) Interval {
			n := float64(r.Exchanges)
			return Interval{New: float64(r.Cost.New) / n, Low: float64(r.Cost.Low-1) / n, High: float64(r.Cost.High+1) / n}
		}, at(costOf)},
	}
	for _, p := range world() {
		out = append(out, figure{"share of " + p.name, func(r *Report) Interval { return share(r, p.name) }, func(v points, past *past) float64 { return v[figures+int(past.target(named{p.name, "m"}))] }})
	}
	return out
}

// How many seeds a scene is played with where -seeds does not say it.
const (
	atLength = 0  // only with -seeds
	pooled   = 20 // each figure is to lie in its interval often in all such scenes together
	byItself = 30 // in nine of ten of the scene's own
)

// scene is a change from a configuration to another, in a climate.
type scene struct {
	name         string
	weather      climate
	before, then func() (*Ways, error)
	learns       bool   // the policies go by what happens
	plays        uint64 // seeds, unless -seeds says how many
	blind        bool   // the ledger cannot know: it is played to say how much that matters
}

func scenes(tb testing.TB) []scene {
	tb.Helper()
	never := &policy.Schedule{From: "00:20", To: "00:40", Never: []string{"a/m"}}
	if err := never.Check(); err != nil {
		tb.Fatal(err)
	}
	by := func(ps ...routing.Policy) func() (*Ways, error) {
		var named []routing.Named
		for _, p := range ps {
			named = append(named, routing.Named{Name: fmt.Sprintf("%T", p), Policy: p})
		}
		return ways([3]int{}, named...)
	}
	before, pause := ways([3]int{60, 10, 30}), ways([3]int{60, 10, 30}, routing.Named{Name: "schedule", Policy: never})
	other, cheapest := ways([3]int{10, 60, 30}), by(&policy.Cheapest{})
	reliable, fastest := by(&policy.Reliable{Within: 1}, &policy.Cheapest{}), by(&policy.Fastest{By: "total", Quantile: "p50", Explore: 2})
	healthy, balanced := by(&policy.Healthy{Success: 90, Attempts: 10}, &policy.Cheapest{}), by(&policy.Balanced{Cost: 1, Latency: 1, Success: 1, By: "total", Explore: 2})
	return []scene{
		{"steady, the same", steady, before, before, false, byItself, false},
		{"steady, other weights", steady, before, other, false, byItself, false},
		{"steady, cheapest", steady, before, cheapest, false, byItself, false},
		{"outages, other weights", outages, before, other, false, atLength, false},
		{"drift, other weights", drift, before, other, false, atLength, false},
		{"steady, reliable", steady, before, reliable, true, byItself, false},
		{"steady, fastest", steady, before, fastest, true, byItself, false},
		{"steady, healthy", steady, before, healthy, true, atLength, false},
		{"steady, balanced", steady, before, balanced, true, atLength, false},
		{"outages, reliable", outages, before, reliable, true, pooled, false},
		{"outages, fastest", outages, before, fastest, true, atLength, false},
		{"outages, healthy", outages, before, healthy, true, pooled, false},
		{"outages, balanced", outages, before, balanced, true, atLength, false},
		{"drift, reliable", drift, before, reliable, true, atLength, false},
		{"drift, fastest", drift, before, fastest, true, atLength, false},
		{"drift, healthy", drift, before, healthy, true, atLength, false},
		{"drift, balanced", drift, before, balanced, true, pooled, false},
		{"steady, a pause, reliable", steady, pause, reliable, true, atLength, false},
		{"outages, a pause, reliable", outages, pause, reliable, true, atLength, true},
		{"drift, a pause, reliable", drift, pause, reliable, true, atLength, true},
	}
}

// tally is how often a figure lay in its interval, and how wide that was.
type tally struct {
	played, well int
	width, value float64 // sums
}

func (t *tally) add(o tally) {
	t.played, t.well, t.width, t.value = t.played+o.played, t.well+o.well, t.width+o.width, t.value+o.value
}

// String is the share of intervals that held the truth, and their mean width beside the mean of what was to be estimated.
func (t tally) String() string {
	n := float64(max(t.played, 1))
	return fmt.Sprintf("%5.1f %% of %d, width %.4g of %.4g", 100*float64(t.well)/n, t.played, t.width/n, t.value/n)
}

// play replays a ledger of one configuration under another, and compares what is estimated with what the same clients get where the
// other one serves them.
func (s *scene) play(t *testing.T, seed uint64, to map[string]*tally) {
	t.Helper()
	const n = 1500
	rep, err := Run(t.Context(), serve(t, s.weather, n, s.before, seed, 100), book.Filter{}, Options{Open: s.then, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	want, of := truth(t, serve(t, s.weather, n, s.then, seed, 200), s.then)
	for _, f := range all() {
		i, v := f.of(rep), f.true(want, of)
		one := tally{1, 0, i.High - i.Low, v}
		if holds(i, v) {
			one.well = 1
		} else {
			t.Logf("seed %d, %s: %f to %f, by %f, is %f", seed, f.name, i.Low, i.High, i.New, v)
		}
		if to[f.name] == nil {
			to[f.name] = &tally{}
		}
		to[f.name].add(one)
	}
}

// TestEstimatesAreAsGoodAsTheySay plays scenes often, and counts how often each figure lies in its interval. By default it plays five
// in which targets stay as they are, each figure of which is to lie there in nine of ten by itself, and a few of the others, whose figures are
// counted together. With -seeds N it plays all of them N times.
func TestEstimatesAreAsGoodAsTheySay(t *testing.T) {
	known, learnt := map[string]*tally{}, map[string]*tally{}
	for _, s := range scenes(t) {
		runs := s.plays
		if *seeds > 0 {
			runs = uint64(*seeds)
		}
		if runs == 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			of := map[string]*tally{}
			for seed := range runs {
				s.play(t, *from+seed, of)
			}
			for _, f := range all() {
				got := of[f.name]
				t.Logf("%-18s %s", f.name, got)
				if s.fails(got) {
					t.Errorf("%s lies in its interval in %s", f.name, got)
				}
				if s.blind || *seeds == 0 && s.plays != pooled {
					continue
				}
				group := known
				if s.learns {
					group = learnt
				}
				if group[f.name] == nil {
					group[f.name] = &tally{}
				}
				group[f.name].add(*got)
			}
		})
	}
	for name, group := range map[string]map[string]*tally{"known beforehand": known, "learnt": learnt} {
		for _, f := range all() {
			got := group[f.name]
			if got == nil {
				continue
			}
			t.Logf("%s, %s: %s", name, f.name, got)
			if missed := got.played - got.well; missed > 3 && float64(missed) > 0.117*float64(got.played) {
				t.Errorf("%s, %s: %s", name, f.name, got)
			}
		}
	}
}

// fails reports whether a figure lies in its interval too seldom in the scene by itself.
func (s *scene) fails(got *tally) bool {
	least := 0.9 * float64(got.played)
	switch {
	case s.plays == byItself:
	case s.blind || *seeds == 0:
		return false
	default: // of 200 that hold the truth in 90 of 100, 12 fewer are seen once in forty times
		least -= 2 * math.Sqrt(0.09*float64(got.played))
	}
	return float64(got.well) < least
}
