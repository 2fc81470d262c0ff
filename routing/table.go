package routing

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/glob"
)

// Table is the routes of one configuration, in order, ready to match.
type Table struct {
	routes  []*Route
	exact   map[string]*Route
	globs   []pattern
	named   map[string]*Route
	aliases map[string]string
}

type pattern struct {
	pattern string
	route   *Route
}

// NewTable makes a table. An exact name goes before every glob; among exact names and among globs the
// first route wins. An alias stands for another name before anything is matched.
func NewTable(routes []*Route, aliases map[string]string) *Table {
	t := &Table{routes: routes, exact: map[string]*Route{}, named: map[string]*Route{}, aliases: aliases}
	for _, r := range routes {
		t.named[r.Name] = r
		for _, m := range r.Models {
			if glob.Is(m) {
				t.globs = append(t.globs, pattern{m, r})
			} else if _, ok := t.exact[m]; !ok {
				t.exact[m] = r
			}
		}
	}
	return t
}

// Resolve follows an alias.
func (t *Table) Resolve(model string) string {
	if to, ok := t.aliases[model]; ok {
		return to
	}
	return model
}

// Match returns the route for a model name, or nil.
func (t *Table) Match(model string) *Route {
	if r, ok := t.exact[model]; ok {
		return r
	}
	for _, g := range t.globs {
		if glob.Match(g.pattern, model) {
			return g.route
		}
	}
	return nil
}

// Route returns a route by name, or nil.
func (t *Table) Route(name string) *Route { return t.named[name] }

// Routes returns all routes in order. The slice must not be changed.
func (t *Table) Routes() []*Route { return t.routes }

// Models returns the names that a client can list: exact names and aliases, in order of routes.
func (t *Table) Models() []string {
	var names []string
	for _, r := range t.routes {
		for _, m := range r.Models {
			if !glob.Is(m) && !slices.Contains(names, m) {
				names = append(names, m)
			}
		}
	}
	for a := range t.aliases {
		if !slices.Contains(names, a) && t.Match(t.aliases[a]) != nil {
			names = append(names, a)
		}
	}
	slices.Sort(names)
	return names
}

// Near returns up to three listable names that look like model, nearest first, for an error message.
func (t *Table) Near(model string) []string { return Nearest(model, t.Models()) }

// Nearest returns up to three of names that look like name, nearest first.
func Nearest(name string, names []string) []string {
	type scored struct {
		name string
		d    int
	}
	var all []scored
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d <= max(2, len(n)/3) {
			all = append(all, scored{n, d})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return a.d - b.d })
	var near []string
	for _, s := range all[:min(3, len(all))] {
		near = append(near, s.name)
	}
	return near
}

// distance is the Levenshtein distance, bounded by what names are.
func distance(a, b string) int {
	const most = 128
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, diag+1)
		}
	}
	return row[len(b)]
}
