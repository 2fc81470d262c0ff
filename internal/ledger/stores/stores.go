// Package stores opens the ledger that a configuration names, whichever database it is in. It is the one list of them.
package stores

import (
	"context"
	"errors"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/postgres"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// ErrNone is that there is no ledger to open.
var ErrNone = errors.New("no ledger is configured: ledger.store says where it is, as sqlite:run/ledger.db")

// Open opens the ledger at an address as book.Locate reads it. The password is that of PostgreSQL, "" where it needs
// none; it is resolved again for each connection, so that it may change.
func Open(ctx context.Context, address string, password secret.Ref) (book.Store, error) {
	at, err := book.Locate(address)
	switch {
	case err != nil:
		return nil, err
	case at.SQLite != "":
		return sqlite.Open(ctx, at.SQLite)
	case at.Postgres != "":
		p := postgres.Params{URL: at.Postgres}
		if password != "" {
			p.Password = func(ctx context.Context) (string, error) {
				v, err := password.Resolve(ctx)
				return v.Reveal(), err
			}
		}
		return postgres.Open(ctx, p)
	}
	return nil, ErrNone
}

// Later returns a store that is opened when it is first used, so that a program starts while its database is away. The sinks
// are named in it before anything is written.
func Later(address string, password secret.Ref, sinks ...string) *book.Lazy {
	return &book.Lazy{Open: func(ctx context.Context) (book.Store, error) {
		s, err := Open(ctx, address, password)
		if err != nil {
			return nil, err
		}
		if err := s.(book.Outbox).Name(ctx, sinks, time.Now()); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}}
}
