package writer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// store is a store in memory that can be away, and refuses records of the organization "bad".
type store struct {
	book.Store
	mu      sync.Mutex
	away    bool
	takes   int // batches that it takes until it is away; below 0: all
	have    map[ledger.Key]bool
	batches [][]string
}

func newStore() *store { return &store{have: map[ledger.Key]bool{}, takes: -1} }

func (s *store) Write(_ context.Context, records []*ledger.Record) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.takes == 0 {
		s.away = true
		s.takes = -1
	}
	if s.away {
		return 0, errors.New("connection refused")
	}
	for _, r := range records {
		if r.Organization == "bad" {
			return 0, fmt.Errorf("%w: no such number", book.ErrRejected)
		}
	}
	s.takes--
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
		if !s.have[r.Key] {
			s.have[r.Key] = true
			n++
		}
	}
	s.batches = append(s.batches, ids)
	return n, nil
}

func (s *store) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.have)
}

// wrote returns the ids of all batches.
func (s *store) wrote() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.batches)
}

func start(t *testing.T, p writer.Params) *writer.Writer {
	t.Helper()
	w, err := writer.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func end(t *testing.T, w *writer.Writer) writer.Stats {
	t.Helper()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := w.Stats()
	if sum := st.Written + st.Known + st.Lost + st.Rejected + st.Waiting + st.Held; sum != st.Added {
		t.Errorf("%d were added, and %d are accounted for: %+v", st.Added, sum, st)
	}
	return st
}

func add(w *writer.Writer, from, to int) {
	for n := from; n < to; n++ {
		w.Add(ledgertest.Make(fmt.Sprintf("x%06d", n), ledgertest.Noon()))
	}
}

func TestBatchesAreWrittenInTheOrderOfIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		transactions := 0
		w := start(t, writer.Params{Store: s, Batch: 3, Wrote: func(_ time.Duration, err error) {
			if err != nil {
				t.Error(err)
			}
			transactions++
		}})
		for _, id := range []string{"c", "a", "b", "e", "d"} {
			w.Add(ledgertest.Make(id, ledgertest.Noon()))
		}
		synctest.Wait()
		if got := s.wrote(); got != "[[a b c]]" {
			t.Errorf("got %s", got)
		}
		time.Sleep(201 * time.Millisecond) // a batch that does not fill
		synctest.Wait()
		if got := s.wrote(); got != "[[a b c] [d e]]" {
			t.Errorf("got %s", got)
		}
		w.Add(ledgertest.Make("a", ledgertest.Noon()))
		if st := end(t, w); st.Written != 5 || st.Known != 1 || transactions != 3 {
			t.Errorf("%+v in %d transactions", st, transactions)
		}
		w.Add(ledgertest.Make("late", ledgertest.Noon()))
		if st := w.Stats(); st.Lost != 1 {
			t.Errorf("what comes after the end is not counted as lost: %+v", st)
		}
	})
}

func TestWithoutASpoolAShortAbsenceLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.set(true)
		w := start(t, writer.Params{Store: s, Queue: 100, Batch: 10})
		add(w, 0, 60)
		time.Sleep(5 * time.Second)
		s.set(false)
		time.Sleep(time.Minute)
		if st := end(t, w); st.Written != 60 || st.Lost != 0 {
			t.Errorf("%+v", st)
		}
		s.set(true)
		w = start(t, writer.Params{Store: s, Queue: 100, Batch: 10})
		add(w, 100, 190)
		if st := end(t, w); st.Lost != 90 {
			t.Errorf("at the end, with the store away: %+v", st)
		}
	})
}

func TestOneRefusedRecordHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := start(t, writer.Params{Store: s, Batch: 16})
		for n := range 16 {
			w.Add(ledgertest.Make(fmt.Sprint(n), ledgertest.Noon(), func(r *ledger.Record) {
				if n == 5 || n == 11 {
					r.Organization = "bad"
				}
			}))
		}
		if st := end(t, w); st.Written != 14 || st.Rejected != 2 || s.count() != 14 {
			t.Errorf("%+v", st)
		}
	})
}

// A batch of which the store refused one and took a half before it went away: each record counts once.
func TestAHalfThatWasWrittenIsNotWrittenAgain(t *testing.T) {
	for name, spooled := range map[string]bool{"of what was just added": false, "of the spool": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				s.takes = 1
				s.away = spooled
				w := start(t, writer.Params{Store: s, Batch: 4, Spool: dir})
				add(w, 0, 3)
				w.Add(ledgertest.Make("y", ledgertest.Noon(), func(r *ledger.Record) { r.Organization = "bad" }))
				synctest.Wait()
				if spooled {
					s.set(false)
				}
				time.Sleep(time.Minute) // the half is taken, and then nothing
				if st := w.Stats(); !st.Away || st.Written != 2 || st.Held != 2 {
					t.Errorf("with a half of it: %+v", st)
				}
				s.set(false)
				time.Sleep(time.Minute)
				if st := end(t, w); st.Written != 3 || st.Known != 0 || st.Rejected != 1 || st.Held != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// hung is a store that does not answer.
type hung struct{ book.Store }

func (hung) Write(ctx context.Context, _ []*ledger.Record) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestAtTheEndWhatAHangingStoreDidNotTakeIsInTheSpool(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: hung{}, Batch: 10, Spool: dir})
		add(w, 0, 35)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if st := w.Stats(); st.Held != 35 { // now: the program ends
			t.Errorf("%+v", st)
		}
		end(t, w)
	})
	s := newStore()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Spool: dir})
		time.Sleep(time.Minute)
		end(t, w)
	})
	if s.count() != 35 {
		t.Errorf("%d came back, want 35", s.count())
	}
}

func TestAddNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.set(true)
		w := start(t, writer.Params{Store: s, Queue: 10, Batch: 10})
		began := time.Now()
		add(w, 0, 1000)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		if st := end(t, w); st.Lost != 1000 {
			t.Errorf("%+v", st)
		}
	})
}

// A real file, many goroutines: what was added is there, once.
func TestEverythingReachesARealStore(t *testing.T) {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "l.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := start(t, writer.Params{Store: s, Every: 10 * time.Millisecond})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() { add(w, g*200, g*200+300) })
	}
	wg.Wait()
	st := end(t, w)
	if got := ledgertest.Total(t, s).Exchanges; got != 1700 || st.Written != 1700 || st.Known != 700 {
		t.Errorf("the store has %d, %+v", got, st)
	}
}

func BenchmarkAdd(b *testing.B) {
	w, err := writer.New(writer.Params{Store: newStore(), Queue: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	r := ledgertest.Make("a", ledgertest.Noon())
	b.ReportAllocs()
	for b.Loop() {
		w.Add(r)
	}
	_ = w.Close(context.Background())
}
