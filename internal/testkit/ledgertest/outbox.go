package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// pass returns the ids of the records that a sink is given, after it took some.
func pass(t *testing.T, s book.Outbox, sink string, n, take int) (ids []string) {
	t.Helper()
	given, err := s.Pass(t.Context(), sink, n, func(all []book.Waiting) int {
		for _, w := range all {
			if w.Since.IsZero() || time.Since(w.Since).Abs() > time.Minute {
				t.Errorf("it waits since %v", w.Since)
			}
			if w.Record == nil {
				ids = append(ids, "gone")
				continue
			}
			ids = append(ids, fmt.Sprint(w.Record.ID, ".", w.Record.Sequence))
		}
		return take
	})
	if err != nil || given != len(ids) {
		t.Errorf("given %d of %v, %v", given, ids, err)
	}
	return ids
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func handingOver(t *testing.T, store book.Store) {
	s := store.(book.Outbox)
	now := time.Now()
	Write(t, store, Make("early", Noon()))
	if err := s.Name(t.Context(), []string{"queue", "lake"}, now); err != nil {
		t.Fatal(err)
	}
	want(t, pass(t, s, "queue", 10, 10))
	if b, err := s.Backlog(t.Context(), "queue"); b != (book.Backlog{}) || err != nil {
		t.Errorf("of nothing: %+v, %v", b, err)
	}
	a, late := Make("a", Noon()), Make("early", Noon(), func(r *ledger.Record) { r.Sequence, r.Cause = 1, "late" })
	Write(t, store, a, late)
	Write(t, store, a, Make("b", Noon().Add(-time.Hour)), Make("early", Noon())) // one is new
	var whole []*ledger.Record
	if _, err := s.Pass(t.Context(), "queue", 10, func(all []book.Waiting) int {
		for _, w := range all {
			whole = append(whole, w.Record)
		}
		return 0
	}); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(whole, func(r *ledger.Record) bool { return r.ID == "a" }); i < 0 || cmp.Diff(a, whole[i]) != "" {
		t.Errorf("a record comes out as another: %v", whole)
	}
	if b, err := s.Backlog(t.Context(), "queue"); b.Records != 3 || time.Since(b.Oldest).Abs() > time.Minute || err != nil {
		t.Errorf("of three: %+v, %v", b, err)
	}
	first := pass(t, s, "queue", 2, 1)
	want(t, first, "a.0", "early.1")
	want(t, pass(t, s, "queue", 10, 0), "early.1", "b.0")
	want(t, pass(t, s, "queue", 10, 2), "early.1", "b.0")
	want(t, pass(t, s, "queue", 10, 2))
	want(t, pass(t, s, "lake", 10, 3), "a.0", "early.1", "b.0") // another sink has its own
	want(t, pass(t, s, "unknown", 10, 3))
}

func handingOverOnce(t *testing.T, store book.Store) {
	s := store.(book.Outbox)
	if err := s.Name(t.Context(), []string{"queue"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	var all []*ledger.Record
	for i := range 300 {
		all = append(all, Make(fmt.Sprintf("x%03d", i), Noon()))
	}
	Write(t, store, all...)
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for range 4 { // as replicas do
		wg.Go(func() {
			for {
				if _, err := s.Pass(t.Context(), "queue", 20, func(some []book.Waiting) int {
					mu.Lock()
					defer mu.Unlock()
					for _, w := range some {
						got[w.Record.ID]++
					}
					return len(some)
				}); err != nil {
					t.Error(err)
					return
				}
				if b, err := s.Backlog(t.Context(), "queue"); err != nil || b.Records == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, r := range all {
		if got[r.ID] != 1 {
			t.Fatalf("%s was handed over %d times", r.ID, got[r.ID])
		}
	}
}

func whatWaitsIsKept(t *testing.T, store book.Store) {
	s := store.(book.Outbox)
	now := time.Now()
	if err := s.Name(t.Context(), []string{"queue", "lake"}, now); err != nil {
		t.Fatal(err)
	}
	Write(t, store, Make("old", now.Add(-40*24*time.Hour)), Make("new", now))
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Pass(ctx, "lake", 10, func([]book.Waiting) int { // the program ends meanwhile
		cancel()
		return 1
	}); err != nil {
		t.Error(err)
	}
	want(t, pass(t, s, "lake", 10, 0), "new.0") // what was taken is noted
	prune := func(at time.Time) {
		t.Helper()
		if err := store.Prune(t.Context(), book.Retention{Records: 30 * 24 * time.Hour}, at); err != nil {
			t.Fatal(err)
		}
	}
	prune(now)
	want(t, pass(t, s, "queue", 10, 0), "gone", "new.0")
	if err := s.Name(t.Context(), []string{"queue"}, now.Add(book.Forgotten)); err != nil { // lake is no longer configured
		t.Fatal(err)
	}
	prune(now.Add(book.Forgotten + time.Minute))
	want(t, pass(t, s, "queue", 10, 0), "gone", "new.0")
	want(t, pass(t, s, "lake", 10, 0))
	Write(t, store, Make("later", now))
	want(t, pass(t, s, "queue", 10, 0), "gone", "new.0", "later.0")
	want(t, pass(t, s, "lake", 10, 0))
}
