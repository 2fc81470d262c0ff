package backtest

import (
	"math/rand/v2"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// chronicle makes attempts at one target, one each second: is says of each whether it fails, and how long its first token takes.
func chronicle(n int, is func(i int) (fails bool, first int32)) *past {
	p := &past{targets: make([]target, 1)}
	for i := range n {
		a := attempt{began: int64(i) * 1000}
		if fails, first := is(i); fails {
			a.code = llm.CodeOverloaded
		} else {
			a.first = first
		}
		p.attempts = append(p.attempts, a)
		p.targets[0].attempts = append(p.targets[0].attempts, int32(i))
		p.exchanges = append(p.exchanges, exchange{at: a.began})
	}
	p.settle()
	return p
}

func TestATargetThatBecomesAnotherIsNotTakenToBeTheSame(t *testing.T) {
	for _, c := range []struct {
		name     string
		n        int
		from, to int                                            // where it is another
		then     func(r *rand.Rand) (fails bool, first float64) // what it is then
		off      int                                            // attempts that the bounds may be off
	}{
		{"an outage of 12 attempts of 200", 200, 90, 102, func(*rand.Rand) (bool, float64) { return true, 0 }, 2},
		{"an outage of 60 attempts of 2000", 2000, 500, 560, func(r *rand.Rand) (bool, float64) { return r.Float64() < 0.9, 300 }, 4},
		{"one of a long ledger, in parts of many attempts", 200_000, 100_000, 103_000, func(r *rand.Rand) (bool, float64) { return r.Float64() < 0.9, 300 }, 400},
		{"slow for a while", 2000, 500, 600, func(*rand.Rand) (bool, float64) { return false, 900 }, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(c.n)))
			p := chronicle(c.n, func(i int) (bool, int32) {
				if c.from <= i && i < c.to {
					fails, first := c.then(r)
					return fails, int32(first * (0.8 + 0.4*r.Float64()))
				}
				return r.Float64() < 0.02, int32(300 * (0.8 + 0.4*r.Float64()))
			})
			at := func(i int) stretch {
				return p.targets[0].alike(p, usualView, p.attempts[i].began, func(int32) float64 { return 0.5 })
			}
			s := at((c.from + c.to) / 2)
			if s.low < c.from-c.off || s.low > c.from+c.off || s.high < c.to-c.off || s.high > c.to+c.off {
				t.Errorf("the stretch is from %d to %d, want %d to %d", s.low, s.high, c.from, c.to)
			}
			if before, after := at(c.from/2), at((c.to+c.n)/2); before.high > c.from+c.off || after.low < c.to-c.off {
				t.Errorf("before it is %v, after it %v", before, after)
			}
		})
	}
}

// TestATargetThatStaysTheSameIsSeldomTakenToBeAnother even if it fails now and then.
func TestATargetThatStaysTheSameIsSeldomTakenToBeAnother(t *testing.T) {
	var cuts [views]int
	const targets = 100
	for seed := range uint64(targets) {
		r := rand.New(rand.NewPCG(seed, 7))
		p := chronicle(500, func(int) (bool, int32) { return r.Float64() < 0.03, int32(300 * (0.5 + r.Float64())) })
		for v := range cuts {
			if len(p.targets[0].cuts[v]) > 0 {
				cuts[v]++
			}
		}
	}
	if cuts[usualView] > targets/4 || cuts[views-1] > targets/20 {
		t.Errorf("of %d targets that stay the same, %v are taken to change", targets, cuts)
	}
	t.Logf("%v of %d", cuts, targets)
}

// TestWhatIsNotKnownOfATimeIsTakenFromOthers: nobody asked the target for a while.
func TestWhatIsNotKnownOfATimeIsTakenFromOthers(t *testing.T) {
	p := chronicle(1000, func(int) (bool, int32) { return false, 300 })
	all := p.targets[0].attempts
	p.targets[0].attempts = append(append([]int32{}, all[:200]...), all[600:]...)
	seen := map[int]bool{}
	for seed := range uint64(50) {
		r := newReplay(p, &Ways{}, luck{seed, true, true})
		at, then, far := r.about(0, 400_000)
		again, _, _ := r.about(0, 410_000)
		if !far || at != again || then == 400_000 {
			t.Fatalf("far %v, about attempt %d, %d a little later", far, at, again)
		}
		seen[at] = true
		if at, then, far = r.about(0, 195_000); far || at != 195 || then != 195_000 {
			t.Fatalf("far %v, about attempt %d at %d", far, at, then)
		}
		r.resamples = false
		if at, then, far = r.about(0, 400_000); !far || at != 200 || then != 400_000 {
			t.Fatalf("far %v, about attempt %d at %d", far, at, then)
		}
	}
	if len(seen) < 40 {
		t.Errorf("50 runs take %d other times", len(seen))
	}
}
