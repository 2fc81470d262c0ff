package outlet_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqlite"
	"github.com/signalbox-ai/signalbox/internal/ledger/usage"
	"github.com/signalbox-ai/signalbox/internal/outlet"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

// rig is a ledger with an outlet.
type rig struct {
	t     *testing.T
	store *sqlite.Store
	count *telemetry.Metrics
	log   bytes.Buffer
	mu    sync.Mutex
}

// Write takes the log.
func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Name(t.Context(), []string{"queue"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, store: s, count: telemetry.New(prometheus.NewRegistry(), telemetry.Options{Values: 100, Series: 100})}
}

// run runs an outlet until stop is called, or the test ends.
func (r *rig) run(s outlet.Sink, change ...func(*outlet.Params)) (stop func()) {
	r.t.Helper()
	p := outlet.Params{Name: "queue", Store: r.store, Sink: s, Every: 2 * time.Millisecond, Retry: time.Millisecond, Count: &r.count.Ledger, Log: slog.New(slog.NewTextHandler(r, nil))}
	for _, f := range change {
		f(&p)
	}
	o := outlet.New(p)
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { o.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := o.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// write writes records of these ids.
func (r *rig) write(ids ...string) (out []*ledger.Record) {
	r.t.Helper()
	for _, id := range ids {
		out = append(out, ledgertest.Make(id, ledgertest.Noon()))
	}
	ledgertest.Write(r.t, r.store, out...)
	return out
}

// empty waits until nothing waits.
func (r *rig) empty() {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		b, err := r.store.Backlog(r.t.Context(), "queue")
		if err == nil && b.Records == 0 {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d records still wait, %v; %s", b.Records, err, r.log.String())
		}
	}
}

// metric returns a value of the page of metrics, "" where there is none.
func (r *rig) metric(name string) string {
	r.t.Helper()
	all, err := r.count.Registry().Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	want, labels, _ := strings.Cut(name, " ")
	for _, f := range all {
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			if f.GetName() == want && strings.Join(have, " ") == labels {
				return fmt.Sprint(m.GetCounter().GetValue() + m.GetGauge().GetValue())
			}
		}
	}
	return ""
}

func (r *rig) wantMetric(name, want string) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); r.metric(name) != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Errorf("%s is %q, want %s", name, r.metric(name), want)
			return
		}
	}
}

// fake is a sink that does what it is told.
type fake struct {
	mu   sync.Mutex
	ids  []string
	send func(ids []string) (outlet.Sent, error) // nil: all are taken
}

func (f *fake) Send(_ context.Context, records []*ledger.Record) (outlet.Sent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	s, err := outlet.Sent{Settled: len(ids)}, error(nil)
	if f.send != nil {
		s, err = f.send(ids)
	}
	f.ids = append(f.ids, ids[:s.Settled]...)
	return s, err
}

func (f *fake) Close() error { return nil }

func (f *fake) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ids)
}

func TestASinkThatWasAwayGetsWhatItMissed(t *testing.T) {
	r := newRig(t)
	s := &fake{send: func([]string) (outlet.Sent, error) { return outlet.Sent{}, errors.New("nobody answers") }}
	r.write("a", "b")
	stop := r.run(s)
	r.wantMetric("signalbox_ledger_export_up queue", "0")
	r.wantMetric("signalbox_ledger_export_waiting queue", "2")
	stop() // and again: another process
	again := &fake{send: func(ids []string) (outlet.Sent, error) { return outlet.Sent{Settled: 1}, nil }}
	r.run(again)
	r.write("c")
	r.empty()
	if got := again.got(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v", got)
	}
	r.wantMetric("signalbox_ledger_export_up queue", "1")
	r.wantMetric("signalbox_ledger_export_records_total delivered queue", "3")
}

// TestNothingIsLostWhateverFails lets the sink fail and the program restart at random.
func TestNothingIsLostWhateverFails(t *testing.T) {
	r := newRig(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	s := &fake{send: func(ids []string) (outlet.Sent, error) {
		switch rnd.IntN(4) {
		case 0:
			return outlet.Sent{}, &outlet.Away{Err: errors.New("busy")}
		case 1:
			return outlet.Sent{Settled: len(ids)}, errors.New("it took them, and could not say so")
		}
		return outlet.Sent{Settled: 1 + rnd.IntN(len(ids))}, nil
	}}
	var all []string
	for round := range 8 {
		stop := r.run(s, func(p *outlet.Params) { p.Batch = 7 })
		for i := range 10 {
			id := fmt.Sprintf("x%d-%d", round, i)
			all = append(all, id)
			r.write(id)
		}
		time.Sleep(5 * time.Millisecond)
		stop()
	}
	r.run(s)
	r.empty()
	first := map[string]int{}
	for i, id := range s.got() {
		if _, ok := first[id]; !ok {
			first[id] = i
		}
	}
	last := -1
	for _, id := range all {
		at, ok := first[id]
		if !ok {
			t.Fatalf("%s never came", id)
		}
		if at < last {
			t.Errorf("%s came before what was written before it", id)
		}
		last = at
	}
}

func TestARecordThatIsRefusedHoldsUpNoOther(t *testing.T) {
	r := newRig(t)
	s := &fake{send: func(ids []string) (outlet.Sent, error) {
		if slices.Contains(ids, "bad") || slices.Contains(ids, "worse") {
			return outlet.Sent{}, outlet.ErrRefused
		}
		return outlet.Sent{Settled: len(ids)}, nil
	}}
	var ids []string
	for i := range 30 {
		ids = append(ids, fmt.Sprintf("x%02d", i))
	}
	r.write(slices.Concat(ids[:10], []string{"bad", "worse"}, ids[10:])...)
	r.run(s)
	r.empty()
	if got := s.got(); !slices.Equal(got, ids) {
		t.Errorf("got %v", got)
	}
	r.wantMetric("signalbox_ledger_export_records_total refused queue", "2")
	r.wantMetric("signalbox_ledger_export_records_total delivered queue", "30")
	if !strings.Contains(r.log.String(), "exchange=worse") {
		t.Errorf("the log says %s", r.log.String())
	}
}

// TestASinkThatRefusesEverythingLosesNothing is about one whose address is wrong.
func TestASinkThatRefusesEverythingLosesNothing(t *testing.T) {
	r := newRig(t)
	var wrong = true
	s := &fake{}
	s.send = func(ids []string) (outlet.Sent, error) {
		if wrong {
			return outlet.Sent{}, outlet.ErrRefused
		}
		return outlet.Sent{Settled: len(ids)}, nil
	}
	r.write("a", "b", "c", "d", "e", "f")
	r.run(s)
	r.wantMetric("signalbox_ledger_export_up queue", "0")
	time.Sleep(30 * time.Millisecond)
	if b, err := r.store.Backlog(t.Context(), "queue"); err != nil || b.Records != 6 {
		t.Errorf("%d wait, %v", b.Records, err)
	}
	s.mu.Lock()
	wrong = false
	s.mu.Unlock()
	r.empty()
	if got := s.got(); !slices.Equal(got, []string{"a", "b", "c", "d", "e", "f"}) {
		t.Errorf("got %v", got)
	}
	if got := r.metric("signalbox_ledger_export_records_total refused queue"); got != "" {
		t.Errorf("%s are refused", got)
	}
}

func TestWhatRetentionRemovedIsCounted(t *testing.T) {
	r := newRig(t)
	r.write("old")
	if err := r.store.Prune(t.Context(), book.Retention{Records: time.Hour}, ledgertest.Noon().Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	s := &fake{send: func(ids []string) (outlet.Sent, error) {
		if slices.Contains(ids, "new") {
			return outlet.Sent{}, errors.New("away")
		}
		return outlet.Sent{Settled: len(ids)}, nil
	}}
	r.write("new")
	r.run(s)
	r.wantMetric("signalbox_ledger_export_records_total expired queue", "1") // though the sink is away
	r.wantMetric("signalbox_ledger_export_waiting queue", "1")
}

// read reads a stream of a format.
func read(t *testing.T, format string, b []byte) (ids []string) {
	t.Helper()
	if format == outlet.JSONL {
		for line := range bytes.Lines(b) {
			rec, err := ledger.Decode(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, rec.ID)
		}
		return ids
	}
	for s := bufio.NewReader(bytes.NewReader(b)); ; {
		rec, err := usage.Read(s)
		if err != nil {
			if err.Error() != "EOF" {
				t.Fatal(err)
			}
			return ids
		}
		ids = append(ids, rec.ID)
	}
}
