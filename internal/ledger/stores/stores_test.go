package stores_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/stores"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

func TestAddresses(t *testing.T) {
	for in, want := range map[string]book.Location{
		"none":                               {},
		"sqlite:run/ledger.db":               {SQLite: "run/ledger.db"},
		"sqlite:/var/lib/l.db":               {SQLite: "/var/lib/l.db"},
		"postgres://u@h:5432/d?sslmode=full": {Postgres: "postgres://u@h:5432/d?sslmode=full"},
		"postgresql://h/d":                   {Postgres: "postgresql://h/d"},
	} {
		if got, err := book.Locate(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "sqlite:", "sqlite://host/x", "mysql://h/d", "postgres://h", "postgres:///d", "postgres://u:hunter2@h/d", "postgres://h/d?password=hunter2", "run/ledger.db", "postgres://[::1/d"} {
		if _, err := book.Locate(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestOpen(t *testing.T) {
	if _, err := stores.Open(t.Context(), "none", ""); !errors.Is(err, stores.ErrNone) {
		t.Errorf("got %v", err)
	}
	s, err := stores.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "l.db"), "")
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Write(t, s, ledgertest.Make("a", ledgertest.Noon()))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestADatabaseMayComeAfterTheProgram(t *testing.T) {
	pg := servers.StartPostgres(t)
	url := strings.Replace(pg.Database(), "postgres@", "reader@", 1)
	pg.Exec("postgres", "CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'hunter2'")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	pg.Kill()
	s := stores.Later(url, secret.Ref("file:"+file))
	defer s.Close()
	batch := []*ledger.Record{ledgertest.Make("a", ledgertest.Noon())}
	for range 2 { // the second time without asking again
		if _, err := s.Write(t.Context(), batch); err == nil || errors.Is(err, book.ErrRejected) || strings.Contains(err.Error(), "hunter2") {
			t.Fatalf("got %v", err)
		}
	}
	pg.Start()
	time.Sleep(1100 * time.Millisecond)
	if n, err := s.Write(t.Context(), batch); n != 1 || err != nil {
		t.Errorf("%d were new, %v", n, err)
	}
	if got := ledgertest.Total(t, s).Exchanges; got != 1 {
		t.Errorf("%d exchanges", got)
	}
	if err := s.Prune(t.Context(), book.Retention{}, time.Now()); err != nil {
		t.Error(err)
	}
	if all := ledgertest.Read(t, s, ledgertest.All()); len(all) != 1 {
		t.Errorf("%d records", len(all))
	}
}
