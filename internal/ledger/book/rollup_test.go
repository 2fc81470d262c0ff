package book_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// TestModelsThatNoRouteTookAreOneSeries: clients name them as they like, and each series is kept for long.
func TestModelsThatNoRouteTookAreOneSeries(t *testing.T) {
	series := map[book.Series]int64{}
	add := func(r *ledger.Record) {
		for _, p := range book.Parts(r) {
			series[p.Series] += p.Sums.Failed
		}
	}
	for i := range 100 {
		add(&ledger.Record{Asked: ledger.Asked{Model: fmt.Sprint("made-up-", i)}, Result: ledger.Result{Status: ledger.Refused}})
	}
	add(&ledger.Record{Asked: ledger.Asked{Model: "smart", Route: "r"}, Result: ledger.Result{Status: ledger.Refused}})
	add(&ledger.Record{Result: ledger.Result{Status: ledger.Refused}})
	want := map[book.Series]int64{{Model: "other"}: 100, {Model: "smart", Route: "r"}: 1, {}: 1}
	if len(series) != len(want) {
		t.Errorf("%d series: %v", len(series), series)
	}
	for s, n := range want {
		if series[s] != n {
			t.Errorf("%+v has %d, want %d", s, series[s], n)
		}
	}
}

// TestWhatAddsNothingMakesNoRow: what clients say of answers has neither uses nor costs, and is nobody's exchange.
func TestWhatAddsNothingMakesNoRow(t *testing.T) {
	said := &ledger.Record{Key: ledger.Key{Organization: "acme", ID: "feedback-1", Sequence: 7}, At: time.Unix(1_800_000_000, 0), Cause: "feedback", Who: ledger.Who{User: "u"}}
	if rollups, series := book.Gather([]*ledger.Record{said}); len(rollups) > 0 || len(series) > 0 {
		t.Errorf("got %+v of %+v", rollups, series)
	}
}
