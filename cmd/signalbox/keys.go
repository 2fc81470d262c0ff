package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/config/access"
	v1 "github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1"
	"github.com/signalbox-ai/signalbox/proto/signalbox/admin/v1/adminv1connect"
)

// keysCmd makes client keys, and manages those of a store.
type keysCmd struct {
	New     keysNewCmd  `cmd:"" help:"Make a new key for the configuration file and print it with its hash. It asks no server."`
	Hash    keysHashCmd `cmd:"" help:"Read a key from standard input and print its hash for the configuration."`
	Create  keyCreate   `cmd:"" help:"Issue a key."`
	List    keyList     `cmd:"" help:"List issued keys."`
	Show    keyShow     `cmd:"" help:"Show one."`
	Change  keyChange   `cmd:"" help:"Change its name, role, scope or expiry."`
	Rotate  keyRotate   `cmd:"" help:"Give it a new secret; the one before it goes on for a while."`
	Disable keyDisable  `cmd:"" help:"Keep it from letting in, until it is enabled."`
	Enable  keyEnable   `cmd:"" help:"Let it in again."`
	Revoke  keyRevoke   `cmd:"" help:"End it for good."`
	Delete  keyDelete   `cmd:"" help:"Delete it."`
}

type keysNewCmd struct {
	Env string `default:"live" help:"A word in the key that says where it is for (lower-case letters and digits)."`
}

// Run prints a new key once, and what the configuration gets in its place.
func (c *keysNewCmd) Run(s streams) error {
	key, err := auth.Generate(c.Env)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "key:  %s\nhash: %s\n\nThe key is shown this once. The configuration gets the hash:\n  keys: [ { name: NAME, hash: \"%s\" } ]\n", key, auth.HashKey(key), auth.HashKey(key))
	return err
}

type keysHashCmd struct{}

// Run reads a key so that it stands in no history and no process list.
func (c *keysHashCmd) Run(s streams) error {
	line, err := bufio.NewReader(s.in).ReadString('\n')
	key := strings.TrimSpace(line)
	if key == "" {
		if err != nil {
			return fmt.Errorf("no key on standard input; try: printf %%s \"$KEY\" | signalbox keys hash")
		}
		return fmt.Errorf("the first line of standard input is empty")
	}
	if err := auth.WellFormed(key); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, auth.HashKey(key))
	return err
}

type keysAPI = adminv1connect.KeyServiceClient

// scopeFlags bound what a key may be used for.
type scopeFlags struct {
	Models     []string `help:"Models that it may use, by names and patterns."`
	Routes     []string `help:"Routes that it may use."`
	Operations []string `help:"What it may ask for, as chat,embed."`
	Regions    []string `help:"Regions of providers that it may use."`
	Networks   []string `help:"Networks of its clients, as 10.0.0.0/8."`
	Templates  []string `help:"Prompt templates that it may use, by names and patterns, or single versions as support-reply@3."`
}

// scope gives the message; nil: no flag was given. A list that is one empty text bounds nothing.
func (f *scopeFlags) scope() *v1.Scope {
	given := false
	list := func(in []string) []string {
		given = given || in != nil
		if len(in) == 1 && in[0] == "" {
			return nil
		}
		return in
	}
	s := &v1.Scope{Models: list(f.Models), Routes: list(f.Routes), Operations: list(f.Operations), Regions: list(f.Regions), Networks: list(f.Networks), Templates: list(f.Templates)}
	if !given {
		return nil
	}
	return s
}

func expiry(s string) (*timestamppb.Timestamp, error) {
	if s == "" || s == "never" {
		return nil, nil //nolint:nilnil // unset is a time that never comes
	}
	t, err := access.ParseTime(s)
	if err != nil {
		return nil, fmt.Errorf("--expires %w", err)
	}
	return timestamppb.New(t), nil
}

func showKey(w io.Writer, k *v1.Key) {
	s := k.Scope
	fieldLines(w, "id", k.Id, "name", k.Name, "state", k.State, "organization", k.Organization, "team", k.Team, "project", k.Project, "role", k.Role,
		"models", strings.Join(s.GetModels(), ", "), "routes", strings.Join(s.GetRoutes(), ", "), "operations", strings.Join(s.GetOperations(), ", "),
		"regions", strings.Join(s.GetRegions(), ", "), "networks", strings.Join(s.GetNetworks(), ", "), "templates", strings.Join(s.GetTemplates(), ", "), "expires", moment(k.Expires), "version", versionOf(k.Stamp))
	for _, x := range k.Secrets {
		until := ""
		if x.Until != nil {
			until = ", until " + moment(x.Until)
		}
		fmt.Fprintf(w, "secret %s of %s%s\n", x.Hint, moment(x.Created), until)
	}
}

func showIssued(w io.Writer, r *v1.CreateKeyResponse) {
	if r.Secret == "" {
		fmt.Fprintln(w, "This was done before; the key is not shown again.")
	} else {
		fmt.Fprintf(w, "key: %s\n\nThe key is shown this once.\n\n", r.Secret)
	}
	showKey(w, r.Key)
}

type keyCreate struct {
	apiFlags
	scopeFlags
	Name         string `arg:"" help:"Its name."`
	Organization string `help:"Whom it belongs to, where no team is said."`
	Team         string `help:"The team that it belongs to."`
	Project      string `help:"The project that it is for."`
	Role         string `default:"member" enum:"owner,admin,member,viewer,billing" help:"What its owner may do: owner, admin, member, viewer or billing."`
	Expires      string `help:"When it ends: a day, which is the last one, or a time (RFC 3339)."`
	Env          string `default:"live" help:"A word in the key that says where it is for."`
}

// Run asks the admin API.
func (c *keyCreate) Run(s streams) error {
	until, err := expiry(c.Expires)
	if err != nil {
		return err
	}
	if c.Organization+c.Team+c.Project == "" {
		c.Organization = "default"
	}
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.CreateKey, &v1.CreateKeyRequest{
		Name: c.Name, Organization: c.Organization, Team: c.Team, Project: c.Project, Role: c.Role, Scope: c.scope(), Expires: until, Env: c.Env,
	}, showIssued)
}

type keyList struct {
	apiFlags
	pageFlags
	Organization string `help:"Of this organization."`
	Team         string `help:"Of this team."`
	Project      string `help:"Of this project."`
	State        string `help:"In this state: active, disabled or revoked."`
}

// Run asks the admin API.
func (c *keyList) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.ListKeys, &v1.ListKeysRequest{Page: c.page(), Organization: c.Organization, Team: c.Team, Project: c.Project, State: c.State}, listing("ID NAME STATE ROLE ORGANIZATION TEAM PROJECT EXPIRES", (*v1.ListKeysResponse).GetKeys, func(k *v1.Key) []string {
		return []string{k.Id, k.Name, k.State, k.Role, k.Organization, k.Team, k.Project, moment(k.Expires)}
	}))
}

// keyArg names a key.
type keyArg struct {
	apiFlags
	ID string `arg:"" help:"Its id or name."`
}

// keyAt names a key in a version.
type keyAt struct {
	keyArg
	versioned
}

func (k *keyAt) change() *v1.ChangeRequest { return &v1.ChangeRequest{Id: k.ID, Version: k.Version} }

type keyShow struct{ keyArg }

// Run asks the admin API.
func (c *keyShow) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.GetKey, &v1.GetRequest{Id: c.ID}, showKey)
}

type keyChange struct {
	keyAt
	scopeFlags
	Name    string `help:"A new name."`
	Role    string `help:"owner, admin, member, viewer or billing."`
	Expires string `help:"When it ends: a day, which is the last one, a time (RFC 3339), or never."`
}

// Run asks the admin API. A scope takes the place of the whole scope that was there.
func (c *keyChange) Run(s streams) error {
	until, err := expiry(c.Expires)
	if err != nil {
		return err
	}
	r := &v1.UpdateKeyRequest{Id: c.ID, Version: c.Version, Name: c.Name, Role: c.Role, Scope: c.scope(), Expires: until, UpdateMask: &fieldmaskpb.FieldMask{}}
	for _, f := range []struct {
		name  string
		given bool
	}{{"name", c.Name != ""}, {"role", c.Role != ""}, {"scope", r.Scope != nil}, {"expires", c.Expires != ""}} { // in one order: a repeated request is the same
		if f.given {
			r.UpdateMask.Paths = append(r.UpdateMask.Paths, f.name)
		}
	}
	if len(r.UpdateMask.Paths) == 0 {
		return fmt.Errorf("nothing is changed; name --name, --role, --expires or a scope")
	}
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.UpdateKey, r, showKey)
}

type keyRotate struct {
	keyAt
	Overlap time.Duration `default:"24h" help:"How long the secret before it goes on; 0s: it ends now."`
}

// Run asks the admin API.
func (c *keyRotate) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.RotateKey, &v1.RotateKeyRequest{Id: c.ID, Version: c.Version, Overlap: durationpb.New(c.Overlap)}, showIssued)
}

type keyDisable struct{ keyAt }

// Run asks the admin API.
func (c *keyDisable) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.DisableKey, c.change(), showKey)
}

type keyEnable struct{ keyAt }

// Run asks the admin API.
func (c *keyEnable) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.EnableKey, c.change(), showKey)
}

type keyRevoke struct{ keyAt }

// Run asks the admin API.
func (c *keyRevoke) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.RevokeKey, c.change(), showKey)
}

type keyDelete struct{ keyAt }

// Run asks the admin API.
func (c *keyDelete) Run(s streams) error {
	return call(&c.apiFlags, s, adminv1connect.NewKeyServiceClient, keysAPI.DeleteKey, c.remove(c.ID), done(c.ID))
}
