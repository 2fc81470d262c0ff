// Package routing decides where an exchange goes: which route matches, and which of its targets are tried
// in which order. A decision is a function of the table and the View; the package does no I/O, starts no
// goroutine and reads no clock.
//
//	View ─ Table.Match ─► Route ─ its targets, through its policies ─► those that can do the request, with keys ─► Plan
package routing

import (
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/routing/failure"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// Usage says how tokens of an openai-chat stream are learnt when its client did not ask for usage.
type Usage uint8

// Usage modes.
const (
	UsageExact    Usage = iota // ask the provider, and take the extra frame out again (worked path)
	UsagePass                  // ask the provider, and let the frame pass (direct path)
	UsageEstimate              // do not ask (direct path)
)

// Lossy says what happens to a request of which a target cannot carry everything.
type Lossy uint8

// Lossy modes.
const (
	LossyWarn   Lossy = iota // sent, logged, and named in an answer header
	LossyRefuse              // the target is not used; 400 when none is left
	LossySilent              // sent and logged
)

// Deadlines of an exchange. Zero: none.
type Deadlines struct {
	FirstToken    time.Duration // streams: from sending an attempt to its first content
	Answer        time.Duration // whole answers: from sending an attempt to its head
	BetweenTokens time.Duration // from content to content
	Total         time.Duration // from admission to the last byte
}

// Failover says when and how often another target is tried.
type Failover struct {
	FirstToken  bool // hold a stream's head until its first content, while a target is left
	ErrorBodies bool // read error bodies of whole answers too, for causes that the status does not tell
	Attempts    int  // the most attempts in all; 0: as many as there are steps
	On          failure.Rules
	Rounds      failure.Rounds
	Budget      int // percent: tries again that a provider may get for each of its requests
}

// Target is a model at a provider.
type Target struct {
	Provider string
	Model    string // the provider's name of it; "*": as the client named it
	Weight   int    // share of first attempts, in a route ordered by weight
	Priority int    // 1 goes first; 0: none is stated
	Like     string // the model whose facts count, where Model is not known by name
	About    *About // what is known of it, where that does not depend on the request; nil: View.About is asked
}

// String returns provider/model, as users write it.
func (t Target) String() string { return t.Provider + "/" + t.Model }

// Route is a named rule: which requests it matches, and what is done with them.
type Route struct {
	Name      string
	Models    []string    // names and globs (* any run, ? one character) that it takes
	Match     *match.Rule // what it asks of requests beside; nil: nothing
	Targets   []Target
	Policies  []Named // in the order in which they are applied
	Deadlines Deadlines
	Failover  Failover
	Usage     Usage
	Lossy     Lossy
	Client    ClientHeaders
	Show      bool        // x-signalbox-target and -attempts on answers
	Forward   bool        // counts of tokens are asked of the provider and not made here
	Once      bool        // requests with an idempotency key are done once
	Class     queue.Class // how important its requests are
	tried
}

// Failed returns how often expressions of the route could not be evaluated.
func (r *Route) Failed() (n uint64) {
	if r.Match != nil {
		if c, ok := r.Match.When.(counted); ok {
			n += c.Failed()
		}
	}
	for _, p := range r.Policies {
		if c, ok := p.Policy.(counted); ok {
			n += c.Failed()
		}
	}
	return n
}

// counted is what counts how often it could not be evaluated.
type counted interface{ Failed() uint64 }

// Named is a policy with the name that its route has for it.
type Named struct {
	Name string
	Policy
}

// ClientHeaders says which x-signalbox-* request headers of a client count.
type ClientHeaders struct {
	Route   bool // x-signalbox-route names this route
	Timeout bool // x-signalbox-timeout-ms shortens Deadlines.Total

	Priority bool // x-signalbox-priority says that a request is less important
}

// Step is one attempt of a plan.
type Step struct {
	Provider string
	Model    string // the provider's name
	Like     string
	Key      string // ID of the credential
}

// Target returns provider/model.
func (s Step) Target() string { return s.Provider + "/" + s.Model }

// Plan is the ordered steps that an exchange will try.
type Plan struct {
	Route *Route
	Steps []Step
	Flags PlanFlags
}

// PlanFlags say what was out of the ordinary in a decision.
type PlanFlags uint8

// Flags of plans.
const (
	LeastBad PlanFlags = 1 << iota // no target is well: they are tried all the same
)

// NoTarget is returned when no target of the route can be used at all.
type NoTarget struct {
	Route   string
	Lasting bool // another try does not help: a policy that is a rule left the last targets out
	Trace   []Dropped
}

// Error names the route and what was wrong with each target.
func (e *NoTarget) Error() string {
	var b strings.Builder
	b.WriteString("route " + e.Route + " has no usable target")
	for _, t := range e.Trace {
		b.WriteString("; " + t.Target + ": " + t.Why)
	}
	return b.String()
}
