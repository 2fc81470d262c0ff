package envoy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/envoy"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// write puts a file in place as a careful tool does: by rename.
func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	tmp := a.path(name + ".new")
	if err := os.WriteFile(tmp, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(tmp, a.path(name)); err != nil {
		a.t.Fatal(err)
	}
}

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(name, common string, hosts ...string) tls.Certificate {
	a.t.Helper()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: common},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tpl.IPAddresses = append(tpl.IPAddresses, ip)
		} else {
			tpl.DNSNames = append(tpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	k, _ := x509.MarshalECPrivateKey(key)
	a.write(name+".key", "EC PRIVATE KEY", k)
	a.write(name+".pem", "CERTIFICATE", der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secure is a provider with TLS.
func secure(t *testing.T, name, host string, cert tls.Certificate, h http.Handler) envoy.Upstream {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // refused handshakes are what is tested
	s.StartTLS()
	t.Cleanup(s.Close)
	u := at(t, name, s.URL)
	u.Host = host
	return u
}

func TestProvidersAreVerified(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	rec := &recorder{}
	good := secure(t, "good", "localhost", a.issue("good", "good", "localhost"), rec)
	byAddress := secure(t, "address", "127.0.0.1", a.issue("address", "address", "127.0.0.1"), rec)
	name := secure(t, "name", "localhost", a.issue("name", "name", "other.example"), rec)
	unknown := secure(t, "unknown", "localhost", stranger.issue("unknown", "unknown", "localhost"), rec)
	own := secure(t, "own", "localhost", stranger.issue("own", "own", "localhost"), rec)
	own.CAFile = stranger.path("ca.pem")
	r := start(t, func(s *envoy.Spec) {
		s.CAFile = a.path("ca.pem")
		s.Providers = []envoy.Upstream{good, byAddress, name, unknown, own}
	})
	for plan, want := range map[string]int{
		`["good"]`: 200, `["address"]`: 200, `["own"]`: 200, `["name"]`: 503, `["unknown"]`: 503,
		`["name","unknown","good"]`: 200, // a wrong certificate moves on
	} {
		if got := r.post("/v1/messages", `{"watch":"0","plan":`+plan+`}`); got.status != want {
			t.Errorf("plan %s: got %d %s, want %d", plan, got.status, got.body, want)
		}
	}
}

func TestTrailersPassNeitherWay(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	got := make(chan http.Header, 1)
	p := secure(t, "one", "localhost", a.issue("one", "one", "localhost"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got <- r.Trailer
		w.Header().Set("Trailer", "X-After")
		_, _ = io.WriteString(w, r.Proto)
		w.Header().Set("X-After", "1")
	}))
	r := start(t, func(s *envoy.Spec) { s.CAFile, s.Providers = a.path("ca.pem"), []envoy.Upstream{p} })
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url("/v1/messages"), strings.NewReader(`{"plan":["one"],"watch":"0"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Smuggled": {"1"}}
	res, err := (&http.Client{Transport: tr, Timeout: patience}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "HTTP/2.0" {
		t.Fatalf("got %s %s, %v", res.Status, body, err)
	}
	for n, v := range <-got {
		if len(v) > 0 {
			t.Errorf("the provider got the trailer %s", n)
		}
	}
	for n, v := range res.Trailer {
		if len(v) > 0 {
			t.Errorf("the client got the trailer %s", n)
		}
	}
}

func TestTheListenersCertificateRotates(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	a.issue("server", "first", "127.0.0.1")
	client := a.issue("client", "client")
	p, _ := upstream(t, "one", &recorder{})
	r := start(t, func(s *envoy.Spec) {
		s.TLS = envoy.TLS{Cert: a.path("server.pem"), Key: a.path("server.key"), ClientCA: a.path("ca.pem")}
		s.Providers = []envoy.Upstream{p}
	})
	ask := func(c *tls.Config) (proto, common string, err error) {
		c.RootCAs = a.pool
		tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr, Timeout: patience}).Post("https://"+r.spec.Listen+"/v1/messages", "application/json", strings.NewReader(`{"plan":["one"],"watch":"0"}`))
		if err != nil {
			return "", "", err
		}
		defer res.Body.Close()
		if res.StatusCode != 200 {
			return "", "", errors.New(res.Status)
		}
		return res.Proto, res.TLS.PeerCertificates[0].Subject.CommonName, nil
	}
	with := func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{client}} }
	if proto, common, err := ask(with()); err != nil || proto != "HTTP/2.0" || common != "first" {
		t.Fatalf("got %s from %s, %v", proto, common, err)
	}
	if _, _, err := ask(&tls.Config{}); err == nil {
		t.Error("a client without a certificate was let in")
	}
	old := with()
	old.MaxVersion = tls.VersionTLS11
	if _, _, err := ask(old); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	a.issue("server", "second", "127.0.0.1")
	eventually(t, "the new certificate is served", func() error {
		if _, common, err := ask(with()); err != nil || common != "second" {
			return fmt.Errorf("%s, %w", common, err)
		}
		return nil
	})
}
