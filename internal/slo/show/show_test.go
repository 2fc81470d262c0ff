package show

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/slo"
)

func serve(t *testing.T, status int, body string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slo" {
			t.Errorf("%s was asked for", r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestObjectivesAreATable(t *testing.T) {
	now := time.Date(2026, 8, 3, 12, 0, 0, 0, time.UTC)
	const days = 24 * time.Hour
	var x slo.Tracker
	x.Set([]slo.Objective{
		{Name: "chat", Kind: slo.FirstToken, Within: 800 * time.Millisecond, Allow: .05, Window: 30 * days},
		{Name: "chat", Kind: slo.Success, Allow: .005, Window: 7 * days},
		{Name: "chat", Kind: slo.Cost, Allow: 500, Window: 30 * days},
		{Name: "idle", Kind: slo.Success, Allow: .1, Window: 30 * days, Scope: slo.Scope{Routes: []string{"idle"}}},
	}, now)
	for i := range 400 {
		x.Exchange(&slo.Event{Route: "chat", Stream: true, Failed: i == 0, First: time.Second / 2, Total: time.Second}, now.Add(-2*days))
		x.Spent("chat", nil, 1000, 250_000, now)
	}
	for range 15 {
		x.Exchange(&slo.Event{Route: "chat", Stream: true, First: time.Second, Total: time.Second}, now)
	}
	text, err := jsonx.Encode(slo.Report(x.Status(now)))
	if err != nil {
		t.Fatal(err)
	}
	rows, got, err := Fetch(t.Context(), serve(t, 200, string(text))+"/")
	if err != nil || string(got) != string(text) {
		t.Fatalf("%s, %v", got, err)
	}
	var b strings.Builder
	if err := Table(&b, rows); err != nil {
		t.Fatal(err)
	}
	want := `SLO   OBJECTIVE    GOAL          WINDOW  EXCHANGES  ATTAINED     LEFT    BURN 1H  BURN 6H  BURN 3D  ALERT
chat  first_token  95% in 800ms  30d     414        96.377%      27.536%  20.0     20.0     0.7      critical 5m/1h
chat  success      99.5%         7d      415        99.759%      51.807%  0.0      0.0      0.5      -
chat  cost         $0.0005/1k    30d     400        $0.00025/1k  50%      0.5      0.5      0.5      -
idle  success      90%           30d     0          -            -        0.0      0.0      0.0      -
`
	if d := cmp.Diff(strings.Fields(want), strings.Fields(b.String())); d != "" {
		t.Errorf("(-want +got):\n%s\n%s", d, b.String())
	}
	b.Reset()
	if err := Table(&b, nil); err != nil || !strings.Contains(b.String(), "nothing is promised") {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	for _, c := range []struct{ what, server, want string }{
		{"no URL", "127.0.0.1:9180", "must be a URL"},
		{"a bad URL", "http://[::1", "the admin address"},
		{"another address", serve(t, 404, ""), "404 Not Found: is it the admin address"},
		{"no JSON", serve(t, 200, "<html>"), "reading the answer"},
		{"nobody", "http://127.0.0.1:1", "asking the service"},
	} {
		if _, _, err := Fetch(t.Context(), c.server); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.what, err, c.want)
		}
	}
}
