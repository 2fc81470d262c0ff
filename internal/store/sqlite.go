package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// liteEngine is SQLite in a file, for one process.
type liteEngine struct{}

// connector opens connections without the driver's registration by name.
type connector struct {
	driver driver.Driver
	dsn    string
}

// Connect implements driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

// openSQLite opens a file, which only its owner may read. WAL lets reads go on beside a write; writers take the lock at
// their begin, so that none fails half-way. What is only read must be there.
func openSQLite(path string, reads bool) (*sql.DB, engine, error) {
	if reads {
		if _, err := os.Stat(path); err != nil {
			return nil, nil, err
		}
		return connectSQLite(path, "?mode=rw&_pragma=busy_timeout(5000)&_pragma=query_only(1)") // rw, for the files of the WAL, which nobody may have made
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	return connectSQLite(path, "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)")
}

func connectSQLite(path, options string) (*sql.DB, engine, error) {
	db := sql.OpenDB(connector{&sqlite.Driver{}, "file:" + path + options})
	db.SetMaxOpenConns(4)
	if err := db.Ping(); err != nil {
		_ = db.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, liteEngine{}, nil
}

func (liteEngine) name() string             { return "sqlite" }
func (liteEngine) bind(query string) string { return query }

func (liteEngine) judge(err error) verdict {
	e, ok := errors.AsType[*sqlite.Error](err)
	switch {
	case !ok:
	case e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return duplicate
	case e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED:
		return disturbed
	}
	return failed
}

func (liteEngine) notify(context.Context, *sql.Tx) error { return nil }

func (liteEngine) wake(ctx context.Context, _ chan<- struct{}) { <-ctx.Done() }
