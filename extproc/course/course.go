// Package course is the way of an exchange through the steps of its plan: what each attempt came to, which steps Envoy
// comes to, and what follows one that failed. That is the next target, the same one once more, the same one asked to
// repair its answer, or, after a pause, another round.
//
//	plan: a │ turn │ a once more │ b │ turn of round 2 │ a │ b
//	      └─ fails ─► Next, Onward ─► Pass ─► what Envoy comes to
//
// It is data and decisions alone: it waits for nothing, sends nothing, and locks nothing. extproc/exchange holds the lock,
// and asks.
package course

import (
	"time"

	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
)

// Course is the steps of an exchange's plan, and how each stands. Numbers of steps begin at 0; attempt n of the plan, from 1,
// is that at step n-1.
type Course struct {
	Steps    []ticket.Leg
	At       []Attempted // as many as Steps
	repaired bool        // an answer was asked to be repaired
}

// Attempted is what an attempt came to.
type Attempted struct {
	Known    bool
	Logged   bool // its end was counted
	Path     ticket.Path
	Status   int // of the provider's answer; 0: none came
	Err      *llm.Error
	Provider string // the provider's own request id
	Took     time.Duration
	First    time.Duration // to the first byte; 0: none came
	Under    Stage
	Used     *llm.Usage // of an answer that came and was not wanted
	Pass     queue.Pass // its room at the provider
	Mended   string     // what was wrong with its answer, and was mended here; "": nothing
}

// Stage is how far an attempt is, for the health of its target.
type Stage uint8

// Stages.
const (
	NotBegun Stage = iota
	UnderWay
	Dropped // its exchange ended, and nobody had said how it did: its entry may still come
	Learnt
	Unmade // it was not made
	Passed // it was passed over: it is no attempt of Envoy's
	Turn   // it is none at a target: the service says how to go on
)

// New is the course of a plan of which nothing was tried. Spare steps, and those at which a target is tried once more, are
// passed over until something asks for them.
func New(steps []ticket.Leg) Course {
	at := make([]Attempted, len(steps))
	for i := range at {
		switch l := &steps[i]; {
		case l.Spare, l.Same:
			at[i].skip()
		case l.Turn:
			at[i].skip()
			at[i].Under = Turn
		}
	}
	return Course{Steps: steps, At: at}
}

// skip makes it no attempt of Envoy's.
func (a *Attempted) skip() { a.Known, a.Logged, a.Under = true, true, Passed }

// None reports whether nothing was sent, and nothing is to be: the step was passed over, or is a turn.
func (a *Attempted) None() bool { return a.Under == Passed || a.Under == Turn }

// Unmake says that an attempt was not made; e is why, nil where the failure before it says all.
func (a *Attempted) Unmake(e *llm.Error) {
	a.Known, a.Logged, a.Under = true, true, Unmade
	if e != nil {
		a.Err = e
	}
}

// Note records what attempt n came to, and reports whether that was not known before. Of what was known, only the times and
// the provider's id are filled in.
func (c *Course) Note(n int, a Attempted) bool {
	if n < 1 || n > len(c.At) {
		return false
	}
	old := &c.At[n-1]
	if old.Known {
		if old.Took == 0 {
			old.Took, old.First = a.Took, a.First
		}
		if old.Provider == "" {
			old.Provider = a.Provider
		}
		return false
	}
	a.Known, a.Logged, a.Under, a.Pass = true, old.Logged, old.Under, old.Pass
	*old = a
	return true
}

// Known reports whether it is known what attempts 1 to n came to.
func (c *Course) Known(n int) bool {
	for i := range min(n, len(c.At)) {
		if !c.At[i].Known {
			return false
		}
	}
	return true
}

// Log finds the attempt that the next log entry of a provider belongs to, the first without one, and marks it as logged;
// 0: there is none. Of a provider that is not known (a connection that was never made is logged by a name that says
// nothing) it is the first at any.
func (c *Course) Log(provider string, known bool) (n int) {
	for i := range c.Steps {
		if !c.At[i].Logged && (!known || c.Steps[i].Provider == provider) {
			c.At[i].Logged = true
			return i + 1
		}
	}
	return 0
}

// Nth returns the step of Envoy's attempt n, from 1: those that were passed over do not count. It is -1 for an attempt that
// cannot be, and the number of steps for one behind them all.
func (c *Course) Nth(n int) int {
	if n < 1 {
		return -1
	}
	for i := range c.At {
		if c.At[i].Under != Passed {
			if n--; n == 0 {
				return i
			}
		}
	}
	return len(c.At)
}

// Made returns how many steps may have been tried: all, or those before one that was not made.
func (c *Course) Made() int {
	for i := range c.At {
		if c.At[i].Under == Unmade {
			return i
		}
	}
	return len(c.At)
}

// Last returns the last attempt that may have been made, of those up to n; 1 at least.
func (c *Course) Last(n int) int {
	for n = min(n, c.Made()); n > 1 && c.At[n-1].None(); n-- {
	}
	return n
}

// Number is which of the attempts that are made attempt n is, from 1.
func (c *Course) Number(n int) (made int) {
	for i := range n {
		if !c.At[i].None() {
			made++
		}
	}
	return made
}

// Left reports whether an attempt behind attempt n is left.
func (c *Course) Left(n int) bool {
	for i := n; i < len(c.At); i++ {
		if !c.At[i].None() {
			return true
		}
	}
	return false
}

// Most is how many attempts Envoy may come to at most: all steps but the spare ones, of which one is used.
func (c *Course) Most() int {
	n, spare := len(c.Steps), 0
	for i := range c.Steps {
		if c.Steps[i].Spare {
			n, spare = n-1, 1
		}
	}
	return n + spare
}

// Exhausted reports whether the most attempts that a route allows (0: any number) were made before the step at i.
func (c *Course) Exhausted(i, most int) bool { return most > 0 && c.Number(i) >= most }
