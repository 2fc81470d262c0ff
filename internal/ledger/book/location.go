package book

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Location is where a ledger is.
type Location struct {
	SQLite   string // path of the file
	Postgres string // address, without a password
}

// Locate reads sqlite:PATH, postgres://USER@HOST/DATABASE or none, which is the zero Location. Its errors do not repeat
// the text.
func Locate(s string) (Location, error) {
	if s == "none" {
		return Location{}, nil
	}
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		if path == "" || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\x00\n\r") {
			return Location{}, errors.New("behind sqlite: stands the path of a file, as sqlite:run/ledger.db")
		}
		return Location{SQLite: path}, nil
	}
	if !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		return Location{}, errors.New("must be sqlite:PATH, postgres://USER@HOST/DATABASE or none")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "":
		return Location{}, errors.New("an address of PostgreSQL is postgres://USER@HOST:PORT/DATABASE")
	case u.Query().Has("password"):
		return Location{}, errors.New("a password does not stand in the address: give it by reference, beside it")
	}
	if _, has := u.User.Password(); has {
		return Location{}, errors.New("a password does not stand in the address: give it by reference, beside it")
	}
	return Location{Postgres: s}, nil
}

// Lazy is a store that is opened when it is first used, and again while it cannot be: for a database that may be away
// when the program starts. After a failure it is left alone for a moment.
type Lazy struct {
	Open func(ctx context.Context) (Store, error)

	mu    sync.Mutex
	store Store
	err   error
	again time.Time
}

var _ Store = (*Lazy)(nil)

// pause is how long a database that could not be opened is left alone.
const pause = time.Second

// Get returns the store, opened.
func (l *Lazy) Get(ctx context.Context) (Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil {
		return l.store, nil
	}
	if l.err != nil && time.Now().Before(l.again) {
		return nil, l.err
	}
	s, err := l.Open(ctx)
	if err != nil {
		l.err, l.again = err, time.Now().Add(pause)
		return nil, err
	}
	l.store, l.err = s, nil
	return s, nil
}

// Write implements Store.
func (l *Lazy) Write(ctx context.Context, records []*ledger.Record) (int, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return 0, err
	}
	return s.Write(ctx, records)
}

// Records implements Store.
func (l *Lazy) Records(ctx context.Context, q Filter, f func(*ledger.Record) error) error {
	s, err := l.Get(ctx)
	if err != nil {
		return err
	}
	return s.Records(ctx, q, f)
}

// Usage implements Store.
func (l *Lazy) Usage(ctx context.Context, q Query) ([]Row, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.Usage(ctx, q)
}

// Prune implements Store.
func (l *Lazy) Prune(ctx context.Context, keep Retention, now time.Time) error {
	s, err := l.Get(ctx)
	if err != nil {
		return err
	}
	return s.Prune(ctx, keep, now)
}

// Close implements Store.
func (l *Lazy) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store == nil {
		return nil
	}
	return l.store.Close()
}
