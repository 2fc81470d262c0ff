package budgets

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Party is whom an exchange is charged to. Every member but Organization may be "".
type Party struct {
	Organization, Team, Project, Key, EndUser string
}

// Owned is the settings of one owner: of a key all names, of a team those of organization and team, and so on.
type Owned struct {
	Level string // organization, team, project or key
	Party        // EndUser does not count
	Settings
}

// Table knows the budgets of one version of the settings. It does not change, but for what it remembers of rules
// that are for each of something, and is safe for concurrent use.
type Table struct {
	owners map[owner][]*rule
	byID   map[string]*quota.Budget
	count  int

	mu   sync.RWMutex
	each map[each]*quota.Budget
	ids  map[string]*quota.Budget
}

// owner is an owner within an organization.
type owner struct{ level, organization, name string }

// each is what a rule for each of something is for.
type each struct {
	rule                              *rule
	key, user, model, route, provider string
}

// remembered bounds what a table remembers of end users and models. Beyond it, it begins anew: ids stay the same.
const remembered = 100_000

// New makes a table. Settings must have passed Check.
func New(owners []Owned) (*Table, error) {
	t := &Table{owners: map[owner][]*rule{}, byID: map[string]*quota.Budget{}, each: map[each]*quota.Budget{}, ids: map[string]*quota.Budget{}}
	for i := range owners {
		o := &owners[i]
		names := o.names()
		key := owner{o.Level, o.Organization, names[len(names)-1]}
		for _, r := range o.rules(o.Level) {
			r.owner = append([]string{o.Level}, names...)
			r.budget.Owner.Name = key.name
			if len(r.each) == 0 {
				b := &r.budget
				b.ID, b.Target = r.id(nil), r.target()
				b.Model = strings.Join(r.models, ", ")
				if err := b.Check(); err != nil {
					return nil, fmt.Errorf("%s of %s: %w", r.path, b.Owner, err)
				}
				if t.byID[b.ID] != nil {
					return nil, fmt.Errorf("%s of %s: the same limit is there twice", r.path, b.Owner)
				}
				r.one = b
				t.byID[b.ID] = b
			}
			t.owners[key] = append(t.owners[key], r)
			t.count++
		}
	}
	return t, nil
}

// Strict reports whether any limit is hard: then what is reserved of it goes to disk first.
func (t *Table) Strict() bool {
	for _, rules := range t.owners {
		if slices.ContainsFunc(rules, func(r *rule) bool { return r.budget.Hard() }) {
			return true
		}
	}
	return false
}

// names are those that tell an owner from all others.
func (o *Owned) names() []string {
	switch o.Level {
	case "team":
		return []string{o.Organization, o.Team}
	case "project":
		return []string{o.Organization, o.Team, o.Project}
	case "key":
		return []string{o.Organization, o.Key}
	}
	return []string{o.Organization}
}

// target is what narrows a rule, for messages and for who splits what was used by provider.
func (r *rule) target() string {
	if len(r.providers) == 1 {
		return "provider:" + r.providers[0]
	}
	if len(r.routes) == 1 {
		return "route:" + r.routes[0]
	}
	return ""
}

// Empty reports whether there are no limits at all.
func (t *Table) Empty() bool { return t == nil || t.count == 0 }

// Organizations returns the organizations that have limits, or owners with limits.
func (t *Table) Organizations() []string {
	var out []string
	for o := range t.owners {
		out = append(out, o.organization)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Listed is a budget with all that it counts.
type Listed struct {
	Party                     // whose it is
	Budget                    *quota.Budget
	Models, Routes, Providers []string // as the rule has them; of one that is for each of something, the one
}

// Listed returns the budgets that there are, in the order of their ids. Of a rule that is for each of something they are
// those that Find has met.
func (t *Table) Listed() []Listed {
	if t.Empty() {
		return nil
	}
	var out []Listed
	for _, rules := range t.owners {
		for _, r := range rules {
			if r.one != nil {
				out = append(out, Listed{r.party(), r.one, r.models, r.routes, r.providers})
			}
		}
	}
	t.mu.RLock()
	for e, b := range t.each {
		l := Listed{e.rule.party(), b, e.rule.models, e.rule.routes, e.rule.providers}
		l.EndUser = e.user
		for _, one := range []struct {
			of string
			to *[]string
		}{{e.model, &l.Models}, {e.route, &l.Routes}, {e.provider, &l.Providers}} {
			if one.of != "" {
				*one.to = []string{one.of}
			}
		}
		if e.key != "" {
			l.Key = e.key
		}
		out = append(out, l)
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b Listed) int { return strings.Compare(a.Budget.ID, b.Budget.ID) })
	return out
}

// party is the owner of the rule.
func (r *rule) party() Party {
	p := Party{Organization: r.owner[1]}
	switch n := r.owner[2:]; r.owner[0] {
	case "team":
		p.Team = n[0]
	case "project":
		p.Team, p.Project = n[0], n[1]
	case "key":
		p.Key = n[0]
	}
	return p
}

// Find appends the budgets that hold for an exchange of a party: of a model as the client named it, on a route, at
// any of the providers. They come from the organization down to the key.
func (t *Table) Find(dst []*quota.Budget, p *Party, model, route string, providers []string) []*quota.Budget {
	if t.Empty() {
		return dst
	}
	for _, o := range [...]owner{
		{"organization", p.Organization, p.Organization},
		{"team", p.Organization, p.Team},
		{"project", p.Organization, p.Project},
		{"key", p.Organization, p.Key},
	} {
		if o.name == "" {
			continue
		}
		for _, r := range t.owners[o] {
			if !r.matches(model, route, providers) {
				continue
			}
			if r.one != nil {
				dst = append(dst, r.one)
				continue
			}
			dst = t.single(dst, r, p, model, route, providers)
		}
	}
	return dst
}

// single appends the budgets of a rule that is for each of something.
func (t *Table) single(dst []*quota.Budget, r *rule, p *Party, model, route string, providers []string) []*quota.Budget {
	e := each{rule: r}
	byProvider := false
	for _, what := range r.each {
		switch what {
		case "key":
			e.key = p.Key
		case "end_user":
			if e.user = p.EndUser; e.user == "" {
				return dst
			}
		case "model":
			e.model = model
		case "route":
			e.route = route
		case "provider":
			byProvider = true
		}
	}
	if !byProvider {
		return append(dst, t.of(e))
	}
	for i, name := range providers {
		if slices.Contains(providers[:i], name) || len(r.providers) > 0 && !slices.Contains(r.providers, name) {
			continue
		}
		e.provider = name
		dst = append(dst, t.of(e))
	}
	return dst
}

// of returns the budget that a rule has for one of something.
func (t *Table) of(e each) *quota.Budget {
	t.mu.RLock()
	b := t.each[e]
	t.mu.RUnlock()
	if b != nil {
		return b
	}
	e = each{e.rule, strings.Clone(e.key), strings.Clone(e.user), strings.Clone(e.model), strings.Clone(e.route), strings.Clone(e.provider)}
	made := e.rule.budget
	made.ID = e.rule.id([]string{e.key, e.user, e.model, e.route, e.provider})
	made.Model, made.Target = e.model, e.rule.target()
	switch {
	case e.user != "":
		made.Owner = quota.Owner{Level: "end_user", Name: e.user}
	case e.key != "":
		made.Owner = quota.Owner{Level: "key", Name: e.key}
	}
	switch {
	case e.provider != "":
		made.Target = "provider:" + e.provider
	case e.route != "" && len(e.rule.providers) != 1: // what was used is told apart by provider, not by route
		made.Target = "route:" + e.route
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.each[e]; b != nil {
		return b
	}
	if len(t.each) >= remembered {
		clear(t.each)
		clear(t.ids)
	}
	t.each[e], t.ids[made.ID] = &made, &made
	return &made
}

// Budget returns a budget by its id, or nil. One that is for each of something is known once Find has met it.
func (t *Table) Budget(id string) *quota.Budget {
	if t == nil {
		return nil
	}
	if b := t.byID[id]; b != nil {
		return b
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.ids[id]
}
