package ledgertest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

func noticing(t *testing.T, store book.Store) {
	s := store.(book.Noticer)
	claim := func(n book.Notice, want bool) {
		t.Helper()
		if got, err := s.Claim(t.Context(), n); got != want || err != nil {
			t.Errorf("%+v: %v, %v", n, got, err)
		}
	}
	n := book.Notice{Organization: "acme", ID: "team_money_month_x/1785542400/800/ops", Height: 500, At: Noon()}
	later := func(d time.Duration) book.Notice { m := n; m.At = n.At.Add(d); return m }

	var first atomic.Int32 // of many replicas
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if ok, err := s.Claim(t.Context(), n); err != nil {
				t.Error(err)
			} else if ok {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	if first.Load() != 1 {
		t.Errorf("%d replicas say it", first.Load())
	}
	claim(later(book.Lease-time.Second), false)
	claim(later(book.Lease), true) // who began did not end
	if err := s.Said(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	claim(later(50*book.Lease), false)

	raised := later(51 * book.Lease)
	raised.Height = 600
	claim(raised, true)
	lowered := later(60 * book.Lease)
	claim(lowered, true) // the lease of the raised one ran out, whoever claims it
	if err := s.Said(t.Context(), lowered); err != nil {
		t.Fatal(err)
	}
	claim(later(70*book.Lease), false) // it was said of the limit as it is now
	other := n
	other.Organization = "another"
	claim(other, true)
	if err := store.Prune(t.Context(), book.Retention{}, Noon().Add(390*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	claim(other, false)
	if err := store.Prune(t.Context(), book.Retention{}, Noon().Add(500*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	claim(other, true)
}
