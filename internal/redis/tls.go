package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Security is what a connection over TLS is made with; zero fields get what the system has.
type Security struct {
	CA        string // file of the authorities (PEM) that the server's certificate is verified with
	Cert, Key string // files of the certificate that is shown to the server, and of its key (PEM)
	Name      string // that the server's certificate must have, in place of its host's
}

// Config returns the settings of a connection. The client's certificate is read anew for each, so that a renewed one is
// taken up.
func (s Security) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.Name}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", s.CA)
		}
	}
	if (s.Cert == "") != (s.Key == "") {
		return nil, errors.New("a certificate and its key belong together")
	}
	if s.Cert != "" {
		pair := func() (*tls.Certificate, error) {
			p, err := tls.LoadX509KeyPair(s.Cert, s.Key)
			return &p, err
		}
		if _, err := pair(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair() }
	}
	return c, nil
}
