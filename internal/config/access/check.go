package access

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
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
	a.checkAuth(r)
}

// checkAuth checks what stands for keys.
func (a *Access) checkAuth(r Report) {
	for i := range a.Auth.JWT {
		s, at := &a.Auth.JWT[i], fmt.Sprintf("auth.jwt[%d]", i)
		open := s.Grant
		for _, c := range []struct {
			claim string
			field *string
		}{{s.Claims.Organization, &open.Organization}, {s.Claims.Team, &open.Team}, {s.Claims.Project, &open.Project}} {
			if c.claim != "" && *c.field != "" {
				r.Fail(at+".claims", "claims: %s is said twice, here and by a claim", r.Say(*c.field))
			}
		}
		if s.Claims.Organization == "" && s.Claims.Team == "" {
			a.checkGrant(r, &s.Grant, at)
		}
		ways := 0
		for _, w := range []string{s.JWKS, s.JWKSFile, s.Header} {
			if w != "" {
				ways++
			}
		}
		if ways != 1 && !r.Bad(at+".jwks") && !r.Bad(at+".jwks_file") && !r.Bad(at+".header") {
			r.Fail(at, "one of jwks, jwks_file and header is due")
		}
		if u, err := url.Parse(s.JWKS); s.JWKS != "" && !r.Bad(at+".jwks") && (err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !local(u)) {
			r.Fail(at+".jwks", "jwks: must be a URL of https://, or of http:// on loopback")
		}
		if s.CA != "" && s.JWKS == "" {
			r.Fail(at+".ca", "ca: only jwks is fetched")
		}
	}
	for i := range a.Auth.Certificates {
		c, at := &a.Auth.Certificates[i], fmt.Sprintf("auth.certificates[%d]", i)
		a.checkGrant(r, &c.Grant, at)
		if c.URI+c.DNS+c.Subject == "" {
			r.Fail(at, "one of uri, dns and subject is due")
		}
	}
}

// local reports whether a URL is on this machine.
func local(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
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
