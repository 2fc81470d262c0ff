package app

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/testkit/ledgertest"
)

const alerting = good + `
ledger: { store: "sqlite:DIR/ledger.db", spool: none }
quota: { journal: none }
teams: [ { name: core, budget: { month: 10 USD, alert_at: [ 50% ] } } ]
alerts: { channels: [ { name: ops, slack: { url: "file:DIR/slack" } } ] }
`

func TestAnAlertComesOutOfTheLedger(t *testing.T) {
	got := make(chan string, 8)
	slack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	defer slack.Close()
	r := newRigWith(t, alerting, map[string]string{"slack": slack.URL})
	now := time.Now()
	table, err := r.Config().Budgets()
	if err != nil {
		t.Fatal(err)
	}
	b := slices.Collect(table.All())[0].Budget
	ledgertest.Write(t, r.build.accounts.Ledger(), ledgertest.Make("x", now, func(rec *ledger.Record) {
		rec.Organization = "default"
		rec.Money.Charges = []ledger.Charge{{Budget: b.ID, Window: b.Window.Bounds(now, 0).A / 1000, Unit: "money", Amount: 6e9}}
	}))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.alert(ctx); close(done) }()
	select {
	case s := <-got:
		if !strings.Contains(s, `team \"core\" has used 60% of its limit of 10.00 USD per month`) {
			t.Errorf("got %s", s)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing came:\n%s", r.log.String())
	}
	stop()
	<-done
}

func TestWhatMustNotHappenIsToldByTheProgram(t *testing.T) {
	got := make(chan string, 8)
	slack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	defer slack.Close()
	r := newRigWith(t, alerting, map[string]string{"slack": slack.URL})
	for range 3 { // as the counter of prompts tells
		r.build.count.Off("p", "odd")
	}
	r.counts(`signalbox_usage_off_total{gen_ai_request_model="odd",provider="p"} 3`)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.alert(ctx); close(done) }()
	select {
	case s := <-got:
		if !strings.Contains(s, "p/odd counts prompts far otherwise than we do") {
			t.Errorf("got %s", s)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("nothing came:\n%s", r.log.String())
	}
	stop()
	<-done
}

func TestAChannelIsTested(t *testing.T) {
	n := 0
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n++; n > 1 {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer slack.Close()
	r := newRigWith(t, alerting, map[string]string{"slack": slack.URL})
	var said []string
	try := func(name string) error {
		return TestAlert(t.Context(), r.file, name, func(name string, err error) {
			s := name
			if err != nil {
				s += ": " + err.Error()
			}
			said = append(said, s)
		})
	}
	if err := try("ops"); err != nil || len(said) != 1 || said[0] != "ops" {
		t.Errorf("said %v, %v", said, err)
	}
	if err := try(""); err == nil || len(said) != 2 || said[1] != "ops: answered 403" {
		t.Errorf("said %v, %v", said, err)
	}
	if err := try("nobody"); err == nil || len(said) != 2 {
		t.Errorf("said %v, %v", said, err)
	}
}

func TestASecretThatIsMissingShowsAtTheStart(t *testing.T) {
	r := newRigWith(t, alerting, map[string]string{"slack": "https://hooks.example.com/x"})
	r.write("slack", "http://hooks.example.com/swordfish")
	err := r.Reload(t.Context())
	faults, ok := err.(config.Errors)
	if !ok || !strings.Contains(faults.Report(), "sends alerts unencrypted") || strings.Contains(faults.Report(), "swordfish") {
		t.Errorf("got %v", err)
	}
}
