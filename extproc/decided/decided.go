// Package decided is what a decision about a request came to, and why, for those that show it. It is data alone:
// extproc/exchange makes it.
package decided

import (
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// Decided is how a request is decided, and why.
type Decided struct {
	routing.View // what it was decided by; its functions are not to be called any more
	Needs        ability.Set
	Key          string // name of the client's key
	Routes       []Route
	Route        *routing.Route // nil: none
	Arm          string         // of an experiment, as EXPERIMENT/ARM; "": there is none
	Unset        []llm.Loss     // parameters of the arm that the client's dialect has no place for
	Why          routing.Explained
	LeastBad     bool            // no target is well
	Legs         []Leg           // of the plan, in its order
	Losses       []Loss          // by target of the route
	Budgets      []*quota.Budget // that hold
	Refused      *llm.Error      // nil: it is sent
}

// Route is a route that was looked at. Why says why it does not take the request; "": it does.
type Route struct{ Name, Why string }

// Leg is a step of a plan with its path, and what forces it there.
type Leg struct {
	ticket.Leg
	Speaks dialect.Name
	Forced string // "": nothing does
}

// Loss is what a target of the route cannot carry of a request, or why it cannot do it at all.
type Loss struct {
	Target string
	Losses []llm.Loss
	Cannot string
}
