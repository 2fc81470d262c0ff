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

// Provision names a team's key of a provider.
type Provision struct{ Team, Provider string }

// Replace puts all keys in place of those that are there.
func (p *Provided) Replace(all map[Provision]secret.Value) { p.m.Store(&all) }

// Find returns a team's key of a provider; ok is false where it has none, and for a nil Provided.
func (p *Provided) Find(team, provider string) (key secret.Value, ok bool) {
	if p == nil || team == "" {
		return key, false
	}
	m := p.m.Load()
	if m == nil {
		return key, false
	}
	key, ok = (*m)[Provision{team, provider}]
	return key, ok
}
