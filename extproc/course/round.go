package course

import (
	"time"

	"github.com/signalbox-ai/signalbox/routing/failure"
)

// Pause is how long to wait before the round that begins with the turn at i: its back-off, with seed as chance, or until the
// first of its targets may be asked again. It is false where that is longer than the route waits, or than longest (0: as
// long as the route says).
func (c *Course) Pause(i int, w Around, seed uint64, longest time.Duration) (time.Duration, bool) {
	soonest := time.Duration(-1)
	for j := range c.round(i) {
		if d := w.Rests(&c.Steps[j]); soonest < 0 || d < soonest {
			soonest = d
		}
	}
	rounds := &w.Failover().Rounds
	if longest == 0 {
		longest = rounds.Max
	}
	longest = min(longest, rounds.Max)
	wait := max(min(rounds.Wait(c.Steps[i].Round+1, seed), longest), soonest)
	return wait, wait <= longest
}

// Worth returns the first step of the round that begins with the turn at i that may do better than before; -1: none. It
// passes over those that may not.
func (c *Course) Worth(i int, w Around) int {
	for j := range c.round(i) {
		if c.vain(j, w) {
			c.At[j].skip()
		}
	}
	for j := range c.round(i) {
		if !c.At[j].None() {
			return j
		}
	}
	return -1
}

// round is the steps of the round that begins with the turn at i.
func (c *Course) round(i int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for j := i + 1; j < len(c.Steps) && c.Steps[j].Round == c.Steps[i].Round; j++ {
			if !yield(j) {
				return
			}
		}
	}
}

// vain reports whether there is no point in the step at i, whose target failed in a round before.
func (c *Course) vain(i int, w Around) bool {
	l := &c.Steps[i]
	if w.Rests(l) > 0 {
		return true
	}
	for j := i - 1; j >= 0; j-- {
		a, was := &c.At[j], &c.Steps[j]
		if a.None() || was.Provider != l.Provider || was.Model != l.Model || was.Key != l.Key {
			continue
		}
		if a.Err == nil {
			return false
		}
		class, ok := failure.Of(a.Err)
		return !ok || !class.Passes() || w.Failover().On.On(class) == failure.Stop
	}
	return false
}
