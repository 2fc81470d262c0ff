package postgres_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/postgres"
	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

func open(tb testing.TB, url string) *postgres.Store {
	tb.Helper()
	s, err := postgres.Open(tb.Context(), postgres.Params{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	pg := servers.StartPostgres(t)
	ledgertest.Run(t, func(t *testing.T) book.Store { return open(t, pg.Database()) })
}

func TestALedgerFromBeforeTheOutboxGetsIt(t *testing.T) {
	url := servers.StartPostgres(t).Database()
	s := open(t, url)
	ledgertest.Write(t, s, ledgertest.Make("a", ledgertest.Noon()))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if _, err := db.Exec(t.Context(), "DROP TABLE ledger_outbox, ledger_sinks"); err != nil {
		t.Fatal(err)
	}
	s = open(t, url)
	defer s.Close()
	if err := s.Name(t.Context(), []string{"queue"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	ledgertest.Write(t, s, ledgertest.Make("b", ledgertest.Noon()))
	if b, err := s.Backlog(t.Context(), "queue"); err != nil || b.Records != 1 {
		t.Errorf("%+v, %v", b, err)
	}
	if got := ledgertest.Total(t, s).Exchanges; got != 2 {
		t.Errorf("%d exchanges are there", got)
	}
}

func TestReplicas(t *testing.T) {
	pg := servers.StartPostgres(t)
	url := pg.Database()
	t.Run("that start at once make one schema, and write what both have once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				s, err := postgres.Open(t.Context(), postgres.Params{URL: url})
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				for day := range 5 { // each needs the same partitions
					if _, err := s.Write(t.Context(), []*ledger.Record{
						ledgertest.Make("a", ledgertest.Noon().Add(time.Duration(day)*24*time.Hour)), ledgertest.Make("b", ledgertest.Noon().Add(time.Duration(day)*24*time.Hour)),
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		s := open(t, url)
		defer s.Close()
		if got := ledgertest.Total(t, s).Exchanges; got != 10 {
			t.Errorf("%d exchanges, want 10", got)
		}
	})
	t.Run("of which one dropped a partition that another thinks is there", func(t *testing.T) {
		a, b := open(t, url), open(t, url)
		defer a.Close()
		defer b.Close()
		old := ledgertest.Noon().Add(-100 * 24 * time.Hour)
		ledgertest.Write(t, a, ledgertest.Make("old", old))
		if err := b.Prune(t.Context(), book.Retention{Records: 24 * time.Hour}, ledgertest.Noon().Add(-50*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write(t.Context(), []*ledger.Record{ledgertest.Make("old2", old)}); err == nil || errors.Is(err, book.ErrRejected) {
			t.Errorf("got %v, want an error after which it is tried again", err)
		}
		if n := ledgertest.Write(t, a, ledgertest.Make("old2", old)); n != 1 {
			t.Errorf("%d were new, want 1", n)
		}
	})
	t.Run("of a later program", func(t *testing.T) {
		pg.Exec(url[strings.LastIndex(url, "/")+1:strings.Index(url, "?")], "UPDATE ledger_schema SET version=99")
		if _, err := postgres.Open(t.Context(), postgres.Params{URL: url}); err == nil || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("got %v", err)
		}
	})
}

// The server is killed and comes back; in between it hangs. Nothing that was added is lost.
func TestAServerThatComesAndGoesLosesNothing(t *testing.T) {
	pg := servers.StartPostgres(t)
	s := open(t, pg.Database())
	defer s.Close()
	w, err := writer.New(writer.Params{Store: s, Every: 20 * time.Millisecond, Wait: 300 * time.Millisecond, Retry: 50 * time.Millisecond, Spool: filepath.Join(t.TempDir(), "spool")})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	n := 0
	burst := func() {
		for range 400 {
			w.Add(ledgertest.Random(rnd, n, ledgertest.Noon().Add(time.Duration(n)*time.Millisecond)))
			n++
		}
		time.Sleep(150 * time.Millisecond)
	}
	burst()
	pg.Kill()
	burst()
	burst()
	if !w.Stats().Away {
		t.Error("nobody noticed that the server is gone")
	}
	pg.Start()
	burst()
	pg.Pause()
	burst()
	time.Sleep(500 * time.Millisecond)
	pg.Resume()
	burst()
	w.Add(ledgertest.Make("again", ledgertest.Noon())) // at least once
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && (w.Stats().Away || w.Stats().Held > 0 || w.Stats().Waiting > 0); time.Sleep(50 * time.Millisecond) {
		w.Add(ledgertest.Make("again", ledgertest.Noon()))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if st := w.Stats(); st.Lost+st.Rejected+st.Held > 0 {
		t.Errorf("%+v", st)
	}
	got := ledgertest.Total(t, s)
	if got.Exchanges != int64(n)+1 {
		t.Errorf("%d exchanges, want %d", got.Exchanges, n+1)
	}
	var want book.Sums
	for _, r := range ledgertest.Read(t, s, ledgertest.All()) {
		for _, p := range book.Parts(r) {
			want.Add(&p.Sums)
		}
	}
	if got != want {
		t.Errorf("the sums are %+v, those of the records %+v", got, want)
	}
}

// TestALongReadHoldsUpNothing has an export that goes on while a day begins, and while days end by the retention: the former is
// written at once, and the latter neither waits for the export's end nor has others wait.
func TestALongReadHoldsUpNothing(t *testing.T) {
	s := open(t, servers.StartPostgres(t).Database())
	defer s.Close()
	const day = 24 * time.Hour
	ledgertest.Write(t, s, ledgertest.Make("old", ledgertest.Noon().Add(-9*day)), ledgertest.Make("a", ledgertest.Noon()))
	read := 0
	err := s.Records(t.Context(), ledgertest.All(), func(*ledger.Record) error {
		if read++; read > 1 {
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if n, err := s.Write(ctx, []*ledger.Record{ledgertest.Make("tomorrow", ledgertest.Noon().Add(day))}); n != 1 || err != nil {
			t.Errorf("a new day: %d, %v", n, err)
		}
		if err := s.Prune(ctx, book.Retention{Records: 3 * day, Minutes: 3 * day}, ledgertest.Noon()); err == nil || ctx.Err() != nil {
			t.Errorf("the retention: %v", err)
		}
		if rows, err := s.Usage(ctx, book.Query{Filter: ledgertest.All(), Every: book.Minute}); err != nil || len(rows) != 2 {
			t.Errorf("%d minutes are left, %v", len(rows), err)
		}
		if n, err := s.Write(ctx, []*ledger.Record{ledgertest.Make("b", ledgertest.Noon())}); n != 1 || err != nil {
			t.Errorf("afterwards: %d, %v", n, err)
		}
		return nil
	})
	if err != nil || read < 2 {
		t.Errorf("%d records, %v", read, err)
	}
	if err := s.Prune(t.Context(), book.Retention{Records: 3 * day}, ledgertest.Noon()); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, r := range ledgertest.Read(t, s, ledgertest.All()) {
		left = append(left, r.ID)
	}
	if strings.Join(left, " ") != "a b tomorrow" {
		t.Errorf("left are %v", left)
	}
}

func TestPasswordsAndAddresses(t *testing.T) {
	pg := servers.StartPostgres(t)
	url := pg.Database()
	var asked atomic.Int64
	s, err := postgres.Open(t.Context(), postgres.Params{URL: url, Password: func(context.Context) (string, error) {
		if asked.Add(1) > 1 {
			time.Sleep(50 * time.Millisecond) // until the others are asked for theirs
		}
		return "hunter2", nil
	}})
	if err != nil || asked.Load() == 0 {
		t.Fatalf("%v, asked %d times", err, asked.Load())
	}
	defer s.Close()
	for end := time.Now().Add(20 * time.Second); asked.Load() < 2 && time.Now().Before(end); { // until two are under way at once
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := s.Known(t.Context(), "acme", []string{"a"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if asked.Load() < 2 {
		t.Error("all went over one connection")
	}
	for _, bad := range []string{"mysql://x", "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable&connect_timeout=1", "postgres://%zz:hunter2@"} {
		if _, err := postgres.Open(t.Context(), postgres.Params{URL: bad}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	pg := servers.StartPostgres(b, "fsync=on")
	s := open(b, pg.Database())
	defer s.Close()
	ledgertest.Bench(b, s)
}
