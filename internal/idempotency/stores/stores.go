// Package stores opens the store of idempotent answers that a configuration names, whichever it is. It is the one list of
// them.
package stores

import (
	"context"
	"time"

	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/idempotency/memory"
	"github.com/signalbox-ai/signalbox/internal/idempotency/redis"
	connection "github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Settings say where answers are kept.
type Settings struct {
	Store    string // none, memory, or the address of a Redis
	Password secret.Ref
	TLS      connection.Security
	Timeout  time.Duration
	Most     int64 // bytes of all answers
}

// Open opens the store; it is nil where there is none. Remote says that it is not in this process. It connects to nothing
// yet. Close ends it.
func Open(s Settings) (store idempotency.Store, remote bool, end func(), err error) {
	switch s.Store {
	case "none":
		return nil, false, func() {}, nil
	case "memory":
		return memory.New(memory.Params{Most: s.Most}), false, func() {}, nil
	}
	p := redis.Params{URL: s.Store, Timeout: s.Timeout, Most: s.Most}
	if s.Password != "" {
		p.Password = func(ctx context.Context) (secret.Value, error) { return s.Password.Resolve(ctx) }
	}
	if s.TLS != (connection.Security{}) {
		if p.TLS, err = s.TLS.Config(); err != nil {
			return nil, false, nil, err
		}
	}
	r, err := redis.New(p)
	if err != nil {
		return nil, false, nil, err
	}
	return r, true, func() { _ = r.Close() }, nil
}
