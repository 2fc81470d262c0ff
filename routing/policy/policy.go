// Package policy is the ways in which a route chooses among its targets, one file each. A policy is a struct whose fields
// are its options in the configuration; the comment of its type is its page in the manual (docs/policies.md).
//
// A policy is pure: see routing.Policy. Those that leave targets out say why; those that order say what they think of each.
package policy

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/routing"
)

// Kind is a policy as the configuration knows it.
type Kind struct {
	Name string
	New  func() routing.Policy // a pointer to a struct with its defaults, decoded strictly
}

// Checker is a policy whose options must fit together, or that gets ready by them.
type Checker interface{ Check() error }

// kinds are all policies, in the order of the manual.
var kinds = [...]Kind{
	{"capable", func() routing.Policy { return &Capable{} }},
	{"region", func() routing.Policy { return &Region{} }},
	{"residency", func() routing.Policy { return &Residency{} }},
	{"compliance", func() routing.Policy { return &Compliance{} }},
	{"schedule", func() routing.Policy { return &Schedule{Zone: "UTC"} }},
	{"cel", func() routing.Policy { return &CEL{} }},
	{"healthy", func() routing.Policy { return &Healthy{Attempts: 20} }},
	{"limits", func() routing.Policy { return &Limits{Below: 20} }},
	{"slo", func() routing.Policy { return &SLO{Above: 1, Explore: 2} }},
	{"sticky", func() routing.Policy { return &Sticky{By: []string{"session"}} }},
	{"budget", func() routing.Policy { return &Budget{Below: 20} }},
	{"priority", func() routing.Policy { return &Priority{} }},
	{"cheapest", func() routing.Policy { return &Cheapest{} }},
	{"fastest", func() routing.Policy { return &Fastest{By: "auto", Quantile: "p50", Explore: 2} }},
	{"reliable", func() routing.Policy { return &Reliable{Within: 1} }},
	{"balanced", func() routing.Policy { return &Balanced{Cost: 1, Latency: 1, Success: 1, By: "auto", Explore: 2} }},
	{"least-busy", func() routing.Policy { return &LeastBusy{Choices: 2} }},
	{"weighted", func() routing.Policy { return &Weighted{} }},
}

// Find returns the policy of a name.
func Find(name string) (Kind, bool) {
	for _, k := range kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Names are the names of all policies.
func Names() []string {
	out := make([]string, len(kinds))
	for i := range kinds {
		out[i] = kinds[i].Name
	}
	return out
}

// percent writes a share.
func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 1, 64) + " %" }

// dollars writes an amount in nano-USD.
func dollars(nano int64) string { return "$" + strconv.FormatFloat(float64(nano)/1e9, 'f', -1, 64) }
