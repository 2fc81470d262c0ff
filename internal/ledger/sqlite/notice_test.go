package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

func TestALedgerFromBeforeNoticesAndTheOutboxGetsThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Write(t, s, ledgertest.Make("a", ledgertest.Noon()))
	if _, err := s.write.ExecContext(t.Context(), "DROP TABLE ledger_notices; DROP TABLE ledger_outbox; DROP TABLE ledger_sinks"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if ok, err := s.Claim(t.Context(), book.Notice{Organization: "acme", ID: "x", Height: 1, At: ledgertest.Noon()}); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if err := s.Name(t.Context(), []string{"queue"}, ledgertest.Noon()); err != nil {
		t.Error(err)
	}
	if got := ledgertest.Total(t, s).Exchanges; got != 1 {
		t.Errorf("%d exchanges are left", got)
	}
}
