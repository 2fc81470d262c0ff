package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// storeCmds manage what a store has, beside its keys.
type storeCmds struct {
	Organizations organizationsCmd `cmd:"" help:"Manage organizations of a store."`
	Teams         teamsCmd         `cmd:"" help:"Manage teams of a store."`
	Projects      projectsCmd      `cmd:"" help:"Manage projects of a store."`
	Budgets       budgetsCmd       `cmd:"" help:"Manage budgets of a store."`
	Experiments   experimentsCmd   `cmd:"" help:"Show what came of experiments, and start, stop or promote them."`
}

// organizationsCmd manages organizationsAPI.
type organizationsCmd struct {
	Create organizationCreate `cmd:"" help:"Make an organization."`
	List   organizationList   `cmd:"" help:"List organizations."`
	Show   organizationShow   `cmd:"" help:"Show one."`
	Change organizationChange `cmd:"" help:"Change its title."`
	Delete organizationDelete `cmd:"" help:"Delete one without teams and keys."`
}

type (
	organizationsAPI = adminv1connect.OrganizationServiceClient
	teamsAPI         = adminv1connect.TeamServiceClient
	projectsAPI      = adminv1connect.ProjectServiceClient
)

func showOrganization(w io.Writer, o *v1.Organization) {
	fieldLines(w, "name", o.Name, "title", o.Title, "created", moment(o.Stamp.GetCreated()), "version", versionOf(o.Stamp))
}

type organizationCreate struct{ titled }

// Run asks the admin API.
func (c *organizationCreate) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizationsAPI.CreateOrganization, &v1.CreateOrganizationRequest{Name: c.Name, Title: c.Title}, showOrganization)
}

type organizationList struct {
	apiFlags
	pageFlags
}

// Run asks the admin API.
func (c *organizationList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizationsAPI.ListOrganizations, &v1.ListOrganizationsRequest{Page: c.page()}, listing("NAME TITLE", (*v1.ListOrganizationsResponse).GetOrganizations, func(o *v1.Organization) []string {
		return []string{o.Name, o.Title}
	}))
}

type organizationShow struct{ named }

// Run asks the admin API.
func (c *organizationShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizationsAPI.GetOrganization, c.get(), showOrganization)
}

type organizationChange struct{ retitled }

// Run asks the admin API.
func (c *organizationChange) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizationsAPI.UpdateOrganization, &v1.UpdateOrganizationRequest{Name: c.Name, Version: c.Version, Title: c.Title}, showOrganization)
}

type organizationDelete struct{ removed }

// Run asks the admin API.
func (c *organizationDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewOrganizationServiceClient, organizationsAPI.DeleteOrganization, c.remove(c.Name), done(c.Name))
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
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.SetProviderKey, &v1.SetProviderKeyRequest{Team: c.Team, Provider: c.Provider, Key: key}, func(w io.Writer, k *v1.ProviderKey) {
		fieldLines(w, "id", k.Id, "key", k.Hint, "version", versionOf(k.Stamp))
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
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.ListProviderKeys, &v1.ListProviderKeysRequest{Page: c.page(), Team: c.Team}, listing("ID TEAM PROVIDER KEY CHANGED", (*v1.ListProviderKeysResponse).GetProviderKeys, func(k *v1.ProviderKey) []string {
		return []string{k.Id, k.Team, k.Provider, k.Hint, moment(k.Stamp.GetChanged())}
	}))
}

type providerKeyDelete struct {
	apiFlags
	ID string `arg:"" help:"Its id, TEAM:PROVIDER."`
	versioned
}

// Run asks the admin API.
func (c *providerKeyDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.DeleteProviderKey, c.remove(c.ID), done(c.ID))
}

func showTeam(w io.Writer, t *v1.Team) {
	fieldLines(w, "name", t.Name, "organization", t.Organization, "title", t.Title, "created", moment(t.Stamp.GetCreated()), "version", versionOf(t.Stamp))
}

type teamCreate struct {
	titled
	Organization string `default:"default" help:"The organization that it belongs to."`
}

// Run asks the admin API.
func (c *teamCreate) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.CreateTeam, &v1.CreateTeamRequest{Name: c.Name, Organization: c.Organization, Title: c.Title}, showTeam)
}

type teamList struct {
	apiFlags
	pageFlags
	Organization string `help:"Of this organization."`
}

// Run asks the admin API.
func (c *teamList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.ListTeams, &v1.ListTeamsRequest{Page: c.page(), Organization: c.Organization}, listing("NAME ORGANIZATION TITLE", (*v1.ListTeamsResponse).GetTeams, func(t *v1.Team) []string {
		return []string{t.Name, t.Organization, t.Title}
	}))
}

type teamShow struct{ named }

// Run asks the admin API.
func (c *teamShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.GetTeam, c.get(), showTeam)
}

type teamChange struct{ retitled }

// Run asks the admin API.
func (c *teamChange) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.UpdateTeam, &v1.UpdateTeamRequest{Name: c.Name, Version: c.Version, Title: c.Title}, showTeam)
}

type teamDelete struct{ removed }

// Run asks the admin API.
func (c *teamDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewTeamServiceClient, teamsAPI.DeleteTeam, c.remove(c.Name), done(c.Name))
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
	fieldLines(w, "name", p.Name, "team", p.Team, "title", p.Title, "created", moment(p.Stamp.GetCreated()), "version", versionOf(p.Stamp))
}

type projectCreate struct {
	titled
	Team string `required:"" help:"The team that it belongs to."`
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
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.ListProjects, &v1.ListProjectsRequest{Page: c.page(), Team: c.Team}, listing("NAME TEAM TITLE", (*v1.ListProjectsResponse).GetProjects, func(p *v1.Project) []string {
		return []string{p.Name, p.Team, p.Title}
	}))
}

type projectShow struct{ named }

// Run asks the admin API.
func (c *projectShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.GetProject, c.get(), showProject)
}

type projectChange struct{ retitled }

// Run asks the admin API.
func (c *projectChange) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.UpdateProject, &v1.UpdateProjectRequest{Name: c.Name, Version: c.Version, Title: c.Title}, showProject)
}

type projectDelete struct{ removed }

// Run asks the admin API.
func (c *projectDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewProjectServiceClient, projectsAPI.DeleteProject, c.remove(c.Name), done(c.Name))
}

// auditCmd lists changes.
type auditCmd struct {
	apiFlags
	pageFlags
	Kind   string `placeholder:"KIND" help:"Of objects of this kind: organization, team, project, key, budget, provider_key, experiment, template or ledger."`
	Object string `placeholder:"ID" help:"Of this object, by its name or id."`
	Actor  string `placeholder:"NAME" help:"By this actor."`
	Action string `placeholder:"NAME" help:"What was done, as create, update, rotate or delete."`
	From   string `placeholder:"TIME" help:"From then on: 2026-08-01, 2026-08-01T12:00:00Z, or 7d, 12h, 30m ago."`
	Until  string `placeholder:"TIME" help:"Before then."`
	Diff   bool   `help:"Show of each change what was before and after."`
}

// Run asks the admin API.
func (c *auditCmd) Run(s streams) error {
	r := &v1.ListChangesRequest{Page: c.page(), Kind: c.Kind, Object: c.Object, Actor: c.Actor, Action: c.Action}
	now := time.Now().UTC()
	for _, t := range []struct {
		flag, value string
		to          **timestamppb.Timestamp
	}{{"--from", c.From, &r.From}, {"--until", c.Until, &r.Until}} {
		if t.value == "" {
			continue
		}
		v, err := when(t.value, now)
		if err != nil {
			return fmt.Errorf("%s: %w", t.flag, err)
		}
		*t.to = timestamppb.New(v)
	}
	show := listing("SEQ AT ACTOR ADDRESS ACTION KIND OBJECT", (*v1.ListChangesResponse).GetChanges, func(e *v1.Change) []string {
		return []string{strconv.FormatInt(e.Seq, 10), moment(e.At), e.Actor, e.Address, e.Action, e.Kind, e.Object}
	})
	if c.Diff {
		show = showChanges
	}
	return call(&c.apiFlags, s, adminv1connect.NewAuditServiceClient, adminv1connect.AuditServiceClient.ListChanges, r, show)
}

// showChanges writes changes one below the other, each with what it changed.
func showChanges(w io.Writer, r *v1.ListChangesResponse) {
	for _, e := range r.Changes {
		from := ""
		if e.Address != "" {
			from = " from " + e.Address
		}
		fmt.Fprintf(w, "%d  %s  %s%s  %s %s %s\n", e.Seq, moment(e.At), e.Actor, from, e.Action, e.Kind, e.Object)
		for _, line := range differences(e.Before, e.After) {
			fmt.Fprintln(w, "   ", line)
		}
	}
	if r.NextToken != "" {
		fmt.Fprintf(w, "there are more: --after %s\n", r.NextToken)
	}
}

// differences returns a line for each member of two JSON objects that is not the same in both, in the order of names; one that is
// "" has none. What changes with every change is left out.
func differences(before, after string) (out []string) {
	was, is := members(before), members(after)
	names := slices.Collect(maps.Keys(was))
	for n := range is {
		if _, both := was[n]; !both {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		a, old := was[n]
		b, now := is[n]
		switch {
		case a == b || n == "changed" || n == "version":
		case !old:
			out = append(out, "+ "+n+": "+b)
		case !now:
			out = append(out, "- "+n+": "+a)
		default:
			out = append(out, "~ "+n+": "+a+" → "+b)
		}
	}
	return out
}

// members returns the members of a JSON object as they are written, but for those that say nothing.
func members(object string) map[string]string {
	out := map[string]string{}
	for name, v := range jsonx.Members([]byte(object)) {
		if s := string(v); s != `""` && s != "null" && s != "[]" && s != "{}" && s != "0" && s != "false" {
			out[string(name)] = s
		}
	}
	return out
}
