// Package azure signs requests to Azure: with an API key, or with a token of Microsoft Entra ID for an
// application (secret, certificate, federated identity) or for the managed identity of the machine.
//
// It exchanges what it has for a token by itself (RFC 6749 §4.4, RFC 7523 §2.2): the exchange is one
// request, and a library would keep a cache of its own between the source and the authority.
package azure

import (
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// The sources of a credential.
const (
	key         = "key"
	token       = "token"
	application = "client-secret"
	certificate = "client-certificate"
	workload    = "workload-identity"
	managed     = "managed-identity"
)

// Params are the fields that a kind of provider embeds in its params.
type Params struct {
	Source            string     `yaml:"source" json:"source,omitempty" short:"true" enum:"key,token,client-secret,client-certificate,workload-identity,managed-identity" doc:"What requests are signed with: the provider's key, an access token that something else obtains, or a token that is obtained for an application (by secret, certificate or federated identity) or for the machine."`
	Cloud             string     `yaml:"cloud" json:"cloud,omitempty" enum:"public,usgov,china" doc:"The cloud, which gives authority and scope."`
	Tenant            string     `yaml:"tenant" json:"tenant,omitempty" doc:"The directory (tenant) of the application: its id or domain. With workload-identity, AZURE_TENANT_ID where it is not given."`
	ClientID          string     `yaml:"client_id" json:"client_id,omitempty" doc:"The application (client) id; with managed-identity that of a user-assigned identity. With workload-identity, AZURE_CLIENT_ID where it is not given."`
	ResourceID        string     `yaml:"resource_id" json:"resource_id,omitempty" doc:"The resource id of a user-assigned managed identity, in place of client_id."`
	ClientSecret      secret.Ref `yaml:"client_secret" json:"client_secret,omitempty" doc:"The application's secret, by reference."`
	ClientCertificate secret.Ref `yaml:"client_certificate" json:"client_certificate,omitempty" doc:"The application's certificate and its RSA key in PEM form, by reference."`
	Token             secret.Ref `yaml:"token" json:"token,omitempty" doc:"The access token, by reference; it is fetched again every 2 minutes."`
	TokenFile         string     `yaml:"token_file" json:"token_file,omitempty" doc:"The file of the federated token, for workload-identity. AZURE_FEDERATED_TOKEN_FILE where it is not given."`
	Authority         string     `yaml:"authority" json:"authority,omitempty" doc:"The authority, where it is not the cloud's own. With workload-identity, AZURE_AUTHORITY_HOST goes before the cloud's."`
	Scope             string     `yaml:"scope" json:"scope,omitempty" doc:"What the token is for, where it is not the cloud's Azure AI services; it ends in /.default."`
}

// Defaults returns the params of a configuration that says nothing.
func Defaults() Params { return Params{Source: key, Cloud: "public"} }

// clouds are the national clouds (learn.microsoft.com, "Microsoft Entra authentication and national clouds").
var clouds = map[string]struct{ authority, scope string }{
	"public": {"https://login.microsoftonline.com", "https://cognitiveservices.azure.com/.default"},
	"usgov":  {"https://login.microsoftonline.us", "https://cognitiveservices.azure.us/.default"},
	"china":  {"https://login.chinacloudapi.cn", "https://cognitiveservices.azure.cn/.default"},
}

// fields are the params that sources use: required and possible ones.
var fields = map[string]struct{ needs, takes string }{
	key:         {"", ""},
	token:       {"token", ""},
	application: {"tenant client_id client_secret", "authority scope cloud"},
	certificate: {"tenant client_id client_certificate", "authority scope cloud"},
	workload:    {"", "tenant client_id token_file authority scope cloud"},
	managed:     {"", "client_id resource_id scope cloud"},
}

// check finds what is missing and what the source does not use, and fills in what the cloud gives.
func (p *Params) check(at string) error {
	f, ok := fields[p.Source]
	if !ok {
		return sign.Wrong(at, "source", "unknown source")
	}
	for _, g := range p.given() {
		needed, taken := contains(f.needs, g.name), contains(f.takes, g.name)
		switch {
		case needed && !g.is:
			return sign.Wrong(at, g.name, "the source %s needs it", p.Source)
		case g.is && !needed && !taken:
			return sign.Wrong(at, g.name, "the source %s does not use it", p.Source)
		}
	}
	if p.Source == key || p.Source == token {
		return nil
	}
	return p.fill(at)
}

type given struct {
	name string
	is   bool
}

func (p *Params) given() []given {
	return []given{
		{"tenant", p.Tenant != ""}, {"client_id", p.ClientID != ""}, {"resource_id", p.ResourceID != ""},
		{"client_secret", p.ClientSecret != ""}, {"client_certificate", p.ClientCertificate != ""}, {"token", p.Token != ""},
		{"token_file", p.TokenFile != ""}, {"authority", p.Authority != ""}, {"scope", p.Scope != ""},
	}
}

func contains(names, name string) bool {
	for n := range strings.FieldsSeq(names) {
		if n == name {
			return true
		}
	}
	return false
}

// fill takes from the environment what the workload identity webhook puts there, and from the cloud what is
// left.
func (p *Params) fill(at string) error {
	c, ok := clouds[p.Cloud]
	if !ok {
		return sign.Wrong(at, "cloud", "unknown cloud; possible: public, usgov, china")
	}
	if p.Source == workload {
		for _, v := range []struct {
			field          *string
			variable, name string
		}{{&p.Tenant, "AZURE_TENANT_ID", "tenant"}, {&p.ClientID, "AZURE_CLIENT_ID", "client_id"}, {&p.TokenFile, "AZURE_FEDERATED_TOKEN_FILE", "token_file"}, {&p.Authority, "AZURE_AUTHORITY_HOST", ""}} {
			if *v.field == "" {
				*v.field = os.Getenv(v.variable)
			}
			if *v.field == "" && v.name != "" {
				return sign.Wrong(at, v.name, "is missing, and %s is not set", v.variable)
			}
		}
	}
	if p.Authority == "" {
		p.Authority = c.authority
	}
	if p.Scope == "" {
		p.Scope = c.scope
	}
	if p.ClientID != "" && p.ResourceID != "" {
		return sign.Wrong(at, "resource_id", "client_id and resource_id cannot both be given")
	}
	return p.forms(at)
}

// forms checks what becomes part of a URL.
func (p *Params) forms(at string) error {
	u, err := url.Parse(p.Authority)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return sign.Wrong(at, "authority", "must be a URL of https:// and a host")
	}
	if strings.ContainsFunc(p.Tenant, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '.'
	}) {
		return sign.Wrong(at, "tenant", "a tenant is an id or a domain")
	}
	if !strings.HasSuffix(p.Scope, "/.default") {
		return sign.Wrong(at, "scope", "must end in /.default")
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
