package course

import (
	"net/http"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// Around is what the way depends on beside itself, at one moment. Its methods neither wait nor lock the exchange.
type Around interface {
	// Failover is what the route says of failures.
	Failover() *routing.Failover
	// Spent reports whether a provider has no budget for trying again.
	Spent(provider string) bool
	// Rests is how long a step's key, or its breaker, keeps it from being tried; 0: it may be.
	Rests(l *ticket.Leg) time.Duration
	// Suits reports whether the target of a step may follow one that failed, where the rule is bigger or other_vendor.
	Suits(failed, next *ticket.Leg, does failure.Action) bool
}

// Next returns the step that follows attempt n, which failed with e; -1: none does.
func (c *Course) Next(n int, e *llm.Error, w Around) int {
	class, ok := failure.Of(e)
	if !ok {
		return -1
	}
	does := w.Failover().On.On(class)
	if does == failure.Stop {
		return -1
	}
	failed := &c.Steps[n-1]
	for i := n; i < len(c.Steps); i++ {
		if i == n && does == failure.Repair && c.mayRepair(i, w) {
			return i
		}
		if c.follows(n-1, i, class, does, w) {
			return i
		}
		if !c.At[i].None() && c.Steps[i].Round == failed.Round && w.Suits(failed, &c.Steps[i], does) {
			return i
		}
	}
	return -1
}

// follows reports whether the step at i comes after the one at failed for how that failed: the same target again where the
// route says so, or the turn before another round where the failure may be over by then.
func (c *Course) follows(failed, i int, class failure.Class, does failure.Action, w Around) bool {
	was, l := &c.Steps[failed], &c.Steps[i]
	switch {
	case l.Same:
		again := does == failure.Same && !was.Same && was.Round == l.Round && was.Target() == l.Target() && was.Key == l.Key
		return again && c.At[i].Under == Passed && !w.Spent(l.Provider)
	case l.Turn && l.Round > was.Round:
		return class.Passes() && c.At[i].Under == Turn
	}
	return false
}

// Onward returns the step that follows the last attempt before the turn at i; -1: none does. A failure that nobody told of is
// one of the provider.
func (c *Course) Onward(i int, w Around) int {
	was := i - 1
	for was > 0 && c.At[was].None() {
		was--
	}
	e := c.At[was].Err
	if e == nil {
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	return c.Next(was+1, e, w)
}

// Stopped reports whether the last attempt before the step at i failed in a way after which none may follow.
func (c *Course) Stopped(i int, on *failure.Rules) bool {
	for i--; i >= 0; i-- {
		if a := &c.At[i]; !a.None() {
			if a.Err == nil {
				return false
			}
			class, ok := failure.Of(a.Err)
			return ok && on.On(class) == failure.Stop
		}
	}
	return false
}

// Pass passes over the steps between attempt n and the step that follows it, or all where none does (next is -1), and makes
// an attempt of the next where it was none. It reports whether Envoy comes to others since.
func (c *Course) Pass(n, next, most int) (changed bool) {
	changed = next < 0
	if changed {
		next = len(c.Steps)
	} else if c.At[next].Under == Passed {
		c.take(next, most)
		changed = true
	}
	for i := n; i < next; i++ {
		if a := &c.At[i]; a.Under == NotBegun || a.Under == Turn {
			a.skip()
			changed = true
		}
	}
	return changed
}

// mayRepair reports whether the step at i is one at which the answer before it may be repaired. That is done once, within
// the retry budget of the provider and the attempts that the route allows.
func (c *Course) mayRepair(i int, w Around) bool {
	l := &c.Steps[i]
	return l.Spare && c.At[i].Under == Passed && !c.repaired && !w.Spent(l.Provider) && !c.Exhausted(i, w.Failover().Attempts)
}

// Repaired reports whether an answer was asked to be repaired, which is done once.
func (c *Course) Repaired() bool { return c.repaired }

// take makes an attempt of a step that was passed over. Where the route allows no more than most of them, a spare step has
// the place of the last of the plan.
func (c *Course) take(i, most int) {
	c.At[i] = Attempted{}
	if !c.Steps[i].Spare {
		return
	}
	c.repaired = true
	made := 0
	for j := range c.At {
		a := &c.At[j]
		if a.None() {
			continue
		}
		if made++; most > 0 && made > most {
			a.skip()
		}
	}
}

// Come returns the step of Envoy's attempt n, which goes to a cluster; the number of steps where there is none. goes reports
// whether the cluster is a provider's. Where it is not the cluster of the step that comes next, another process, or this one in
// an earlier life, chose: then it is the hidden step before that, or one behind it. Envoy never goes back.
func (c *Course) Come(n int, f *routing.Failover, goes func(provider string) bool) int {
	i := c.Nth(n)
	if i < 0 {
		return len(c.Steps)
	}
	if i > 0 && (i == len(c.Steps) || !goes(c.Steps[i].Provider)) && c.hides(i-1) && goes(c.Steps[i-1].Provider) {
		i--
	}
	from := i
	for i < len(c.Steps) && !goes(c.Steps[i].Provider) {
		i++
	}
	if i == len(c.Steps) {
		return i
	}
	for j := from; j < i; j++ {
		if a := &c.At[j]; a.Under == NotBegun || a.Under == Turn {
			a.skip()
		}
	}
	if c.hides(i) {
		c.take(i, f.Attempts)
		c.imply(i, &f.On)
	}
	return i
}

// hides reports whether the step at i is a spare one, or the same once more, and no attempt.
func (c *Course) hides(i int) bool {
	l := &c.Steps[i]
	return (l.Spare || l.Same) && c.At[i].Under == Passed
}

// Follow makes the way what Envoy says that it was: the steps of its attempts, in order. Another process chose them, or this
// one in an earlier life; where this one did, nothing changes. nil: the way was the plan's.
func (c *Course) Follow(order []int, on *failure.Rules) {
	if order == nil {
		return
	}
	in := func(i int) bool {
		_, found := slices.BinarySearch(order, i)
		return found
	}
	for i := range c.Steps {
		switch a := &c.At[i]; {
		case in(i) && a.Under == Passed:
			c.take(i, 0)
			c.imply(i, on)
		case !in(i) && (a.Under == NotBegun || a.Under == Turn):
			a.skip()
		}
	}
}

// imply notes of the attempt before a hidden one that was made what the making of it tells, where nothing is known: its answer
// was not of the form, or its connection failed, in the way in which the route tries the same again. Where that was found out
// at a turn, its log entry had come to the process that did.
func (c *Course) imply(i int, on *failure.Rules) {
	was := i - 1
	for was > 0 && c.At[was].None() {
		was--
	}
	a := &c.At[was]
	if c.Steps[i].Same && c.At[i-1].Under == Turn {
		a.Logged = true
	}
	if a.Known {
		return
	}
	switch connect, reset := on.On(failure.Connect) == failure.Same, on.On(failure.Reset) == failure.Same; {
	case c.Steps[i].Spare:
		a.Known, a.Status, a.Err = true, http.StatusOK, &llm.Error{Code: llm.CodeUpstream, Reason: failure.ReasonInvalidOutput}
	case connect && !reset:
		a.Known, a.Err = true, &llm.Error{Code: llm.CodeConnect}
	case reset && !connect:
		a.Known, a.Err = true, &llm.Error{Code: llm.CodeReset}
	}
}
