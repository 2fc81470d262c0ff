package budgets

import (
	"iter"
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

// Table knows the budgets of one version of the settings. It does not change, but for the budgets in use, which it keeps made, and
// what it remembers of rules that are for each of something, and is safe for concurrent use.
//
// A budget takes some 80 bytes, and is made a [*quota.Budget] when it is found. It is the same one each time, unless so many are in
// use that not all are kept made.
type Table struct {
	packed
	strict bool

	mu   sync.RWMutex
	each map[each]*quota.Budget
	ids  map[string]*quota.Budget
}

// each is what a rule for each of something is for.
type each struct {
	rule                              int
	key, user, model, route, provider string
}

// remembered bounds what a table remembers of end users and models. Beyond it, it begins anew: ids stay the same.
const remembered = 100_000

// New makes a table. Settings must have passed Check.
func New(owners []Owned) (*Table, error) {
	return Load(owners, func(func(*Owned, error) bool) {})
}

// Load does as New, with more owners, which come one after the other: nothing of them is held on to but the lists of their rules. It
// returns an error that comes in place of an owner.
func Load(owners []Owned, more iter.Seq2[*Owned, error]) (*Table, error) {
	l := newLoader()
	for i := range owners {
		if err := l.add(&owners[i]); err != nil {
			return nil, err
		}
	}
	for o, err := range more {
		if err != nil {
			return nil, err
		}
		if err := l.add(o); err != nil {
			return nil, err
		}
	}
	return l.table(), nil
}

// Strict reports whether any limit is hard: then what is reserved of it goes to disk first.
func (t *Table) Strict() bool { return t.strict }

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
func (t *Table) Empty() bool { return t == nil || len(t.ends) == 0 }

// Organizations returns the organizations that have limits, or owners with limits.
func (t *Table) Organizations() []string {
	return slices.Sorted(slices.Values(t.organizations))
}

// Listed is a budget with all that it counts.
type Listed struct {
	Party                     // whose it is
	Budget                    *quota.Budget
	Models, Routes, Providers []string // as the rule has them; of one that is for each of something, the one
}

// All returns the budgets that there are: in the order of the settings, and of rules that are for each of something those that
// Find has met, in the order of their ids. They are made one by one, but for those in use.
func (t *Table) All() iter.Seq[Listed] {
	return func(yield func(Listed) bool) {
		if t.Empty() {
			return
		}
		for at := range t.ends {
			r := t.record(at)
			if len(r.each) > 0 {
				continue
			}
			b := t.made[at].Load()
			if b == nil {
				b = t.build(at)
			}
			if !yield(Listed{t.party(&r, b.Owner.Name), b, r.models, r.routes, r.providers}) {
				return
			}
		}
		for _, l := range t.met() {
			if !yield(l) {
				return
			}
		}
	}
}

// met returns the budgets for one of something, in the order of their ids.
func (t *Table) met() (out []Listed) {
	t.mu.RLock()
	for e, b := range t.each {
		r := t.record(e.rule)
		l := Listed{t.party(&r, string(r.name)), b, r.models, r.routes, r.providers}
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

// Find appends the budgets that hold for an exchange of a party: of a model as the client named it, on a route, at
// any of the providers. They come from the organization down to the key.
func (t *Table) Find(dst []*quota.Budget, p *Party, model, route string, providers []string) []*quota.Budget {
	if t.Empty() {
		return dst
	}
	of, ok := t.numbers[p.Organization]
	if !ok {
		return dst
	}
	for _, o := range [...]owner{
		{ofOrganization, of, p.Organization},
		{ofTeam, of, p.Team},
		{ofProject, of, p.Project},
		{ofKey, of, p.Key},
	} {
		if o.name == "" {
			continue
		}
		for at := t.first(&o); at >= 0; at = t.behind(at) {
			s, _ := t.shape(at)
			switch {
			case !s.matches(model, route, providers):
			case len(s.each) == 0:
				dst = append(dst, t.budget(at))
			default:
				dst = t.single(dst, at, s, p, model, route, providers)
			}
		}
	}
	return dst
}

// single appends the budgets of a rule that is for each of something.
func (t *Table) single(dst []*quota.Budget, at int, r *shape, p *Party, model, route string, providers []string) []*quota.Budget {
	e := each{rule: at}
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
	r := t.rule(e.rule)
	made, sum := r.budget, r.sum(e.key, e.user, e.model, e.route, e.provider)
	made.ID, made.Model = string(appendID(nil, &made, &sum)), e.model
	switch {
	case e.user != "":
		made.Owner = quota.Owner{Level: "end_user", Name: e.user}
	case e.key != "":
		made.Owner = quota.Owner{Level: "key", Name: e.key}
	}
	switch {
	case e.provider != "":
		made.Target = "provider:" + e.provider
	case e.route != "" && len(r.providers) != 1: // what was used is told apart by provider, not by route
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
	if t.Empty() {
		return nil
	}
	if b := t.byID(id); b != nil {
		return b
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.ids[id]
}
