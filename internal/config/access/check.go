package access

import (
	"cmp"
	"fmt"
	"slices"
)

// Report takes faults of the file. Paths are those of the fields, as keys[0].team.
type Report struct {
	Fail func(path, format string, args ...any)
	Bad  func(path string) bool // whether a path already has a fault
	Say  func(value string) string
}

// Check finds what no single field shows. What is filled in by others' fields is.
func (a *Access) Check(r Report) {
	a.checkLimits(r)
	for i := range a.Teams {
		t, at := &a.Teams[i], fmt.Sprintf("teams[%d].organization", i)
		a.known(r, at, "organization", t.Organization, organizations(a))
		if t.Organization == "" {
			if t.Organization = a.organization(); t.Organization == "" {
				r.Fail(at, "organization is missing: there are several")
			}
		}
	}
	for i := range a.Projects {
		a.known(r, fmt.Sprintf("projects[%d].team", i), "team", a.Projects[i].Team, teams(a))
	}
	first := map[string]string{}
	for i := range a.Keys {
		k, at := &a.Keys[i], fmt.Sprintf("keys[%d]", i)
		a.checkGrant(r, &k.Grant, at)
		if r.Bad(at+".hash") || k.Hash == "" {
			continue
		}
		if n, twice := first[k.Hash]; twice {
			r.Fail(at+".hash", "hash: the same key as %s", r.Say(n))
		}
		first[k.Hash] = k.Name
	}
}

func organizations(a *Access) []string {
	if len(a.Organizations) == 0 {
		return []string{a.organization()}
	}
	names := make([]string, len(a.Organizations))
	for i := range a.Organizations {
		names[i] = a.Organizations[i].Name
	}
	return names
}

func teams(a *Access) []string {
	names := make([]string, len(a.Teams))
	for i := range a.Teams {
		names[i] = a.Teams[i].Name
	}
	return names
}

// known refuses a name that is not one of those that are there.
func (a *Access) known(r Report, at, what, name string, all []string) {
	if name != "" && !r.Bad(at) && !slices.Contains(all, name) {
		r.Fail(at, "unknown %s %s", what, r.Say(name))
	}
}

// checkGrant checks whom a grant is for: what project, team and organization say must agree.
func (a *Access) checkGrant(r Report, g *Grant, at string) {
	a.known(r, at+".organization", "organization", g.Organization, organizations(a))
	a.known(r, at+".team", "team", g.Team, teams(a))
	p := slices.IndexFunc(a.Projects, func(p Project) bool { return p.Name == g.Project })
	switch {
	case g.Project == "" || r.Bad(at+".project"):
	case p < 0:
		r.Fail(at+".project", "unknown project %s", r.Say(g.Project))
	case g.Team != "" && g.Team != a.Projects[p].Team:
		r.Fail(at+".team", "team: the project %s is one of %s", r.Say(g.Project), r.Say(a.Projects[p].Team))
	}
	o := a.owner(&Grant{Team: g.Team, Project: g.Project})
	switch {
	case r.Bad(at + ".team"), r.Bad(at + ".project"), r.Bad(at + ".organization"):
	case o.Team != "" && g.Organization != "" && g.Organization != o.Organization:
		r.Fail(at+".organization", "organization: the team %s is one of %s", r.Say(o.Team), r.Say(o.Organization))
	case cmp.Or(g.Organization, o.Organization) == "":
		r.Fail(at+".organization", "organization is missing: there are several; name one, or a team")
	}
}
