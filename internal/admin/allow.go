package admin

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/evals/stored"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// Who may what, beside the administrator:
//
//	role      reads                 changes
//	owner     its organization      teams, projects, keys, provider keys, budgets and runs of evaluations of it
//	billing   its organization      budgets of it
//	admin     its team              projects, keys, provider keys and runs of it, and budgets of those projects and keys
//	member    its team              nothing
//	viewer    its team              nothing
//
// What is out of reach does not exist: nobody learns of other tenants.

// place is where an object belongs.
type place struct {
	organization, team string
	above              bool // it is not for those of a team to change, and without a team not to read
}

// reaches reports whether a principal may read what is at a place.
func (p *Principal) reaches(at place) bool {
	switch {
	case p.Root:
		return true
	case p.Role == auth.RoleNone || at.organization != p.Owner.Organization:
		return false
	case p.Role == auth.RoleOwner || p.Role == auth.RoleBilling:
		return true
	}
	return p.Owner.Team == "" || at.team == p.Owner.Team || at.team == "" && !at.above
}

// changes reports why a principal may not change an object of a kind at a place that it reaches.
func (p *Principal) changes(kind store.Kind, at place) error {
	ok := p.Root
	switch p.Role {
	case auth.RoleOwner:
		ok = ok || kind != store.KindOrganization
	case auth.RoleBilling:
		ok = ok || kind == store.KindBudget
	case auth.RoleAdmin:
		ok = ok || at.team != "" && !at.above && (p.Owner.Team == "" || at.team == p.Owner.Team) && kind != store.KindOrganization && kind != store.KindTeam
	}
	if !ok {
		return connect.NewError(connect.CodePermissionDenied, errors.New("your role may not change this"))
	}
	return nil
}

// gives reports why a principal may not give a role to a key, or use a key that has one. The role billing is above that of an
// admin, though it sends no requests: it reaches the whole organization.
func (p *Principal) gives(role string) error {
	r, ok := auth.ParseRole(role)
	if p.Root || role == "" || !ok { // one that is unknown is refused by the store
		return nil
	}
	if r > p.Role || r == auth.RoleBilling && p.Role != auth.RoleOwner {
		return connect.NewError(connect.CodePermissionDenied, errors.New("you may not give a role that is above your own"))
	}
	return nil
}

// missing is what is said of an object that is not there, or out of reach.
func missing(kind store.Kind, id string) error {
	return &store.Fault{Reason: store.Missing, Message: "there is no " + string(kind) + " \"" + id + "\""}
}

// within bounds a list to what a principal reaches: the organization and team that it may ask for. ok is false where
// it asks for others.
func (p *Principal) within(organization, team string) (place, bool) {
	if p.Root {
		return place{organization: organization, team: team}, true
	}
	if organization != "" && organization != p.Owner.Organization {
		return place{}, false
	}
	at := place{organization: p.Owner.Organization, team: team}
	if p.Role != auth.RoleOwner && p.Role != auth.RoleBilling && p.Owner.Team != "" {
		if team != "" && team != p.Owner.Team {
			return place{}, false
		}
		at.team = p.Owner.Team
	}
	return at, p.Role != auth.RoleNone
}

// place finds out where an object belongs. The error of one that is not there is its store's.
func (s *Server) place(ctx context.Context, kind store.Kind, id string) (place, error) {
	switch kind {
	case store.KindOrganization:
		_, err := s.store.Organization(ctx, id)
		return place{organization: id}, err
	case store.KindTeam:
		t, err := s.store.Team(ctx, id)
		return place{organization: t.Organization, team: t.Name}, err
	case store.KindProject:
		p, err := s.store.Project(ctx, id)
		if err != nil {
			return place{}, err
		}
		return s.place(ctx, store.KindTeam, p.Team)
	case store.KindKey:
		k, err := s.store.Key(ctx, id)
		return place{organization: k.Organization, team: k.Team, above: k.Team == ""}, err
	case store.KindBudget:
		b, err := s.store.Budget(ctx, id)
		if err != nil {
			return place{}, err
		}
		return s.budgetPlace(ctx, b.Level, b.Owner)
	case store.KindProviderKey:
		team, _, _ := cut(id)
		return s.place(ctx, store.KindTeam, team)
	case stored.Kind:
		organization, name, _ := strings.Cut(id, "/")
		r, err := stored.Get(ctx, s.store, organization, name)
		return place{organization: r.Organization, team: r.Team}, err
	}
	return place{}, missing(kind, id)
}

// budgetPlace is where a budget of an owner belongs: one of a team or an organization is above the team's admin.
func (s *Server) budgetPlace(ctx context.Context, level, owner string) (place, error) {
	switch level {
	case "organization":
		return s.place(ctx, store.KindOrganization, owner)
	case "team":
		at, err := s.place(ctx, store.KindTeam, owner)
		at.above = true
		return at, err
	case "project":
		return s.place(ctx, store.KindProject, owner)
	}
	return s.place(ctx, store.KindKey, owner)
}

// keyID is the id of a key that is named by id or name: a tenant's names are its organization's.
func (s *Server) keyID(ctx context.Context, id string) string {
	p := principalOf(ctx)
	if p.Root || p.Owner.Organization == "" {
		return id
	}
	if own, err := s.store.KeyNamed(ctx, p.Owner.Organization, id); err == nil && own != "" {
		return own
	}
	return id
}

// keyNamed is keyID where what belongs to the key is looked for by its id alone. Of a key that is gone its id is left.
func (s *Server) keyNamed(ctx context.Context, id string) (string, error) {
	if id == "" || !principalOf(ctx).Root {
		return s.keyID(ctx, id), nil
	}
	k, err := s.store.Key(ctx, id)
	if fault, ok := errors.AsType[*store.Fault](err); ok && fault.Reason == store.Missing {
		return id, nil
	}
	return k.ID, err
}

// broken reports whether an error is none of what was asked, but of the database.
func broken(err error) bool {
	_, fault := errors.AsType[*store.Fault](err)
	_, shown := errors.AsType[*connect.Error](err)
	return err != nil && !fault && !shown
}

// may reports why who asks may not read, or change, an object.
func (s *Server) may(ctx context.Context, kind store.Kind, id string, change bool) error {
	p := principalOf(ctx)
	if p.Root {
		return nil
	}
	at, err := s.place(ctx, kind, id)
	if err != nil {
		if _, ok := errors.AsType[*store.Fault](err); ok {
			return missing(kind, id)
		}
		return err
	}
	return p.may(kind, id, at, change)
}

// may is Server.may for an object whose place is known.
func (p *Principal) may(kind store.Kind, id string, at place, change bool) error {
	if !p.reaches(at) {
		return missing(kind, id)
	}
	if change {
		return p.changes(kind, at)
	}
	return nil
}
