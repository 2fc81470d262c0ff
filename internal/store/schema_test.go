package store_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/signalbox-ai/signalbox/internal/store"
)

// raw opens the database beside the store.
func raw(t *testing.T, address string) *sql.DB {
	t.Helper()
	var db *sql.DB
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		c, err := (&sqlite.Driver{}).Open("file:" + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if db, err = sql.Open("sqlite", "file:"+path); err != nil {
			t.Fatal(err)
		}
	} else {
		c, err := pgx.ParseConfig(address)
		if err != nil {
			t.Fatal(err)
		}
		db = stdlib.OpenDB(*c)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// onlyRead looks at a database beside the store that writes it: what is not there is not made, and nothing is written.
func onlyRead(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	look := func() (*store.Store, error) { return store.Open(ctx, r.address, store.Options{ReadOnly: true}) }
	s, err := look()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.owners()
	if _, err := s.Team(ctx, "core"); err != nil {
		t.Errorf("what was written beside it: %v", err)
	}
	if err := s.Change(ctx, admin, func(tx *store.Tx) error { return tx.CreateOrganization(&store.Organization{Name: "other"}) }); err == nil || !strings.Contains(err.Error(), "reading only") {
		t.Errorf("a change: %v", err)
	}
	if _, err := r.Organization(ctx, "other"); err == nil {
		t.Error("it has written")
	}
	db := raw(t, r.address)
	for _, c := range []struct{ query, says string }{
		{"DELETE FROM signalbox_schema WHERE version > 1", "brings it up"},
		{"UPDATE signalbox_schema SET checksum = 'other'", "changed by hand"},
		{"DROP TABLE signalbox_schema", "no service has used"},
	} {
		if _, err := db.ExecContext(ctx, c.query); err != nil {
			t.Fatal(err)
		}
		if s, err := look(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("after %s: %v, %v", c.query, s, err)
		}
	}
	if path, ok := strings.CutPrefix(r.address, "sqlite:"); ok {
		_, err := store.Open(ctx, r.address+".none", store.Options{ReadOnly: true})
		if _, gone := os.Stat(path + ".none"); !errors.Is(err, fs.ErrNotExist) || gone == nil {
			t.Errorf("a file that is not there: %v; %v", err, gone)
		}
	}
}

// schema opens what is there again, and refuses what it does not know.
func schema(t *testing.T, at func(store.Options) *rig) {
	r, ctx := at(store.Options{}), context.Background()
	r.owners()
	at(store.Options{}) // a second time there is nothing to do
	if _, err := r.Team(ctx, "core"); err != nil {
		t.Fatal(err)
	}
	db := raw(t, r.address)
	exec := func(query string) {
		t.Helper()
		if _, err := db.ExecContext(ctx, query); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(says string) {
		t.Helper()
		s, err := store.Open(ctx, r.address, store.Options{})
		if err == nil {
			_ = s.Close()
			t.Fatalf("opened, though %s", says)
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	exec("INSERT INTO signalbox_schema (version, name, checksum, applied) VALUES (9999, 'future', 'x', 0)")
	refused("newer version")
	exec("DELETE FROM signalbox_schema WHERE version = 9999")
	exec("UPDATE signalbox_schema SET checksum = 'other' WHERE version = 1")
	refused("changed by hand")
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for address, says := range map[string]string{
		"sqlite:/dev/null/x": "opening the store",
		"postgres://signalbox@127.0.0.1:1/x?sslmode=disable": "the store's schema",
		"mysql:x": "opening the store",
	} {
		s, err := store.Open(context.Background(), address, store.Options{})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", address)
		} else if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", address, err)
		}
	}
}
