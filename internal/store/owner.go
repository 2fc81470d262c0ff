package store

import (
	"cmp"
	"context"
	"errors"
	"regexp"

	"github.com/signalbox-ai/signalbox/internal/owner"
)

// Organization is one that pays.
type Organization struct {
	Name  string `json:"name"`
	Title string `json:"title"` // for people
	Stamp
}

// Team is a part of an organization.
type Team struct {
	Name         string `json:"name"`
	Organization string `json:"organization"`
	Title        string `json:"title"`
	Stamp
}

// Project is a part of a team's work.
type Project struct {
	Name  string `json:"name"`
	Team  string `json:"team"`
	Title string `json:"title"`
	Stamp
}

func organizations() *table[Organization] {
	return &table[Organization]{
		kind: KindOrganization, name: "organizations", key: "name", columns: []string{"name", "title"},
		fields: func(o *Organization) []any { return []any{o.Name, o.Title} },
		scan:   func(o *Organization) []any { return []any{&o.Name, &o.Title} },
		id:     func(o *Organization) string { return o.Name }, stamp: func(o *Organization) *Stamp { return &o.Stamp },
	}
}

func teams() *table[Team] {
	return &table[Team]{
		kind: KindTeam, name: "teams", key: "name", columns: []string{"name", "organization", "title"},
		fields: func(t *Team) []any { return []any{t.Name, t.Organization, t.Title} },
		scan:   func(t *Team) []any { return []any{&t.Name, &t.Organization, &t.Title} },
		id:     func(t *Team) string { return t.Name }, stamp: func(t *Team) *Stamp { return &t.Stamp },
	}
}

func projects() *table[Project] {
	return &table[Project]{
		kind: KindProject, name: "projects", key: "name", columns: []string{"name", "team", "title"},
		fields: func(p *Project) []any { return []any{p.Name, p.Team, p.Title} },
		scan:   func(p *Project) []any { return []any{&p.Name, &p.Team, &p.Title} },
		id:     func(p *Project) string { return p.Name }, stamp: func(p *Project) *Stamp { return &p.Stamp },
	}
}

var names = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// maxTitle bounds a title, in bytes.
const maxTitle = 200

func checkName(field, name string) error {
	if !names.MatchString(name) {
		return fault(Invalid, field, "%s: a name has lower-case letters, digits, dot, dash and underscore, begins with a letter or digit, and has at most 64 characters", field)
	}
	return nil
}

func checkTitle(title string) error {
	if len(title) > maxTitle {
		return fault(Invalid, "title", "title: at most %d bytes", maxTitle)
	}
	return nil
}

// needs turns a missing object into a wrong field.
func needs(field string, err error) error {
	if f, ok := errors.AsType[*Fault](err); ok && f.Reason == Missing {
		return fault(Invalid, field, "%s: %s", field, f.Message)
	}
	return err
}

// Organization reads one.
func (s *Store) Organization(ctx context.Context, name string) (Organization, error) {
	return organizations().get(ctx, s, s.db, name)
}

// Organizations reads a page of them, by name.
func (s *Store) Organizations(ctx context.Context, p Page) ([]Organization, string, error) {
	return organizations().list(ctx, s, nil, p)
}

// CreateOrganization makes one.
func (t *Tx) CreateOrganization(o *Organization) error {
	if o.Name == owner.OwnTraffic {
		return fault(Invalid, "name", "name: %s is what traffic of the gateway's own is charged to", o.Name)
	}
	if err := cmp.Or(checkName("name", o.Name), checkTitle(o.Title)); err != nil {
		return err
	}
	return organizations().insert(t, o)
}

// UpdateOrganization changes the title.
func (t *Tx) UpdateOrganization(name string, version int64, change func(*Organization) error) (Organization, error) {
	return organizations().update(t, name, version, "update", func(o *Organization) error {
		err := change(o)
		o.Name = name
		return cmp.Or(err, checkTitle(o.Title))
	})
}

// DeleteOrganization deletes one without teams and keys.
func (t *Tx) DeleteOrganization(name string, version int64) error {
	if _, err := organizations().hold(t, name, going); err != nil {
		return err
	}
	if err := t.unlimited("organization", name); err != nil {
		return err
	}
	return organizations().remove(t, name, version, condition{"teams.organization", "teams"}, condition{"api_keys.organization", "keys"})
}

// Team reads one.
func (s *Store) Team(ctx context.Context, name string) (Team, error) {
	return teams().get(ctx, s, s.db, name)
}

// Teams reads a page of them, by name; of an organization, where one is given.
func (s *Store) Teams(ctx context.Context, organization string, p Page) ([]Team, string, error) {
	return teams().list(ctx, s, []condition{{"organization", organization}}, p)
}

// CreateTeam makes one.
func (t *Tx) CreateTeam(v *Team) error {
	if err := cmp.Or(checkName("name", v.Name), checkTitle(v.Title)); err != nil {
		return err
	}
	if _, err := organizations().hold(t, v.Organization, staying); err != nil {
		return needs("organization", err)
	}
	return teams().insert(t, v)
}

// UpdateTeam changes the title; a team stays in its organization, for what it used is charged there.
func (t *Tx) UpdateTeam(name string, version int64, change func(*Team) error) (Team, error) {
	return teams().update(t, name, version, "update", func(v *Team) error {
		was := v.Organization
		err := change(v)
		v.Name, v.Organization = name, was
		return cmp.Or(err, checkTitle(v.Title))
	})
}

// DeleteTeam deletes one without projects, keys and provider keys.
func (t *Tx) DeleteTeam(name string, version int64) error {
	if _, err := teams().hold(t, name, going); err != nil {
		return err
	}
	if err := t.unlimited("team", name); err != nil {
		return err
	}
	return teams().remove(t, name, version, condition{"projects.team", "projects"}, condition{"api_keys.team", "keys"}, condition{"provider_keys.team", "provider keys"})
}

// Project reads one.
func (s *Store) Project(ctx context.Context, name string) (Project, error) {
	return projects().get(ctx, s, s.db, name)
}

// Projects reads a page of them, by name; of a team, where one is given.
func (s *Store) Projects(ctx context.Context, team string, p Page) ([]Project, string, error) {
	return projects().list(ctx, s, []condition{{"team", team}}, p)
}

// CreateProject makes one.
func (t *Tx) CreateProject(v *Project) error {
	if err := cmp.Or(checkName("name", v.Name), checkTitle(v.Title)); err != nil {
		return err
	}
	if _, err := teams().hold(t, v.Team, staying); err != nil {
		return needs("team", err)
	}
	return projects().insert(t, v)
}

// UpdateProject changes the title; a project stays in its team.
func (t *Tx) UpdateProject(name string, version int64, change func(*Project) error) (Project, error) {
	return projects().update(t, name, version, "update", func(v *Project) error {
		was := v.Team
		err := change(v)
		v.Name, v.Team = name, was
		return cmp.Or(err, checkTitle(v.Title))
	})
}

// DeleteProject deletes one without keys.
func (t *Tx) DeleteProject(name string, version int64) error {
	if _, err := projects().hold(t, name, going); err != nil {
		return err
	}
	if err := t.unlimited("project", name); err != nil {
		return err
	}
	return projects().remove(t, name, version, condition{"api_keys.project", "keys"})
}

// Adopt makes the owners that are not there yet. Replicas that do so at once wait for each other.
func (t *Tx) Adopt(os []Organization, ts []Team, ps []Project) error {
	if err := t.alone("adopt"); err != nil {
		return err
	}
	if err := adopt(t, organizations(), os, t.CreateOrganization); err != nil {
		return err
	}
	if err := adopt(t, teams(), ts, t.CreateTeam); err != nil {
		return err
	}
	return adopt(t, projects(), ps, t.CreateProject)
}

func adopt[T any](t *Tx, kept *table[T], all []T, create func(*T) error) error {
	for i := range all {
		_, err := kept.get(t.ctx, t.s, t.tx, kept.id(&all[i]))
		if f, ok := errors.AsType[*Fault](err); ok && f.Reason == Missing {
			err = create(&all[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
