// Package google signs requests to Google Cloud with access tokens: of a service account's key, of a
// federated workload, of the machine, of a user, or obtained by something else.
//
// Credential documents are read and exchanged by Google's own library, made anew for every token. API keys
// are no concern of this package: they are a header of the provider's key.
package google

import (
	"regexp"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// The sources of a token.
const (
	adc      = "default"
	document = "credentials"
	metadata = "metadata"
	static   = "token"
)

// scope is what Vertex AI asks for.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// Params are the fields that a kind of provider embeds in its params.
type Params struct {
	Source         string     `yaml:"source" json:"source,omitempty" short:"true" enum:"default,credentials,metadata,token" doc:"Where access tokens come from: application default credentials (the file of GOOGLE_APPLICATION_CREDENTIALS, that of gcloud, the metadata server), a credential document, the metadata server (also GKE's workload identity), or something else that obtains them."`
	Credentials    secret.Ref `yaml:"credentials" json:"credentials,omitempty" doc:"The credential document in JSON, by reference: the key of a service account, or the configuration of workload identity federation, of an impersonated service account or of a user."`
	ServiceAccount string     `yaml:"service_account" json:"service_account,omitempty" doc:"Which of the machine's service accounts the metadata server is asked for: its e-mail address."`
	Token          secret.Ref `yaml:"token" json:"token,omitempty" doc:"The access token, by reference, such as exec:gcloud auth print-access-token; it is fetched again every 2 minutes."`
	QuotaProject   string     `yaml:"quota_project" json:"quota_project,omitempty" doc:"The project that is charged, where that is not the credential's own."`
	Scope          string     `yaml:"scope" json:"scope,omitempty" doc:"What the token is for."`
}

// Defaults returns the params of a configuration that says nothing.
func Defaults() Params { return Params{Source: adc, Scope: scope} }

// fields are the params that sources use beside quota_project and scope: required and possible ones.
var fields = map[string]struct{ needs, takes []string }{
	adc:      {nil, []string{"service_account"}},
	document: {[]string{"credentials"}, nil},
	metadata: {nil, []string{"service_account"}},
	static:   {[]string{"token"}, nil},
}

var (
	account = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,128}$`)
	project = regexp.MustCompile(`^[a-z0-9.:-]{1,100}$`)
)

// check finds what is missing, what the source does not use, and what has another form.
func (p *Params) check(at string) error {
	f, ok := fields[p.Source]
	if !ok {
		return sign.Wrong(at, "source", "unknown source")
	}
	for _, g := range []struct {
		name string
		is   bool
	}{{"credentials", p.Credentials != ""}, {"service_account", p.ServiceAccount != ""}, {"token", p.Token != ""}} {
		needed := slices.Contains(f.needs, g.name)
		switch {
		case needed && !g.is:
			return sign.Wrong(at, g.name, "the source %s needs it", p.Source)
		case g.is && !needed && !slices.Contains(f.takes, g.name):
			return sign.Wrong(at, g.name, "the source %s does not use it", p.Source)
		}
	}
	switch {
	case p.ServiceAccount != "" && !account.MatchString(p.ServiceAccount):
		return sign.Wrong(at, "service_account", "must be an e-mail address")
	case p.QuotaProject != "" && !project.MatchString(p.QuotaProject):
		return sign.Wrong(at, "quota_project", "must be the id of a project")
	case !strings.HasPrefix(p.Scope, "https://"):
		return sign.Wrong(at, "scope", "must begin with https://")
	}
	return nil
}
