package google

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/providers/sign"
)

// Signer puts an access token on requests. It is safe for concurrent use.
type Signer struct {
	tokens *sign.Source[token]
}

// token is a bearer, with the project to charge where the credential names one.
type token struct{ bearer, project string }

// Format shows nothing of what it holds.
func (token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// New makes a signer. at is where p stands in the provider's configuration ("params.auth"), for errors,
// which are *llm.Error and name the field.
func New(lease *sign.Lease, at string, p Params) (*Signer, error) {
	if err := p.check(at); err != nil {
		return nil, err
	}
	f := &fetcher{client: lease.Client(), p: p}
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", p))
	return &Signer{sign.Share(lease, "google "+hex.EncodeToString(sum[:]), func() sign.Options[token] {
		return sign.Options[token]{Name: "google " + p.Source, Every: sign.Borrowed, Timeout: 30 * time.Second, Fetch: f.fetch}
	})}, nil
}

// Headers are the lower-case names of the headers that Sign may set.
func Headers() []string { return []string{"authorization", "x-goog-user-project"} }

// Sign adds the token as a bearer, and the project to charge where one is given.
func (s *Signer) Sign(ctx context.Context, set func(name, value string)) error {
	t, err := s.tokens.Get(ctx)
	if err != nil {
		return err
	}
	set("authorization", "Bearer "+t.bearer)
	if t.project != "" {
		set("x-goog-user-project", t.project)
	}
	return nil
}
