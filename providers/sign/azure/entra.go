package azure

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// byAssertion is the type of a JWT that stands for a client (RFC 7523 §2.2).
const byAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// entra returns options for the token of an application, by the client credentials grant (RFC 6749 §4.4).
// Secret, certificate and federated token are read again for every token, as they are rotated.
func entra(client *http.Client, p *Params) sign.Options[string] {
	endpoint := strings.TrimRight(p.Authority, "/") + "/" + p.Tenant + "/oauth2/v2.0/token"
	fetch := func(ctx context.Context) (string, time.Time, error) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {p.ClientID}, "scope": {p.Scope}}
		proof, err := p.prove(ctx, endpoint, form)
		if err != nil {
			return "", time.Time{}, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			return "", time.Time{}, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		return sign.Fetch(client, req, proof)
	}
	return sign.Options[string]{Name: "azure " + p.Source + " of " + p.ClientID, Fetch: fetch}
}

// prove adds to the form what proves that we are the application, and returns it.
func (p *Params) prove(ctx context.Context, endpoint string, form url.Values) (string, error) {
	var proof string
	var err error
	switch p.Source {
	case application:
		if proof, err = sign.Reveal(ctx, p.ClientSecret); err == nil {
			form.Set("client_secret", proof)
		}
		return proof, err
	case workload:
		proof, err = sign.File(p.TokenFile)
	default:
		var doc string
		if doc, err = sign.Reveal(ctx, p.ClientCertificate); err == nil {
			proof, err = assertion(doc, endpoint, p.ClientID, time.Now())
		}
	}
	form.Set("client_assertion_type", byAssertion)
	form.Set("client_assertion", proof)
	return proof, err
}

// assertion is a JWT that the certificate's key has signed (learn.microsoft.com, "Microsoft identity
// platform application authentication certificate credentials"; RFC 7515, RFC 7518 §3.5).
func assertion(doc, audience, clientID string, now time.Time) (string, error) {
	cert, priv, err := pair([]byte(doc))
	if err != nil {
		return "", fmt.Errorf("client_certificate: %w", err)
	}
	thumb := sha256.Sum256(cert)
	head, err := jsonx.Encode(map[string]string{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(thumb[:])})
	if err != nil {
		return "", err
	}
	claims, err := jsonx.Encode(map[string]any{
		"aud": audience, "iss": clientID, "sub": clientID, "jti": rand.Text(),
		"nbf": now.Add(-time.Minute).Unix(), "iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPSS(rand.Reader, priv, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		return "", errors.New("client_certificate: its key cannot sign")
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// pair finds the first certificate, as DER, and the RSA key. Errors hold nothing of what was read.
func pair(doc []byte) (cert []byte, priv *rsa.PrivateKey, err error) {
	for {
		var block *pem.Block
		if block, doc = pem.Decode(doc); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE" && cert == nil:
			cert = block.Bytes
		case block.Type == "RSA PRIVATE KEY":
			priv, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case block.Type == "PRIVATE KEY":
			var k any
			if k, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
				priv, _ = k.(*rsa.PrivateKey)
			}
		}
		if err != nil {
			return nil, nil, errors.New("the key cannot be read")
		}
	}
	if cert == nil || priv == nil {
		return nil, nil, errors.New("needs a certificate and its RSA key, both in PEM form and without a password")
	}
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, nil, errors.New("the certificate cannot be read")
	}
	if pub, ok := c.PublicKey.(*rsa.PublicKey); !ok || !pub.Equal(priv.Public()) {
		return nil, nil, errors.New("certificate and key do not fit")
	}
	return cert, priv, nil
}
