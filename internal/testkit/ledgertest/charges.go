package ledgertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

func charging(t *testing.T, s book.Store) {
	with := func(n int, sequence int, charges ...ledger.Charge) *ledger.Record {
		return Make(fmt.Sprint("r", n), Noon(), func(r *ledger.Record) {
			r.Sequence, r.Money.Charges = sequence, charges
			if sequence > 0 {
				r.Cause = "late"
			}
		})
	}
	month, before := Noon().Add(-20*24*time.Hour).Unix(), Noon().Add(-50*24*time.Hour).Unix()
	first := with(1, 0, ledger.Charge{Budget: "a", Window: month, Unit: "money", Amount: 500}, ledger.Charge{Budget: "life", Unit: "money", Amount: 7})
	Write(t, s, first, with(2, 0, ledger.Charge{Budget: "a", Window: month, Unit: "money", Amount: 20}, ledger.Charge{Budget: "a", Window: before, Unit: "money", Amount: 3}))
	Write(t, s, first, with(1, 1, ledger.Charge{Budget: "a", Window: month, Unit: "money", Amount: -400}))
	organization := first.Organization
	read := func(since time.Time) string {
		got, err := s.(book.Charger).Charged(t.Context(), organization, since)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(got)
	}
	if got, want := read(time.Unix(month, 0)), fmt.Sprintf("[{a %d 120} {life 0 7}]", month); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := read(time.Unix(0, 0)), fmt.Sprintf("[{a %d 3} {a %d 120} {life 0 7}]", before, month); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for want, ids := range map[string][]string{fmt.Sprintf("[{a %d 120}]", month): {"a", "nothing"}, "[{life 0 7}]": {"life"}, "[]": {}} {
		if got, err := s.(book.Charger).ChargedOf(t.Context(), organization, ids, time.Unix(month, 0)); err != nil || fmt.Sprint(got) != want {
			t.Errorf("of %v got %v, %v, want %s", ids, got, err, want)
		}
	}
	if err := s.Prune(t.Context(), book.Retention{}, Noon().Add(60*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, want := read(time.Unix(0, 0)), fmt.Sprintf("[{a %d 120} {life 0 7}]", month); got != want {
		t.Errorf("after the retention got %s, want %s", got, want)
	}
	if got, err := s.(book.Charger).Charged(t.Context(), "another", time.Unix(0, 0)); err != nil || len(got) > 0 {
		t.Errorf("another organization has %v, %v", got, err)
	}
	known, err := s.(book.Knower).Known(t.Context(), organization, []string{first.ID, "nobody"})
	if err != nil || len(known) != 1 || known[0] != first.ID {
		t.Errorf("known: %v, %v", known, err)
	}
}
