package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/reconcile"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

var (
	life  = &quota.Budget{ID: "team_money_life_0", Unit: quota.Money, Limit: 1 << 40, Window: window.Window{Kind: window.Life}}
	daily = &quota.Budget{ID: "team_tokens_day_0", Unit: quota.Tokens, Limit: 1 << 40, Window: window.Window{Kind: window.Day}}
	quick = &quota.Budget{ID: "team_requests_sliding_0", Unit: quota.Requests, Limit: 1 << 40, Window: window.Window{Kind: window.Sliding, Length: time.Minute}}
)

// books are a ledger in memory.
type books struct {
	mu      sync.Mutex // records are written while others are read
	records []*ledger.Record
	err     error
}

func (b *books) written() []*ledger.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.records)
}

func (b *books) ChargedOf(_ context.Context, organization string, ids []string, since time.Time) ([]book.Charged, error) {
	var out []book.Charged
	for _, c := range book.Charges(b.written()) {
		for _, id := range ids {
			if c.Organization == organization && c.Budget == id && (c.Window == 0 || c.Window >= since.Unix()) {
				out = append(out, c.Charged)
			}
		}
	}
	return out, b.err
}

func (b *books) Records(_ context.Context, f book.Filter, each func(*ledger.Record) error) error {
	for _, r := range b.written() {
		if !r.At.Before(f.From) && r.At.Before(f.Until) {
			if err := each(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// rig is counters with their books and who compares them.
type rig struct {
	*testing.T
	*reconcile.Reconciler
	store  *memory.Store
	books  books
	behind bool
	epoch  atomic.Pointer[string]
	n      int
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, store: memory.New(memory.Params{})}
	r.begins("one")
	r.Reconciler = reconcile.New(reconcile.Params{
		Store: r.store, Ledger: &r.books, Behind: func() bool { return r.behind },
		Epoch: func(context.Context, string) (string, error) { return r.current(), nil },
	})
	return r
}

// exchange reserves and settles, and returns its record.
func (r *rig) exchange(b *quota.Budget, n int64, at time.Time) *ledger.Record {
	r.Helper()
	r.n++
	id := fmt.Sprintf("exchange-%d", r.n)
	claims := []quota.Claim{{Budget: b, Amount: n}}
	if _, no, err := r.store.Reserve(r.Context(), &quota.Request{Organization: "acme", ID: id, Claims: claims, Hold: time.Minute}); err != nil || no != nil {
		r.Fatal(err, no)
	}
	if _, err := r.store.Settle(r.Context(), &quota.Settlement{Organization: "acme", ID: id, Born: at, Claims: claims}); err != nil {
		r.Fatal(err)
	}
	start, _ := b.Window.Span(at)
	return &ledger.Record{Key: ledger.Key{Organization: "acme", ID: id}, At: at, Money: ledger.Money{Charges: []ledger.Charge{{Budget: b.ID, Window: start / 1000, Amount: n}}}}
}

func (r *rig) write(records ...*ledger.Record) {
	r.books.mu.Lock()
	defer r.books.mu.Unlock()
	r.books.records = append(r.books.records, records...)
}

// current is the epoch of the counters; begins has another begin.
func (r *rig) current() string { return *r.epoch.Load() }

func (r *rig) begins(epoch string) { r.epoch.Store(&epoch) }

// round compares all budgets and returns what was found, in short.
func (r *rig) round() string {
	r.Helper()
	var all []reconcile.Owned
	for _, b := range []*quota.Budget{life, daily, quick} {
		all = append(all, reconcile.Owned{Organization: "acme", Budget: b})
	}
	found, units, err := r.Round(r.Context(), slices.Values(all))
	if err != nil {
		r.Fatal(err)
	}
	if len(units) != 2 {
		r.Errorf("the units are %v: a minute is too short, the others are not", units)
	}
	out := ""
	for _, d := range found {
		out += fmt.Sprintf("%s by %d debited=%v;", d.Budget.Unit, d.By, d.Debited)
	}
	time.Sleep(time.Minute)
	return out
}

func (r *rig) used(b *quota.Budget) int64 {
	c, err := r.store.Peek(r.Context(), "acme", []*quota.Budget{b})
	if err != nil {
		r.Fatal(err)
	}
	return c[0].Used
}

func TestCountersThatAreAsTheLedgerHasItShowNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 5 {
			r.write(r.exchange(life, 7, time.Now()), r.exchange(daily, 3, time.Now()), r.exchange(quick, 1, time.Now()))
			if got := r.round(); got != "" {
				t.Errorf("found %s", got)
			}
		}
	})
}

func TestRecordsOnTheirWayAreNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for range 4 {
			rec := r.exchange(life, 7, time.Now())
			time.AfterFunc(3*time.Second, func() { r.write(rec) })
			if got := r.round(); got != "" {
				t.Errorf("found %s", got)
			}
		}
		r.exchange(life, 7, time.Now()) // waits in this process's spool
		r.behind = true
		for range 4 {
			if got := r.round(); got != "" {
				t.Errorf("found %s while records wait", got)
			}
		}
	})
}

func TestAMissingRecordIsDriftThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.write(r.exchange(life, 5, time.Now()))
		r.exchange(life, 7, time.Now())
		if got := r.round(); got != "" {
			t.Errorf("one round is enough to find %s", got)
		}
		for range 2 {
			if got := r.round(); got != "money by 7 debited=false;" {
				t.Errorf("found %q", got)
			}
		}
		if n := r.used(life); n != 12 {
			t.Errorf("the counter is at %d", n)
		}
	})
}

func TestARecordThatNoCounterKnowsIsDebitedOnce(t *testing.T) {
	for _, b := range []*quota.Budget{life, daily} {
		t.Run(b.Unit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Hour) // away from the begin of the day
				r := newRig(t)
				rec := r.exchange(b, 5, time.Now())
				lost := *rec
				lost.ID = "lost"
				r.write(rec, &lost)
				if got := r.round(); got != "" {
					t.Errorf("one round is enough to find %s", got)
				}
				if got, want := r.round(), fmt.Sprintf("%s by -5 debited=true;", b.Unit); got != want {
					t.Errorf("found %q, want %q", got, want)
				}
				if n := r.used(b); n != 10 {
					t.Errorf("the counter is at %d, want 10", n)
				}
				for range 3 {
					if got := r.round(); got != "" {
						t.Errorf("afterwards %s", got)
					}
				}
			})
		})
	}
}

func TestTwoReplicasDebitTheSameOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		rec := r.exchange(life, 5, time.Now())
		lost := *rec
		lost.ID = "lost"
		r.write(rec, &lost)
		other := reconcile.New(reconcile.Params{
			Store: r.store, Ledger: &r.books, Behind: func() bool { return false },
			Epoch: func(context.Context, string) (string, error) { return r.current(), nil },
		})
		all := []reconcile.Owned{{Organization: "acme", Budget: life}}
		for range 3 {
			if _, _, err := other.Round(t.Context(), slices.Values(all)); err != nil {
				t.Fatal(err)
			}
			r.round()
		}
		if n := r.used(life); n != 10 {
			t.Errorf("the counter is at %d, want 10", n)
		}
	})
}

func TestAnExchangeAtTheBeginOfAWindowMayCountInEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(24*time.Hour).Add(24*time.Hour)) - time.Second)
		r := newRig(t)
		began := time.Now() // in the old day
		time.Sleep(2 * time.Second)
		r.write(r.exchange(daily, 9, began), r.exchange(daily, 1, time.Now()))
		for range 4 {
			if got := r.round(); got != "" {
				t.Errorf("found %s", got)
			}
		}
	})
}

func TestARoundInWhichTheCountersAreRebuiltSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.exchange(life, 7, time.Now())
		for i := range 4 {
			time.AfterFunc(time.Second, func() { r.begins(fmt.Sprint(i)) })
			if got := r.round(); got != "" {
				t.Errorf("found %s", got)
			}
		}
	})
}

func TestALedgerThatDoesNotAnswerIsAnErrorAndNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.exchange(life, 7, time.Now())
		r.books.err = errors.New("away")
		for range 3 {
			found, _, err := r.Round(t.Context(), slices.Values([]reconcile.Owned{{Organization: "acme", Budget: life}}))
			if err == nil || len(found) > 0 {
				t.Errorf("found %v, %v", found, err)
			}
		}
	})
}
