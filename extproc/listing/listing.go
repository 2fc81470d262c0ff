// Package listing makes the list of the models that clients can name: what routes and aliases name, and, where a
// route passes on the name that was asked for, what is known of the models at its providers.
//
//	routing.Table ─┐
//	               ├─► List ─► dialect.ModelInfo ─► the list in the client's dialect
//	catalog ───────┘
//
// It decides nothing: a name that is not listed may still have a route.
package listing

import (
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// owner is who has the names that a configuration gives.
const owner = "signalbox"

// List is the models of one configuration. It does not change once made.
type List struct {
	table     *routing.Table
	providers map[string]*providers.Provider
	models    []dialect.ModelInfo // by ID
}

// New makes a list. Models whose service ended before now are left out, unless a route names them.
func New(t *routing.Table, ps map[string]*providers.Provider, now time.Time) *List {
	l := &List{table: t, providers: ps}
	seen := map[string]bool{}
	for _, name := range t.Models() {
		seen[name] = true
		l.models = append(l.models, l.named(name))
	}
	today := now.UTC().Format(time.DateOnly)
	for _, r := range t.Routes() {
		for _, target := range r.Targets {
			if p := ps[target.Provider]; target.Model == "*" && p != nil {
				l.pass(r, p, today, seen)
			}
		}
	}
	slices.SortFunc(l.models, func(a, b dialect.ModelInfo) int { return strings.Compare(a.ID, b.ID) })
	return l
}

// pass adds the known models of a provider that a route passes on to it, each under the shortest name that
// leads there.
func (l *List) pass(r *routing.Route, p *providers.Provider, today string, seen map[string]bool) {
	for _, m := range p.Models.Models() {
		if ends := m.Dates.Retires; ends != "" && ends < today || !serves(p, &m) {
			continue
		}
		for _, name := range []string{m.ID, p.Name + "/" + m.ID} {
			if l.table.Resolve(name) != name || l.table.Match(name) != r {
				continue
			}
			if !seen[name] {
				seen[name] = true
				l.models = append(l.models, describe(name, p.Name, &m))
			}
			break
		}
	}
}

// serves reports whether the provider has an endpoint for what a model does.
func serves(p *providers.Provider, m *catalog.Model) bool {
	op := llm.OpChat
	switch m.Mode {
	case "embedding":
		op = llm.OpEmbed
	case "rerank":
		op = llm.OpRerank
	case "realtime":
		op = llm.OpRealtime
	case "responses":
		c, ok := p.Adapter.Speaks(op, m.ID, dialect.OpenAIResponses)
		return ok && c.Name() == dialect.OpenAIResponses
	}
	_, ok := p.Adapter.Speaks(op, m.ID, dialect.OpenAIChat)
	return ok
}

// named describes a name that a configuration gives, by the first target of its route.
func (l *List) named(name string) dialect.ModelInfo {
	info := dialect.ModelInfo{ID: name, Owner: owner}
	plain := l.table.Resolve(name)
	r := l.table.Match(plain)
	if r == nil || len(r.Targets) == 0 {
		return info
	}
	t := r.Targets[0]
	p := l.providers[t.Provider]
	if p == nil {
		return info
	}
	known := t.Like
	switch {
	case known != "":
	case t.Model == "*":
		known = strings.TrimPrefix(plain, p.Name+"/")
	default:
		known = t.Model
	}
	switch m, match := p.Models.Find(known); {
	case match == catalog.None:
	case match == catalog.Exact && t.Model == "*" && plain == name: // the provider's own name
		return describe(name, p.Name, &m)
	default:
		info = describe(name, owner, &m)
		info.Name = name
	}
	return info
}

// describe says what a list shows of a model.
func describe(id, owner string, m *catalog.Model) dialect.ModelInfo {
	info := dialect.ModelInfo{ID: id, Owner: owner, Name: m.Name, Context: m.Context, MaxOutput: m.MaxOutput, Can: m.Can &^ m.Cannot, Known: true, Retires: m.Dates.Retires}
	for _, layout := range []string{time.DateOnly, "2006-01"} {
		if t, err := time.Parse(layout, m.Dates.Released); err == nil {
			info.Created = t.Unix()
		}
	}
	return info
}

// Models returns the models of the list that the caller may use, by ID.
func (l *List) Models(may func(id string) bool) []dialect.ModelInfo {
	out := make([]dialect.ModelInfo, 0, len(l.models))
	for i := range l.models {
		if may(l.models[i].ID) {
			out = append(out, l.models[i])
		}
	}
	return out
}

// Find describes one model, listed or not. found is false where no route takes it.
func (l *List) Find(id string) (info dialect.ModelInfo, found bool) {
	if i, ok := slices.BinarySearchFunc(l.models, id, func(m dialect.ModelInfo, id string) int { return strings.Compare(m.ID, id) }); ok {
		return l.models[i], true
	}
	if l.table.Match(l.table.Resolve(id)) == nil {
		return dialect.ModelInfo{}, false
	}
	return l.named(id), true
}
