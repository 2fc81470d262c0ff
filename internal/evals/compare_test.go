package evals

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestWilson compares with values from the literature: Newcombe (1998), Statistics in Medicine 17, table I, method 3.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}, {0, 0, 0, 1}} {
		_, low, high := Wilson(c.k, c.n)
		if math.Abs(low-c.low) > 5e-5 || math.Abs(high-c.high) > 5e-5 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.k, c.n, low, high, c.low, c.high)
		}
	}
}

// TestMcNemar compares with binomial sums worked out by hand: of 5 against 1, 2·(C(6,0)+C(6,1))/2⁶ = 14/64.
func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		b, c int
		p    float64
	}{{0, 0, 1}, {5, 1, 14.0 / 64}, {1, 5, 14.0 / 64}, {10, 0, 2.0 / 1024}, {3, 3, 1}, {600, 500, 0.0028}} {
		if p := McNemar(c.b, c.c); math.Abs(p-c.p) > 1e-4 {
			t.Errorf("%d to %d: %.5f, want %.5f", c.b, c.c, p, c.p)
		}
	}
}

// made are outcomes of two targets: b passes by its own chance, costs and takes a multiple.
func made(r *rand.Rand, n int, passA, passB, times float64) []Outcome {
	var all []Outcome
	for i := range n {
		cost := 1000 + r.Int64N(9000)
		for target, p := range map[string]float64{"a": passA, "b": passB} {
			o := Outcome{Case: fmt.Sprint(i), Target: target, Pass: r.Float64() < p, Cost: cost, Total: float64(cost), Priced: true}
			if target == "b" {
				o.Cost, o.Total = int64(float64(cost)*times), float64(cost)*times*(0.8+0.4*r.Float64())
			}
			all = append(all, o)
		}
	}
	return all
}

// TestIntervalsHold plays many comparisons whose truth is known.
func TestIntervalsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const runs = 200
	wrong, time := 0, 0
	for range runs {
		c := Compare("", []string{"a", "b"}, made(r, 80, 0.7, 0.7, 0.8))
		v := c.Pairs[0]
		if v.P < 0.05 {
			wrong++
		}
		if v.Time.Low <= 0.8 && 0.8 <= v.Time.High {
			time++
		}
	}
	if wrong > runs*8/100 {
		t.Errorf("of targets that are alike, %d of %d comparisons say that one is better", wrong, runs)
	}
	if time < runs*90/100 {
		t.Errorf("the interval of time holds the truth in %d of %d comparisons", time, runs)
	}
}

func TestAComparisonSaysWhatItShows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	c := Compare("night", []string{"a", "b", "c"}, made(r, 200, 0.9, 0.6, 0.5))
	if s := c.Pairs[0].Says; !strings.Contains(s, "passes less") || !strings.Contains(s, "cheaper by 50 to 50 %") || !strings.Contains(s, "faster by") {
		t.Errorf("it says %q", s)
	}
	if s := c.Pairs[1].Says; s != "no case was answered by both" {
		t.Errorf("of a target without outcomes it says %q", s)
	}
	if s := c.Targets[0]; s.Cases != 200 || s.Low > s.Rate || s.High < s.Rate || s.TotalP50 > s.TotalP95 {
		t.Errorf("got %+v", s)
	}
}

func TestUnknownPricesAndErrorsAreNotCompared(t *testing.T) {
	c := Compare("", []string{"a", "b"}, []Outcome{
		{Case: "1", Target: "a", Pass: true, Total: 10, Cost: 5, Priced: true}, {Case: "1", Target: "b", Error: "502"},
		{Case: "2", Target: "a", Total: 10}, {Case: "2", Target: "b", Pass: true, Total: 20, Cost: 5, Priced: true},
	})
	v := c.Pairs[0]
	if v.Cases != 2 || v.Better != 1 || v.Worse != 1 || v.Cost != (Span{}) || v.Time.Value != 2 {
		t.Errorf("got %+v", v)
	}
	if s := c.Targets[1]; s.Failed != 1 || s.Unpriced != 0 || c.Targets[0].Unpriced != 1 {
		t.Errorf("got %+v", c.Targets)
	}
	var text, csv strings.Builder
	if err := c.Text(&text); err != nil {
		t.Fatal(err)
	}
	if err := c.CSV(&csv); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "(1 unpriced)") || strings.Count(csv.String(), "\n") != 3 {
		t.Errorf("%s\n%s", text.String(), csv.String())
	}
}
