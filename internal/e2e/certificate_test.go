package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// writePair replaces a certificate and its key by rename, and returns what trusts it.
func writePair(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: secret}, "cert.pem": {Type: "CERTIFICATE", Bytes: der}} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// overTLS sends a request on a connection of its own.
func overTLS(url string, roots *x509.CertPool, h2 bool, body string) (*http.Response, string, error) {
	var p http.Protocols
	p.SetHTTP1(!h2)
	p.SetHTTP2(h2)
	tr := &http.Transport{Protocols: &p, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodPost, url+chatPath, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("content-type", "application/json")
	res, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

// upTLS starts the program with TLS on the clients' address, and returns that address.
func upTLS(t *testing.T, providers string) (url, dir string, roots *x509.CertPool, p *stack.Process) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sb") // short: a socket's path holds about a hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	roots = writePair(t, dir, "first")
	port, admin := stack.FreePort(t), stack.FreePort(t)
	config := filepath.Join(dir, "signalbox.yaml")
	text := fmt.Sprintf("listen: { http: 127.0.0.1:%s, admin: 127.0.0.1:%s, service: unix:%[3]s/s.sock, tls: { cert: %[3]s/cert.pem, key: %[3]s/key.pem } }\nenvoy: { admin: unix:%[3]s/a.sock, concurrency: 2 }\nlog: { level: debug }\n%[4]s", port, admin, dir, providers)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p = stack.Start(t, "/usr/bin/env", nil, "-C", dir, stack.Binary(t), "up", "--config", config)
	url = "https://127.0.0.1:" + port
	stack.Eventually(t, time.Minute, "the TLS listener answers", func() error {
		if err := p.Alive(); err != nil {
			t.Fatalf("%v: %s", err, p.Output())
		}
		res, body, err := overTLS(url, roots, false, chat("a/echo", false))
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", res.Status, body)
		}
		return err
	})
	return url, dir, roots, p
}

func TestTLSOffersHTTP2AndTakesANewCertificateWhileItRuns(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	url, dir, first, p := upTLS(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\n", a.url))
	for _, h2 := range []bool{false, true} {
		for _, stream := range []bool{false, true} {
			res, body, err := overTLS(url, first, h2, chat("a/echo", stream))
			if err != nil || res.StatusCode != 200 || !strings.Contains(body, "Hello") || (res.ProtoMajor == 2) != h2 {
				t.Errorf("h2 %v, stream %v: %v, %s", h2, stream, err, body)
			}
		}
	}
	if old, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: first, MaxVersion: tls.VersionTLS11}); err == nil {
		old.Close()
		t.Error("TLS 1.1 is accepted")
	}
	// A stream that began under the old certificate is to end whole.
	streamed := make(chan error, 1)
	before := len(a.Journal())
	go func() {
		_, body, err := overTLS(url, first, true, asked("a/pace:20ms+tokens:150"))
		if err == nil && !strings.Contains(body, "[DONE]") {
			err = fmt.Errorf("the stream is not whole: %s", body)
		}
		streamed <- err
	}()
	stack.Eventually(t, 30*time.Second, "the stream has begun", func() error {
		if len(a.Journal()) == before {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	second := writePair(t, dir, "second")
	stack.Eventually(t, 30*time.Second, "the new certificate is shown", func() error {
		res, body, err := overTLS(url, second, true, chat("a/echo", false))
		if err == nil && res.StatusCode != 200 {
			err = fmt.Errorf("%s: %s", res.Status, body)
		}
		return err
	})
	if _, _, err := overTLS(url, first, true, chat("a/echo", false)); err == nil {
		t.Error("the old certificate is still shown")
	}
	if err := <-streamed; err != nil {
		t.Errorf("the stream under the old certificate: %v", err)
	}
	if err := p.Alive(); err != nil {
		t.Error(err)
	}
	secret, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains([]byte(p.Output()), bytes.Split(secret, []byte("\n"))[1]) {
		t.Error("the private key is in the log")
	}
}
