package upkeep

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

func known() health.Known {
	return health.Known{Targets: health.NewTargets(), Rests: health.NewCooldowns()}
}

// open makes an Upkeep with a file and a log.
func open(t *testing.T, path string) (*Upkeep, health.Known, *telemetry.Metrics, *bytes.Buffer) {
	t.Helper()
	k, m, log := known(), telemetry.New(prometheus.NewRegistry(), telemetry.Options{}), &bytes.Buffer{}
	u, err := Open(Params{Settings: &Settings{State: path, Share: alone}, Known: k, Log: slog.New(slog.NewTextHandler(log, nil)), Metrics: &m.Health})
	if err != nil {
		t.Fatal(err)
	}
	return u, k, m, log
}

// TestARestartKeepsWhatIsKnown runs a process until its end, and another 20 s later.
func TestARestartKeepsWhatIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "health.json")
	synctest.Test(t, func(t *testing.T) {
		u, k, _, _ := open(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { u.Run(ctx); close(done) }()
		h := k.Targets.Of("p", "m")
		for range 60 {
			now := time.Now()
			h.Begin("k", now)
			h.End(health.Attempt{Key: "k", First: time.Second, Took: 2 * time.Second}, now)
			time.Sleep(time.Second)
		}
		if _, err := os.Stat(path); err != nil {
			t.Fatal("nothing is written before the end: ", err)
		}
		for range 5 {
			h.End(health.Attempt{Key: "k", Code: llm.CodeConnect}, time.Now())
		}
		until, _ := h.Rests("k", 0, time.Now())
		cancel()
		<-done
		time.Sleep(2 * time.Second)
		_, again, _, _ := open(t, path)
		s := again.Targets.Of("p", "m").Signals(time.Now())
		if s.Weight < 10 || s.First.P50 < 900*time.Millisecond || s.Success < 0.7 || s.Success > 0.95 || s.Share != 0 {
			t.Errorf("got %+v", s)
		}
		if end, rests := again.Targets.Of("p", "m").Rests("k", 0, time.Now()); !rests || end.Sub(until).Abs() > 2*time.Millisecond {
			t.Errorf("rests %v until %v, want %v", rests, end, until)
		}
	})
}

func TestAFileThatIsDamagedIsOfNoHarm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.json")
	if err := os.WriteFile(path, []byte(`{"v":1,"t":[{`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, k, _, log := open(t, path)
	if len(k.Targets.All(time.Now())) > 0 || !strings.Contains(log.String(), path) {
		t.Errorf("got %v, and the log %q", k.Targets.All(time.Now()), log)
	}
}

func TestAFileThatCannotBeWrittenIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	u, k, _, log := open(t, filepath.Join(file, "health.json"))
	k.Targets.Of("p", "m").End(health.Attempt{Key: "k"}, time.Now())
	u.save()
	if !strings.Contains(log.String(), "cannot be written") {
		t.Errorf("the log says %q", log)
	}
}

// TestMetrics reads the page after an outage.
func TestMetrics(t *testing.T) {
	u, k, m, log := open(t, "none")
	h := k.Targets.Of("p", "m")
	now := time.Now()
	h.Begin("k", now)
	for range 5 {
		h.End(health.Attempt{Key: "k", First: time.Second, Took: time.Second}, now)
	}
	for range 5 {
		h.End(health.Attempt{Key: "k", Code: llm.CodeConnect}, now)
	}
	u.show()
	all, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range all {
		if !strings.HasPrefix(f.GetName(), "signalbox_target_") && !strings.HasPrefix(f.GetName(), "signalbox_breaker_") {
			continue
		}
		for _, s := range f.GetMetric() {
			labels := ""
			slices.SortFunc(s.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
			for _, l := range s.Label {
				labels += " " + l.GetValue()
			}
			v := s.GetGauge().GetValue() + s.GetCounter().GetValue()
			switch {
			case v > 0 && v < 1:
				labels += " some"
			case v >= 1:
				labels += " much"
			}
			got = append(got, f.GetName()+labels)
		}
	}
	want := []string{
		"signalbox_breaker_changes_total m p open much",
		"signalbox_target_first_byte_seconds m p 0.5 much", "signalbox_target_first_byte_seconds m p 0.95 much",
		"signalbox_target_in_flight m p", "signalbox_target_share_ratio m p", "signalbox_target_success_ratio m p some",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(log.String(), "target=p/m") {
		t.Errorf("the log says %q", log)
	}
}

func TestWhereReplicasTellEachOther(t *testing.T) {
	quota := Place{URL: "redis://quota"}
	for share, want := range map[string]string{"quota": "redis://quota", "none": "", "redis://other": "redis://other"} {
		if got := (&Settings{Share: share}).Place(quota).URL; got != want {
			t.Errorf("%s: %q, want %q", share, got, want)
		}
		if err := Form(share); err != nil {
			t.Error(err)
		}
	}
	if err := Form("memory"); err == nil {
		t.Error("memory is taken")
	}
}

// TestTheTable shows targets that are well, that closed slowly, and that rest.
func TestTheTable(t *testing.T) {
	u, k, _, _ := open(t, "none")
	now := time.Now().Add(-time.Second)
	end := func(model, key string, n int, code llm.Code) {
		for range n {
			k.Targets.Of("p", model).Begin(key, now)
			k.Targets.Of("p", model).End(health.Attempt{Key: key, Code: code, First: 200 * time.Millisecond, Took: time.Second}, now)
		}
	}
	end("well", "k", 20, llm.CodeNone)
	k.Targets.Of("p", "well").Limits(health.Room{Requests: 0.5, Tokens: -1, Reset: time.Minute}, now)
	end("down", "", 4, llm.CodeConnect)
	k.Targets.Of("p", "down").Begin("", now)
	k.Targets.Of("p", "down").End(health.Attempt{Code: llm.CodeConnect, Probe: true}, now)
	end("half", "good", 4, llm.CodeNone)
	k.Targets.Of("p", "half").Begin("good", now)
	k.Targets.Of("p", "half").End(health.Attempt{Key: "good", Probe: true}, now)
	end("half", "bad", 5, llm.CodeCredential)
	k.Rests.Cool(health.Subject{Provider: "p", Key: "bad"}, now, 5*time.Minute)
	w := httptest.NewRecorder()
	u.ServeHTTP(w, httptest.NewRequest("GET", "/targets", nil))
	var b strings.Builder
	if err := WriteTable(&b, w.Body.Bytes()); err != nil {
		t.Fatal(err)
	}
	want := `TARGET  STATE             SUCCESS  OF  FIRST P50  P95    TOKEN  IN FLIGHT  ROOM  PROBED
p/down  open for 4 s      0.0 %    5   -          -      -      0          -     connect 1s ago
p/half  bad open for 4 s  50.0 %   10  196ms      196ms  -      0          -     ok 1s ago
p/well  closed            100.0 %  20  196ms      196ms  -      0          50 %  -
p/*     key bad rests for 299 s
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	if err := WriteTable(&b, []byte("no page")); err == nil {
		t.Error("what is no page is shown")
	}
}
