package main

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"

	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// storeCmds manage what a store has, beside its keys.
type storeCmds struct {
	Organizations organizationsCmd `cmd:"" help:"Manage organizations of a store."`
	Teams         teamsCmd         `cmd:"" help:"Manage teams of a store."`
	Projects      projectsCmd      `cmd:"" help:"Manage projects of a store."`
	Budgets       budgetsCmd       `cmd:"" help:"Manage budgets of a store."`
}

// organizationsCmd manages organizations.
type organizationsCmd struct {
	Create organizationCreate `cmd:"" help:"Make an organization."`
	List   organizationList   `cmd:"" help:"List organizations."`
	Show   organizationShow   `cmd:"" help:"Show one."`
	Change organizationChange `cmd:"" help:"Change its title."`
	Delete organizationDelete `cmd:"" help:"Delete one without teams and keys."`
}

type (
	organizations = adminv1connect.OrganizationServiceClient
	teamsClient   = adminv1connect.TeamServiceClient
	projectsAPI   = adminv1connect.ProjectServiceClient
)

func showOrganization(w io.Writer, o *v1.Organization) {
	fieldLines(w, "name", o.Name, "title", o.Title, "created", day(o.Stamp.GetCreated()), "version", strconv.FormatInt(o.Stamp.GetVersion(), 10))
}

type organizationCreate struct {
	apiFlags
	Name  string `arg:"" help:"Its name."`
	Title string `help:"A title, for people."`
}

// Run asks the admin API.
func (c *organizationCreate) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizations.CreateOrganization, &v1.CreateOrganizationRequest{Name: c.Name, Title: c.Title}, showOrganization)
}

type organizationList struct {
	apiFlags
	pageFlags
}

// Run asks the admin API.
func (c *organizationList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizations.ListOrganizations, &v1.ListOrganizationsRequest{Page: c.page()}, func(w io.Writer, r *v1.ListOrganizationsResponse) {
		var rows [][]string
		for _, o := range r.Organizations {
			rows = append(rows, []string{o.Name, o.Title})
		}
		columns(w, "NAME TITLE", rows)
		more(w, r.NextToken)
	})
}

type organizationShow struct {
	apiFlags
	Name string `arg:"" help:"Its name."`
}

// Run asks the admin API.
func (c *organizationShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizations.GetOrganization, &v1.GetRequest{Id: c.Name}, showOrganization)
}

type organizationChange struct {
	apiFlags
	Name    string `arg:"" help:"Its name."`
	Title   string `required:"" help:"The new title."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *organizationChange) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizations.UpdateOrganization, &v1.UpdateOrganizationRequest{Name: c.Name, Version: c.Version, Title: c.Title}, showOrganization)
}

type organizationDelete struct {
	apiFlags
	Name    string `arg:"" help:"Its name."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *organizationDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizations.DeleteOrganization, &v1.DeleteRequest{Id: c.Name, Version: c.Version}, done(c.Name))
}

// teamsCmd manages teams.
type teamsCmd struct {
	Create teamCreate `cmd:"" help:"Make a team."`
	List   teamList   `cmd:"" help:"List teams."`
	Show   teamShow   `cmd:"" help:"Show one."`
	Change teamChange `cmd:"" help:"Change its title."`
	Delete teamDelete `cmd:"" help:"Delete one without projects, keys and provider keys."`

	ProviderKeys providerKeysCmd `cmd:"" help:"Manage teams' own keys of providers."`
}

// providerKeysCmd manages teams' own keys of providers.
type providerKeysCmd struct {
	Set    providerKeySet    `cmd:"" help:"Read a team's key of a provider from standard input and keep it, encrypted."`
	List   providerKeyList   `cmd:"" help:"List them, without the keys."`
	Delete providerKeyDelete `cmd:"" help:"Delete one: the gateway's keys are used again."`
}

type providerKeySet struct {
	apiFlags
	Team     string `arg:"" help:"The team."`
	Provider string `arg:"" help:"The provider's name in the configuration."`
}

// Run reads the key so that it stands in no history and no process list.
func (c *providerKeySet) Run(s streams) error {
	line, err := bufio.NewReader(s.in).ReadString('\n')
	key := strings.TrimSpace(line)
	if key == "" {
		return errors.Join(errors.New("no key on the first line of standard input"), ignoreEnd(err))
	}
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.SetProviderKey, &v1.SetProviderKeyRequest{Team: c.Team, Provider: c.Provider, Key: key}, func(w io.Writer, k *v1.ProviderKey) {
		fieldLines(w, "id", k.Id, "key", k.Hint, "version", strconv.FormatInt(k.Stamp.GetVersion(), 10))
	})
}

// ignoreEnd is err, but for the end of what is read.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

type providerKeyList struct {
	apiFlags
	pageFlags
	Team string `help:"Of this team."`
}

// Run asks the admin API.
func (c *providerKeyList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.ListProviderKeys, &v1.ListProviderKeysRequest{Page: c.page(), Team: c.Team}, func(w io.Writer, r *v1.ListProviderKeysResponse) {
		var rows [][]string
		for _, k := range r.ProviderKeys {
			rows = append(rows, []string{k.Id, k.Team, k.Provider, k.Hint, day(k.Stamp.GetChanged())})
		}
		columns(w, "ID TEAM PROVIDER KEY CHANGED", rows)
		more(w, r.NextToken)
	})
}

type providerKeyDelete struct {
	apiFlags
	ID      string `arg:"" help:"Its id, TEAM:PROVIDER."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *providerKeyDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.DeleteProviderKey, &v1.DeleteRequest{Id: c.ID, Version: c.Version}, done(c.ID))
}

func showTeam(w io.Writer, t *v1.Team) {
	fieldLines(w, "name", t.Name, "organization", t.Organization, "title", t.Title, "created", day(t.Stamp.GetCreated()), "version", strconv.FormatInt(t.Stamp.GetVersion(), 10))
}

type teamCreate struct {
	apiFlags
	Name         string `arg:"" help:"Its name."`
	Organization string `default:"default" help:"The organization that it belongs to."`
	Title        string `help:"A title, for people."`
}

// Run asks the admin API.
func (c *teamCreate) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.CreateTeam, &v1.CreateTeamRequest{Name: c.Name, Organization: c.Organization, Title: c.Title}, showTeam)
}

type teamList struct {
	apiFlags
	pageFlags
	Organization string `help:"Of this organization."`
}

// Run asks the admin API.
func (c *teamList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.ListTeams, &v1.ListTeamsRequest{Page: c.page(), Organization: c.Organization}, func(w io.Writer, r *v1.ListTeamsResponse) {
		var rows [][]string
		for _, t := range r.Teams {
			rows = append(rows, []string{t.Name, t.Organization, t.Title})
		}
		columns(w, "NAME ORGANIZATION TITLE", rows)
		more(w, r.NextToken)
	})
}

type teamShow struct {
	apiFlags
	Name string `arg:"" help:"Its name."`
}

// Run asks the admin API.
func (c *teamShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.GetTeam, &v1.GetRequest{Id: c.Name}, showTeam)
}

type teamChange struct {
	apiFlags
	Name    string `arg:"" help:"Its name."`
	Title   string `required:"" help:"The new title."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *teamChange) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.UpdateTeam, &v1.UpdateTeamRequest{Name: c.Name, Version: c.Version, Title: c.Title}, showTeam)
}

type teamDelete struct {
	apiFlags
	Name    string `arg:"" help:"Its name."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *teamDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsClient.DeleteTeam, &v1.DeleteRequest{Id: c.Name, Version: c.Version}, done(c.Name))
}

// projectsCmd manages projects.
type projectsCmd struct {
	Create projectCreate `cmd:"" help:"Make a project."`
	List   projectList   `cmd:"" help:"List projects."`
	Show   projectShow   `cmd:"" help:"Show one."`
	Change projectChange `cmd:"" help:"Change its title."`
	Delete projectDelete `cmd:"" help:"Delete one without keys."`
}

func showProject(w io.Writer, p *v1.Project) {
	fieldLines(w, "name", p.Name, "team", p.Team, "title", p.Title, "created", day(p.Stamp.GetCreated()), "version", strconv.FormatInt(p.Stamp.GetVersion(), 10))
}

type projectCreate struct {
	apiFlags
	Name  string `arg:"" help:"Its name."`
	Team  string `required:"" help:"The team that it belongs to."`
	Title string `help:"A title, for people."`
}

// Run asks the admin API.
func (c *projectCreate) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.CreateProject, &v1.CreateProjectRequest{Name: c.Name, Team: c.Team, Title: c.Title}, showProject)
}

type projectList struct {
	apiFlags
	pageFlags
	Team string `help:"Of this team."`
}

// Run asks the admin API.
func (c *projectList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.ListProjects, &v1.ListProjectsRequest{Page: c.page(), Team: c.Team}, func(w io.Writer, r *v1.ListProjectsResponse) {
		var rows [][]string
		for _, p := range r.Projects {
			rows = append(rows, []string{p.Name, p.Team, p.Title})
		}
		columns(w, "NAME TEAM TITLE", rows)
		more(w, r.NextToken)
	})
}

type projectShow struct {
	apiFlags
	Name string `arg:"" help:"Its name."`
}

// Run asks the admin API.
func (c *projectShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.GetProject, &v1.GetRequest{Id: c.Name}, showProject)
}

type projectChange struct {
	apiFlags
	Name    string `arg:"" help:"Its name."`
	Title   string `required:"" help:"The new title."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *projectChange) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.UpdateProject, &v1.UpdateProjectRequest{Name: c.Name, Version: c.Version, Title: c.Title}, showProject)
}

type projectDelete struct {
	apiFlags
	Name    string `arg:"" help:"Its name."`
	Version int64  `help:"The version that is meant; 0: any."`
}

// Run asks the admin API.
func (c *projectDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.DeleteProject, &v1.DeleteRequest{Id: c.Name, Version: c.Version}, done(c.Name))
}
