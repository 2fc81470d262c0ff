package keeper

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// start makes a keeper of one objective, with its page of metrics and its log.
func start(path string) (k *Keeper, page func() string, log *bytes.Buffer) {
	m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
	log = &bytes.Buffer{}
	k = &Keeper{Path: path, Tracker: &slo.Tracker{}, Metrics: &m.SLO, Log: slog.New(slog.NewTextHandler(log, nil))}
	k.Set([]slo.Objective{{Name: "chat", Kind: slo.Success, Allow: .1, Window: 30 * 24 * time.Hour}, {Name: "chat", Kind: slo.Cost, Allow: 10_000, Window: 30 * 24 * time.Hour}}, time.Now())
	return k, func() string {
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}, log
}

func TestCountsSurviveARestartAndShow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "slo.json")
	k, page, log := start(path)
	k.Restore(time.Now()) // there is nothing yet
	for i := range 20 {
		k.Tracker.Exchange(&slo.Event{Failed: i == 0}, time.Now())
		k.Tracker.Spent("chat", nil, 1000, 5_000_000, time.Now())
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	k.Run(ctx) // shows and saves at its end
	for _, want := range []string{
		`signalbox_slo_attained{objective="success",slo="chat"} 0.95`,
		`signalbox_slo_attained{objective="cost",slo="chat"} 0.005`,
		`signalbox_slo_budget_left_ratio{objective="success",slo="chat"} 0.5`,
		`signalbox_slo_burn_rate{objective="success",slo="chat",window="5m"} 0.5`,
		`signalbox_slo_budget_used_total{objective="success",slo="chat"} 1`,
		`signalbox_slo_budget_granted_total{objective="success",slo="chat"} 2`,
		`signalbox_slo_budget_used_total{objective="cost",slo="chat"} 0.1`,
		`signalbox_slo_budget_granted_total{objective="cost",slo="chat"} 0.2`,
	} {
		if p := page(); !strings.Contains(p, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	again, _, _ := start(path)
	again.Restore(time.Now())
	if s := again.Tracker.Status(time.Now())[0]; s.N != 20 || s.Bad != 1 {
		t.Errorf("after a restart %+v", s)
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log)
	}
	if k.Set(nil, time.Now()); strings.Contains(page(), "signalbox_slo_attained{") {
		t.Error("an objective that is gone is on the page")
	}
}

func TestAFileThatCannotBeReadIsOfNoHarm(t *testing.T) {
	for _, text := range []string{"", "{", `{"version":2}`, `{"version":1,"objectives":[{"name":"chat","objective":"success","hours":[[1]]}]}`} {
		path := filepath.Join(t.TempDir(), "slo.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k, _, log := start(path)
		if k.Restore(time.Now()); !strings.Contains(log.String(), "counted anew") {
			t.Errorf("%q: the log says %q", text, log)
		}
		k.Tracker.Exchange(&slo.Event{}, time.Now())
		k.save()
		if again, _, _ := start(path); k.Tracker.Status(time.Now())[0].N != 1 || again == nil {
			t.Errorf("%q: nothing is counted", text)
		}
	}
	k, _, log := start(filepath.Join(t.TempDir(), "file", "slo.json"))
	if err := os.WriteFile(filepath.Dir(k.Path), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if k.save(); !strings.Contains(log.String(), "cannot be written") {
		t.Errorf("the log says %q", log)
	}
}

func TestObjectivesAreToldAsJSON(t *testing.T) {
	k, _, _ := start("")
	for range 20 {
		k.Tracker.Exchange(&slo.Event{Failed: true}, time.Now())
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, httptest.NewRequest("GET", "/slo", nil))
	want := `[{"slo":"chat","objective":"success","goal":0.9,"window_days":30,"exchanges":20,"attained":0,"budget_left":-9,"burn":{"1h":10,"30m":10,"3d":10,"5m":10,"6h":10},"alert":"critical","alert_on":["5m","1h"]},` +
		`{"slo":"chat","objective":"cost","goal":0.01,"window_days":30,"exchanges":0,"attained":0,"budget_left":1,"burn":{"1h":0,"30m":0,"3d":0,"5m":0,"6h":0}}]` + "\n"
	if got := w.Body.String(); got != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	k.Set(nil, time.Now())
	w = httptest.NewRecorder()
	if k.ServeHTTP(w, httptest.NewRequest("GET", "/slo", nil)); w.Body.String() != "[]\n" {
		t.Errorf("without objectives: %s", w.Body)
	}
}
