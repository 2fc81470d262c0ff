package google

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// cloud is a fake of everything of Google's that gives out tokens. It keeps the requests.
type cloud struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string // method and path
	query  url.Values
	form   url.Values
	body   string
	header http.Header
	status int
	answer string // in place of a token
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.query, c.header, c.body = append(c.asked, r.Method+" "+r.URL.Path), r.URL.Query(), r.Header, string(body)
	if f, err := url.ParseQuery(string(body)); err == nil && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		c.form = f
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(c.status)
	switch {
	case c.answer != "":
		_, _ = io.WriteString(w, c.answer)
	case strings.HasSuffix(r.URL.Path, ":generateAccessToken"):
		fmt.Fprintf(w, `{"accessToken":"ya29.impersonated","expireTime":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	case r.URL.Path == "/sts":
		_, _ = io.WriteString(w, `{"access_token":"ya29.federated","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}`)
	default:
		_, _ = io.WriteString(w, `{"access_token":"ya29.token","expires_in":3600,"token_type":"Bearer"}`)
	}
}

func (c *cloud) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

// newCloud starts the fake, in an environment where nothing of Google is set but the metadata server.
func newCloud(t *testing.T) *cloud {
	c := &cloud{status: 200}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	for _, n := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "GOOGLE_CLOUD_QUOTA_PROJECT"} {
		t.Setenv(n, "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(c.URL, "http://"))
	return c
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// account is the document of a service account, and its key.
func serviceAccount(t *testing.T, c *cloud) (string, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonx.EncodeIndent(map[string]string{
		"type": "service_account", "project_id": "p", "private_key_id": "key-1", "client_email": "gw@p.iam.gserviceaccount.com", "token_uri": c.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(doc), key
}

func federated(c *cloud, subject, more string) string {
	return `{"type":"external_account","audience":"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/p","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"` + c.URL + `/sts","credential_source":{"file":"` + subject + `"}` + more + `}`
}

// header signs a request with a signer of its own, and returns what it sets.
func header(t *testing.T, p Params) (map[string]string, error) {
	t.Helper()
	if p.Scope == "" {
		p.Scope = scope
	}
	s, err := New(nil, "params.auth", p)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = s.Sign(t.Context(), func(n, v string) { out[n] = v })
	return out, err
}

func gives(t *testing.T, p Params, bearer, project string) {
	t.Helper()
	want := map[string]string{"authorization": "Bearer " + bearer}
	if project != "" {
		want["x-goog-user-project"] = project
	}
	got, err := header(t, p)
	if diff := cmp.Diff(got, want); err != nil || diff != "" {
		t.Fatalf("%v (-got +want):\n%s", err, diff)
	}
}

func TestAServiceAccountSignsAnAssertion(t *testing.T) {
	c := newCloud(t)
	doc, key := serviceAccount(t, c)
	p := Params{Source: document, Credentials: secret.Ref("file:" + file(t, "sa.json", doc))}
	gives(t, p, "ya29.token", "")
	if c.form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || c.asked[0] != "POST /token" {
		t.Errorf("asked %v with %v", c.asked, c.form)
	}
	parts := strings.Split(c.form.Get("assertion"), ".")
	if len(parts) != 3 {
		t.Fatalf("the assertion has %d parts", len(parts))
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
		t.Error(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"iss": "gw@p.iam.gserviceaccount.com", "aud": c.URL + "/token", "scope": scope} {
		if got, _ := jsonx.String(jsonx.Get(claims, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestAFederatedWorkloadExchangesItsToken(t *testing.T) {
	c := newCloud(t)
	subject := file(t, "subject", "eyJ.subject.one")
	doc := file(t, "wif.json", federated(c, subject, ""))
	p := Params{Source: document, Credentials: secret.Ref("file:" + doc)}
	for _, s := range []string{"eyJ.subject.one", "eyJ.subject.two"} { // it is rotated by others
		if err := os.WriteFile(subject, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		gives(t, p, "ya29.federated", "")
		if c.form.Get("subject_token") != s || c.form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" || c.form.Get("scope") != scope {
			t.Errorf("got %v", c.form)
		}
	}
	doc = file(t, "imp.json", federated(c, subject, `,"service_account_impersonation_url":"`+c.URL+`/v1/projects/-/serviceAccounts/gw@p.iam.gserviceaccount.com:generateAccessToken"`))
	p = Params{Source: document, Credentials: secret.Ref("file:" + doc)}
	gives(t, p, "ya29.impersonated", "")
	if c.header.Get("Authorization") != "Bearer ya29.federated" || !strings.Contains(c.body, scope) {
		t.Errorf("impersonation is asked with %s: %s", c.header.Get("Authorization"), c.body)
	}
}

func TestTheMetadataServer(t *testing.T) {
	c := newCloud(t)
	gives(t, Params{Source: metadata, QuotaProject: "pay"}, "ya29.token", "pay")
	gives(t, Params{Source: metadata, ServiceAccount: "gw@p.iam.gserviceaccount.com"}, "ya29.token", "")
	want := []string{"GET /computeMetadata/v1/instance/service-accounts/default/token", "GET /computeMetadata/v1/instance/service-accounts/gw@p.iam.gserviceaccount.com/token"}
	if diff := cmp.Diff(c.asked, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if c.header.Get("Metadata-Flavor") != "Google" || c.query.Get("scopes") != scope {
		t.Errorf("asked with %v, %v", c.header, c.query)
	}
}

func TestApplicationDefaultCredentials(t *testing.T) {
	c := newCloud(t)
	user := `{"type":"authorized_user","client_id":"id","client_secret":"swordfish","refresh_token":"1//refresh","quota_project_id":"of-user","token_uri":"` + c.URL + `/user"}`
	doc, _ := serviceAccount(t, c)

	gives(t, Params{Source: adc}, "ya29.token", "") // no file: the machine
	if !strings.HasPrefix(c.asked[0], "GET /computeMetadata/") {
		t.Errorf("asked %v", c.asked)
	}
	dir := filepath.Join(os.Getenv("HOME"), ".config", "gcloud")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "application_default_credentials.json"), []byte(user), 0o600); err != nil {
		t.Fatal(err)
	}
	gives(t, Params{Source: adc}, "ya29.token", "of-user")
	if c.asked[1] != "POST /user" || c.form.Get("refresh_token") != "1//refresh" {
		t.Errorf("asked %v with %v", c.asked, c.form)
	}
	gives(t, Params{Source: adc, QuotaProject: "pay"}, "ya29.token", "pay")
	t.Setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "of-env")
	gives(t, Params{Source: adc}, "ya29.token", "of-env")
	t.Setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "")
	t.Setenv("CLOUDSDK_CONFIG", t.TempDir())
	gives(t, Params{Source: adc}, "ya29.token", "")
	t.Setenv("CLOUDSDK_CONFIG", dir)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, "sa.json", doc))
	gives(t, Params{Source: adc}, "ya29.token", "")
	if last := c.asked[len(c.asked)-1]; last != "POST /token" {
		t.Errorf("the variable does not go first: %v", c.asked)
	}
	before := len(c.asked)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/sa.json")
	if _, err := header(t, Params{Source: adc}); err == nil || !strings.Contains(err.Error(), "google default: GOOGLE_APPLICATION_CREDENTIALS: open /nonexistent/sa.json") || len(c.asked) != before {
		t.Errorf("a file that is named and is not there: %v", err)
	}
}

func TestAnAccessTokenComesFromItsReference(t *testing.T) {
	gives(t, Params{Source: static, Token: "exec:echo ya29.mine", QuotaProject: "pay"}, "ya29.mine", "pay")
}

func TestFailuresSayWhyAndShowNoSecret(t *testing.T) {
	for _, c := range []struct {
		name   string
		doc    func(*testing.T, *cloud) string
		status int
		answer string
		want   string
	}{
		{"a key that was deleted", nil, 400, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`, "service_account: the token endpoint answers 400 Bad Request: invalid_grant: Invalid JWT Signature."},
		{"an echo of what was sent", nil, 400, `{"error":"invalid_grant","error_description":"got eyJhbGciOiJSUzI1.e30.c2ln and ya29.swordfish"}`, "got *** and ***"},
		{"no JSON", nil, 503, `<html>swordfish</html>`, "answers 503"},
		{"no token", nil, 200, `{"expires_in":3600}`, "no usable access token"},
		{"a token that breaks a header", nil, 200, `{"access_token":"a\r\nswordfish","expires_in":3600}`, "characters that no token has"},
		{"no JSON document", func(*testing.T, *cloud) string { return "swordfish" }, 200, "", "no JSON object"},
		{"a document of another type", func(*testing.T, *cloud) string { return `{"type":"swordfish"}` }, 200, "", "no type that can be used"},
		{"a key that is none", func(*testing.T, *cloud) string {
			return `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nswordfish\n-----END PRIVATE KEY-----\n","client_email":"a@b","token_uri":"http://127.0.0.1:9"}`
		}, 200, "", "service_account: "},
		{"a subject token that is not there", func(_ *testing.T, c *cloud) string { return federated(c, "/nonexistent/subject", "") }, 200, "", `failed to open credential file "/nonexistent/subject"`},
		{"a federation that refuses", func(t *testing.T, c *cloud) string {
			return federated(c, file(t, "subject", "eyJhbGciOiJ.swordfish.x"), "")
		}, 400, `{"error":"invalid_grant","error_description":"no eyJhbGciOiJ.swordfish.x"}`, "400"},
		{"an executable that says too much", func(t *testing.T, c *cloud) string {
			t.Setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
			return strings.Replace(federated(c, "X", ""), `{"file":"X"}`, `{"executable":{"command":"/bin/echo swordfish","timeout_millis":5000}}`, 1)
		}, 200, "", "unable to parse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := newCloud(t)
			fake.status, fake.answer = c.status, c.answer
			doc, _ := serviceAccount(t, fake)
			if c.doc != nil {
				doc = c.doc(t, fake)
			}
			got, err := header(t, Params{Source: document, Credentials: secret.Ref("file:" + file(t, "doc.json", doc))})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "google credentials: ") {
				t.Fatalf("got %v, %v; want %q", got, err, c.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "swordfish") || strings.Contains(text, "eyJ") || strings.Contains(text, "BEGIN") {
					t.Errorf("a secret is shown: %s", text)
				}
			}
		})
	}
}

func TestWithoutAnythingTheErrorNamesBoth(t *testing.T) {
	c := newCloud(t)
	c.Close()
	if _, err := header(t, Params{Source: adc}); err == nil || !strings.Contains(err.Error(), "google default: no credential document was found, and the metadata server gives no token: asking 127.0.0.1") {
		t.Errorf("got %v", err)
	}
}

func TestWrongParams(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Params
		want string // field: message
	}{
		{"no source that there is", Params{Source: "vault"}, "source: unknown source"},
		{"no document", Params{Source: document}, "credentials: the source credentials needs it"},
		{"what is not used", Params{Source: metadata, Token: "env:T"}, "token: the source metadata does not use it"},
		{"an account that is a path", Params{Source: metadata, ServiceAccount: "a/../b"}, "service_account: must be an e-mail address"},
		{"a project that breaks a header", Params{Source: adc, QuotaProject: "a\r\nb"}, "quota_project: must be the id of a project"},
		{"a scope that is none", Params{Source: adc, Scope: "cloud"}, "scope: must begin with https://"},
	} {
		_, err := New(nil, "params.auth", c.p)
		e, ok := errors.AsType[*llm.Error](err)
		if !ok || strings.TrimPrefix(e.Param, "params.auth.")+": "+e.Message != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestATokenIsFetchedOnce(t *testing.T) {
	c := newCloud(t)
	pool := sign.NewPool(nil, nil)
	defer pool.Close()
	p := Defaults()
	for range 3 {
		s, err := New(pool.Lease(), "params.auth", p)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := s.Sign(t.Context(), func(string, string) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(10 * time.Millisecond)
	pool.Close()
	if n := c.times(); n < 1 || n > 3 { // each configuration that takes it over renews it once
		t.Errorf("%d tokens were fetched", n)
	}
}

// lines is a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestNothingShowsAToken(t *testing.T) {
	c := newCloud(t)
	log := make(lines, 100)
	pool := sign.NewPool(slog.New(slog.NewJSONHandler(log, nil)), nil)
	s, err := New(pool.Lease(), "params.auth", Defaults())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Sign(t.Context(), func(string, string) {}); err != nil {
		t.Fatal(err)
	}
	held, err := s.tokens.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.status, c.answer = 400, `{"error":"no ya29.token"}`
	c.mu.Unlock()
	s.tokens.Renew()
	select {
	case text := <-log:
		if !strings.Contains(text, "credential not renewed, the old one serves") || strings.Contains(text, "ya29") {
			t.Errorf("the log says %s", text)
		}
	case <-time.After(20 * time.Second):
		t.Error("the log says nothing")
	}
	pool.Close() // what runs must not be printed
	for _, v := range []any{s, *s, s.tokens, pool, held, &held} {
		if text := fmt.Sprintf("%v %+v %#v", v, v, v); strings.Contains(text, "ya29") {
			t.Errorf("a token is shown: %s", text)
		}
	}
}
