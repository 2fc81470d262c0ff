package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// newHook takes what is sent to it, and returns its address and what that was.
func newHook(t *testing.T) (url string, told func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, string(b))
	}))
	t.Cleanup(h.Close)
	return h.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// A slow provider burns the budget: that is told, requests go elsewhere, and a restart forgets nothing of it.
func TestASlowProviderBurnsTheBudgetAndIsPassedOver(t *testing.T) {
	t.Parallel()
	hook, told := newHook(t)
	slow, fast := newProvider(t, "slow"), newProvider(t, "fast")
	s := stack.Apart(t, fmt.Sprintf(`
providers:
  - { name: slow, kind: mock, base_url: %s }
  - { name: fast, kind: mock, base_url: %s }
ledger: { store: "sqlite:run/ledger.db" }
tags: { headers: { feature: x-feature } }
routes:
  - name: chat
    match: { models: [smart] }
    targets: [ "slow/slow:2s+echo", fast/echo ]
    policy: [ slo ]
    slo: { p95_first_token: 1500ms, p95_total: 1500ms, success: 99%% }
slos: [ { name: search, tags: { feature: search }, success: 99%% } ]
alerts: { every: 10s, channels: [ { name: hook, webhook: { url: "%s" } } ], rules: [ { on: [ slo ] } ] }
`, slow.url, fast.url, hook))
	for _, a := range atOnce(t, 12, 12, func(i int) (string, string) { return s.Base + chatPath, chat("smart", i%2 == 0) }) {
		a.want(t, 200, "Hello")
	}
	if n := len(slow.Journal()); n != 12 {
		t.Fatalf("the slow one got %d of the first", n)
	}
	burnt := regexp.MustCompile(`(?m)^signalbox_slo_burn_rate\{objective="total",slo="chat",window="5m"\} (19\.9|20)`)
	stack.Eventually(t, 20*time.Second, "the budget burns", func() error {
		if !burnt.MatchString(s.Metrics()) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	stack.Eventually(t, 40*time.Second, "it is told", func() error {
		all := strings.Join(told(), "\n")
		if !strings.Contains(all, `"kind":"slo","severity":"critical"`) || !strings.Contains(all, "promise of an answer within 1.5s burns its error budget") {
			return fmt.Errorf("what is told is %s", all)
		}
		return nil
	})
	for _, a := range atOnce(t, 60, 6, func(int) (string, string) { return s.Base + chatPath, chat("smart", false) }) {
		a.want(t, 200, "Hello")
	}
	// One in fifty does not look at burn: of 60 draws more than 8 do so once in a hundred thousand times.
	if n := len(fast.Journal()); n < 52 {
		t.Errorf("the fast one got %d of 60", n)
	}
	row := regexp.MustCompile(`(?m)^chat +total +95% in 1\.5s +30d +\d\d +\S+ +-\S+%`)
	if out := stack.Output(t, stack.Binary(t), "slo", "--server", s.Admin); !row.MatchString(out) || !strings.Contains(out, "search") {
		t.Errorf("signalbox slo prints\n%s", out)
	}

	s.Service().Stop()
	s.Serve()
	stack.Eventually(t, 30*time.Second, "the service is back and knows", func() error {
		if err := s.Ready(); err != nil {
			return err
		}
		if m := s.Metrics(); !regexp.MustCompile(`(?m)^signalbox_slo_budget_left_ratio\{objective="total",slo="chat"\} -`).MatchString(m) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	n := len(told())
	time.Sleep(12 * time.Second) // another look at it
	if all := told(); len(all) != n {
		t.Errorf("after the restart it is told again: %s", all[n:])
	}
}
