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
	index   *index
	aliases map[string]string
}

// NewTable makes a table. Of the routes that take a model by its very name, the first whose conditions hold wins; where
// there is none, of those that take it by a pattern. A route that names no models takes all, as the pattern * does. An
// alias stands for another name before anything is matched.
func NewTable(routes []*Route, aliases map[string]string) *Table {
	return &Table{routes: routes, index: newIndex(routes), aliases: aliases}
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
		for _, n := range t.index.exact.get(model) {
			if !yield(t.routes[n]) {
				return
			}
		}
		t.index.globs.each(model, func(n int32) bool { return yield(t.routes[n]) })
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
	own := &Table{routes: make([]*Route, len(t.routes)), index: t.index, aliases: t.aliases}
	all, b := make([]Route, len(t.routes)), binder{about, map[sharedTargets][]Target{}}
	for i, r := range t.routes {
		all[i] = b.route(r)
		own.routes[i] = &all[i]
	}
	return own
}

// binder tells targets what is known of them.
type binder struct {
	about func(*Target) *About
	done  map[sharedTargets][]Target // routes that shared a list go on to share one
}

// sharedTargets is the memory of a list of targets.
type sharedTargets struct {
	first *Target
	n     int
}

func (b *binder) route(r *Route) Route {
	own := *r
	own.Trial, own.Targets = b.trial(r.Trial), b.targets(r.Targets)
	return own
}

func (b *binder) targets(of []Target) []Target {
	if len(of) == 0 {
		return of
	}
	at := sharedTargets{&of[0], len(of)}
	if own, done := b.done[at]; done {
		return own
	}
	own := slices.Clone(of)
	for i := range own {
		if k := &own[i]; k.Model != "*" {
			k.About = b.about(k)
		}
	}
	b.done[at] = own
	return own
}

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

// Models returns the names that a client can list: exact names and aliases, sorted.
func (t *Table) Models() []string {
	var names []string
	for _, r := range t.routes {
		for _, m := range r.Models {
			if !glob.Is(m) {
				names = append(names, m)
			}
		}
	}
	for a, to := range t.aliases {
		if t.Match(to) != nil {
			names = append(names, a)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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
