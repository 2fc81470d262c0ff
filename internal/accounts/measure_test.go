package accounts

import (
	"net/http/httptest"
	"strings"
	"testing"

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
