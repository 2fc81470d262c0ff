package accounts

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/reconcile"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// TestCountersAreComparedWithTheLedger: at rest they are the same, and what only the ledger has is found, said and debited,
// whichever store counts.
func TestCountersAreComparedWithTheLedger(t *testing.T) {
	t.Parallel()
	for name, section := range map[string]func(t *testing.T) string{
		"memory": func(*testing.T) string { return "{ journal: none }" },
		"redis": func(t *testing.T) string {
			return fmt.Sprintf("{ journal: none, store: \"redis://%s\", timeout: 1s }", servers.StartRedis(t).Addr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
			var seen trouble.Log
			l := beginWith(t, t.TempDir(), section(t), Options{Metrics: m, Trouble: &seen})
			for end := time.Now().Add(20 * time.Second); l.Missing(t.Context(), l.table.Organizations()) != nil; time.Sleep(20 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the counters do not become known")
				}
			}
			l.know()
			for range 3 {
				l.settle(l.reserve())
			}
			id := slices.Collect(l.table.All())[0].Budget.ID
			recorded(t, l, id, 600_000)
			r := reconcile.New(reconcile.Params{Store: l.counts, Ledger: l.ledger, Epoch: l.epoch, Behind: l.behind, Settle: 1500 * time.Millisecond})
			drift := func(want int) {
				t.Helper()
				l.compare(t.Context(), r, time.Now())
				w := httptest.NewRecorder()
				m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
				if line := fmt.Sprintf("signalbox_quota_drift{unit=\"money\"} %d\n", want); !strings.Contains(w.Body.String(), line) {
					t.Errorf("the page lacks %s", line)
				}
			}
			drift(0)
			ledgertest.Write(t, l.ledger, ledgertest.Make("not-counted", time.Now(), func(r *ledger.Record) {
				r.Organization = "default"
				r.Money.Charges = []ledger.Charge{{Budget: id, Unit: "money", Amount: 7000}}
			}))
			drift(0)
			drift(-7000)
			drift(0)
			recorded(t, l, id, 607_000)
			var got []string
			for _, s := range seen.Since(time.Now().Add(-time.Hour)) {
				if s.Count > 0 {
					got = append(got, fmt.Sprintf("%s %s %s %d", s.Kind, s.Organization, strings.TrimPrefix(s.Subject, id), s.Amount))
				}
			}
			if d := cmp.Diff([]string{"drift default  -7000"}, got); d != "" {
				t.Errorf("what must not happen (-want +got):\n%s", d)
			}
		})
	}
}

// recorded waits until counter and ledger have an amount.
func recorded(t *testing.T, l *life, id string, want int64) {
	t.Helper()
	b := l.table.Budget(id)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		rows, err := l.ledger.Charged(t.Context(), "default", time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Peek(t.Context(), "default", []*quota.Budget{b})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 1 && rows[0].Amount == want && c[0].Used == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the ledger has %v and the counter %+v, want %d", rows, c, want)
		}
	}
}

func TestRecordsThatTheLedgerLacksAreMissed(t *testing.T) {
	var seen trouble.Log
	m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
	dir := t.TempDir()
	l := beginWith(t, dir, fmt.Sprintf("{ journal: %q }", filepath.Join(dir, "journal")), Options{Metrics: m, Trouble: &seen})
	l.writer.Close(context.Background()) // nothing is written any more
	l.know()
	l.settle(l.reserve())
	for end := time.Now().Add(10 * time.Second); l.journal.Overdue(time.Now()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the journal does not wait for the ledger")
		}
	}
	r := reconcile.New(reconcile.Params{Store: l.counts, Ledger: l.ledger, Epoch: l.epoch, Behind: l.behind, Settle: time.Millisecond})
	for missed, now := range map[int]time.Time{0: time.Now(), 1: time.Now().Add(missedAfter + time.Second)} {
		l.compare(t.Context(), r, now)
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if line := fmt.Sprintf("signalbox_ledger_overdue %d\n", missed); !strings.Contains(w.Body.String(), line) {
			t.Errorf("the page lacks %s", line)
		}
	}
	got := map[trouble.Kind]int64{}
	for _, s := range seen.Since(time.Now().Add(-time.Hour)) {
		got[s.Kind] = s.Amount
	}
	if got[trouble.Drift] != 200_000 || got[trouble.Overdue] != 1 {
		t.Errorf("what must not happen is %v; want the record that is missed, and the counter that is ahead of the ledger", got)
	}
}
