package control

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/go-jose/go-jose/v4"

	"github.com/signalbox-ai/signalbox/internal/admin"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// take puts what verifies tokens in place.
func (c *Control) take(ctx context.Context, cfg *config.Config) error {
	v, err := verifier(ctx, cfg)
	if err == nil {
		c.verify.Store(v)
	}
	return err
}

// verifier makes what verifies OIDC tokens on the admin address, where no Envoy does.
func verifier(ctx context.Context, cfg *config.Config) (*admin.Verifier, error) {
	var issuers []admin.TokenIssuer
	for i := range cfg.Auth.JWT {
		j := &cfg.Auth.JWT[i]
		if j.Header != "" { // another Envoy's, which is not here
			continue
		}
		t := admin.TokenIssuer{Name: j.Name, Issuer: j.Issuer, Audiences: j.Audiences, URL: j.JWKS}
		if j.JWKSFile != "" {
			keys, err := publicKeys(j.JWKSFile)
			if err != nil {
				return nil, fault(cfg, fmt.Sprintf("auth.jwt[%d].jwks_file", i), err)
			}
			t.Keys = keys
		}
		if j.CA != "" {
			client, err := trusting(j.CA)
			if err != nil {
				return nil, fault(cfg, fmt.Sprintf("auth.jwt[%d].ca", i), err)
			}
			t.Client = client
		}
		issuers = append(issuers, t)
	}
	return admin.NewVerifier(context.WithoutCancel(ctx), issuers), nil
}

// publicKeys reads a JWKS.
func publicKeys(path string) ([]crypto.PublicKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	if err := jsonx.Decode(b, &set); err != nil {
		return nil, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	var keys []crypto.PublicKey
	for i := range set.Keys {
		if k := set.Keys[i].Key; set.Keys[i].IsPublic() {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// trusting makes a client that verifies servers with the authorities of a file.
func trusting(path string) (*http.Client, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file has no certificate in PEM form")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &http.Client{Transport: t, Timeout: admin.FetchTimeout}, nil
}
