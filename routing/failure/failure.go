// Package failure is what a route does when an attempt fails: the classes of failures, and what may follow each. It is data
// and the rules for it; extproc/exchange acts on them.
package failure

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Class is a kind of failure that a route may have a rule for.
type Class uint8

// Classes. The first three may happen without the service's seeing them: Envoy then moves on by itself.
const (
	Connect Class = iota
	Reset
	Timeout
	RateLimited
	OverQuota
	Overloaded
	Credential
	Upstream
	ContextTooLong
	ContentFiltered // by the provider: the request, or the answer
	Refusal         // the model declines
	InvalidOutput   // the answer is not what the request's schema says
	classes
)

var classNames = [...]string{
	"connect", "reset", "timeout", "rate_limited", "over_quota", "overloaded", "credential", "upstream", "context_too_long", "content_filtered", "refusal", "invalid_output",
}

// String returns the word that configurations have for the class.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// Action is what follows a failure.
type Action uint8

// Actions.
const (
	Usual  Action = iota // what follows where a route has no rule
	Next                 // the next target
	Stop                 // nothing: the client gets what came
	Bigger               // the next target with a bigger context window
	Other                // the next target at a provider of another kind
	Repair               // the answer is mended, or the same target is asked to do so, once; then the next target
	Same                 // the same target once more, then the next
)

// Rules are what follows each class. The zero value has no rule of its own.
type Rules [classes]Action

// On returns what follows a failure of a class.
func (r *Rules) On(c Class) Action {
	switch {
	case r[c] != Usual:
		return r[c]
	case c == ContextTooLong:
		return Bigger
	case c >= ContentFiltered:
		return Stop
	}
	return Next
}

// Waits reports whether a further attempt has to wait until it is known how the one before failed, as Envoy does not tell.
func (r *Rules) Waits() bool {
	return r[Connect] == Stop || r[Reset] == Stop || r[Timeout] == Stop || r.Again()
}

// Again reports whether a target may be tried a second time at once.
func (r *Rules) Again() bool { return r[Connect] == Same || r[Reset] == Same }

// Passes reports whether a failure of the class may be over a moment later, so that a further round may try its target.
func (c Class) Passes() bool {
	switch c {
	case Connect, Reset, Timeout, RateLimited, Overloaded, Upstream:
		return true
	}
	return false
}

// Rounds is how often the targets of a plan are tried, one after the other, and how long is waited in between.
type Rounds struct {
	N         int // 0 is 1
	Base, Max time.Duration
}

// Wait returns how long to wait before a round, from 2: at random between half and all of Base, doubled with each, and never
// more than Max.
func (r *Rounds) Wait(round int, seed uint64) time.Duration {
	d := r.Max
	if shift := max(round, 2) - 2; shift < 16 && r.Base<<shift < d {
		d = r.Base << shift
	}
	if r.Base <= 0 {
		return 0
	}
	if d <= 1 {
		return d
	}
	return d/2 + time.Duration(seed%uint64(d/2))
}

// Judges reports whether the service has to see answers for the rules, also where it would not.
func (r *Rules) Judges() bool {
	for c := RateLimited; c < classes; c++ {
		if r.judges(c) {
			return true
		}
	}
	return false
}

// Judged returns the classes for whose rules it has to.
func (r *Rules) Judged() (out []Class) {
	for c := RateLimited; c < classes; c++ {
		if r.judges(c) {
			out = append(out, c)
		}
	}
	return out
}

func (r *Rules) judges(c Class) bool {
	if c == ContextTooLong {
		return r[c] == Next
	}
	return r.On(c) != (&Rules{}).On(c)
}

// Checks reports whether good answers are looked at.
func (r *Rules) Checks() bool {
	return r.On(ContentFiltered) != Stop || r.On(Refusal) != Stop || r.On(InvalidOutput) != Stop
}

// Reasons of errors that are found in answers which a provider takes for good.
const (
	ReasonRefusal       = "refusal"
	ReasonInvalidOutput = "invalid_output"
)

// Of returns the class of an attempt's error; false: it is the client's own fault, for which there is no rule.
func Of(e *llm.Error) (Class, bool) {
	switch {
	case e.Code == llm.CodeBlocked && e.Reason == ReasonRefusal:
		return Refusal, true
	case e.Code == llm.CodeUpstream && e.Reason == ReasonInvalidOutput:
		return InvalidOutput, true
	}
	switch e.Code {
	case llm.CodeConnect:
		return Connect, true
	case llm.CodeReset:
		return Reset, true
	case llm.CodeTimeout:
		return Timeout, true
	case llm.CodeRateLimited:
		return RateLimited, true
	case llm.CodeOverQuota:
		return OverQuota, true
	case llm.CodeOverloaded:
		return Overloaded, true
	case llm.CodeCredential:
		return Credential, true
	case llm.CodeUpstream:
		return Upstream, true
	case llm.CodeContextTooLong:
		return ContextTooLong, true
	case llm.CodeBlocked:
		return ContentFiltered, true
	}
	return 0, false
}
