// Package access is the part of the configuration that says who may use what: organizations, teams, projects, the keys
// that the file lists, and what else proves an identity. Its structs are decoded, documented and checked by
// internal/config, of which it is a part below; it makes of them what internal/auth decides with.
package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Access is the sections at the top level of the file.
type Access struct {
	Organizations []Organization `yaml:"organizations" max:"1000" doc:"The organizations that teams belong to. Without any there is one, default."`
	Teams         []Team         `yaml:"teams" max:"10000" doc:"The teams that keys belong to."`
	Projects      []Project      `yaml:"projects" max:"10000" doc:"The projects of teams."`
	Keys          []Key          `yaml:"keys" doc:"The keys that clients authenticate with. Without keys anybody who can connect may use Signalbox, and it listens on loopback only."`
	Store         string         `yaml:"store" form:"store" zero:"none" doc:"Where keys, owners and prompt templates are kept that the admin API manages: sqlite:PATH for one process, a postgres:// URL without a password for many (the password comes from PGPASSWORD or a passfile), or a reference to such a URL (env:NAME, file:PATH). none: there are only those of this file. With a store, clients need keys. See [Keys](keys.md)."`
	Auth          Auth           `yaml:"auth" doc:"What else proves who a client is, and what happens to those who guess."`
	EndUser       EndUser        `yaml:"end_user" doc:"Where requests name the user on whose behalf a client asks. It is the client's claim."`
}

// Auth is the ways to prove an identity beside keys.
type Auth struct {
	JWT          []Issuer      `yaml:"jwt" max:"16" doc:"Issuers of tokens (JWT, OIDC) that stand for a key. Envoy verifies them."`
	Certificates []Certificate `yaml:"certificates" max:"1000" doc:"Clients' certificates that stand for a key, where a request has neither key nor token. Envoy verifies them: the one that Signalbox configures by listen.tls.client_ca, one of your own must set x-forwarded-client-cert and take it from nobody. The first that fits counts."`
	Secrets      Secrets       `yaml:"secrets" doc:"What protects the store and the admin API, by reference. Changes need a restart."`
	Failures     Failures      `yaml:"failures" doc:"How addresses are slowed down from which many different wrong keys come."`
}

// Secrets are the secrets of the store and the admin API.
type Secrets struct {
	Admin              secret.Ref   `yaml:"admin" doc:"The token of the administrator, of at least 16 bytes. Without it the admin API is for the local socket, keys and OIDC tokens alone."`
	Keys               secret.Ref   `yaml:"keys" doc:"What issued keys are hashed with (HMAC-SHA-256), so that the database alone can test no guess. Without it they are kept as SHA-256."`
	KeysBefore         []secret.Ref `yaml:"keys_before" max:"8" doc:"Those that were in its place before, of keys that are not yet rotated."`
	ProviderKeys       secret.Ref   `yaml:"provider_keys" doc:"What teams' own provider keys are encrypted with (AES-256-GCM), of at least 16 bytes. Without it none can be kept."`
	ProviderKeysBefore []secret.Ref `yaml:"provider_keys_before" max:"8" doc:"Those that were in its place before; what they sealed is sealed anew at the start."`
}

// Issuer is an issuer of tokens.
type Issuer struct {
	Name      string   `yaml:"name" form:"name" required:"true" doc:"Its name, which stands for a key's in logs and metrics."`
	Issuer    string   `yaml:"issuer" required:"true" doc:"The claim iss of its tokens."`
	Audiences []string `yaml:"audiences" max:"16" required:"true" doc:"The values of the claim aud of which a token must have one."`
	JWKS      string   `yaml:"jwks" doc:"The URL of its public keys."`
	JWKSFile  string   `yaml:"jwks_file" form:"file" doc:"A file of its public keys, in place of jwks."`
	CA        string   `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that the certificate of jwks is verified with, in place of the system's."`
	Header    string   `yaml:"header" form:"header" doc:"The header in which an Envoy of your own hands on the claims that it has verified (forward_payload_header), in place of jwks. Such a header must never come from clients; the Envoy that Signalbox configures removes it."`
	Claims    Claims   `yaml:"claims" doc:"Which claims tell who somebody is, as sub, or realm_access.team for one within. What none tells is as the fields beside say."`
	Grant     `yaml:",inline"`
}

// Claims are the claims of a token that tell who somebody is.
type Claims struct {
	Organization string            `yaml:"organization" form:"claim" doc:"The claim that names the organization."`
	Team         string            `yaml:"team" form:"claim" doc:"The claim that names the team; of a list, the one that teams has."`
	Project      string            `yaml:"project" form:"claim" doc:"The claim that names the project."`
	Role         string            `yaml:"role" form:"claim" doc:"The claim that names the role; of a list, the highest."`
	EndUser      string            `yaml:"end_user" form:"claim" doc:"The claim that names the end user."`
	Require      map[string]string `yaml:"require" form:"claim" doc:"Claims that must have a value, or a list with it. Other tokens are refused."`
}

// Certificate is clients' certificates.
type Certificate struct {
	Name    string `yaml:"name" form:"name" required:"true" doc:"A name, which stands for a key's in logs and metrics."`
	URI     string `yaml:"uri" doc:"A URI in the certificate, or a pattern of one, as spiffe://acme.example/ns/*."`
	DNS     string `yaml:"dns" doc:"A DNS name in the certificate, or a pattern of one."`
	Subject string `yaml:"subject" doc:"The certificate's subject, or a pattern of it, as CN=search,*."`
	Grant   `yaml:",inline"`
}

// Failures limits wrong keys.
type Failures struct {
	Off       bool          `yaml:"off" doc:"Does not slow anybody down."`
	Allow     int           `yaml:"allow" min:"1" max:"100000" doc:"Different wrong keys of an address before it has to wait. One that is repeated counts once."`
	Longest   time.Duration `yaml:"longest" doc:"The longest wait. Each further wrong key doubles it, from a second on."`
	Addresses int           `yaml:"addresses" min:"100" max:"10000000" doc:"Addresses that are remembered at most."`
}

// EndUser is where requests name the end user.
type EndUser struct {
	Header string   `yaml:"header" form:"header" doc:"The header; it does not go on to providers."`
	Body   []string `yaml:"body" form:"claim" max:"8" doc:"Members of the body, as user or metadata.user_id; the first that is there counts, where the header says nothing."`
}

// Preset returns what holds where the file says nothing.
func Preset() Access {
	return Access{Auth: Auth{Failures: Failures{Allow: 20, Longest: time.Minute, Addresses: 10_000}}}
}

// Asks reports whether clients must prove who they are.
func (a *Access) Asks() bool {
	return len(a.Keys)+len(a.Auth.JWT)+len(a.Auth.Certificates) > 0 || a.Stores()
}

// Stores reports whether there is a store.
func (a *Access) Stores() bool { return a.Store != "" && a.Store != "none" }

// StoreAddress returns where the store is, as store.Open takes it.
func (a *Access) StoreAddress(ctx context.Context) (string, error) {
	r, err := secret.Parse(a.Store)
	if err != nil { // it is no reference, but the address
		return a.Store, nil
	}
	v, err := r.Resolve(ctx)
	return v.Reveal(), err
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
	Organization string            `yaml:"organization" form:"name" zero:"its team's" doc:"The organization that pays, where no team is said."`
	Team         string            `yaml:"team" form:"name" zero:"its project's" doc:"The team that it belongs to."`
	Project      string            `yaml:"project" form:"name" doc:"The project that it is for."`
	Role         string            `yaml:"role" enum:"owner,admin,member,viewer,billing" zero:"member" doc:"What its owner may do. owner, admin and member send requests to models; viewer and billing only read usage and costs."`
	Tags         map[string]string `yaml:"tags" form:"tag" doc:"Tags of its exchanges, by name. They go before those that requests bring."`
	Scope        `yaml:",inline"`
}

// Scope bounds what a key may be used for.
type Scope struct {
	Models     []string `yaml:"models" form:"pattern" max:"1000" zero:"every model" doc:"Names and patterns of the models that it may use, as clients name them or as aliases lead to. Others do not exist for it, nor in lists of models."`
	Routes     []string `yaml:"routes" form:"route" max:"1000" zero:"every route" doc:"Names and patterns of the routes that it may use."`
	Operations []string `yaml:"operations" form:"operation" zero:"every operation" doc:"What it may ask for: chat (and counting tokens), complete, count, embed, rerank, moderate, image, image_edit, image_vary, speech, transcribe, translate, files, batches, realtime, stored_answers."`
	Regions    []string `yaml:"regions" form:"region" max:"100" zero:"every region" doc:"The regions of providers that its requests may go to, countries and groups of them, as the policy region has them: eu includes eu-west-1 and westeurope. A provider without a region is none of them."`
	Networks   []string `yaml:"networks" form:"network" max:"1000" zero:"every network" doc:"The networks that its clients may connect from, as 10.0.0.0/8 or an address. See envoy.trusted_hops."`
	Templates  []string `yaml:"templates" form:"template" max:"1000" zero:"every template" doc:"Names and patterns of the prompt templates that it may use, as support-*, or of single versions, as support-reply@3. Others do not exist for it."`
	Expires    string   `yaml:"expires" form:"time" zero:"never" doc:"When it ends: a day, which is the last one (UTC), or a time as 2026-12-31T18:00:00Z."`
}

// key makes the key of a grant, which is checked.
func (n *names) key(name string, g *Grant) *auth.Key {
	k := &auth.Key{ID: name, Name: name, Owner: n.owner(g), Role: auth.RoleMember, Scope: g.scope(), Tags: g.Tags}
	if r, ok := auth.ParseRole(g.Role); ok {
		k.Role = r
	}
	k.Expires, _ = ParseTime(g.Expires)
	return k
}

// names are the owners of the file by their names, for there may be many of each.
type names struct {
	organizations map[string]bool
	teams         map[string]string // the organization that each belongs to
	projects      map[string]string // the team that each belongs to
	usual         string            // the organization where none is named
}

func (a *Access) names() *names {
	n := &names{organizations: map[string]bool{}, teams: make(map[string]string, len(a.Teams)), projects: make(map[string]string, len(a.Projects)), usual: a.organization()}
	for i := range a.Organizations {
		n.organizations[a.Organizations[i].Name] = true
	}
	if len(a.Organizations) == 0 {
		n.organizations[n.usual] = true
	}
	for i := range a.Teams {
		if t := &a.Teams[i]; n.teams[t.Name] == "" { // of two with one name, which is an error, the first
			n.teams[t.Name] = t.Organization
		}
	}
	for i := range a.Projects {
		if p := &a.Projects[i]; n.projects[p.Name] == "" {
			n.projects[p.Name] = p.Team
		}
	}
	return n
}

// owner fills in what project and team tell.
func (n *names) owner(g *Grant) auth.Owner {
	o := auth.Owner{Organization: g.Organization, Team: g.Team, Project: g.Project}
	o.Team = cmp.Or(o.Team, n.projects[o.Project])
	o.Organization = cmp.Or(o.Organization, n.teams[o.Team], n.usual)
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
	out := auth.Scope{Models: s.Models, Routes: s.Routes, Regions: s.Regions, Templates: s.Templates}
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

// storeForm checks where a store is.
func storeForm(s string) error {
	if _, err := secret.Parse(s); err == nil || s == "none" {
		if strings.HasPrefix(s, "exec:") {
			return errors.New("a reference to a store is env:NAME or file:PATH")
		}
		return nil
	}
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		if path == "" || strings.ContainsAny(path, "?#%") {
			return errors.New("behind sqlite: the path of a file is due, without ? # %")
		}
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" {
		return errors.New("must be sqlite:PATH, a postgres:// URL, or a reference to one")
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") {
		return errors.New("a password does not stand in the file: use PGPASSWORD, passfile, or a reference to the whole URL")
	}
	return nil
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
	case "store":
		return storeForm(s)
	case "header":
		if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return errors.New("the name of a header has lower-case letters, digits and dashes here")
		}
		if strings.HasPrefix(s, "x-envoy-") || strings.HasPrefix(s, "x-signalbox-") || s == "authorization" || s == "cookie" {
			return errors.New("this header has another meaning")
		}
	case "claim":
		if len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") {
			return errors.New("a path is names with dots between them, without spaces")
		}
	}
	return err
}
