package spend

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// monday is a Monday, 00:00.
var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// office is an even week of people at work: nights and weekends are quiet.
func office(t time.Time) float64 {
	h := float64(t.Hour())
	busy := math.Exp(-(h - 13) * (h - 13) / 18)
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		busy *= .15
	}
	return .05 + busy
}

// noise has a mean of 1.
func noise(r *rand.Rand, sd float64) float64 { return math.Exp(r.NormFloat64()*sd - sd*sd/2) }

// kind is a kind of series, of dollars in an hour.
type kind struct {
	name string
	make func(r *rand.Rand) func(t time.Time, hour int) float64
}

func kinds() []kind {
	return []kind{
		{"steady", func(r *rand.Rand) func(time.Time, int) float64 {
			return func(time.Time, int) float64 { return noise(r, .3) }
		}},
		{"office", func(r *rand.Rand) func(time.Time, int) float64 {
			daily := 1.0
			return func(t time.Time, h int) float64 {
				if h%24 == 0 {
					daily = noise(r, .2)
				}
				return office(t) * daily * noise(r, .4)
			}
		}},
		{"wandering", func(r *rand.Rand) func(time.Time, int) float64 {
			level := 0.0
			return func(t time.Time, h int) float64 {
				if h%24 == 0 {
					level = .97*level + r.NormFloat64()*.06
				}
				return office(t) * math.Exp(level) * noise(r, .3)
			}
		}},
		{"growing", func(r *rand.Rand) func(time.Time, int) float64 {
			daily := 1.0
			return func(t time.Time, h int) float64 {
				if h%24 == 0 {
					daily = noise(r, .15)
				}
				return office(t) * math.Pow(1.07, float64(h)/week) * daily * noise(r, .3)
			}
		}},
		{"shrinking", func(r *rand.Rand) func(time.Time, int) float64 {
			return func(t time.Time, h int) float64 {
				return office(t) * math.Pow(.94, float64(h)/week) * noise(r, .5)
			}
		}},
		{"bursts", func(r *rand.Rand) func(time.Time, int) float64 {
			return func(time.Time, int) float64 {
				if r.Float64() < .02 {
					return 20 * noise(r, .8)
				}
				return 0
			}
		}},
		{"nightly batch", func(r *rand.Rand) func(time.Time, int) float64 {
			return func(t time.Time, _ int) float64 {
				if t.Hour() == 2 {
					return 30 * noise(r, .3)
				}
				return .1 * noise(r, .5)
			}
		}},
		{"launch and holidays", func(r *rand.Rand) func(time.Time, int) float64 {
			launch := (8 + r.IntN(8)) * week
			return func(t time.Time, h int) float64 {
				level := 1.0
				if h > launch {
					level = 1.6
				}
				if d := h / 24; d%61 < 2 {
					level *= .3
				}
				return office(t) * level * noise(r, .3)
			}
		}},
	}
}

type score struct {
	n, inside, below, above int
	err, line, last         float64 // sums of absolute errors, relative to what an even pace brings
}

// run looks at a series from many days, to the end of the month, the week and the day.
func (s *score) run(truth []int64, ends func(time.Time) time.Time) {
	total := func(from, until time.Time) (n int64) {
		for t := from; t.Before(until); t = t.Add(time.Hour) {
			if i := int(t.Sub(monday) / time.Hour); i >= 0 && i < len(truth) {
				n += truth[i]
			}
		}
		return n
	}
	last := monday.Add(time.Duration(len(truth)) * time.Hour)
	for now := monday.Add(Reach); ; now = now.Add(53 * time.Hour) {
		until := ends(now)
		if until.After(last) {
			return
		}
		series := NewSeries(now.Add(-Reach), now)
		for t := now.Add(-Reach); t.Before(now); t = t.Add(time.Hour) {
			series.Set(t, truth[int(t.Sub(monday)/time.Hour)])
		}
		f := series.Forecast(Ask{Now: now, Until: until})
		got := total(now, until)
		s.n++
		switch {
		case got < f.P10:
			s.below++
		case got > f.P90:
			s.above++
		default:
			s.inside++
		}
		left := until.Sub(now)
		// The baselines are what one would do by hand: the mean hour of the last four weeks, and the last week again.
		line := float64(total(now.Add(-Reach), now)) * left.Hours() / Reach.Hours()
		var again float64
		for t := now; t.Before(until); t = t.Add(time.Hour) {
			back := t
			for !back.Before(now) {
				back = back.Add(-week * time.Hour)
			}
			again += float64(total(back, back.Add(time.Hour)))
		}
		scale := math.Max(float64(total(now.Add(-Reach), now))*left.Hours()/Reach.Hours(), 1)
		s.err += math.Abs(float64(f.P50-got)) / scale
		s.line += math.Abs(line-float64(got)) / scale
		s.last += math.Abs(again-float64(got)) / scale
	}
}

func endOfMonth(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
}
func endOfWeek(t time.Time) time.Time {
	return t.Truncate(24*time.Hour).AddDate(0, 0, 7-(int(t.Weekday())+6)%7)
}
func endOfDay(t time.Time) time.Time { return t.Truncate(24*time.Hour).AddDate(0, 0, 1) }

func TestTheIntervalHoldsFourOfFivePastWindows(t *testing.T) {
	var all score
	for _, end := range []struct {
		name string
		of   func(time.Time) time.Time
	}{{"month", endOfMonth}, {"week", endOfWeek}, {"day", endOfDay}} {
		var each score
		for i, k := range kinds() {
			var s score
			for seed := range uint64(6) {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				f := k.make(r)
				truth := make([]int64, 26*week)
				for h := range truth {
					truth[h] = int64(1e9 * f(monday.Add(time.Duration(h)*time.Hour), h))
				}
				s.run(truth, end.of)
			}
			t.Logf("%-6s %-20s n %4d inside %.3f below %.3f above %.3f; error %.3f linear %.3f last week %.3f", end.name, k.name,
				s.n, part(s.inside, s.n), part(s.below, s.n), part(s.above, s.n), s.err/float64(s.n), s.line/float64(s.n), s.last/float64(s.n))
			if in := part(s.inside, s.n); in < .6 || in > .97 {
				t.Errorf("%s, to the end of the %s: %.3f inside", k.name, end.name, in)
			}
			each.add(&s)
		}
		t.Logf("%-6s inside %.3f below %.3f above %.3f; error %.3f linear %.3f last week %.3f", end.name, part(each.inside, each.n), part(each.below, each.n), part(each.above, each.n),
			each.err/float64(each.n), each.line/float64(each.n), each.last/float64(each.n))
		if in := part(each.inside, each.n); in < .75 || in > .85 {
			t.Errorf("to the end of the %s %.3f of the windows are inside the interval; 0.75 to 0.85 should be", end.name, in)
		}
		all.add(&each)
	}
	if all.err > .9*all.line || all.err > .9*all.last {
		t.Errorf("error %.1f; an even pace has %.1f, the last week again %.1f: it is hardly worth its code", all.err, all.line, all.last)
	}
}

func (s *score) add(o *score) {
	s.n, s.inside, s.below, s.above = s.n+o.n, s.inside+o.inside, s.below+o.below, s.above+o.above
	s.err, s.line, s.last = s.err+o.err, s.line+o.line, s.last+o.last
}

func part(n, of int) float64 { return float64(n) / float64(of) }
