package routing

import (
	"iter"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/glob"
)

// Table is the routes of one configuration, in order, ready to match.
type Table struct {
	routes  []*Route
	exact   map[string][]*Route
	globs   globs
	named   map[string]*Route
	aliases map[string]string
}

type pattern struct {
	pattern string
	route   *Route
}

// NewTable makes a table. Of the routes that take a model by its very name, the first whose conditions hold wins; where
// there is none, of those that take it by a pattern. A route that names no models takes all, as the pattern * does. An
// alias stands for another name before anything is matched.
func NewTable(routes []*Route, aliases map[string]string) *Table {
	t := &Table{routes: routes, exact: map[string][]*Route{}, named: map[string]*Route{}, aliases: aliases}
	for _, r := range routes {
		t.named[r.Name] = r
		for _, m := range r.Models {
			if glob.Is(m) {
				t.globs.all = append(t.globs.all, pattern{m, r})
			} else if !slices.Contains(t.exact[m], r) {
				t.exact[m] = append(t.exact[m], r)
			}
		}
		if len(r.Models) == 0 && !r.Match.Plain() {
			t.globs.all = append(t.globs.all, pattern{"*", r})
		}
	}
	t.globs.index()
	return t
}

// Resolve follows an alias.
func (t *Table) Resolve(model string) string {
	if to, ok := t.aliases[model]; ok {
		return to
	}
	return model
}

// Match returns the first route that takes a model, whatever it asks of requests beside; nil: none does.
func (t *Table) Match(model string) *Route {
	for r := range t.Of(model) {
		return r
	}
	return nil
}

// Of returns the routes that take a model, in the order in which their conditions are tried.
func (t *Table) Of(model string) iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for _, r := range t.exact[model] {
			if !yield(r) {
				return
			}
		}
		t.globs.each(model, yield)
	}
}

// Find returns the route of a request among those that may be used, nil where none takes it. lacks names what the last
// route that takes its model asks for in vain, as NAME: CONDITION; "": no route takes the model.
func (t *Table) Find(v *View, may func(*Route) bool) (r *Route, lacks string) {
	v.At = v.Now
	for r := range t.Of(v.Model) {
		if may != nil && !may(r) {
			continue
		}
		ok, what := r.Match.Holds(&v.Request)
		if ok {
			return r, ""
		}
		lacks = r.Name + ": " + what
	}
	return nil, lacks
}

// Bind returns a table of the same routes whose targets know what about says of them. Of the model * nothing is asked.
func (t *Table) Bind(about func(*Target) *About) *Table {
	routes := make([]*Route, len(t.routes))
	for i, r := range t.routes {
		routes[i] = r.bound(about)
	}
	return NewTable(routes, t.aliases)
}

// bound returns the route with targets that know what about says of them.
func (r *Route) bound(about func(*Target) *About) *Route {
	own := *r
	own.Trial = r.Trial.bound(about)
	own.Targets = slices.Clone(r.Targets)
	for j := range own.Targets {
		if k := &own.Targets[j]; k.Model != "*" {
			k.About = about(k)
		}
	}
	return &own
}

// Route returns a route by name, or nil.
func (t *Table) Route(name string) *Route { return t.named[name] }

// Like returns the known model that a target is said to be like, by the first route that says it of one; "": none does.
func (t *Table) Like(provider, model string) string {
	for _, r := range t.routes {
		for _, s := range r.Targets {
			if s.Provider == provider && s.Model == model && s.Like != "" {
				return s.Like
			}
		}
	}
	return ""
}

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
