// Package access is the part of the configuration that says who may use what: organizations, teams, projects, the keys
// that the file lists, and what else proves an identity. Its structs are decoded, documented and checked by
// internal/config, of which it is a part below; it makes of them what internal/auth decides with.
package access

import (
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
)

// Access is the sections at the top level of the file.
type Access struct {
	Organizations []Organization `yaml:"organizations" max:"1000" doc:"The organizations that teams belong to. Without any there is one, default."`
	Teams         []Team         `yaml:"teams" max:"10000" doc:"The teams that keys belong to."`
	Projects      []Project      `yaml:"projects" max:"10000" doc:"The projects of teams."`
	Keys          []Key          `yaml:"keys" doc:"The keys that clients authenticate with. Without keys anybody who can connect may use Signalbox, and it listens on loopback only."`
}

// Organization is one that pays.
type Organization struct {
	Name             string `yaml:"name" form:"name" required:"true" doc:"Its name, in metrics and the ledger."`
	budgets.Settings `yaml:",inline"`
}

// Team is a part of an organization.
type Team struct {
	Name             string `yaml:"name" form:"name" required:"true" doc:"Its name, in metrics and the ledger."`
	Organization     string `yaml:"organization" form:"name" zero:"default, or the only one" doc:"The organization that it belongs to."`
	budgets.Settings `yaml:",inline"`
}

// Project is a part of a team's work.
type Project struct {
	Name             string `yaml:"name" form:"name" required:"true" doc:"Its name, in metrics and the ledger."`
	Team             string `yaml:"team" form:"name" required:"true" doc:"The team that it belongs to."`
	budgets.Settings `yaml:",inline"`
}

// Key is a client's key that the file lists.
type Key struct {
	Name             string `yaml:"name" form:"name" required:"true" doc:"Whose key it is, in logs and metrics."`
	Hash             string `yaml:"hash" form:"hash" required:"true" doc:"The key's SHA-256 as sha256:HEX; signalbox keys hash prints it."`
	Grant            `yaml:",inline"`
	budgets.Settings `yaml:",inline"`
}

// Grant is whom a key belongs to and what it may be used for.
type Grant struct {
	Organization string `yaml:"organization" form:"name" zero:"its team's" doc:"The organization that pays, where no team is said."`
	Team         string `yaml:"team" form:"name" zero:"its project's" doc:"The team that it belongs to."`
	Project      string `yaml:"project" form:"name" doc:"The project that it is for."`
	Role         string `yaml:"role" enum:"owner,admin,member,viewer,billing" zero:"member" doc:"What its owner may do. owner, admin and member send requests to models; viewer and billing only read usage and costs."`
	Scope        `yaml:",inline"`
}

// Scope bounds what a key may be used for.
type Scope struct {
	Models     []string `yaml:"models" form:"pattern" max:"1000" zero:"every model" doc:"Names and patterns of the models that it may use, as clients name them or as aliases lead to. Others do not exist for it, nor in lists of models."`
	Routes     []string `yaml:"routes" form:"route" max:"1000" zero:"every route" doc:"Names and patterns of the routes that it may use."`
	Operations []string `yaml:"operations" form:"operation" zero:"every operation" doc:"What it may ask for: chat (and counting tokens), complete, count, embed, rerank, moderate, image, image_edit, image_vary, speech, transcribe, translate, files, batches, realtime."`
	Regions    []string `yaml:"regions" form:"region" max:"100" zero:"every region" doc:"The regions of providers that its requests may go to; eu includes eu-west-1. A provider without a region is none of them."`
	Networks   []string `yaml:"networks" form:"network" max:"1000" zero:"every network" doc:"The networks that its clients may connect from, as 10.0.0.0/8 or an address. See envoy.trusted_hops."`
	Expires    string   `yaml:"expires" form:"time" zero:"never" doc:"When it ends: a day, which is the last one (UTC), or a time as 2026-12-31T18:00:00Z."`
}

// StaticKeys returns the keys of the file, ready to check.
func (a *Access) StaticKeys() ([]*auth.Key, error) {
	keys := make([]*auth.Key, len(a.Keys))
	for i := range a.Keys {
		k := &a.Keys[i]
		h, err := auth.ParseHash(k.Hash)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		keys[i] = a.key(k.Name, &k.Grant)
		keys[i].Hash = h
	}
	return keys, nil
}

// key makes the key of a grant, which is checked.
func (a *Access) key(name string, g *Grant) *auth.Key {
	k := &auth.Key{ID: name, Name: name, Owner: a.owner(g), Role: auth.RoleMember, Scope: g.scope()}
	if r, ok := auth.ParseRole(g.Role); ok {
		k.Role = r
	}
	k.Expires, _ = ParseTime(g.Expires)
	return k
}

// owner fills in what project and team tell.
func (a *Access) owner(g *Grant) auth.Owner {
	o := auth.Owner{Organization: g.Organization, Team: g.Team, Project: g.Project}
	for i := range a.Projects {
		if p := &a.Projects[i]; o.Team == "" && p.Name == o.Project {
			o.Team = p.Team
		}
	}
	for i := range a.Teams {
		if t := &a.Teams[i]; o.Organization == "" && t.Name == o.Team {
			o.Organization = t.Organization
		}
	}
	if o.Organization == "" {
		o.Organization = a.organization()
	}
	return o
}

// organization is the one that counts where none is named, "" where several could be meant.
func (a *Access) organization() string {
	switch len(a.Organizations) {
	case 0:
		return auth.DefaultOrganization
	case 1:
		return a.Organizations[0].Name
	}
	return ""
}

// scope gives the form that is decided with.
func (s *Scope) scope() auth.Scope {
	out := auth.Scope{Models: s.Models, Routes: s.Routes, Regions: s.Regions}
	for _, n := range s.Operations {
		o, _ := auth.ParseOperation(n)
		out.Operations = append(out.Operations, o)
	}
	for _, n := range s.Networks {
		p, _ := auth.ParseNetwork(n)
		out.Networks = append(out.Networks, p)
	}
	return out
}

// ParseTime reads when something ends: a time (RFC 3339), or a day, at whose end it does (UTC). "" is never, the zero
// time.
func ParseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("must be a day, as 2026-12-31, or a time, as 2026-12-31T18:00:00Z")
	}
	return t, nil
}

// Form checks a text of one of the forms that stand in this package alone. Its errors do not repeat it.
func Form(form, s string) error {
	var err error
	switch form {
	case "network":
		_, err = auth.ParseNetwork(s)
	case "time":
		_, err = ParseTime(s)
	}
	return err
}
