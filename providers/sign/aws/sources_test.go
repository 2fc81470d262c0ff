package aws

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

const (
	roleA = "arn:aws:iam::123456789012:role/a"
	roleB = "arn:aws:iam::123456789012:role/b"
)

// cloud is a fake of every service of AWS that gives out credentials, at one address.
type cloud struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	form  []url.Values
	ends  time.Time
	clock time.Duration // how far it is ahead
	deny  bool
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	what := r.Method + " " + r.URL.Path
	if a := form.Get("Action"); a != "" {
		what = a
	}
	c.asked, c.form = append(c.asked, what), append(c.form, form)
	ends := c.ends.UTC().Format(time.RFC3339)
	w.Header().Set("Date", time.Now().Add(c.clock).UTC().Format(http.TimeFormat))
	switch {
	case c.deny && strings.HasPrefix(what, "Assume"):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not for `+form.Get("WebIdentityToken")+` eyJhbGciOiJSUzI1NiJ9.e30.c2ln</Message></Error><RequestId>1</RequestId></ErrorResponse>`)
	case strings.HasPrefix(what, "Assume"):
		who := form.Get("RoleArn")
		fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials><AccessKeyId>AKID-of-%[2]s</AccessKeyId><SecretAccessKey>swordfish</SecretAccessKey><SessionToken>session-%[2]s</SessionToken><Expiration>%[3]s</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/a/b</Arn><AssumedRoleId>x:y</AssumedRoleId></AssumedRoleUser></%[1]sResult></%[1]sResponse>`, what, who[len(who)-1:], ends)
	case r.URL.Path == "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		fmt.Fprint(w, "imds-token")
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
		fmt.Fprint(w, "instance-role")
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/instance-role":
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"AKID-instance","SecretAccessKey":"swordfish","Token":"session-instance","Expiration":%q}`, ends)
	case r.URL.Path == "/container" && r.Header.Get("Authorization") == "pod-token":
		fmt.Fprintf(w, `{"AccessKeyId":"AKID-container","SecretAccessKey":"swordfish","Token":"session-container","Expiration":%q}`, ends)
	case r.URL.Path == "/federation/credentials" && r.Header.Get("X-Amz-Sso_bearer_token") == "sso-token":
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"AKID-sso-%s","secretAccessKey":"swordfish","sessionToken":"session-sso","expiration":%d}}`, r.URL.Query().Get("role_name"), c.ends.UnixMilli())
	default:
		http.Error(w, "no", http.StatusNotFound)
	}
}

// newCloud starts the fake, and makes an environment in which nothing of AWS is set but where services are.
func newCloud(t *testing.T) *cloud {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // put back at the end
			_ = os.Unsetenv(name)
		}
	}
	c := &cloud{ends: time.Now().Add(time.Hour).Truncate(time.Second)}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, ".aws/config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, ".aws/credentials"))
	for _, n := range []string{"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC", "AWS_EC2_METADATA_SERVICE_ENDPOINT"} {
		t.Setenv(n, c.URL)
	}
	return c
}

// write puts a file below the home folder.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("HOME"), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const profiles = `
[default]
aws_access_key_id = AKID-of-default
aws_secret_access_key = swordfish
[profile keys]
aws_access_key_id = AKID-of-keys
aws_secret_access_key = swordfish
[profile role]
role_arn = arn:aws:iam::123456789012:role/a
source_profile = keys
external_id = ext-of-profile
[profile machine]
role_arn = arn:aws:iam::123456789012:role/b
credential_source = Ec2InstanceMetadata
[profile empty]
region = eu-west-1
[profile process]
credential_process = printf '{"Version":1,"AccessKeyId":"AKID-process","SecretAccessKey":"swordfish"}'
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = dev
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.example/start
`

// ssoCache is the file of the session corp, named by its SHA-1, as aws sso login writes it.
const ssoCache = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json"

// get fetches as a Source does.
func get(t *testing.T, p Params) (*credentials, time.Time, error) {
	t.Helper()
	if p.SessionDuration == 0 {
		p.SessionDuration = time.Hour
	}
	if err := p.check("params.auth"); err != nil {
		t.Fatal(err)
	}
	return (&fetcher{client: sign.NewClient(), region: "eu-west-1", p: p}).fetch(t.Context())
}

func TestEverySource(t *testing.T) {
	const imds = "GET /latest/meta-data/iam/security-credentials/instance-role"
	env := func(pairs ...string) func(*testing.T, *cloud, *Params) {
		return func(t *testing.T, _ *cloud, _ *Params) {
			for i := 0; i < len(pairs); i += 2 {
				t.Setenv(pairs[i], pairs[i+1])
			}
		}
	}
	keys := env("AWS_ACCESS_KEY_ID", "AKID-env", "AWS_SECRET_ACCESS_KEY", "swordfish")
	pod := func(t *testing.T, c *cloud, _ *Params) {
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", c.URL+"/container")
		t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write(t, "pod-token", "pod-token"))
	}
	irsa := func(t *testing.T, _ *cloud, _ *Params) {
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write(t, "irsa", "eyJ.web.identity"))
		t.Setenv("AWS_ROLE_ARN", roleA)
	}
	for _, c := range []struct {
		name    string
		p       Params
		set     func(*testing.T, *cloud, *Params)
		want    string // the access key, or the bearer
		forms   string // what STS was told last
		asked   string // the last that was asked; "": nobody was
		lasting bool
	}{
		{name: "static keys", p: Params{Source: static, AccessKeyID: "env:MY_ID", SecretAccessKey: "env:MY_KEY"}, set: env("MY_ID", "AKID-static", "MY_KEY", "swordfish", "AWS_PROFILE", "missing"), want: "AKID-static", lasting: true},
		{name: "the environment's keys", p: Params{Source: environment}, set: keys, want: "AKID-env", lasting: true},
		{name: "a profile with keys, though the environment has others", p: Params{Source: profile, Profile: "keys"}, set: keys, want: "AKID-of-keys", lasting: true},
		{name: "a profile with a role", p: Params{Source: profile, Profile: "role"}, want: "AKID-of-a", asked: "AssumeRole", forms: "ExternalId=ext-of-profile"},
		{name: "a profile that names the metadata service", p: Params{Source: profile, Profile: "machine"}, want: "AKID-of-b", asked: "AssumeRole"},
		{name: "a profile with a process", p: Params{Source: profile, Profile: "process"}, want: "AKID-process", lasting: true},
		{name: "a profile with SSO", p: Params{Source: profile, Profile: "sso"}, set: func(t *testing.T, _ *cloud, _ *Params) {
			write(t, ssoCache, `{"accessToken":"sso-token","expiresAt":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
		}, want: "AKID-sso-dev", asked: "GET /federation/credentials"},
		{name: "a container's endpoint", p: Params{Source: container}, set: pod, want: "AKID-container", asked: "GET /container"},
		{name: "a container's endpoint with its token in the environment", p: Params{Source: container}, set: func(t *testing.T, c *cloud, p *Params) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", c.URL+"/container")
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-token")
		}, want: "AKID-container", asked: "GET /container"},
		{name: "a web identity", p: Params{Source: webIdentity, SessionName: "pod-7", SessionDuration: 2 * time.Hour}, set: irsa, want: "AKID-of-a", asked: "AssumeRoleWithWebIdentity", forms: "WebIdentityToken=eyJ.web.identity RoleSessionName=pod-7 DurationSeconds=7200"},
		{name: "a web identity with its session's name in the environment", p: Params{Source: webIdentity}, set: func(t *testing.T, c *cloud, p *Params) {
			irsa(t, c, p)
			t.Setenv("AWS_ROLE_SESSION_NAME", "pod-8")
		}, want: "AKID-of-a", asked: "AssumeRoleWithWebIdentity", forms: "RoleSessionName=pod-8 DurationSeconds=3600"},
		{name: "a role with static keys", p: Params{Source: static, AccessKeyID: "env:MY_ID", SecretAccessKey: "env:MY_KEY", AssumeRole: roleB, ExternalID: "ext-7", SessionName: "gw-1", SessionDuration: 30 * time.Minute}, set: env("MY_ID", "AKID-static", "MY_KEY", "swordfish"), want: "AKID-of-b", asked: "AssumeRole", forms: "ExternalId=ext-7 RoleSessionName=gw-1 DurationSeconds=1800"},
		{name: "a role with a web identity", p: Params{Source: webIdentity, AssumeRole: roleB}, set: irsa, want: "AKID-of-b", asked: "AssumeRole"},
		{name: "the machine", p: Params{Source: instance}, want: "AKID-instance", asked: imds},
		{name: "the chain: a Bedrock key", p: Params{Source: chain}, set: env(bearerEnv, "ABSK-env"), want: "ABSK-env", lasting: true},
		{name: "the chain: keys", p: Params{Source: chain}, set: keys, want: "AKID-env", lasting: true},
		{name: "the chain: a web identity", p: Params{Source: chain}, set: irsa, want: "AKID-of-a", asked: "AssumeRoleWithWebIdentity"},
		{name: "the chain: the default profile", p: Params{Source: chain}, set: pod, want: "AKID-of-default", lasting: true},
		{name: "the chain: a container", p: Params{Source: chain, Profile: "empty"}, set: pod, want: "AKID-container", asked: "GET /container"},
		{name: "the chain: the machine", p: Params{Source: chain, Profile: "empty"}, want: "AKID-instance", asked: imds},
		{name: "the chain: a role", p: Params{Source: chain, AssumeRole: roleB}, set: env(bearerEnv, "ABSK-env"), want: "AKID-of-b", asked: "AssumeRole"},
		{name: "a Bedrock key by its usual variable", p: Params{Source: bearer}, set: env(bearerEnv, "ABSK-env"), want: "ABSK-env", lasting: true},
		{name: "a Bedrock key by reference", p: Params{Source: bearer, Token: "exec:echo ABSK-exec"}, want: "ABSK-exec", lasting: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := newCloud(t)
			write(t, ".aws/config", profiles)
			if c.set != nil {
				c.set(t, fake, &c.p)
			}
			got, ends, err := get(t, c.p)
			if err != nil {
				t.Fatal(err)
			}
			if got.bearer+got.key.AccessKeyID != c.want || c.lasting != ends.IsZero() || !c.lasting && (ends.After(fake.ends) || fake.ends.Sub(ends) > 5*time.Minute) { // the SDK takes 5 minutes off in its chain
				t.Errorf("got %s%s until %s, want %s", got.bearer, got.key.AccessKeyID, ends, c.want)
			}
			last := ""
			if n := len(fake.asked); n > 0 {
				last = fake.asked[n-1]
				for want := range strings.FieldsSeq(c.forms) {
					k, v, _ := strings.Cut(want, "=")
					if fake.form[n-1].Get(k) != v {
						t.Errorf("%s is %q, want %q", k, fake.form[n-1].Get(k), v)
					}
				}
			}
			if last != c.asked {
				t.Errorf("asked %v, want %q last", fake.asked, c.asked)
			}
			machine := c.asked == imds || c.p.Profile == "machine"
			if slices.ContainsFunc(fake.asked, func(s string) bool { return strings.Contains(s, "/latest/") }) != machine {
				t.Errorf("the metadata service: asked %v", fake.asked)
			}
		})
	}
}

func TestFailuresSayWhyAndShowNoSecret(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Params
		set  func(*testing.T, *cloud)
		want string
	}{
		{"keys that are not set", Params{Source: environment}, nil, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"},
		{"a profile that there is not", Params{Source: profile, Profile: "nobody"}, nil, "nobody"},
		{"a profile without credentials", Params{Source: profile, Profile: "empty"}, nil, "the profile has no credentials"},
		{"an SSO session that is over", Params{Source: profile, Profile: "sso"}, func(t *testing.T, _ *cloud) {
			write(t, ssoCache, `{"accessToken":"swordfish-token","expiresAt":"2020-01-01T00:00:00Z"}`)
		}, "expired"},
		{"no SSO session", Params{Source: profile, Profile: "sso"}, nil, "cached SSO token"},
		{"a role that is denied", Params{Source: static, AccessKeyID: "env:MY_ID", SecretAccessKey: "env:MY_KEY", AssumeRole: roleA}, func(t *testing.T, f *cloud) { f.deny = true }, "AccessDenied: not for ***"},
		{"a web identity that is denied", Params{Source: webIdentity, TokenRole: roleA, TokenFile: "TOKEN"}, func(t *testing.T, f *cloud) {
			f.deny = true
			write(t, "TOKEN", "eyJhbGciOiJSUzI1NiJ9.swordfish.c2ln")
		}, "AccessDenied: not for *** ***"},
		{"a token file that there is not", Params{Source: webIdentity, TokenRole: roleA, TokenFile: "TOKEN"}, nil, "no such file"},
		{"no container", Params{Source: container}, nil, "AWS_CONTAINER_CREDENTIALS_FULL_URI are not set"},
		{"a container's endpoint elsewhere", Params{Source: container}, func(t *testing.T, _ *cloud) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/x")
		}, "only loopback and the agents"},
		{"a container's endpoint that refuses", Params{Source: container}, func(t *testing.T, f *cloud) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f.URL+"/container")
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "swordfish")
		}, "failed to load credentials"},
		{"no Bedrock key", Params{Source: bearer}, nil, "env:AWS_BEARER_TOKEN_BEDROCK: the variable is not set"},
		{"a static key without its secret", Params{Source: static, AccessKeyID: "env:MY_ID", SecretAccessKey: "env:NOT_SET"}, nil, "env:NOT_SET: the variable is not set"},
		{"a key that breaks a header", Params{Source: static, AccessKeyID: "env:TWO_LINES", SecretAccessKey: "env:MY_KEY"}, nil, "no usable access key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := newCloud(t)
			write(t, ".aws/config", profiles)
			t.Setenv("MY_ID", "AKID-static")
			t.Setenv("MY_KEY", "swordfish")
			t.Setenv("TWO_LINES", "AKID\nstatic")
			if c.set != nil {
				c.set(t, fake)
			}
			if c.p.TokenFile != "" {
				c.p.TokenFile = filepath.Join(os.Getenv("HOME"), c.p.TokenFile)
			}
			got, _, err := get(t, c.p)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, %v; want %q", got, err, c.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "swordfish") || strings.Contains(text, "eyJ") {
					t.Errorf("a secret is shown: %s", text)
				}
			}
			if slices.ContainsFunc(fake.asked, func(s string) bool { return strings.Contains(s, "/latest/") }) {
				t.Errorf("the metadata service was asked: %v", fake.asked)
			}
		})
	}
}

func TestAWrongClockIsCorrected(t *testing.T) {
	for _, behind := range []time.Duration{-20 * time.Minute, time.Minute, 2 * time.Hour} {
		fake := newCloud(t)
		t.Setenv("MY_ID", "AKID-static")
		t.Setenv("MY_KEY", "swordfish")
		fake.clock, fake.ends = behind, time.Now().Add(behind).Add(15*time.Minute)
		p := Defaults()
		p.Source, p.AssumeRole, p.AccessKeyID, p.SecretAccessKey = static, roleA, "env:MY_ID", "env:MY_KEY"
		s, err := New(nil, "params.auth", "us-east-1", p)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
		s.now = func() time.Time { return at }
		stamp, err := time.Parse("20060102T150405Z", headers(t, s, Request{Method: "POST", Host: "h", Path: "/"}, "")["x-amz-date"])
		if err != nil {
			t.Fatal(err)
		}
		want := at.Add(behind)
		if behind.Abs() < tolerated {
			want = at
		}
		if d := stamp.Sub(want).Abs(); d > 3*time.Second {
			t.Errorf("%s behind: signed at %s, want %s", behind, stamp, want)
		}
	}
}

func TestAClockThatCannotBeKnownIsNamed(t *testing.T) {
	fake := newCloud(t)
	fake.ends = time.Now().Add(-20 * time.Minute)
	p := Defaults()
	p.Source = instance
	s, err := New(nil, "params.auth", "us-east-1", p)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Sign(t.Context(), Request{Method: "POST", Host: "h", Path: "/"}, secret.Value{}, func(string, string) {})
	if err == nil || !strings.Contains(err.Error(), "aws instance: ") || !strings.Contains(err.Error(), "is the clock right?") {
		t.Errorf("got %v", err)
	}
}

func TestNothingPrintsWhatASignerHolds(t *testing.T) {
	newCloud(t)
	t.Setenv("MY_ID", "AKID-static")
	t.Setenv("MY_KEY", "swordfish")
	p := Defaults()
	p.Source, p.AccessKeyID, p.SecretAccessKey = static, "env:MY_ID", "env:MY_KEY"
	pool := sign.NewPool(nil, nil)
	s, err := New(pool.Lease(), "params.auth", "us-east-1", p)
	if err != nil {
		t.Fatal(err)
	}
	headers(t, s, Request{Method: "POST", Host: "h", Path: "/"}, "")
	pool.Close() // what runs must not be printed
	for _, v := range []any{s, *s, s.source, pool, []any{s}} {
		if text := fmt.Sprintf("%v %+v %#v", v, v, v); strings.Contains(text, "swordfish") {
			t.Errorf("a secret is shown: %s", text)
		}
	}
	c, err := s.source.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", c, *c, c, c); strings.Contains(text, "swordfish") {
		t.Errorf("credentials show their secret: %s", text)
	}
}

func TestAProfileThatChangesCountsAtTheNextFetch(t *testing.T) {
	newCloud(t)
	write(t, ".aws/config", profiles)
	p := Params{Source: profile, Profile: "keys"}
	if got, _, err := get(t, p); err != nil || got.key.AccessKeyID != "AKID-of-keys" {
		t.Fatal(got, err)
	}
	write(t, ".aws/config", strings.ReplaceAll(profiles, "AKID-of-keys", "AKID-rotated"))
	if got, _, err := get(t, p); err != nil || got.key.AccessKeyID != "AKID-rotated" {
		t.Errorf("got %v, %v", got.key.AccessKeyID, err)
	}
}

func TestABundleOfAuthoritiesIsTaken(t *testing.T) {
	fake := newCloud(t)
	secure := httptest.NewUnstartedServer(fake)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	defer secure.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", secure.URL)
	t.Setenv("MY_ID", "AKID-static")
	t.Setenv("MY_KEY", "swordfish")
	p := Params{Source: static, AccessKeyID: "env:MY_ID", SecretAccessKey: "env:MY_KEY", AssumeRole: roleA}
	if _, _, err := get(t, p); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	t.Setenv("AWS_CA_BUNDLE", write(t, "bundle.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))))
	if got, _, err := get(t, p); err != nil || got.key.AccessKeyID != "AKID-of-a" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWrongParams(t *testing.T) {
	newCloud(t)
	for _, c := range []struct {
		name   string
		change func(*Params)
		want   string // field: message
	}{
		{"no source that there is", func(p *Params) { p.Source = "vault" }, "source: unknown source"},
		{"half a key", func(p *Params) { p.Source, p.AccessKeyID = static, "env:A" }, "secret_access_key: the source static needs it"},
		{"what is not used", func(p *Params) {
			p.Source, p.Profile = static, "x"
			p.AccessKeyID, p.SecretAccessKey = "env:A", "env:B"
		}, "profile: the source static does not use it"},
		{"no profile", func(p *Params) { p.Source = profile }, "profile: the source profile needs it"},
		{"no web identity", func(p *Params) { p.Source = webIdentity }, "token_file: is missing, and AWS_WEB_IDENTITY_TOKEN_FILE is not set"},
		{"a web identity without a role", func(p *Params) { p.Source, p.TokenFile = webIdentity, "/x" }, "token_role: is missing, and AWS_ROLE_ARN is not set"},
		{"an external id without a role", func(p *Params) { p.ExternalID = "x" }, "external_id: belongs to assume_role, which is missing"},
		{"a role that is no ARN", func(p *Params) { p.AssumeRole = "admin" }, "assume_role: must be the ARN of a role, such as arn:aws:iam::123456789012:role/NAME"},
		{"a role for a Bedrock key", func(p *Params) { p.Source, p.AssumeRole = bearer, roleA }, "assume_role: the source bearer does not use it"},
		{"a session's name", func(p *Params) { p.SessionName = "a b" }, "session_name: has from 2 to 64 letters, digits and any of _+=,.@-"},
		{"a session that is too short", func(p *Params) { p.SessionDuration = time.Minute }, "session_duration: must be from 15m to 12h"},
	} {
		p := Defaults()
		c.change(&p)
		_, err := New(nil, "params.auth", "us-east-1", p)
		e, ok := errors.AsType[*llm.Error](err)
		if !ok || strings.TrimPrefix(e.Param, "params.auth.")+": "+e.Message != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestTheRegion(t *testing.T) {
	newCloud(t)
	if _, err := Region(""); err == nil {
		t.Error("no region, no error")
	}
	t.Setenv("AWS_DEFAULT_REGION", "eu-west-2")
	var got []string
	for _, r := range []string{"", "us-gov-west-1", "eusc-de-east-1"} {
		s, err := Region(r)
		got = append(got, fmt.Sprint(s, err))
	}
	t.Setenv("AWS_REGION", "ap-south-1")
	s, err := Region("")
	got = append(got, fmt.Sprint(s, err))
	if diff := cmp.Diff(got, []string{"eu-west-2<nil>", "us-gov-west-1<nil>", "eusc-de-east-1<nil>", "ap-south-1<nil>"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	for _, r := range []string{"eu", "us east 1", "us-east-1.evil.example", "US-EAST-1"} {
		if _, err := Region(r); err == nil {
			t.Errorf("%q is taken", r)
		}
	}
}
