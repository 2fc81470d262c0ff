// Package sqlite keeps the ledger in one file, in the process: for one replica, without a server to run. Many
// replicas share a ledger in PostgreSQL (internal/ledger/postgres).
//
// The file is in WAL mode: one connection writes, others read what was committed beside it. What Write has
// returned for is on the disk.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

// Store is a ledger in a file.
type Store struct {
	write, read *sql.DB
	mu          sync.Mutex // one transaction writes at a time
	known       map[int64]bool
	passing     sync.Map // names of sinks that are being passed what waits
	statements
}

var _ book.Store = (*Store)(nil)

// version is that of the schema. A file with a later one is refused.
const version = 1

const schema = `
CREATE TABLE ledger_schema (version INTEGER NOT NULL);
CREATE TABLE ledger_records (
	at INTEGER NOT NULL, -- Unix milliseconds
	organization TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL,
	team TEXT NOT NULL, project TEXT NOT NULL, key_name TEXT NOT NULL, end_user TEXT NOT NULL, route TEXT NOT NULL,
	provider TEXT NOT NULL, model TEXT NOT NULL, region TEXT NOT NULL, status TEXT NOT NULL, tags TEXT NOT NULL,
	cost INTEGER NOT NULL, -- nano-USD
	data TEXT NOT NULL,
	PRIMARY KEY (organization, id, sequence)
) STRICT;
CREATE INDEX ledger_records_at ON ledger_records (at);
CREATE TABLE ledger_series (
	id INTEGER PRIMARY KEY,
	organization TEXT NOT NULL, team TEXT NOT NULL, project TEXT NOT NULL, key_name TEXT NOT NULL, end_user TEXT NOT NULL,
	route TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, region TEXT NOT NULL, tags TEXT NOT NULL
) STRICT;
CREATE TABLE ledger_rollups (
	period TEXT NOT NULL, -- m, h or d
	start INTEGER NOT NULL, -- Unix seconds
	series INTEGER NOT NULL,
	exchanges INTEGER NOT NULL, failed INTEGER NOT NULL, attempts INTEGER NOT NULL,
	input INTEGER NOT NULL, cached INTEGER NOT NULL, written INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, searches INTEGER NOT NULL,
	cost INTEGER NOT NULL, list INTEGER NOT NULL, saved INTEGER NOT NULL, unpriced INTEGER NOT NULL, estimated INTEGER NOT NULL, took_ms INTEGER NOT NULL,
	PRIMARY KEY (period, start, series)
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_budgets (
	organization TEXT NOT NULL, budget TEXT NOT NULL,
	start INTEGER NOT NULL, -- of the window, Unix seconds; 0: it has none
	amount INTEGER NOT NULL,
	PRIMARY KEY (organization, budget, start)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_schema VALUES (1);
`

// notices came later. What does not know it is not disturbed, so that the version is the same.
const notices = `CREATE TABLE IF NOT EXISTS ledger_notices (
	organization TEXT NOT NULL, id TEXT NOT NULL,
	height INTEGER NOT NULL, at INTEGER NOT NULL, said INTEGER NOT NULL,
	PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID`

// Open opens or makes the file. The folder is made where it is missing. It holds who asked for what, so nobody else
// may read it.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	s := &Store{known: map[int64]bool{}}
	if s.write, err = connect(path, "_txlock=immediate"); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger %s: %w", path, err), s.write.Close())
	}
	if err := s.prepare(ctx, s.write); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger %s: %w", path, err), s.write.Close())
	}
	if s.read, err = connect(path, "_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	s.read.SetMaxOpenConns(4)
	return s, nil
}

func connect(path, more string) (*sql.DB, error) {
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-16000)&" + more
	connector, err := driver.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return sql.OpenDB(connector), nil
}

func (s *Store) migrate(ctx context.Context) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_schema WHERE name='ledger_schema'").Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		if _, err := tx.ExecContext(ctx, schema+notices+outbox); err != nil {
			return err
		}
		return tx.Commit()
	}
	var have int
	if err := tx.QueryRowContext(ctx, "SELECT version FROM ledger_schema").Scan(&have); err != nil {
		return err
	}
	if have != version {
		return fmt.Errorf("the schema is of version %d, this program knows %d: use a program that is as new as the file", have, version)
	}
	if _, err := tx.ExecContext(ctx, notices+outbox); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file.
func (s *Store) Close() error {
	return errors.Join(s.statements.close(), s.read.Close(), s.write.Close())
}

// failed tells errors of the data from those of the file.
func failed(err error) error {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
			return fmt.Errorf("%w: %w", book.ErrRejected, err)
		}
	}
	return fmt.Errorf("ledger: %w", err)
}

// flavor is SQLite's.
func flavor() sqltext.Flavor {
	return sqltext.Flavor{
		Placeholder: func(int) string { return "?" },
		Tag:         func(p string) string { return "json_extract(tags," + p + ")" },
		TagArg:      func(name string) any { return `$."` + name + `"` },
		Sum:         func(c string) string { return "SUM(" + c + ")" },
		InData:      func(p string) string { return "instr(data," + p + ")>0" },
	}
}

// Records calls f for records. See book.Store.
func (s *Store) Records(ctx context.Context, q book.Filter, f func(*ledger.Record) error) error {
	if err := q.Check(); err != nil {
		return err
	}
	st := sqltext.Records(flavor(), &q)
	rows, err := s.read.QueryContext(ctx, st.SQL, st.Args...)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		r, err := ledger.Decode(data)
		if err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

// Usage adds up. See book.Store.
func (s *Store) Usage(ctx context.Context, q book.Query) ([]book.Row, error) {
	return sqltext.Ask(flavor(), &q,
		func(st sqltext.Statement) ([]sqltext.Kept, error) { return collect(ctx, s, st, sqltext.KeptRow) },
		func(st sqltext.Statement) ([]book.Row, error) {
			return collect(ctx, s, st, sqltext.UsageRow(len(q.By)))
		})
}

// collect asks, and reads the whole answer.
func collect[T any](ctx context.Context, s *Store, st sqltext.Statement, into func(*T) []any) ([]T, error) {
	rows, err := s.read.QueryContext(ctx, st.SQL, st.Args...) //nolint:rowserrcheck // sqltext.Collect checks it
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	defer rows.Close()
	return sqltext.Collect(rows, into)
}

// Prune removes what is old, a few thousand rows at a time, so that writing goes on. The file does not shrink; its free
// pages are used again.
func (s *Store) Prune(ctx context.Context, keep book.Retention, now time.Time) error {
	for _, p := range sqltext.Expired(keep, now) {
		text := "DELETE FROM " + p.Table + " WHERE (" + p.Key + ") IN (SELECT " + p.Key + " FROM " + p.Table + " WHERE " + p.Where() + " LIMIT 5000)"
		for {
			n, err := s.delete(ctx, text)
			if err != nil {
				return fmt.Errorf("ledger: removing what is old: %w", err)
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}

func (s *Store) delete(ctx context.Context, text string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	res, err := s.write.ExecContext(ctx, text)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
