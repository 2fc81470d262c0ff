package azure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// Signer puts a credential on requests. It is safe for concurrent use.
type Signer struct {
	tokens *sign.Source[string] // nil: with the key
}

// New makes a signer. at is where p stands in the provider's configuration ("params.auth"), for errors,
// which are *llm.Error and name the field.
func New(lease *sign.Lease, at string, p Params) (*Signer, error) {
	if err := p.check(at); err != nil {
		return nil, err
	}
	var o sign.Options[string]
	switch p.Source {
	case key:
		return &Signer{}, nil
	case token:
		o = sign.Fixed("azure access token", p.Token)
	case managed:
		o = machine(lease.Client(), &p)
	default:
		o = entra(lease.Client(), &p)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", p))
	return &Signer{sign.Share(lease, "azure "+hex.EncodeToString(sum[:]), func() sign.Options[string] { return o })}, nil
}

// Headers are the lower-case names of the headers that Sign may set.
func Headers() []string { return []string{"api-key", "authorization"} }

// Sign adds the credential: key in the header api-key, or a token as a bearer. Without either it adds
// nothing.
func (s *Signer) Sign(ctx context.Context, key secret.Value, set func(name, value string)) error {
	if s.tokens == nil {
		if !key.Empty() {
			set("api-key", key.Reveal())
		}
		return nil
	}
	t, err := s.tokens.Get(ctx)
	if err != nil {
		return err
	}
	set("authorization", "Bearer "+t)
	return nil
}

// assertionLife is how long an assertion of our own holds.
const assertionLife = 10 * time.Minute
