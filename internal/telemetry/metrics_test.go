package telemetry

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// scrape returns our own lines of the page, without comments, in the page's order.
func scrape(t *testing.T, m *Metrics) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("GET /metrics: %d %s", w.Code, w.Header())
	}
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "signalbox_") || strings.HasPrefix(line, "gen_ai_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// without drops the buckets of histograms, whose sums and counts say enough.
func without(lines []string, parts ...string) []string {
	return slices.DeleteFunc(lines, func(l string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(l, p) })
	})
}

func TestPageShowsWhatWasCounted(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	m.Build("v1.2.3")
	m.Exchange(&Exchange{Route: "support", Dialect: "openai-chat", Outcome: "ok", Took: 1500 * time.Millisecond})
	m.Exchange(&Exchange{Route: "support", Dialect: "anthropic-messages", Outcome: "error", Took: 500 * time.Millisecond})
	m.Exchange(&Exchange{Dialect: "openai-chat", Outcome: "not_found", Took: 250 * time.Millisecond})
	m.Attempt(&Attempt{Provider: "claude", Code: llm.CodeRateLimited, Path: "watched"})
	m.Attempt(&Attempt{Provider: "claude", Path: "watched", First: 250 * time.Millisecond})
	m.Planned("watched", 20*time.Microsecond)
	m.Usage(&Call{Provider: "claude"}, "service", &llm.Usage{Input: llm.Tokens(100), Cached: llm.Tokens(64), CacheWrite: llm.Tokens(8), Output: llm.Tokens(50), Reasoning: llm.Tokens(30)}, nil)
	m.Usage(&Call{Provider: "claude"}, "service", &llm.Usage{Input: llm.Tokens(1), Output: llm.Tokens(-5)}, nil)
	m.Usage(&Call{Provider: "nobody"}, "none", &llm.Usage{}, nil)
	m.Error(llm.CodeRateLimited, "attempt")
	m.Losses("openai-chat", "anthropic-messages", 3)
	m.Unmade("gpt", "retry_budget")
	m.Losses("openai-chat", "openai-chat", 0)
	m.Live(7)
	m.Reload(true)
	m.Reload(false)
	m.LogEntry("request")
	m.LogEntry("attempt")
	m.LogEntry("attempt")
	m.Swept(2)
	m.Failover.Same("gpt", llm.CodeNone)
	m.Failover.Repair("gpt", llm.CodeUpstream)
	m.Failover.Mended("gpt", "fences")
	m.Failover.Rounds("support", 2)
	m.Failover.Rounds("other", 0)

	got := without(scrape(t, m), "_bucket{", "gen_ai_", "signalbox_build_info", "signalbox_quota_", "signalbox_ledger_", "signalbox_journal_", "signalbox_telemetry_")
	want := []string{
		`signalbox_attempts_total{code="ok",path="watched",provider="claude"} 1`,
		`signalbox_attempts_total{code="rate_limited",path="watched",provider="claude"} 1`,
		`signalbox_errors_total{code="rate_limited",where="attempt"} 1`,
		`signalbox_exchange_duration_seconds_sum{route="none"} 0.25`,
		`signalbox_exchange_duration_seconds_count{route="none"} 1`,
		`signalbox_exchange_duration_seconds_sum{route="support"} 2`,
		`signalbox_exchange_duration_seconds_count{route="support"} 2`,
		`signalbox_exchanges_total{dialect="anthropic-messages",outcome="error",route="support"} 1`,
		`signalbox_exchanges_total{dialect="openai-chat",outcome="not_found",route="none"} 1`,
		`signalbox_exchanges_total{dialect="openai-chat",outcome="ok",route="support"} 1`,
		`signalbox_first_byte_seconds_sum{provider="claude"} 0.25`,
		`signalbox_first_byte_seconds_count{provider="claude"} 1`,
		`signalbox_health_replicas 0`,
		`signalbox_health_shared 0`,
		`signalbox_idempotency_answer_bytes_total 0`,
		`signalbox_idempotency_running 0`,
		`signalbox_live_exchanges 7`,
		`signalbox_log_entries_total{kind="attempt"} 2`,
		`signalbox_log_entries_total{kind="request"} 1`,
		`signalbox_losses_total{dialect_from="openai-chat",dialect_to="anthropic-messages"} 3`,
		`signalbox_mended_answers_total{provider="gpt",reason="fences"} 1`,
		`signalbox_paths_total{path="watched"} 1`,
		`signalbox_plan_duration_seconds_sum 2e-05`,
		`signalbox_plan_duration_seconds_count 1`,
		"signalbox_queue_held_bytes 0",
		"signalbox_queue_waiting 0",
		`signalbox_reload_total{result="ok"} 1`,
		`signalbox_reload_total{result="refused"} 1`,
		`signalbox_repairs_total{code="upstream",provider="gpt"} 1`,
		`signalbox_rounds_total{route="support"} 2`,
		`signalbox_same_attempts_total{code="ok",provider="gpt"} 1`,
		`signalbox_shadow_held_bytes 0`,
		`signalbox_swept_total 2`,
		`signalbox_tokens_total{kind="cache_write",provider="claude",source="service"} 8`,
		`signalbox_tokens_total{kind="cached",provider="claude",source="service"} 64`,
		`signalbox_tokens_total{kind="input",provider="claude",source="service"} 101`,
		`signalbox_tokens_total{kind="output",provider="claude",source="service"} 50`,
		`signalbox_tokens_total{kind="reasoning",provider="claude",source="service"} 30`,
		`signalbox_unmade_attempts_total{provider="gpt",reason="retry_budget"} 1`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("page (-want +got):\n%s", d)
	}
}

func TestBuildNamesVersionAndGo(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	m.Build("v1")
	m.Build("v2")
	page := strings.Join(scrape(t, m), "\n")
	if !strings.Contains(page, `version="v2"`) || strings.Contains(page, `version="v1"`) || !strings.Contains(page, runtime.Version()) {
		t.Errorf("build info is not that of v2 alone:\n%s", page)
	}
}

func TestNamesPastTheBoundAreCountedTogether(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	for i := range DefaultValues + 20 {
		m.Exchange(&Exchange{Route: fmt.Sprint("route", i), Dialect: "openai-chat", Outcome: "ok"})
	}
	m.Exchange(&Exchange{Route: "route0", Dialect: "openai-chat", Outcome: "ok"})
	page := scrape(t, m)
	counted := 0
	for _, l := range page {
		if strings.HasPrefix(l, "signalbox_exchanges_total{") {
			counted++
		}
	}
	if want := DefaultValues + 1; counted != want {
		t.Errorf("%d series, want %d", counted, want)
	}
	all := strings.Join(page, "\n")
	for _, want := range []string{
		`signalbox_exchanges_total{dialect="openai-chat",outcome="ok",route="other"} 20`,
		`signalbox_exchanges_total{dialect="openai-chat",outcome="ok",route="route0"} 2`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no line %s", want)
		}
	}
}

func TestNamesThatAreNotUTF8AreCounted(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	m.Attempt(&Attempt{Provider: "a\xff", Path: "direct"})
	if page := strings.Join(scrape(t, m), "\n"); !strings.Contains(page, `provider="a?"} 1`) {
		t.Errorf("not counted:\n%s", page)
	}
}

func TestCountsFromManyGoroutinesAddUp(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				m.Attempt(&Attempt{Provider: fmt.Sprint("p", i%10), Path: "direct"})
			}
		})
	}
	wg.Wait()
	page := strings.Join(scrape(t, m), "\n")
	for i := range 10 {
		if want := fmt.Sprintf(`{code="ok",path="direct",provider="p%d"} 160`, i); !strings.Contains(page, want) {
			t.Errorf("no line with %s", want)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	usage := llm.Usage{Input: llm.Tokens(100), Output: llm.Tokens(50)}
	call := Call{Operation: "chat", System: "anthropic", Model: "claude-sonnet-4-5", Provider: "claude", Stream: true}
	for name, f := range map[string]func(){
		"exchange": func() {
			m.Exchange(&Exchange{Route: "support", Dialect: "openai-chat", Outcome: "ok", Took: time.Second})
		},
		"attempt": func() {
			m.Attempt(&Attempt{Provider: "claude", Code: llm.CodeReset, Path: "direct", First: time.Second})
		},
		"planned":  func() { m.Planned("direct", time.Millisecond) },
		"usage":    func() { m.Usage(&Call{Provider: "claude"}, "envoy", &usage, nil) },
		"error":    func() { m.Error(llm.CodeReset, "attempt") },
		"losses":   func() { m.Losses("openai-chat", "gemini", 1) },
		"logentry": func() { m.LogEntry("request") },
		"unnamed":  func() { m.Exchange(&Exchange{Outcome: "ok"}) },
		"genai": func() {
			m.Exchange(&Exchange{Route: "support", Dialect: "openai-chat", Outcome: "ok", Took: time.Second, First: time.Millisecond, Output: 10, Call: call})
			m.Attempt(&Attempt{Provider: "claude", Path: "direct", Took: time.Second, First: time.Millisecond, Call: call})
			m.Usage(&call, "envoy", &usage, nil)
		},
	} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	m := New(prometheus.NewRegistry(), Options{})
	for b.Loop() {
		m.Exchange(&Exchange{Route: "support", Dialect: "openai-chat", Outcome: "ok", Took: time.Second})
	}
}
