package admin

import (
	"context"
	"crypto"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// TokenIssuer is an issuer of OIDC tokens, as the configuration has it.
type TokenIssuer struct {
	Name, Issuer string
	Audiences    []string
	URL          string             // of its public keys; "": Keys are
	Keys         []crypto.PublicKey // its public keys
	Client       *http.Client       // to fetch them; nil: the usual one
}

// FetchTimeout bounds fetching an issuer's public keys.
const FetchTimeout = 10 * time.Second

// Verifier verifies OIDC tokens. A nil Verifier knows none.
type Verifier struct{ issuers []verifier }

type verifier struct {
	name      string
	audiences []string
	*oidc.IDTokenVerifier
}

// NewVerifier makes a verifier. Public keys are fetched when the first token comes, and again when an unknown one signs.
func NewVerifier(ctx context.Context, issuers []TokenIssuer) *Verifier {
	v := &Verifier{}
	for i := range issuers {
		s := &issuers[i]
		var keys oidc.KeySet = &oidc.StaticKeySet{PublicKeys: s.Keys}
		if s.URL != "" {
			client := s.Client
			if client == nil {
				client = &http.Client{Timeout: FetchTimeout}
			}
			keys = oidc.NewRemoteKeySet(oidc.ClientContext(ctx, client), s.URL)
		}
		v.issuers = append(v.issuers, verifier{s.Name, s.Audiences, oidc.NewVerifier(s.Issuer, keys, &oidc.Config{
			SkipClientIDCheck:    true, // one of several audiences will do; see verify
			SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA},
		})})
	}
	return v
}

// verify returns what a token proves. ok is false where it is none of a known issuer that is good now.
func (v *Verifier) verify(ctx context.Context, token string) (p auth.Proof, ok bool) {
	if v == nil || strings.Count(token, ".") != 2 {
		return p, false
	}
	for i := range v.issuers {
		t, err := v.issuers[i].Verify(ctx, token)
		if err != nil || !v.issuers[i].meant(t.Audience) {
			continue
		}
		var claims map[string]any
		if err := t.Claims(&claims); err != nil {
			continue
		}
		return auth.Proof{Issuer: v.issuers[i].name, Claims: claims}, true
	}
	return p, false
}

func (v *verifier) meant(audience []string) bool {
	return slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.audiences, a) })
}
