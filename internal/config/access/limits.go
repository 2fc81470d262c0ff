package access

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
)

// Owned returns the limits of all owners that the file has, those without any included. What the file leaves out of
// who belongs to whom is filled in.
func (a *Access) Owned() []budgets.Owned {
	var out []budgets.Owned
	names := a.names()
	add := func(level string, g *Grant, key string, s budgets.Settings) {
		o := names.owner(g)
		out = append(out, budgets.Owned{Level: level, Settings: s, Party: budgets.Party{
			Organization: o.Organization, Team: o.Team, Project: o.Project, Key: key,
		}})
	}
	for i := range a.Organizations {
		o := &a.Organizations[i]
		add("organization", &Grant{Organization: o.Name}, "", o.Settings)
	}
	for i := range a.Teams {
		t := &a.Teams[i]
		add("team", &Grant{Team: t.Name}, "", t.Settings)
	}
	for i := range a.Projects {
		p := &a.Projects[i]
		add("project", &Grant{Project: p.Name}, "", p.Settings)
	}
	for i := range a.Keys {
		k := &a.Keys[i]
		add("key", &k.Grant, k.Name, k.Settings)
	}
	return out
}

// Budgets returns the limits as budgets of a store.
func (a *Access) Budgets() (*budgets.Table, error) { return budgets.New(a.Owned()) }

// Money returns the paths of the limits of money that refuse, as teams[0].budget.month.
func (a *Access) Money() (paths []string) {
	a.each(func(owner string, s *budgets.Settings) {
		for _, path := range s.Money() {
			paths = append(paths, owner+"."+path)
		}
	})
	return paths
}

// each calls f with the settings of every owner, and where they are.
func (a *Access) each(f func(owner string, s *budgets.Settings)) {
	for i := range a.Organizations {
		f(fmt.Sprintf("organizations[%d]", i), &a.Organizations[i].Settings)
	}
	for i := range a.Teams {
		f(fmt.Sprintf("teams[%d]", i), &a.Teams[i].Settings)
	}
	for i := range a.Projects {
		f(fmt.Sprintf("projects[%d]", i), &a.Projects[i].Settings)
	}
	for i := range a.Keys {
		f(fmt.Sprintf("keys[%d]", i), &a.Keys[i].Settings)
	}
}

// checkLimits finds what no single field of limits shows.
func (a *Access) checkLimits(r Report) {
	a.each(func(owner string, s *budgets.Settings) {
		s.Check(func(path, message string) {
			if at := owner + "." + path; !r.Bad(at) {
				r.Fail(at, "%s", message)
			}
		})
		if at, b := owner+".budget", &s.Budget; b.Day+b.Week+b.Month+b.Total == "" && r.Sound(at) {
			r.Fail(at, "budget: bounds nothing; name day, week, month or total, as month: 20 USD")
		}
	})
}
