package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Authority issues certificates for tests.
type Authority struct {
	File string // of its own certificate (PEM)

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one, with a key of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "an authority of tests"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	var der []byte
	der, a.key = a.sign(a.cert)
	a.File = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

// Issue writes a certificate for hosts, names or addresses, and its key, and returns their files.
func (a *Authority) Issue(hosts ...string) (cert, key string) {
	a.t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0]}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, h)
		}
	}
	der, own := a.sign(c)
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(hosts[0]+".pem", "CERTIFICATE", der), a.write(hosts[0]+"-key.pem", "PRIVATE KEY", secret)
}

func (a *Authority) sign(c *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	now := time.Now()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(now.UnixNano()), now.Add(-time.Hour), now.Add(24*time.Hour)
	by := a.key
	if by == nil {
		by = own
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &own.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, own
}

func (a *Authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// StartRedisTLS starts a Redis that speaks nothing but TLS, and asks its clients for a certificate of the authority. Its
// own is for a name. Do does not reach it.
func StartRedisTLS(t testing.TB, a *Authority, name string, args ...string) *Redis {
	t.Helper()
	bin := program(t, "redis-server", "redis-server")
	port := freePort(t) // of a cluster the bus has this port and 10,000 more
	r := &Redis{t: t, bin: bin, Addr: "127.0.0.1:" + strconv.Itoa(port), Port: port, Dir: t.TempDir()}
	r.args = append(secured(a, name, port), args...)
	r.Start()
	t.Cleanup(r.Kill)
	return r
}

func secured(a *Authority, name string, port int) []string {
	cert, key := a.Issue(name)
	return []string{"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.File, "--tls-auth-clients", "yes"}
}

// StartRedisSentinelTLS starts a Redis and a Sentinel that watches over it under a name, both as StartRedisTLS.
func StartRedisSentinelTLS(t testing.TB, a *Authority, host, name string) (sentinel *Redis) {
	t.Helper()
	master := StartRedisTLS(t, a, host, "--tls-replication", "yes")
	port := freePort(t)
	sentinel = &Redis{t: t, Addr: "127.0.0.1:" + strconv.Itoa(port), Port: port, Dir: t.TempDir()}
	file := filepath.Join(sentinel.Dir, "sentinel.conf")
	conf := "bind 127.0.0.1\ndir " + sentinel.Dir + "\nsentinel monitor " + name + " 127.0.0.1 " + strconv.Itoa(master.Port) + " 1\n"
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{file, "--sentinel", "--tls-replication", "yes"}, secured(a, host, port)...)
	sentinel.launch(program(t, "redis-server", "redis-server"), args, "+monitor master")
	t.Cleanup(sentinel.Kill)
	return sentinel
}
