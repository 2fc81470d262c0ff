package measured_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/measured"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// gone is a store that does not answer, or admits by policy.
type gone struct {
	quota.Store
	away bool
}

func (g gone) Reserve(context.Context, *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if g.away {
		return quota.Grant{State: quota.Pending, Away: true}, nil, nil
	}
	return quota.Grant{}, nil, quota.ErrUnavailable
}

func (gone) Reap(context.Context, string, int) ([]quota.Lapse, error) {
	return nil, quota.ErrUnavailable
}

func TestWhatAStoreDoesIsCounted(t *testing.T) {
	m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
	now := time.Now()
	s := measured.New(memory.New(memory.Params{Now: func() time.Time { return now }}), "memory", &m.Quota, nil)
	b := &quota.Budget{ID: "team_requests", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Requests, Limit: 10, Window: window.Window{Kind: window.Life}}
	reserve := func(s quota.Store, id string, n int64, away quota.Away) {
		t.Helper()
		own := *b
		own.Away = away
		if _, _, err := s.Reserve(t.Context(), &quota.Request{Organization: "acme", ID: id, Claims: []quota.Claim{{Budget: &own, Amount: n}}, Hold: time.Minute}); err != nil && id != "lost" {
			t.Fatal(err)
		}
	}
	reserve(s, "exchange-1", 4, quota.Default)
	reserve(s, "exchange-2", 5, quota.Default) // 9 of 10
	reserve(s, "exchange-3", 5, quota.Default) // refused
	if _, err := s.Settle(t.Context(), &quota.Settlement{Organization: "acme", ID: "exchange-1", Born: now, Claims: []quota.Claim{{Budget: b, Amount: 3}}}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if l, err := s.Reap(t.Context(), "acme", 10); err != nil || len(l) != 1 {
		t.Fatalf("%v, %v", l, err)
	}
	if _, err := s.Settle(t.Context(), &quota.Settlement{Organization: "acme", ID: "exchange-2", Born: now.Add(-time.Hour), Claims: []quota.Claim{{Budget: b, Amount: 3}}}); err != nil {
		t.Fatal(err)
	}
	reserve(measured.New(gone{s, true}, "redis", &m.Quota, nil), "by-allow", 1, quota.Allow)
	reserve(measured.New(gone{s, true}, "redis", &m.Quota, nil), "by-local", 1, quota.Local)
	away := measured.New(gone{s, false}, "redis", &m.Quota, nil)
	reserve(away, "lost", 1, quota.Default)
	if _, err := away.Reap(t.Context(), "acme", 1); err == nil {
		t.Fatal("it answers")
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`signalbox_quota_reserve_duration_seconds_count{result="granted",store="memory"} 2`,
		`signalbox_quota_reserve_duration_seconds_count{result="refused",store="memory"} 1`,
		`signalbox_quota_reserve_duration_seconds_count{result="error",store="redis"} 1`,
		`signalbox_quota_settle_duration_seconds_count{result="ok",store="memory"} 2`,
		`signalbox_quota_refusals_total{level="team",unit="requests"} 1`,
		`signalbox_quota_near_total{level="team",unit="requests"} 1`,
		`signalbox_quota_expired_total 1`,
		`signalbox_quota_late_total 1`,
		`signalbox_quota_degraded_total{policy="allow",result="admitted"} 1`,
		`signalbox_quota_degraded_total{policy="local",result="admitted"} 1`,
		`signalbox_quota_degraded_total{policy="deny",result="refused"} 1`,
		`signalbox_quota_store_up{store="memory"} 1`,
		`signalbox_quota_store_up{store="redis"} 0`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("the page lacks %s", want)
		}
	}
}
