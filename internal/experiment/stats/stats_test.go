package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/experiment/stats"
)

func near(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if math.Abs(got-want) > by {
		t.Errorf("%s is %.6f, want %.6f", what, got, want)
	}
}

// TestQuantilesAreThoseOfTables compares with NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.
func TestQuantilesAreThoseOfTables(t *testing.T) {
	for _, c := range []struct{ p, df, want float64 }{
		{0.975, 1, 12.706205}, {0.975, 2, 4.302653}, {0.975, 10, 2.228139}, {0.95, 5, 2.015048}, {0.995, 30, 2.749996}, {0.975, 1000, 1.962339}, {0.025, 10, -2.228139},
	} {
		near(t, "t", stats.Student(c.p, c.df), c.want, 1e-5)
	}
	near(t, "z", stats.Normal(0.975), 1.959964, 1e-6)
}

// TestWilsonIsThatOfThePaper compares with Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
func TestWilsonIsThatOfThePaper(t *testing.T) {
	for _, c := range []struct{ r, n, low, high float64 }{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		i := stats.Wilson(c.r/c.n, c.n, 0.05)
		near(t, "low", i.Low, c.low, 5e-5)
		near(t, "high", i.High, c.high, 5e-5)
	}
}

// TestAMeanOfSingleExchangesIsThatOfTextbooks: 1 to 5 has the mean 3 and the standard error 0.7071.
func TestAMeanOfSingleExchangesIsThatOfTextbooks(t *testing.T) {
	var m stats.Mean
	for i := range 5 {
		m.Add(1, float64(i+1))
	}
	near(t, "mean", m.Value(), 3, 1e-12)
	near(t, "variance", m.Variance(), 0.5, 1e-12)
	i := m.Interval(0.05)
	near(t, "low", i.Low, 3-2.776445*math.Sqrt(0.5), 1e-5)
	near(t, "high", i.High, 3+2.776445*math.Sqrt(0.5), 1e-5)
}

// TestExchangesOfAUnitCountTogether: a hundred units that ask the same ten times tell as much as a hundred exchanges.
func TestExchangesOfAUnitCountTogether(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var once, ten stats.Mean
	for range 100 {
		v := rnd.Float64()
		once.Add(1, v)
		ten.Add(10, 10*v)
	}
	near(t, "variance", ten.Variance(), once.Variance(), 1e-12)
}

func TestTooLittleIsNoResult(t *testing.T) {
	var a, b stats.Mean
	a.Add(1, 1)
	b.Add(1, 2)
	if i := stats.Difference(&a, &b, 0.05); !math.IsInf(i.Low, -1) || !math.IsInf(i.High, 1) {
		t.Errorf("%+v of one unit each", i)
	}
	if _, ok := stats.Ratio(&a, &stats.Mean{}, 0.05); ok {
		t.Error("a ratio of nothing")
	}
	for range 100 {
		a.Add(1, 1)
		b.Add(1, 1)
	}
	if i := stats.Points(&a, &b, 0.05); i.Low > -0.01 || i.High < 0.01 {
		t.Errorf("that nothing ever failed is no proof that nothing can: %+v", i)
	}
}

// aa runs an experiment without a difference, looks at it after every step units, and reports whether it ever found one.
func aa(rnd *rand.Rand, draw func(*rand.Rand, int) float64, found func(a, b *stats.Mean) bool) bool {
	const units, first, step = 3000, 60, 20
	var arms [2]stats.Mean
	for i := range units {
		n := 1 + rnd.IntN(5) // exchanges, alike within the unit
		arms[rnd.IntN(2)].Add(n, draw(rnd, n))
		if i >= first && i%step == 0 && found(&arms[0], &arms[1]) {
			return true
		}
	}
	return false
}

// TestLookingOftenFindsNothingThatIsNotThere: of experiments without a difference that are looked at 147 times each, at most 5 %
// find one. With 600 of them the count is at most 30 plus three standard deviations of chance. The same looks with the usual
// interval find one in far more.
func TestLookingOftenFindsNothingThatIsNotThere(t *testing.T) {
	const runs, alpha = 600, 0.05
	bound := runs*alpha + 3*math.Sqrt(runs*alpha*(1-alpha))
	outside := func(i stats.Interval) bool { return i.Low > 0 || i.High < 0 }
	cost := func(r *rand.Rand, n int) float64 { return float64(n) * math.Exp(r.NormFloat64()) }
	success := func(r *rand.Rand, n int) (y float64) {
		p := 0.9 + 0.1*r.Float64()
		for range n {
			if r.Float64() < p {
				y++
			}
		}
		return y
	}
	for name, c := range map[string]struct {
		draw  func(*rand.Rand, int) float64
		found func(a, b *stats.Mean) bool
		holds bool
	}{
		"ratios of skewed costs": {cost, func(a, b *stats.Mean) bool { r, ok := stats.Ratio(a, b, alpha); return ok && outside(r) }, true},
		"differences of costs":   {cost, func(a, b *stats.Mean) bool { return outside(stats.Difference(a, b, alpha)) }, true},
		"shares near 1":          {success, func(a, b *stats.Mean) bool { return outside(stats.Points(a, b, alpha)) }, true},
		"the usual interval": {cost, func(a, b *stats.Mean) bool {
			return math.Abs(a.Value()-b.Value()) > stats.Normal(1-alpha/2)*math.Sqrt(a.Variance()+b.Variance())
		}, false},
	} {
		rnd := rand.New(rand.NewPCG(7, 7))
		n := 0
		for range runs {
			if aa(rnd, c.draw, c.found) {
				n++
			}
		}
		t.Logf("%s: %d of %d", name, n, runs)
		if holds := float64(n) <= bound; holds != c.holds {
			t.Errorf("%s: %d of %d find a difference that is not there; the bound is %.0f", name, n, runs, bound)
		}
	}
}

// TestADifferenceIsFound: of arms that differ by 15 %, nearly all experiments of 4000 units say so, and the interval has the truth.
func TestADifferenceIsFound(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	found, covered := 0, 0
	const runs = 100
	for range runs {
		var a, b stats.Mean
		for range 2000 {
			a.Add(1, math.Exp(0.6*rnd.NormFloat64()))
			b.Add(1, 0.85*math.Exp(0.6*rnd.NormFloat64()))
		}
		r, _ := stats.Ratio(&a, &b, 0.05)
		if r.High < 0 {
			found++
		}
		if r.Low <= -0.15 && -0.15 <= r.High {
			covered++
		}
	}
	if found < 90 || covered < 95 {
		t.Errorf("found %d, covered %d of %d", found, covered, runs)
	}
}
