package routing

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/routing/match"
)

// Compact returns a table of the same routes that takes little memory however many there are, in few pieces: one array of routes,
// one text of which all names are pieces, and one list of targets, one of policies and one rule for all routes that have equal
// ones. What the routes were made of must not change afterwards.
func (t *Table) Compact() *Table { return NewTable(compact(t.routes), t.aliases) }

func compact(routes []*Route) []*Route {
	all, out := make([]Route, len(routes)), make([]*Route, len(routes))
	names := newNames(routes)
	targets, policies, rules := same[[]Target]{}, same[[]Named]{}, same[*match.Rule]{}
	for i, r := range routes {
		own := *r
		own.Name, own.Models = names.of(r.Name), names.models(r.Models)
		own.Targets = targets.of(names.targets(r.Targets))
		if p := slices.Clip(r.Policies); !counts(p) {
			own.Policies = policies.of(p)
		}
		if m := r.Match; m != nil && m.When == nil {
			own.Match = rules.of(m)
		}
		all[i] = own
		out[i] = &all[i]
	}
	return out
}

// counts reports whether one of the policies counts for its route.
func counts(policies []Named) bool {
	return slices.ContainsFunc(policies, func(p Named) bool {
		_, ok := p.Policy.(counted)
		return ok
	})
}

// same keeps one of what is equal, by how it is written in Go: that is not equal for all that is (pointers), and nearly never for
// what is not, as String would be.
type same[T any] map[string][]T

func (s same[T]) of(v T) T {
	key := written(v)
	for _, known := range s[key] {
		if reflect.DeepEqual(known, v) {
			return known
		}
	}
	s[key] = append(s[key], v)
	return v
}

func written(v any) string {
	policies, ok := v.([]Named)
	if !ok {
		return fmt.Sprintf("%#v", v)
	}
	var b strings.Builder
	for _, p := range policies {
		fmt.Fprintf(&b, "%q %#v\n", p.Name, p.Policy) // within a list it would be a pointer's address
	}
	return b.String()
}

// names are the names that routes have, in one text.
type names struct {
	text   string
	at     map[string]int
	listed []string // the names of models, list behind list
}

func newNames(routes []*Route) *names {
	n := &names{at: map[string]int{}}
	var text strings.Builder
	models := 0
	add := func(all ...string) {
		for _, s := range all {
			if _, known := n.at[s]; !known {
				n.at[s] = text.Len()
				text.WriteString(s)
			}
		}
	}
	for _, r := range routes {
		add(r.Name)
		add(r.Models...)
		models += len(r.Models)
		for i := range r.Targets {
			add(r.Targets[i].Provider, r.Targets[i].Model, r.Targets[i].Like)
		}
	}
	n.text, n.listed = strings.Clone(text.String()), make([]string, 0, models)
	return n
}

// of returns the same name as a piece of the text.
func (n *names) of(name string) string {
	at := n.at[name]
	return n.text[at : at+len(name)]
}

func (n *names) models(of []string) []string {
	if len(of) == 0 {
		return of
	}
	from := len(n.listed)
	for _, m := range of {
		n.listed = append(n.listed, n.of(m))
	}
	return slices.Clip(n.listed[from:])
}

func (n *names) targets(of []Target) []Target {
	out := slices.Clone(of)
	for i := range out {
		t := &out[i]
		t.Provider, t.Model, t.Like = n.of(t.Provider), n.of(t.Model), n.of(t.Like)
	}
	return slices.Clip(out)
}
