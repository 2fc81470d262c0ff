package accounts

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

func TestWhatTheWriterCountsIsOnThePage(t *testing.T) {
	m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
	a := &Accounts{measures: measures{count: m, store: "sqlite"}}
	a.show(writer.Stats{Written: 5, Known: 1, Waiting: 3, Held: 4, Spool: 100})
	a.show(writer.Stats{Written: 9, Known: 1, Lost: 2, Rejected: 1, Waiting: 1, Away: true})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`signalbox_ledger_records_total{result="written",store="sqlite"} 9`,
		`signalbox_ledger_records_total{result="duplicate",store="sqlite"} 1`,
		`signalbox_ledger_records_total{result="lost",store="sqlite"} 2`,
		`signalbox_ledger_records_total{result="refused",store="sqlite"} 1`,
		`signalbox_ledger_queue 1`,
		`signalbox_ledger_spool_bytes 0`,
		`signalbox_ledger_store_up{store="sqlite"} 0`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestWhatOthersTellIsOnThePage(t *testing.T) {
	m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
	a := &measures{count: m, store: "postgres"}
	a.wrote(time.Millisecond, nil)
	a.wrote(time.Second, errors.New("away"))
	a.turned("acme")
	a.disk().Synced(time.Millisecond)
	a.disk().Fault("full")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`signalbox_ledger_write_duration_seconds_count{result="ok",store="postgres"} 1`,
		`signalbox_ledger_write_duration_seconds_count{result="error",store="postgres"} 1`,
		`signalbox_quota_epochs_total{store="redis"} 1`,
		`signalbox_journal_sync_duration_seconds_count 1`,
		`signalbox_journal_errors_total{reason="full"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("the page lacks %s", want)
		}
	}
}
