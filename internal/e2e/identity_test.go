package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
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

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// issuer signs tokens.
type issuer struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t, key}
}

var b64 = base64.RawURLEncoding

// jwks are the public keys.
func (i *issuer) jwks() string {
	raw, err := i.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		i.t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"1","x":%q,"y":%q}]}`, b64.EncodeToString(raw[1:33]), b64.EncodeToString(raw[33:]))
}

// token signs claims, in JSON without braces, for an hour.
func (i *issuer) token(claims string) string {
	return i.signed(fmt.Sprintf(`{%s,"exp":%d}`, claims, time.Now().Add(time.Hour).Unix()))
}

func (i *issuer) signed(payload string) string {
	head := b64.EncodeToString([]byte(`{"alg":"ES256","kid":"1","typ":"JWT"}`)) + "." + b64.EncodeToString([]byte(payload))
	sum := sha256.Sum256([]byte(head))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		i.t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return head + "." + b64.EncodeToString(sig)
}

const identities = `
teams: [ { name: core }, { name: edge } ]
keys: [ { name: static, hash: "%[1]s" } ]
auth:
  jwt:
    - name: corp
      issuer: https://corp.example
      audiences: [ signalbox ]
      jwks_file: %[2]s
      claims: { team: groups, role: realm.role, end_user: sub, require: { llm: "yes" } }
      models: [ open ]
    - { name: partner, issuer: https://partner.example, audiences: [ signalbox ], jwks: %[3]s, team: edge }
    - { name: mesh, issuer: https://mesh.example, audiences: [ signalbox ], header: x-jwt-payload, team: edge }
  failures: { allow: 3 }
end_user: { header: x-user-id, body: [ user ] }
providers: [ { name: a, kind: mock, base_url: %[4]s } ]
routes: [ { name: all, match: { models: [ open, closed ] }, targets: [ a/echo ] } ]
`

func TestTokensStandForKeys(t *testing.T) {
	a := newProvider(t, "a")
	corp, partner, stranger := newIssuer(t), newIssuer(t), newIssuer(t)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, partner.jwks()) }))
	defer keys.Close()
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(corp.jwks()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := stack.Up(t, fmt.Sprintf(identities, auth.HashKey("static-key"), file, keys.URL+"/keys.json", a.url))
	const good = `"iss":"https://corp.example","aud":"signalbox","sub":"ann","groups":["x","core"],"realm":{"role":["viewer","member"]},"llm":"yes"`
	ask := func(model string, headers ...string) answer {
		t.Helper()
		return post(t, s.Base+chatPath, chat(model, false), headers...)
	}
	bearer := func(token string) string { return "authorization: Bearer " + token }

	ask("open", bearer(corp.token(good)), "x-user-id: claimed").want(t, 200, "Hello")
	for _, r := range a.Journal() {
		if r.Header.Get("x-user-id") != "" || strings.Contains(fmt.Sprint(r.Header), "eyJ") {
			t.Errorf("the provider got %v", r.Header)
		}
	}
	ask("closed", bearer(corp.token(good))).want(t, 404, "does not exist here")
	stack.Eventually(t, time.Minute, "the keys of the partner are fetched", func() error {
		if got := ask("closed", bearer(partner.token(`"iss":"https://partner.example","aud":["x","signalbox"]`))); got.status != 200 {
			return fmt.Errorf("%d: %s", got.status, got.body)
		}
		return nil
	})
	ask("open", bearer("static-key")).want(t, 200, "Hello")
	ask("open", "x-api-key: static-key").want(t, 200, "Hello")

	swap := func(old, now string) string { return corp.token(strings.Replace(good, old, now, 1)) }
	for _, c := range []struct {
		name, token string
		status      int
		says        string
	}{
		{"of a stranger's key", stranger.token(good), 401, "the token is not valid"},
		{"for somebody else", swap("signalbox", "other"), 401, "the token is not valid"},
		{"that has no end", corp.signed("{" + good + "}"), 401, "the token is not valid"},
		{"that has expired", corp.signed("{" + good + `,"exp":1}`), 401, "expired"},
		{"of another issuer", swap("corp.example", "else.example"), 401, "the token is not valid"},
		{"of another issuer's key", partner.token(good), 401, "the token is not valid"},
		{"without what is required", swap(`"yes"`, `"no"`), 403, "claim llm"},
		{"of no team that is known", swap("core", "sales"), 403, "claim groups"},
		{"of two teams", swap(`"x"`, `"edge"`), 403, "claim groups"},
		{"of a role that only reads", swap(`,"member"`, ""), 403, "role viewer"},
		{"without its user", swap(`"sub":"ann",`, ""), 403, "claim sub"},
	} {
		if got := ask("open", bearer(c.token)); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("a token %s: got %d %s, want %d and %q", c.name, got.status, got.body, c.status, c.says)
		}
	}
	ask("open", bearer(corp.token(good)), "x-api-key: static-key").want(t, 400, "a token and a key were sent")
	ask("open", "x-jwt-payload: "+b64.EncodeToString([]byte(`{"sub":"forged"}`))).want(t, 401, "no API key")
	post(t, s.Base+messagePath, message("open", false), bearer(stranger.token(good))).want(t, 401, `"authentication_error"`)
	ask("open", bearer("static-key"), "x-user-id: "+strings.Repeat("u", 300)).want(t, 400, "x-user-id")
	post(t, s.Base+chatPath, `{"model":"open","user":7,"messages":[{"role":"user","content":"Hello"}]}`, bearer("static-key")).want(t, 400, `"param":"user"`)

	for _, k := range []string{"w1", "w2", "w2", "w2", "w3"} {
		ask("open", bearer(k)).want(t, 401, "the API key is not valid")
	}
	ask("open", bearer("static-key")).want(t, 200)
	ask("open", bearer("w4")).want(t, 401)
	got := ask("open", bearer("static-key"))
	got.want(t, 429, "too many different wrong keys")
	if got.header.Get("retry-after") == "" {
		t.Errorf("no retry-after: %v", got.header)
	}
	ask("open", bearer(corp.token(good))).want(t, 200)
}

func TestCertificatesStandForKeys(t *testing.T) {
	a := newProvider(t, "a")
	ca, caKey := newCA(t)
	clients := t.TempDir()
	caFile := filepath.Join(clients, "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	roots := writePair(t, dir, "first")
	port, admin := stack.FreePort(t), stack.FreePort(t)
	text := fmt.Sprintf(`listen: { http: 127.0.0.1:%s, admin: 127.0.0.1:%s, service: unix:%[3]s/s.sock, tls: { cert: %[3]s/cert.pem, key: %[3]s/key.pem, client_ca: %[4]s } }
envoy: { admin: unix:%[3]s/a.sock, concurrency: 2 }
tokenizer: { state: none }
auth:
  certificates:
    - { name: spiffe, uri: "spiffe://acme.example/ns/llm/*" }
    - { name: reader, subject: "CN=reader*", role: viewer }
    - { name: batch, subject: "CN=batch,*" }
providers: [ { name: a, kind: mock, base_url: %[5]s } ]
`, port, admin, dir, caFile, a.url)
	config := filepath.Join(dir, "signalbox.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stack.Start(t, stack.Binary(t), nil, "up", "--config", config)
	ask := func(cert tls.Certificate, headers ...string) (int, string, error) {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequest(http.MethodPost, "https://127.0.0.1:"+port+chatPath, strings.NewReader(chat("a/echo", false)))
		if err != nil {
			return 0, "", err
		}
		req.Header.Set("content-type", "application/json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		res, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res.StatusCode, string(b), err
	}
	service := newClient(t, ca, caKey, "svc", "spiffe://acme.example/ns/llm/sa/search")
	stack.Eventually(t, time.Minute, "a certificate lets in", func() error {
		status, body, err := ask(service)
		if err == nil && status != 200 {
			err = fmt.Errorf("%d: %s", status, body)
		}
		return err
	})
	forged := "x-forwarded-client-cert: URI=spiffe://acme.example/ns/llm/sa/search"
	for _, c := range []struct {
		name, cn, uri string
		headers       []string
		status        int
	}{
		{"of another name", "svc", "spiffe://acme.example/ns/other/sa/search", nil, 401},
		{"of another name, with a forged header", "svc", "spiffe://acme.example/ns/other/sa/search", []string{forged}, 401},
		{"of one who only reads", "reader-1", "", nil, 403},
		{"whose name has a comma in it", "batch,x", "", nil, 401},
	} {
		if status, body, err := ask(newClient(t, ca, caKey, c.cn, c.uri), c.headers...); err != nil || status != c.status {
			t.Errorf("a certificate %s: got %d %s %v, want %d", c.name, status, body, err, c.status)
		}
	}
	for _, r := range a.Journal() {
		if r.Header.Get("x-forwarded-client-cert") != "" {
			t.Errorf("the provider got %v", r.Header)
		}
	}
}

func newCA(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// newClient issues a client's certificate.
func newClient(t *testing.T, ca *x509.Certificate, by *ecdsa.PrivateKey, cn, uri string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if uri != "" {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = []*url.URL{u}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
