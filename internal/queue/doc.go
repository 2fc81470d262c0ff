// Package queue lets requests wait for room at providers instead of failing: in one bounded, fair queue, out of which
// they are let at the pace that the providers' limits allow.
//
//	plan stage      Full ─► routing; Enter ─► Pass, or Wait ─► Pass
//	answers         Refused, Told ─► pace of a lane
//	attempt ended   Leave, Correct ─► room again
//
// A lane is a key of a provider with one of its models: what a provider limits. The lanes of a provider share a pool, where
// limits of it are configured. Classes go strictly one before the other; within a class the teams take turns by what
// they ask for, and a team's own requests go by their deadlines. A place in the queue costs a goroutine and the
// request's body, so that it is bounded in number, in bytes and in time.
//
// The state is that of this process; a configured limit is divided by the number of replicas. The package starts no
// goroutine; its timer runs only while somebody waits.
package queue

import (
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Class is how important a request is. The zero value is Normal.
type Class uint8

// Classes.
const (
	Normal Class = iota
	Critical
	BestEffort
	Batch
	classes // how many there are
)

// rank orders classes: 0 goes first.
func (c Class) rank() int { return [classes]int{Critical: 0, Normal: 1, BestEffort: 2, Batch: 3}[c] }

// Before reports whether requests of c go before those of o.
func (c Class) Before(o Class) bool { return c.rank() < o.rank() }

// names are the words of classes in configurations, headers and metrics.
var names = [classes]string{Normal: "normal", Critical: "critical", BestEffort: "best_effort", Batch: "batch"}

// String returns the class's word.
func (c Class) String() string { return names[min(c, classes-1)] }

// ParseClass reads a class's word.
func ParseClass(s string) (Class, bool) {
	for c, n := range names {
		if n == s {
			return Class(c), true
		}
	}
	return Normal, false
}

// From names a class and those behind it.
func From(c Class) string {
	var all []string
	for rank := c.rank(); rank < int(classes); rank++ {
		all = append(all, byRank(rank).String())
	}
	return strings.Join(all, ", ")
}

// Lane is what a provider limits: one of its keys with one of its models.
type Lane struct{ Provider, Model, Key string }

// Limits are what a provider allows, all of its configured keys together. 0: as much as one likes.
type Limits struct {
	Requests int // in a minute
	Tokens   int // in a minute, of prompts and answers
	Parallel int // at the same time
}

// any reports whether anything is limited.
func (l Limits) any() bool { return l != Limits{} }

// Settings of a queue.
type Settings struct {
	Most   int                      // requests that may wait
	Bytes  int64                    // of their bodies
	Waits  [classes]time.Duration   // longest wait, by class; 0: none
	Limits map[string]Limits        // of providers, by name; of this process alone
	Mine   func(l Lane) (mine bool) // whether a lane's key is one of the provider's configured ones; nil: each is
}

// Waits are longest waits, by class.
func Waits(critical, normal, bestEffort, batch time.Duration) [classes]time.Duration {
	return [classes]time.Duration{Critical: critical, Normal: normal, BestEffort: bestEffort, Batch: batch}
}

// Longest returns the longest wait of any class.
func (s *Settings) Longest() (d time.Duration) {
	for _, w := range s.Waits {
		d = max(d, w)
	}
	return d
}

// Want is a request that would enter.
type Want struct {
	Team   string // whose turn it is
	Class  Class
	Bytes  int64 // that are held while it waits
	Tokens int64 // that it is expected to use
	Until  time.Time
	Lanes  []At // where it may go, the best first
}

// At is a lane with the time until which it is known to rest.
type At struct {
	Lane
	Rests time.Time
}

// op names the package in errors.
const op = "queue"

// shed is the answer to a request that is not let in. after is when one that comes again would be.
func shed(reason, why string, after time.Duration) *llm.Error {
	return &llm.Error{Code: llm.CodeRateLimited, Op: op, Reason: reason, After: max(after, time.Second), Message: "every provider of this model is at its limit, and " + why}
}
