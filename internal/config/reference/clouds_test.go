package reference_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/config/reference"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/sign/aws"
	"github.com/signalbox-ai/signalbox/providers/sign/azure"
	"github.com/signalbox-ai/signalbox/providers/sign/google"
)

type amazon struct {
	Auth aws.Params `yaml:"auth"`
}

type microsoft struct {
	Auth azure.Params `yaml:"auth"`
}

type alphabet struct {
	Auth google.Params `yaml:"auth"`
}

// clouds are kinds that embed the params of the clouds' credentials, as kinds of providers do.
func clouds() *providers.Registry {
	kind := func(name string, params func() any, check func(providers.Env, any) error) providers.Kind {
		return providers.Kind{
			Name: name, KeyEnv: "CLOUD_KEY", KeyOptional: true, BaseURL: "https://" + name + ".example", Params: params,
			New: func(e providers.Env, p any) (providers.Adapter, error) { return &providers.Fixed{}, check(e, p) },
		}
	}
	return providers.NewRegistry(
		kind("bedrock", func() any { return &amazon{aws.Defaults()} }, func(e providers.Env, p any) error {
			_, err := aws.New(e.Sources, "params.auth", "us-east-1", p.(*amazon).Auth)
			return err
		}),
		kind("azure", func() any { return &microsoft{azure.Defaults()} }, func(e providers.Env, p any) error {
			_, err := azure.New(e.Sources, "params.auth", p.(*microsoft).Auth)
			return err
		}),
		kind("vertex", func() any { return &alphabet{google.Defaults()} }, func(e providers.Env, p any) error {
			_, err := google.New(e.Sources, "params.auth", p.(*alphabet).Auth)
			return err
		}),
	)
}

func parse(kind, params string) (*config.Config, error) {
	if params != "" {
		params = ", params: { auth: " + params + " }"
	}
	return config.Parse("f.yaml", []byte("providers: [ { name: p, kind: "+kind+params+" } ]\n"), clouds())
}

func TestCredentialsOfCloudsAreConfigured(t *testing.T) {
	amazonWith := func(f func(*aws.Params)) any { p := aws.Defaults(); f(&p); return &amazon{p} }
	microsoftWith := func(f func(*azure.Params)) any { p := azure.Defaults(); f(&p); return &microsoft{p} }
	alphabetWith := func(f func(*google.Params)) any { p := google.Defaults(); f(&p); return &alphabet{p} }
	for _, c := range []struct {
		kind, params string
		want         any
		refs         []secret.Ref
	}{
		{"bedrock", "", amazonWith(func(*aws.Params) {}), nil},
		{"bedrock", "instance", amazonWith(func(p *aws.Params) { p.Source = "instance" }), nil},
		{"bedrock", "{ source: static, access_key_id: env:ID, secret_access_key: env:KEY, assume_role: \"arn:aws:iam::123456789012:role/a\", external_id: x, session_duration: 30m }", amazonWith(func(p *aws.Params) {
			p.Source, p.AccessKeyID, p.SecretAccessKey, p.AssumeRole, p.ExternalID, p.SessionDuration = "static", "env:ID", "env:KEY", "arn:aws:iam::123456789012:role/a", "x", 30*time.Minute
		}), []secret.Ref{"env:ID", "env:KEY"}},
		{"azure", "managed-identity", microsoftWith(func(p *azure.Params) { p.Source = "managed-identity" }), nil},
		{"azure", "{ source: client-secret, tenant: t, client_id: c, client_secret: env:S, cloud: usgov }", microsoftWith(func(p *azure.Params) {
			p.Source, p.Tenant, p.ClientID, p.ClientSecret, p.Cloud = "client-secret", "t", "c", "env:S", "usgov"
		}), []secret.Ref{"env:S"}},
		{"vertex", "", alphabetWith(func(*google.Params) {}), nil},
		{"vertex", "{ source: token, token: \"exec:gcloud auth print-access-token\" }", alphabetWith(func(p *google.Params) { p.Source, p.Token = "token", "exec:gcloud auth print-access-token" }), []secret.Ref{"exec:gcloud auth print-access-token"}},
	} {
		got, err := parse(c.kind, c.params)
		if err != nil {
			t.Errorf("%s %s: %v", c.kind, c.params, err)
			continue
		}
		if diff := cmp.Diff(got.Providers[0].Params, c.want); diff != "" {
			t.Errorf("%s %s (-got +want):\n%s", c.kind, c.params, diff)
		}
		if diff := cmp.Diff(got.Providers[0].ParamRefs(), c.refs); diff != "" {
			t.Errorf("%s %s: references (-got +want):\n%s", c.kind, c.params, diff)
		}
	}
}

func TestMistakesInCredentialsOfCloudsAreShownWhereTheyStand(t *testing.T) {
	for _, c := range []struct{ kind, params, path, want string }{
		{"bedrock", "vault", "providers[0].params.auth.source", "unknown value"},
		{"bedrock", "{ source: profile }", "providers[0].params.auth.profile", "the source profile needs it"},
		{"bedrock", "{ source: static, access_key_id: env:ID, secret_access_key: swordfish-swordfish-1 }", "providers[0].params.auth.secret_access_key", "not the key itself"},
		{"bedrock", "{ sorce: static }", "providers[0].params.auth.sorce", "did you mean"},
		{"azure", "{ source: client-secret, tenant: t, client_id: c, client_secret: swordfish-swordfish-1 }", "providers[0].params.auth.client_secret", "not the key itself"},
		{"azure", "{ source: managed-identity, tenant: t }", "providers[0].params.auth.tenant", "the source managed-identity does not use it"},
		{"vertex", "{ source: credentials, credentials: '{\"private_key\":\"swordfish-swordfish-1\"}' }", "providers[0].params.auth.credentials", "not the key itself"},
	} {
		_, err := parse(c.kind, c.params)
		errs, ok := err.(config.Errors)
		if !ok || len(errs) != 1 || errs[0].Path != c.path || !strings.Contains(errs.Error(), c.want) || strings.Contains(errs.Report(), "swordfish") {
			t.Errorf("%s %s: got %v, want %s at %s", c.kind, c.params, err, c.want, c.path)
		}
	}
}

func TestCredentialsOfCloudsAreInReferenceAndSchema(t *testing.T) {
	text := reference.Markdown(clouds())
	for _, want := range []string{"| `params.auth.assume_role` | text |", "| `params.auth.session_duration` | duration | `1h` |", "| `params.auth.client_secret` | reference |", "| `params.auth.credentials` | reference |", "or none where `params` say how to sign"} {
		if !strings.Contains(text, want) {
			t.Errorf("the reference lacks %s", want)
		}
	}
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `params.auth") && (len(cells) < 4 || strings.Trim(cells[3], " |\n") == "") {
			t.Errorf("no meaning: %s", line)
		}
	}
	schema := reference.Schema(clouds())
	if err := jsonx.Valid(schema); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"workload-identity"`, `"assume_role"`, `"quota_project"`} {
		if !strings.Contains(string(schema), want) {
			t.Errorf("the schema lacks %s", want)
		}
	}
}
