package auth

import (
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Provided is the keys of providers that teams have brought: requests of the team go out with its own key, and not with
// the gateway's. It is safe for concurrent use; looking up asks no lock.
type Provided struct {
	m atomic.Pointer[map[Provision]secret.Value]
}

// Provision names a team's key of a provider. The organization is the team's in the store: tokens, and the file, may have a team of
// the same name in another.
type Provision struct{ Organization, Team, Provider string }

// Replace puts all keys in place of those that are there.
func (p *Provided) Replace(all map[Provision]secret.Value) { p.m.Store(&all) }

// Find returns a team's key of a provider; ok is false where it has none, and for a nil Provided.
func (p *Provided) Find(of Owner, provider string) (key secret.Value, ok bool) {
	if p == nil || of.Team == "" {
		return key, false
	}
	m := p.m.Load()
	if m == nil {
		return key, false
	}
	key, ok = (*m)[Provision{of.Organization, of.Team, provider}]
	return key, ok
}
