// Package store keeps what the admin API manages: organizations, teams, projects, issued keys, budgets, teams' own
// provider keys, prompt templates, how experiments stand, and the audit log of every change to them. Its schema also has the
// tables of internal/evals/stored.
//
//	Change(actor, func(*Tx)) ─► rows + audit log, in one transaction ─► Follower ─► indexes in memory, on every replica
//
// It is a database of decisions, not of traffic: no request waits for it. SQLite serves one process, PostgreSQL many; both
// pass the same tests. Keys are kept as keyed hashes, provider keys encrypted; neither is in the audit log.
package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Store is an open database. Its methods are safe for concurrent use.
type Store struct {
	db     *sql.DB
	engine engine
	now    func() time.Time
	sealer *Sealer
	reads  bool // and writes nothing
}

// engine is what differs between databases.
type engine interface {
	name() string
	bind(query string) string // from ? to the engine's own placeholders
	judge(err error) verdict  // of a statement or commit
	notify(ctx context.Context, tx *sql.Tx) error
	wake(ctx context.Context, woken chan<- struct{}) // until the context ends
}

// verdict is what an engine's error means.
type verdict uint8

const (
	failed    verdict = iota
	duplicate         // a unique constraint was broken
	disturbed         // by others: the transaction may succeed if it is tried again
)

// Options of a Store. Zero fields get what a running service uses.
type Options struct {
	Now    func() time.Time
	Sealer *Sealer // nil: provider keys cannot be kept
	// ReadOnly is for who looks at the store of a service beside it: nothing is written, a file that is not there is not made,
	// and a schema that is not the one of this program is refused.
	ReadOnly bool
}

// errReadOnly is what Change returns of a store that is only read.
var errReadOnly = errors.New("the store is open for reading only")

// Open opens the database at sqlite:PATH or postgres://…, brings its schema up and verifies it.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	s := &Store{now: o.Now, sealer: o.Sealer, reads: o.ReadOnly}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		s.db, s.engine, err = openSQLite(path, o.ReadOnly)
	} else {
		s.db, s.engine, err = openPostgres(address)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	bring := s.migrate
	if o.ReadOnly {
		bring = s.current
	}
	if err := bring(ctx); err != nil {
		_ = s.db.Close()
		return nil, fmt.Errorf("the store's schema: %w", err)
	}
	return s, nil
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Reason classes a Fault.
type Reason uint8

// Reasons.
const (
	Missing  Reason = iota + 1 // there is no such object
	Exists                     // there is one already
	Stale                      // it was changed since it was read
	InUse                      // others belong to it
	Invalid                    // a field is wrong
	Replayed                   // an idempotency key was used for another request
)

// Fault is what is wrong with a change. It is safe to show.
type Fault struct {
	Reason  Reason
	Field   string // as team; "": the object
	Message string
}

// Error returns the message.
func (f *Fault) Error() string { return f.Message }

func fault(r Reason, field, format string, args ...any) error {
	return &Fault{r, field, fmt.Sprintf(format, args...)}
}

// Actor is who changes something.
type Actor struct {
	Name string // as admin-token, ann@acme.example, local:1000
	From string // the address; "": the local socket

	// Tenant is whom the actor acts for, where others may have the same name; it is not in the audit log. Idempotency keys of one
	// tenant are not those of another.
	Tenant string
}

// asker is whose an idempotency key is.
func (a Actor) asker() string {
	if a.Tenant == "" {
		return a.Name
	}
	return a.Name + " of " + a.Tenant
}

// Tx is a change under way. It is used by one goroutine.
type Tx struct {
	s     *Store
	tx    *sql.Tx
	ctx   context.Context //nolint:containedctx // a Tx is of one call of Change, and ends with it
	actor Actor
	now   time.Time
}

// tries bounds how often a transaction is tried that others disturbed.
const tries = 5

// Change runs f in a transaction, which is committed if f returns nil. f may run several times: it must have no effect
// but through the Tx.
func (s *Store) Change(ctx context.Context, by Actor, f func(*Tx) error) error {
	if s.reads {
		return errReadOnly
	}
	var err error
	for n := range tries {
		if err = s.try(ctx, by, f); err == nil || s.engine.judge(err) != disturbed {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(time.Duration(n+1) * 20 * time.Millisecond):
		}
	}
	return err
}

func (s *Store) try(ctx context.Context, by Actor, f func(*Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := f(&Tx{s: s, tx: tx, ctx: ctx, actor: by, now: s.now().UTC().Truncate(time.Microsecond)}); err != nil {
		return err
	}
	if err := s.engine.notify(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Query reads rows of a table that another package fills. Placeholders are ?, on every engine.
func (s *Store) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.db.QueryContext(ctx, s.engine.bind(query), args...)
}

// Query is Store.Query within a change.
func (t *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(t.ctx, t.s.engine.bind(query), args...)
}

// Exec writes a table that another package fills, and returns how many rows it wrote. Placeholders are ?, on every engine.
func (t *Tx) Exec(query string, args ...any) (int64, error) { return t.exec(query, args...) }

// By returns who makes the change, and when.
func (t *Tx) By() (Actor, time.Time) { return t.actor, t.now }

func (t *Tx) exec(query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(t.ctx, t.s.engine.bind(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// keptAnswers is how long an idempotency key counts.
const keptAnswers = 24 * time.Hour

// Once runs f at most once for an idempotency key of the actor: a repeated request gets the first one's answer, which
// must hold no secret. again reports that it did. One that is made while the first still runs waits for it. The same key with
// another request is refused.
func (t *Tx) Once(id string, request []byte, f func() ([]byte, error)) (answer []byte, again bool, err error) {
	if id == "" {
		answer, err = f()
		return answer, false, err
	}
	if err := t.alone(t.actor.asker() + "\n" + id); err != nil {
		return nil, false, err
	}
	sum := sha256.Sum256(request)
	var was []byte
	err = t.tx.QueryRowContext(t.ctx, t.s.engine.bind("SELECT request, response FROM idempotency WHERE actor = ? AND id = ? AND at > ?"), t.actor.asker(), id, micro(t.now.Add(-keptAnswers))).Scan(&was, &answer)
	switch {
	case err == nil && string(was) == string(sum[:]):
		return answer, true, nil
	case err == nil:
		return nil, false, fault(Replayed, "idempotency-key", "the idempotency key was used for another request")
	case !errors.Is(err, sql.ErrNoRows):
		return nil, false, err
	}
	if answer, err = f(); err != nil {
		return nil, false, err
	}
	if _, err := t.exec("DELETE FROM idempotency WHERE at <= ? OR actor = ? AND id = ?", micro(t.now.Add(-keptAnswers)), t.actor.asker(), id); err != nil {
		return nil, false, err
	}
	_, err = t.exec("INSERT INTO idempotency (actor, id, request, response, at) VALUES (?, ?, ?, ?, ?)", t.actor.asker(), id, sum[:], answer, micro(t.now))
	return answer, false, err
}

// alone waits until no other change has the same reason to be alone, and keeps others waiting until this one is over. On SQLite
// every change is.
func (t *Tx) alone(reason string) error {
	if t.s.engine.name() != "postgres" {
		return nil
	}
	_, err := t.exec("SELECT pg_advisory_xact_lock(1365287344, hashtext(?))", reason)
	return err
}

// Stamp is when an object was made and changed. Version counts its changes, from 1.
type Stamp struct {
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
	Version int64     `json:"version"`
}

// micro writes a time for a column; the zero time is 0.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// when reads a time of a column.
func when(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// text writes a value as JSON for a column.
func text(v any) string {
	b, err := jsonx.Encode(v)
	if err != nil {
		panic("store: " + err.Error()) // only our own structs are written
	}
	return string(b)
}
