package sqlite_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

func open(tb testing.TB, path string) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), path)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) book.Store { return open(t, filepath.Join(t.TempDir(), "new folder", "a?b#c%20.db")) })
}

func TestWhatWasWrittenIsThereAfterAReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	s := open(t, path)
	ledgertest.Write(t, s, ledgertest.Make("a", ledgertest.Noon()))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer s.Close()
	if n := ledgertest.Write(t, s, ledgertest.Make("a", ledgertest.Noon()), ledgertest.Make("b", ledgertest.Noon())); n != 1 {
		t.Errorf("%d were new, want 1", n)
	}
	if got := ledgertest.Total(t, s).Exchanges; got != 2 {
		t.Errorf("%d exchanges, want 2", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v: others may read who asked for what", info.Mode(), err)
	}
}

func TestAFileOfALaterProgramIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE ledger_schema SET version=99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), "version 99") {
		t.Errorf("got %v", err)
	}
	if _, err := sqlite.Open(t.Context(), t.TempDir()); err == nil {
		t.Error("a folder is opened as a ledger")
	}
}

// What goes in by many at once says only how many were new.
func TestOfManyRecordsTheKnownOnesCountOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "l.db"))
	defer s.Close()
	many := func(from, to int) (out []*ledger.Record) {
		for i := from; i < to; i++ {
			out = append(out, ledgertest.Make(fmt.Sprintf("%03d", i), ledgertest.Noon()))
		}
		return out
	}
	for _, step := range []struct {
		batch []*ledger.Record
		fresh int
		all   int64
	}{
		{many(0, 40), 40, 40},
		{many(0, 40), 0, 40},
		{many(39, 79), 39, 79},
		{append(many(79, 100), many(79, 100)...), 21, 100},
	} {
		if n := ledgertest.Write(t, s, step.batch...); n != step.fresh {
			t.Errorf("%d were new, want %d", n, step.fresh)
		}
		if got := ledgertest.Total(t, s).Exchanges; got != step.all {
			t.Errorf("%d exchanges, want %d", got, step.all)
		}
	}
}
