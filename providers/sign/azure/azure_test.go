package azure

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// authority is a fake of everything that gives out tokens. It keeps the last request.
type authority struct {
	*httptest.Server
	status int
	answer string
	asked  string // method and path
	query  url.Values
	form   url.Values
	header http.Header
	times  int
}

func newAuthority(t *testing.T) *authority {
	a := &authority{status: 200, answer: `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"the-token"}`}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.asked, a.query, a.header = r.Method+" "+r.URL.Path, r.URL.Query(), r.Header
		a.form, _ = url.ParseQuery(string(body))
		a.times++
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.answer)
	}))
	t.Cleanup(a.Close)
	return a
}

// header signs a request with a signer of its own, and returns what it sets.
func header(t *testing.T, p Params, key string) (map[string]string, error) {
	t.Helper()
	s, err := New(nil, "params.auth", p)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = s.Sign(t.Context(), secret.New(key), func(n, v string) { out[n] = v })
	return out, err
}

func bearer(t *testing.T, p Params) {
	t.Helper()
	got, err := header(t, p, "unused-key")
	if diff := cmp.Diff(got, map[string]string{"authorization": "Bearer the-token"}); err != nil || diff != "" {
		t.Fatalf("%v (-got +want):\n%s", err, diff)
	}
}

func (a *authority) params(source string) Params {
	p := Defaults()
	p.Source, p.Tenant, p.ClientID, p.Authority = source, "tenant-1", "app-1", a.URL
	return p
}

func clearEnv(t *testing.T) {
	for _, n := range []string{"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_POD_IDENTITY_AUTHORITY_HOST"} {
		t.Setenv(n, "")
	}
}

func TestAKeyGoesIntoItsHeader(t *testing.T) {
	got, err := header(t, Defaults(), "the-key")
	if diff := cmp.Diff(got, map[string]string{"api-key": "the-key"}); err != nil || diff != "" {
		t.Errorf("%v (-got +want):\n%s", err, diff)
	}
	if got, err := header(t, Defaults(), ""); err != nil || len(got) > 0 {
		t.Errorf("without a key: %v, %v", got, err)
	}
}

func TestAnAccessTokenComesFromItsReference(t *testing.T) {
	p := Defaults()
	p.Source, p.Token = "token", "exec:echo the-token"
	bearer(t, p)
	p.Token = "exec:printf 'a b'"
	if got, err := header(t, p, ""); err == nil || !strings.Contains(err.Error(), "azure access token: it has characters that no token has") {
		t.Errorf("got %v, %v", got, err)
	}
	p.Token = "exec:echo swordfish-in-command; exit 1"
	if _, err := header(t, p, ""); err == nil || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("got %v", err)
	}
}

func TestAnApplicationProvesItselfByItsSecret(t *testing.T) {
	a := newAuthority(t)
	t.Setenv("SIGNALBOX_TEST_SECRET", "swordfish ~secret")
	p := a.params("client-secret")
	p.ClientSecret = "env:SIGNALBOX_TEST_SECRET"
	bearer(t, p)
	want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app-1"}, "client_secret": {"swordfish ~secret"}, "scope": {"https://cognitiveservices.azure.com/.default"}}
	if diff := cmp.Diff(a.form, want); diff != "" || a.asked != "POST /tenant-1/oauth2/v2.0/token" {
		t.Errorf("%s (-got +want):\n%s", a.asked, diff)
	}
}

func TestAFederatedTokenIsReadForEveryToken(t *testing.T) {
	clearEnv(t)
	a := newAuthority(t)
	file := filepath.Join(t.TempDir(), "token")
	t.Setenv("AZURE_TENANT_ID", "tenant-2")
	t.Setenv("AZURE_CLIENT_ID", "app-2")
	t.Setenv("AZURE_AUTHORITY_HOST", a.URL+"/")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	p := Defaults()
	p.Source, p.Cloud = "workload-identity", "usgov"
	for _, token := range []string{"eyJhbGciOi.first.sig", "eyJhbGciOi.second.sig"} {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		bearer(t, p)
		want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"app-2"}, "client_assertion": {token}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "scope": {"https://cognitiveservices.azure.us/.default"}}
		if diff := cmp.Diff(a.form, want); diff != "" || a.asked != "POST /tenant-2/oauth2/v2.0/token" {
			t.Errorf("%s (-got +want):\n%s", a.asked, diff)
		}
	}
	p.Tenant, p.ClientID = "tenant-3", "app-3" // what is configured goes before the environment
	bearer(t, p)
	if a.asked != "POST /tenant-3/oauth2/v2.0/token" || a.form.Get("client_id") != "app-3" {
		t.Errorf("asked %s for %s", a.asked, a.form.Get("client_id"))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := header(t, p, ""); err == nil || !strings.Contains(err.Error(), "azure workload-identity of app-3: open "+file) {
		t.Errorf("without the file: %v", err)
	}
}

// certify makes a certificate with its key, in PEM form.
func certify(t *testing.T) (doc string, cert *x509.Certificate) {
	t.Helper()
	priv, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, priv.Public(), priv)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), cert
}

func TestAnApplicationProvesItselfByItsCertificate(t *testing.T) {
	a := newAuthority(t)
	doc, cert := certify(t)
	file := filepath.Join(t.TempDir(), "app.pem")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	p := a.params("client-certificate")
	p.ClientCertificate = secret.Ref("file:" + file)
	bearer(t, p)
	parts := strings.Split(a.form.Get("client_assertion"), ".")
	if len(parts) != 3 {
		t.Fatalf("the assertion has %d parts", len(parts))
	}
	var raw [3][]byte
	for i, s := range parts {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		raw[i] = b
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPSS(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], raw[2], nil); err != nil {
		t.Error(err)
	}
	thumb := sha256.Sum256(cert.Raw)
	if want := `{"alg":"PS256","typ":"JWT","x5t#S256":"` + base64.RawURLEncoding.EncodeToString(thumb[:]) + `"}`; string(raw[0]) != want {
		t.Errorf("got %s, want %s", raw[0], want)
	}
	var claims struct {
		Aud string `json:"aud"`
		Iss string `json:"iss"`
		Sub string `json:"sub"`
		Jti string `json:"jti"`
		Nbf int64  `json:"nbf"`
		Exp int64  `json:"exp"`
	}
	if err := jsonx.Decode(raw[1], &claims); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	if claims.Aud != a.URL+"/tenant-1/oauth2/v2.0/token" || claims.Iss != "app-1" || claims.Sub != "app-1" || len(claims.Jti) < 20 || claims.Nbf > now || claims.Exp < now+500 || claims.Exp > now+700 {
		t.Errorf("claims %s", raw[1])
	}
}

func TestCertificatesThatDoNotFit(t *testing.T) {
	one, _ := certify(t)
	two, _ := certify(t)
	split := strings.Index(one, "-----BEGIN CERTIFICATE")
	for name, c := range map[string]struct{ doc, want string }{
		"no key":          {one[split:], "needs a certificate and its RSA key"},
		"no certificate":  {one[:split], "needs a certificate and its RSA key"},
		"another's key":   {one[:split] + two[strings.Index(two, "-----BEGIN CERTIFICATE"):], "do not fit"},
		"no PEM":          {"swordfish", "needs a certificate"},
		"a broken key":    {"-----BEGIN PRIVATE KEY-----\nc3dvcmRmaXNo\n-----END PRIVATE KEY-----\n", "the key cannot be read"},
		"a broken":        {one[:split] + "-----BEGIN CERTIFICATE-----\nc3dvcmRmaXNo\n-----END CERTIFICATE-----\n", "the certificate cannot be read"},
		"an RSA key only": {"-----BEGIN RSA PRIVATE KEY-----\nc3dvcmRmaXNo\n-----END RSA PRIVATE KEY-----\n", "the key cannot be read"},
	} {
		if _, err := assertion(c.doc, "aud", "app", time.Now()); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTheMachinesIdentity(t *testing.T) {
	for _, c := range []struct {
		name    string
		service bool // App Service and its like
		set     func(*Params)
		want    url.Values
	}{
		{"of the machine itself", false, func(*Params) {}, url.Values{"api-version": {"2018-02-01"}, "resource": {"https://cognitiveservices.azure.com"}}},
		{"assigned by a user", false, func(p *Params) { p.ClientID = "app-1" }, url.Values{"api-version": {"2018-02-01"}, "resource": {"https://cognitiveservices.azure.com"}, "client_id": {"app-1"}}},
		{"by its resource", false, func(p *Params) { p.ResourceID = "/subscriptions/1" }, url.Values{"api-version": {"2018-02-01"}, "resource": {"https://cognitiveservices.azure.com"}, "msi_res_id": {"/subscriptions/1"}}},
		{"for another scope", false, func(p *Params) { p.Scope = "https://ai.azure.com/.default" }, url.Values{"api-version": {"2018-02-01"}, "resource": {"https://ai.azure.com"}}},
		{"of an App Service", true, func(p *Params) { p.ClientID = "app-1" }, url.Values{"api-version": {"2019-08-01"}, "resource": {"https://cognitiveservices.azure.com"}, "client_id": {"app-1"}}},
		{"of an App Service by its resource", true, func(p *Params) { p.ResourceID = "/subscriptions/1" }, url.Values{"api-version": {"2019-08-01"}, "resource": {"https://cognitiveservices.azure.com"}, "mi_res_id": {"/subscriptions/1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clearEnv(t)
			a := newAuthority(t)
			a.answer = `{"access_token":"the-token","expires_in":"3599","expires_on":"1700000000","resource":"https://cognitiveservices.azure.com/","token_type":"Bearer"}`
			path := "GET /metadata/identity/oauth2/token"
			if c.service {
				a.answer = fmt.Sprintf(`{"access_token":"the-token","expires_on":"%d","token_type":"Bearer"}`, time.Now().Add(time.Hour).Unix())
				t.Setenv("IDENTITY_ENDPOINT", a.URL+"/msi/token")
				t.Setenv("IDENTITY_HEADER", "swordfish")
				path = "GET /msi/token"
			} else {
				t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", a.URL)
			}
			p := Defaults()
			p.Source = "managed-identity"
			c.set(&p)
			bearer(t, p)
			if diff := cmp.Diff(a.query, c.want); diff != "" || a.asked != path {
				t.Errorf("%s (-got +want):\n%s", a.asked, diff)
			}
			if c.service != (a.header.Get("X-Identity-Header") == "swordfish") || c.service == (a.header.Get("Metadata") == "true") {
				t.Errorf("headers %v", a.header)
			}
		})
	}
}

func TestRefusalsSayWhyAndShowNoSecret(t *testing.T) {
	t.Setenv("SIGNALBOX_TEST_SECRET", "swordfish/1+2")
	for _, c := range []struct {
		name, answer string
		status       int
		want         string
	}{
		{"a wrong secret", `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`, 401, "answers 401: invalid_client: AADSTS7000215: Invalid client secret provided."},
		{"an echo of the secret", `{"error":"invalid_client","error_description":"no app has swordfish/1+2, swordfish%2F1%2B2"}`, 401, "no app has ***, ***"},
		{"an echo of a token", `{"error":"x","error_description":"got eyJhbGciOiJSUzI1.eyJzdWIi.c2ln"}`, 400, "got ***"},
		{"no JSON", `<html>`, 503, "answers 503"},
		{"no JSON, yet 200", `<html>`, 200, "no JSON object"},
		{"no token", `{"expires_in":3600}`, 200, "without a usable access_token: it is empty"},
		{"a token that breaks a header", `{"access_token":"a\r\nb","expires_in":3600}`, 200, "characters that no token has"},
		{"an end that is none", `{"access_token":"a","expires_in":"soon"}`, 200, "expires_in: no number of seconds"},
		{"an end that is past", `{"access_token":"a","expires_on":1500000000}`, 200, "is the clock right?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAuthority(t)
			a.status, a.answer = c.status, c.answer
			p := a.params("client-secret")
			p.ClientSecret = "env:SIGNALBOX_TEST_SECRET"
			got, err := header(t, p, "")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "azure client-secret of app-1: ") || len(got) > 0 {
				t.Fatalf("got %v, %v; want %q", got, err, c.want)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "swordfish") || strings.Contains(text, "eyJ") {
					t.Errorf("a secret is shown: %s", text)
				}
			}
		})
	}
	a := newAuthority(t)
	a.Close()
	p := a.params("client-secret")
	p.ClientSecret = "env:SIGNALBOX_TEST_SECRET"
	if _, err := header(t, p, ""); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestWrongParams(t *testing.T) {
	clearEnv(t)
	for _, c := range []struct {
		name string
		p    Params
		want string // field: message
	}{
		{"no source that there is", Params{Source: "password"}, "source: unknown source"},
		{"a secret is missing", Params{Source: "client-secret", Tenant: "t", ClientID: "c", Cloud: "public"}, "client_secret: the source client-secret needs it"},
		{"a tenant is missing", Params{Source: "client-certificate", ClientID: "c", ClientCertificate: "env:C"}, "tenant: the source client-certificate needs it"},
		{"what is not used", Params{Source: "key", ClientSecret: "env:S"}, "client_secret: the source key does not use it"},
		{"the environment lacks it too", Params{Source: "workload-identity", Cloud: "public"}, "tenant: is missing, and AZURE_TENANT_ID is not set"},
		{"a cloud that there is not", Params{Source: "managed-identity", Cloud: "moon"}, "cloud: unknown cloud; possible: public, usgov, china"},
		{"two identities", Params{Source: "managed-identity", Cloud: "public", ClientID: "c", ResourceID: "r"}, "resource_id: client_id and resource_id cannot both be given"},
		{"an authority without TLS", Params{Source: "client-secret", Cloud: "public", Tenant: "t", ClientID: "c", ClientSecret: "env:S", Authority: "http://login.example"}, "authority: must be a URL of https:// and a host"},
		{"a tenant that is a path", Params{Source: "client-secret", Cloud: "public", Tenant: "t/../x", ClientID: "c", ClientSecret: "env:S"}, "tenant: a tenant is an id or a domain"},
		{"a scope of another form", Params{Source: "managed-identity", Cloud: "public", Scope: "https://x"}, "scope: must end in /.default"},
	} {
		_, err := New(nil, "params.auth", c.p)
		e, ok := errors.AsType[*llm.Error](err)
		if !ok || strings.TrimPrefix(e.Param, "params.auth.")+": "+e.Message != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestProvidersOfTheSameIdentityShareATokenAndOthersDoNot(t *testing.T) {
	clearEnv(t)
	a := newAuthority(t)
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", a.URL)
	pool := sign.NewPool(nil, nil)
	defer pool.Close()
	lease := pool.Lease()
	for _, id := range []string{"app-1", "app-1", "app-2", "app-1"} {
		p := Defaults()
		p.Source, p.ClientID = "managed-identity", id
		s, err := New(lease, "params.auth", p)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Sign(t.Context(), secret.Value{}, func(string, string) {}); err != nil {
			t.Fatal(err)
		}
	}
	if a.times != 2 {
		t.Errorf("%d tokens were fetched", a.times)
	}
}
