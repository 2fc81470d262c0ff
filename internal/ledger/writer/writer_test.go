package writer_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

func TestWhileTheStoreIsAwayRecordsWaitInTheSpool(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		w := start(t, writer.Params{Store: s, Batch: 10, Spool: dir})
		add(w, 0, 20)
		synctest.Wait()
		s.set(true)
		for n := 20; n < 120; n += 10 {
			add(w, n, n+10)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if st := w.Stats(); st.Written != 20 || st.Held != 100 || st.Lost != 0 || !st.Away || st.Spool == 0 {
			t.Errorf("while it is away: %+v", st)
		}
		s.set(false)
		add(w, 120, 130)
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := w.Stats(); st.Written != 130 || st.Held != 0 || st.Away || st.Spool != 0 || s.count() != 130 {
			t.Errorf("when it is back: %+v", st)
		}
		end(t, w)
	})
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
}

func TestASpoolOutlivesItsProcess(t *testing.T) {
	dir := t.TempDir()
	s := newStore()
	s.set(true)
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Batch: 10, Spool: dir})
		add(w, 0, 35)
		if st := end(t, w); st.Held != 35 {
			t.Errorf("%+v", st)
		}
	})
	tear(t, dir)
	s.set(false)
	s.takes = 2 // and goes away in the middle
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Batch: 10, Spool: dir})
		time.Sleep(time.Second)
		s.set(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := end(t, w); st.Written != 34 || st.Known != 0 || st.Added != 34 {
			t.Errorf("%+v", st)
		}
	})
	if s.count() != 34 { // the torn one is gone
		t.Errorf("%d records, want 34", s.count())
	}
}

// TestASpoolIsOfOneProcess: another that is started by mistake would take the files away under the one that writes them.
func TestASpoolIsOfOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := newStore()
	first := start(t, writer.Params{Store: s, Spool: dir})
	if w, err := writer.New(writer.Params{Store: s, Spool: dir}); err == nil {
		end(t, w)
		t.Error("two have one spool")
	} else if !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	end(t, first)
	end(t, start(t, writer.Params{Store: s, Spool: dir}))
}

// tear cuts the last bytes off the newest segment, as a crash does.
func tear(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ledger"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	last := files[len(files)-1]
	info, err := os.Stat(last)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(last, info.Size()-5); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedFrameEndsItsSegment(t *testing.T) {
	dir := t.TempDir()
	s := newStore()
	s.set(true)
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Batch: 5, Spool: dir})
		add(w, 0, 5)
		end(t, w)
	})
	path := filepath.Join(dir, "00000001.ledger")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s.set(false)
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Spool: dir})
		time.Sleep(time.Minute)
		end(t, w)
	})
	if s.count() != 2 {
		t.Errorf("%d records came back, want the two before the damage", s.count())
	}
}

// TestARecordOfAnotherFormIsLostAlone: a newer program may have left one with an item that this one does not know.
func TestARecordOfAnotherFormIsLostAlone(t *testing.T) {
	dir := t.TempDir()
	var data []byte
	for n := range 3 {
		line := ledgertest.Make(fmt.Sprint(n), ledgertest.Noon()).Encode()
		if n == 1 {
			line = bytes.Replace(line, []byte(`"units":{`), []byte(`"units":{"per_hologram":1,`), 1)
		}
		data = binary.BigEndian.AppendUint32(data, uint32(len(line)))
		data = binary.BigEndian.AppendUint32(data, crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)))
		data = append(data, line...)
	}
	data = append(data, make([]byte, 64)...) // as a crash may leave
	if err := os.WriteFile(filepath.Join(dir, "00000001.ledger"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStore()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, writer.Params{Store: s, Spool: dir})
		time.Sleep(time.Minute)
		if st := end(t, w); st.Written != 2 || st.Lost != 1 || st.Added != 3 {
			t.Errorf("%+v", st)
		}
	})
}

func TestBeyondTheSpoolsLimitTheLossIsCounted(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.set(true)
		w := start(t, writer.Params{Store: s, Queue: 40, Batch: 10, Spool: dir, Limit: 20_000})
		for n := 0; n < 300; n += 10 {
			add(w, n, n+10)
			time.Sleep(time.Second)
		}
		st := w.Stats()
		if st.Held == 0 || st.Held > 30 || st.Lost == 0 || st.Spool > 20_000 {
			t.Errorf("%+v", st)
		}
		s.set(false)
		time.Sleep(time.Minute)
		st = end(t, w)
		if st.Held != 0 || st.Written != int64(s.count()) || st.Lost+st.Written != 300 {
			t.Errorf("when it is back: %+v, the store has %d", st, s.count())
		}
	})
}

// TestWhatAFullDiskTookInPartIsLostOnce: what is counted as lost does not come back from the half of a batch that the disk had
// room for, and no file is left for each try.
func TestWhatAFullDiskTookInPartIsLostOnce(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := func(l syscall.Rlimit) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Error(err)
		}
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	defer limit(was)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.set(true)
		w := start(t, writer.Params{Store: s, Queue: 20, Batch: 10, Spool: dir})
		limit(syscall.Rlimit{Cur: 4 << 10, Max: was.Max}) // half a batch
		for n := 0; n < 200; n += 10 {
			add(w, n, n+10)
			time.Sleep(time.Second)
		}
		limit(was)
		st := w.Stats()
		if files, _ := os.ReadDir(dir); len(files) > 1 || st.Spool != 0 || st.Held != 0 || st.Lost == 0 {
			t.Errorf("%d files, %+v", len(files), st)
		}
		add(w, 200, 210)
		s.set(false)
		time.Sleep(time.Minute)
		st = end(t, w)
		if st.Held != 0 || st.Known != 0 || st.Written != int64(s.count()) || st.Lost+st.Written != 210 {
			t.Errorf("when it is back: %+v, the store has %d", st, s.count())
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
