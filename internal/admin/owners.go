package admin

import (
	"cmp"
	"context"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

var (
	_ adminv1connect.OrganizationServiceHandler = organizations{}
	_ adminv1connect.TeamServiceHandler         = teams{}
	_ adminv1connect.ProjectServiceHandler      = projects{}
)

// organizations serves OrganizationService.
type organizations struct{ *Server }

// CreateOrganization implements adminv1connect.OrganizationServiceHandler.
func (s organizations) CreateOrganization(ctx context.Context, r *v1.CreateOrganizationRequest) (*v1.Organization, error) {
	if err := principalOf(ctx).changes(store.KindOrganization, place{}); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Organization, error) {
		o := store.Organization{Name: r.Name, Title: r.Title}
		err := tx.CreateOrganization(&o)
		return organization(&o), err
	})
}

// GetOrganization implements adminv1connect.OrganizationServiceHandler.
func (s organizations) GetOrganization(ctx context.Context, r *v1.GetRequest) (*v1.Organization, error) {
	if err := s.may(ctx, store.KindOrganization, r.Id, false); err != nil {
		return nil, err
	}
	o, err := s.store.Organization(ctx, r.Id)
	return organization(&o), err
}

// ListOrganizations implements adminv1connect.OrganizationServiceHandler.
func (s organizations) ListOrganizations(ctx context.Context, r *v1.ListOrganizationsRequest) (*v1.ListOrganizationsResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	if who := principalOf(ctx); !who.Root { // it reaches one
		o, err := s.GetOrganization(ctx, &v1.GetRequest{Id: who.Owner.Organization})
		if broken(err) {
			return nil, err
		}
		if err != nil {
			return &v1.ListOrganizationsResponse{}, nil //nolint:nilerr // one that only the file has is not in the store
		}
		return &v1.ListOrganizationsResponse{Organizations: []*v1.Organization{o}}, nil
	}
	all, next, err := s.store.Organizations(ctx, p)
	return &v1.ListOrganizationsResponse{Organizations: each(all, organization), NextToken: next}, err
}

// UpdateOrganization implements adminv1connect.OrganizationServiceHandler.
func (s organizations) UpdateOrganization(ctx context.Context, r *v1.UpdateOrganizationRequest) (*v1.Organization, error) {
	if err := s.may(ctx, store.KindOrganization, r.Name, true); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Organization, error) {
		o, err := tx.UpdateOrganization(r.Name, r.Version, func(o *store.Organization) error { o.Title = r.Title; return nil })
		return organization(&o), err
	})
}

// DeleteOrganization implements adminv1connect.OrganizationServiceHandler.
func (s organizations) DeleteOrganization(ctx context.Context, r *v1.DeleteRequest) (*v1.DeleteResponse, error) {
	return s.remove(ctx, store.KindOrganization, r, r.Id, (*store.Tx).DeleteOrganization)
}

// teams serves TeamService.
type teams struct{ *Server }

// CreateTeam implements adminv1connect.TeamServiceHandler.
func (s teams) CreateTeam(ctx context.Context, r *v1.CreateTeamRequest) (*v1.Team, error) {
	if err := principalOf(ctx).may(store.KindTeam, r.Organization, place{organization: r.Organization}, true); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Team, error) {
		t := store.Team{Name: r.Name, Organization: r.Organization, Title: r.Title}
		err := tx.CreateTeam(&t)
		return team(&t), err
	})
}

// GetTeam implements adminv1connect.TeamServiceHandler.
func (s teams) GetTeam(ctx context.Context, r *v1.GetRequest) (*v1.Team, error) {
	if err := s.may(ctx, store.KindTeam, r.Id, false); err != nil {
		return nil, err
	}
	t, err := s.store.Team(ctx, r.Id)
	return team(&t), err
}

// ListTeams implements adminv1connect.TeamServiceHandler.
func (s teams) ListTeams(ctx context.Context, r *v1.ListTeamsRequest) (*v1.ListTeamsResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	at, ok := principalOf(ctx).within(r.Organization, "")
	if !ok {
		return &v1.ListTeamsResponse{}, nil
	}
	if at.team != "" { // it reaches one
		t, err := s.GetTeam(ctx, &v1.GetRequest{Id: at.team})
		if broken(err) {
			return nil, err
		}
		if err != nil {
			return &v1.ListTeamsResponse{}, nil //nolint:nilerr // one that only the file has is not in the store
		}
		return &v1.ListTeamsResponse{Teams: []*v1.Team{t}}, nil
	}
	all, next, err := s.store.Teams(ctx, at.organization, p)
	return &v1.ListTeamsResponse{Teams: each(all, team), NextToken: next}, err
}

// UpdateTeam implements adminv1connect.TeamServiceHandler.
func (s teams) UpdateTeam(ctx context.Context, r *v1.UpdateTeamRequest) (*v1.Team, error) {
	if err := s.may(ctx, store.KindTeam, r.Name, true); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Team, error) {
		t, err := tx.UpdateTeam(r.Name, r.Version, func(t *store.Team) error { t.Title = r.Title; return nil })
		return team(&t), err
	})
}

// DeleteTeam implements adminv1connect.TeamServiceHandler.
func (s teams) DeleteTeam(ctx context.Context, r *v1.DeleteRequest) (*v1.DeleteResponse, error) {
	return s.remove(ctx, store.KindTeam, r, r.Id, (*store.Tx).DeleteTeam)
}

// SetProviderKey implements adminv1connect.TeamServiceHandler.
func (s teams) SetProviderKey(ctx context.Context, r *v1.SetProviderKeyRequest) (*v1.ProviderKey, error) {
	if err := s.may(ctx, store.KindProviderKey, r.Team+":"+r.Provider, true); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.ProviderKey, error) {
		k, err := tx.SetProviderKey(r.Team, r.Provider, secret.New(r.Key))
		return providerKey(&k), err
	})
}

// ListProviderKeys implements adminv1connect.TeamServiceHandler.
func (s teams) ListProviderKeys(ctx context.Context, r *v1.ListProviderKeysRequest) (*v1.ListProviderKeysResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	if who := principalOf(ctx); !who.Root {
		if r.Team = cmp.Or(r.Team, who.Owner.Team); r.Team == "" {
			return nil, invalid("team", "is due")
		}
		if err := s.may(ctx, store.KindTeam, r.Team, false); err != nil {
			return nil, err
		}
	}
	all, next, err := s.store.ProviderKeys(ctx, r.Team, p)
	return &v1.ListProviderKeysResponse{ProviderKeys: each(all, providerKey), NextToken: next}, err
}

// DeleteProviderKey implements adminv1connect.TeamServiceHandler.
func (s teams) DeleteProviderKey(ctx context.Context, r *v1.DeleteRequest) (*v1.DeleteResponse, error) {
	return s.remove(ctx, store.KindProviderKey, r, r.Id, (*store.Tx).DeleteProviderKey)
}

// projects serves ProjectService.
type projects struct{ *Server }

// CreateProject implements adminv1connect.ProjectServiceHandler.
func (s projects) CreateProject(ctx context.Context, r *v1.CreateProjectRequest) (*v1.Project, error) {
	if who := principalOf(ctx); !who.Root {
		at, err := s.place(ctx, store.KindTeam, r.Team)
		if broken(err) {
			return nil, err
		}
		if err != nil || who.may(store.KindProject, r.Team, at, true) != nil {
			return nil, invalid("team", "there is no such team that you may change")
		}
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Project, error) {
		p := store.Project{Name: r.Name, Team: r.Team, Title: r.Title}
		err := tx.CreateProject(&p)
		return project(&p), err
	})
}

// GetProject implements adminv1connect.ProjectServiceHandler.
func (s projects) GetProject(ctx context.Context, r *v1.GetRequest) (*v1.Project, error) {
	if err := s.may(ctx, store.KindProject, r.Id, false); err != nil {
		return nil, err
	}
	p, err := s.store.Project(ctx, r.Id)
	return project(&p), err
}

// ListProjects implements adminv1connect.ProjectServiceHandler.
func (s projects) ListProjects(ctx context.Context, r *v1.ListProjectsRequest) (*v1.ListProjectsResponse, error) {
	p, err := page(r.Page)
	if err != nil {
		return nil, err
	}
	if who := principalOf(ctx); !who.Root { // a team is due, for projects lie in teams
		if r.Team = cmp.Or(r.Team, who.Owner.Team); r.Team == "" {
			return nil, invalid("team", "is due")
		}
		if err := s.may(ctx, store.KindTeam, r.Team, false); err != nil {
			return nil, err
		}
	}
	all, next, err := s.store.Projects(ctx, r.Team, p)
	return &v1.ListProjectsResponse{Projects: each(all, project), NextToken: next}, err
}

// UpdateProject implements adminv1connect.ProjectServiceHandler.
func (s projects) UpdateProject(ctx context.Context, r *v1.UpdateProjectRequest) (*v1.Project, error) {
	if err := s.may(ctx, store.KindProject, r.Name, true); err != nil {
		return nil, err
	}
	return write(ctx, s.Server, r, nil, func(tx *store.Tx) (*v1.Project, error) {
		p, err := tx.UpdateProject(r.Name, r.Version, func(p *store.Project) error { p.Title = r.Title; return nil })
		return project(&p), err
	})
}

// DeleteProject implements adminv1connect.ProjectServiceHandler.
func (s projects) DeleteProject(ctx context.Context, r *v1.DeleteRequest) (*v1.DeleteResponse, error) {
	return s.remove(ctx, store.KindProject, r, r.Id, (*store.Tx).DeleteProject)
}

// remove deletes the object of an id. Whether who asks may is told where nothing answers a repeated request: what it
// deleted is out of reach.
func (s *Server) remove(ctx context.Context, kind store.Kind, r *v1.DeleteRequest, id string, f func(*store.Tx, string, int64) error) (*v1.DeleteResponse, error) {
	refused := s.may(ctx, kind, id, true)
	return write(ctx, s, r, nil, func(tx *store.Tx) (*v1.DeleteResponse, error) {
		if refused != nil {
			return nil, refused
		}
		return &v1.DeleteResponse{}, f(tx, id, r.Version)
	})
}

// cut parts the id of a provider key.
func cut(id string) (team, provider string, ok bool) { return strings.Cut(id, ":") }
