package access

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
)

// Report takes faults of the file. Paths are those of the fields, as keys[0].team.
type Report struct {
	Fail func(path, format string, args ...any)
	Bad  func(path string) bool // whether a path already has a fault
	Say  func(value string) string

	Sound func(path string) bool // whether the file has a section, and no fault in it
}

// Check finds what no single field shows. What is filled in by others' fields is.
func (a *Access) Check(r Report) {
	a.checkLimits(r)
	n := a.names()
	for i := range a.Teams {
		t, at := &a.Teams[i], fmt.Sprintf("teams[%d].organization", i)
		known(r, at, "organization", t.Organization, n.organizations[t.Organization])
		if t.Organization == "" {
			if t.Organization = n.usual; t.Organization == "" {
				r.Fail(at, "organization is missing: there are several")
			}
		}
	}
	n = a.names() // with what was filled in
	for i := range a.Projects {
		_, there := n.teams[a.Projects[i].Team]
		known(r, fmt.Sprintf("projects[%d].team", i), "team", a.Projects[i].Team, there)
	}
	first := map[string]string{}
	for i := range a.Keys {
		k, at := &a.Keys[i], fmt.Sprintf("keys[%d]", i)
		n.checkGrant(r, &k.Grant, at)
		if r.Bad(at+".hash") || k.Hash == "" {
			continue
		}
		if other, twice := first[k.Hash]; twice {
			r.Fail(at+".hash", "hash: the same key as %s", r.Say(other))
		}
		first[k.Hash] = k.Name
	}
	a.checkAuth(r, n)
}

// checkAuth checks what stands for keys.
func (a *Access) checkAuth(r Report, n *names) {
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
			n.checkGrant(r, &s.Grant, at)
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
		n.checkGrant(r, &c.Grant, at)
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

// known refuses a name that is not there.
func known(r Report, at, what, name string, there bool) {
	if name != "" && !r.Bad(at) && !there {
		r.Fail(at, "unknown %s %s", what, r.Say(name))
	}
}

// checkGrant checks whom a grant is for: what project, team and organization say must agree.
func (n *names) checkGrant(r Report, g *Grant, at string) {
	known(r, at+".organization", "organization", g.Organization, n.organizations[g.Organization])
	_, there := n.teams[g.Team]
	known(r, at+".team", "team", g.Team, there)
	team, there := n.projects[g.Project]
	switch {
	case g.Project == "" || r.Bad(at+".project"):
	case !there:
		r.Fail(at+".project", "unknown project %s", r.Say(g.Project))
	case g.Team != "" && g.Team != team:
		r.Fail(at+".team", "team: the project %s is one of %s", r.Say(g.Project), r.Say(team))
	}
	o := n.owner(&Grant{Team: g.Team, Project: g.Project})
	switch {
	case r.Bad(at + ".team"), r.Bad(at + ".project"), r.Bad(at + ".organization"):
	case o.Team != "" && g.Organization != "" && g.Organization != o.Organization:
		r.Fail(at+".organization", "organization: the team %s is one of %s", r.Say(o.Team), r.Say(o.Organization))
	case cmp.Or(g.Organization, o.Organization) == "":
		r.Fail(at+".organization", "organization is missing: there are several; name one, or a team")
	}
}
