// Package policy is the ways in which a route chooses among its targets, one file each. A policy is a struct whose fields
// are its options in the configuration; the comment of its type is its page in the manual (docs/policies.md).
//
// A policy is pure: see routing.Policy. Those that leave targets out say why; those that order say what they think of each.
package policy

import "github.com/signalbox-ai/signalbox/routing"

// Kind is a policy as the configuration knows it.
type Kind struct {
	Name string
	New  func() routing.Policy // a pointer to a struct with its defaults, decoded strictly
}

// Checker is a policy whose options must fit together, or that gets ready by them.
type Checker interface{ Check() error }

// kinds are all policies, in the order of the manual.
var kinds = [...]Kind{
	{"weighted", func() routing.Policy { return &Weighted{} }},
	{"cheapest", func() routing.Policy { return &Cheapest{} }},
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
