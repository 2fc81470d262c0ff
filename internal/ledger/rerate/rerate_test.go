package rerate_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/rerate"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

func open(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// by prices with dollars for a million tokens, of the model gpt-5.1 alone.
func by(input, output string) rerate.Pricer {
	in, _ := price.ParseMillion(input)
	out, _ := price.ParseMillion(output)
	c := &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: in, price.Output: out})}
	return func(at time.Time, a *ledger.Attempt, u cost.Units) (rerate.Price, bool) {
		return rerate.Price{Bill: cost.Of(c, u, cost.Terms{At: at}), Card: c.Hash(), Version: "test"}, a.Model == "gpt-5.1"
	}
}

func TestThePastIsPricedAnewByCorrections(t *testing.T) {
	s := open(t)
	noon := ledgertest.Noon()
	late := ledgertest.Make("b", noon, func(r *ledger.Record) {
		r.Sequence, r.Cause = 1, "invoice"
		r.Attempts[0].Units, r.Attempts[0].Bill = ledger.Units{price.Output: 100}, ledger.Bill{Cost: 1_000_000, List: 1_000_000, Lines: []ledger.Line{{Item: "output", Units: 100, Rate: "0.00001", Cost: 1_000_000}}}
	})
	refused := ledgertest.Make("c", noon, func(r *ledger.Record) { r.Attempts = nil })
	other := ledgertest.Make("d", noon, func(r *ledger.Record) { r.Attempts[0].Model = "unknown" })
	ledgertest.Write(t, s, ledgertest.Make("a", noon), ledgertest.Make("b", noon), late, refused, other)

	// a: 1,000 and 500 cached at 2, 400 and 100 of reasoning at 8: 3 + 4 m$; b has 100 of output more.
	want := rerate.Report{Exchanges: 3, Corrected: 2, Unpriced: 1, Was: 3*12_500_000 + 1_000_000, Is: 7_000_000 + 7_800_000 + 12_500_000}
	dry, err := rerate.Run(t.Context(), s, ledgertest.All(), by("2", "8"), true, nil)
	if err != nil || dry != want {
		t.Fatalf("dry: got %+v, %v; want %+v", dry, err, want)
	}
	if n := len(ledgertest.Read(t, s, ledgertest.All())); n != 5 {
		t.Fatalf("a dry run left %d records", n)
	}
	var told []*ledger.Record
	got, err := rerate.Run(t.Context(), s, ledgertest.All(), by("2", "8"), false, func(r *ledger.Record) error { told = append(told, r); return nil })
	if err != nil || got != want || len(told) != 2 {
		t.Fatalf("got %+v, %v, %d corrections; want %+v", got, err, len(told), want)
	}
	if b := told[1]; b.ID != "b" || b.Sequence != 2 || b.Cause != "rerate" || b.Money.Cost != 7_800_000-13_500_000 || b.Attempts[0].Bill.Version != "test" {
		t.Errorf("the correction of b is %+v", b)
	}
	total := ledgertest.Total(t, s)
	if total.Cost != want.Is || total.Exchanges != 4 || total.Input != 3*1500 {
		t.Errorf("the sums are %+v", total)
	}
	again, err := rerate.Run(t.Context(), s, ledgertest.All(), by("2", "8"), false, nil)
	if err != nil || again.Corrected != 0 || again.Was != want.Is || again.Is != want.Is {
		t.Errorf("again: %+v, %v", again, err)
	}
	back, err := rerate.Run(t.Context(), s, ledgertest.All(), by("3", "9"), false, nil)
	if err != nil || back.Corrected != 2 || ledgertest.Total(t, s).Cost != back.Is {
		t.Errorf("with a third card: %+v, %v, the sum is %s", back, err, ledgertest.Total(t, s).Cost)
	}
}

// TestWhatGetsAPriceIsUnpricedNoMore: reports count attempts without a known price, and pricing anew is how they get one.
func TestWhatGetsAPriceIsUnpricedNoMore(t *testing.T) {
	s := open(t)
	unpriced := func(r *ledger.Record) {
		r.Attempts[0].Flags, r.Attempts[0].Bill, r.Money = []ledger.Flag{"unpriced"}, ledger.Bill{}, ledger.Money{}
	}
	ledgertest.Write(t, s, ledgertest.Make("a", ledgertest.Noon(), unpriced), ledgertest.Make("b", ledgertest.Noon(), unpriced))
	half := func(at time.Time, a *ledger.Attempt, u cost.Units) (rerate.Price, bool) { // has no price of answers
		in, _ := price.ParseMillion("2")
		c := &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: in})}
		return rerate.Price{Bill: cost.Of(c, u, cost.Terms{At: at}), Card: c.Hash(), Version: "test"}, true
	}
	for i, c := range []struct {
		price rerate.Pricer
		want  int64
	}{{half, 2}, {half, 2}, {by("2", "8"), 0}, {by("2", "8"), 0}, {half, 2}, {by("0", "0"), 0}} {
		if _, err := rerate.Run(t.Context(), s, ledgertest.All(), c.price, false, nil); err != nil {
			t.Fatal(err)
		}
		if got := ledgertest.Total(t, s).Unpriced; got != c.want {
			t.Errorf("after run %d: %d attempts are unpriced, want %d", i+1, got, c.want)
		}
	}
}

// TestACorrectionIsOfTheOwnersOfItsAttempts: the record of a reservation that expired knows neither route nor tags, nor every owner.
// Those of the attempts stand in the correction that came when the end was told.
func TestACorrectionIsOfTheOwnersOfItsAttempts(t *testing.T) {
	s := open(t)
	lapse := ledgertest.Make("a", ledgertest.Noon(), func(r *ledger.Record) {
		r.Attempts, r.Tags, r.Who, r.Asked, r.Result = nil, nil, ledger.Who{Key: "ci"}, ledger.Asked{}, ledger.Result{Status: ledger.Expired}
	})
	late := ledgertest.Make("a", ledgertest.Noon(), func(r *ledger.Record) { r.Sequence, r.Cause = 1, "late" })
	ledgertest.Write(t, s, lapse, late)
	var told []*ledger.Record
	if _, err := rerate.Run(t.Context(), s, ledgertest.All(), by("2", "8"), false, func(r *ledger.Record) error { told = append(told, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].Sequence != 2 || told[0].Who != late.Who || told[0].Asked != late.Asked || told[0].Tags["feature"] != "search" || told[0].Result.Status != ledger.OK {
		t.Errorf("got %+v", told)
	}
}

// A correction of the first of two attempts has another last attempt than its exchange.
func TestAttemptsAreChosenEachForItself(t *testing.T) {
	s := open(t)
	ledgertest.Write(t, s, ledgertest.Make("a", ledgertest.Noon(), func(r *ledger.Record) {
		b := r.Attempts[0]
		b.Number, b.Provider = 2, "second"
		r.Attempts = append(r.Attempts, b)
	}))
	for _, provider := range []string{"openai", "second", "openai", "second"} {
		q := ledgertest.All()
		q.Where = []book.Where{{Dimension: "provider", Values: []string{provider}}}
		if _, err := rerate.Run(t.Context(), s, q, by("2", "8"), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	all := ledgertest.Read(t, s, ledgertest.All())
	if len(all) != 3 || all[2].Sequence != 2 || ledgertest.Total(t, s).Cost != 14_000_000 {
		t.Errorf("%d records, the sum is %s", len(all), ledgertest.Total(t, s).Cost)
	}
	raced := func(at time.Time, a *ledger.Attempt, u cost.Units) (rerate.Price, bool) {
		other := *all[2]
		other.Sequence = 3
		ledgertest.Write(t, s, &other)
		return by("3", "9")(at, a, u)
	}
	if _, err := rerate.Run(t.Context(), s, ledgertest.All(), raced, false, nil); !errors.Is(err, rerate.ErrRaced) {
		t.Errorf("got %v", err)
	}
}

func TestManyExchanges(t *testing.T) {
	s := open(t)
	var all []*ledger.Record
	for n := range 1234 {
		all = append(all, ledgertest.Make(fmt.Sprintf("x%05d", n), ledgertest.Noon().Add(time.Duration(n/7)*time.Second)))
	}
	ledgertest.Write(t, s, all...)
	rep, err := rerate.Run(t.Context(), s, ledgertest.All(), by("1", "1"), false, nil)
	if err != nil || rep.Corrected != 1234 || ledgertest.Total(t, s).Cost != 1234*2_000_000 {
		t.Errorf("%+v, %v, the sum is %s", rep, err, ledgertest.Total(t, s).Cost)
	}
}
