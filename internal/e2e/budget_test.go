package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// atOnce sends n requests, most of them at a time, and returns what came.
func atOnce(t *testing.T, n, most int, request func(i int) (url, body string)) []answer {
	t.Helper()
	out := make([]answer, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	gate := make(chan struct{}, most)
	for i := range n {
		gate <- struct{}{}
		all.Go(func() {
			defer func() { <-gate }()
			url, body := request(i)
			a, err := send(ctx, url, body)
			if err != nil {
				t.Error(err)
			}
			out[i] = a
		})
	}
	all.Wait()
	return out
}

// floor is what every provider's retry budget holds for ten seconds.
const floor = 100

// A provider that answers nobody lets all that wait for it fail at once. What it cannot do must not fall on the next one
// whole.
func TestABurstOfTimeoutsDoesNotFallOnTheNextTarget(t *testing.T) {
	t.Parallel()
	const n = 300
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: b, kind: mock, base_url: %s }
routes:
  - { name: r, match: { models: [r] }, targets: [a/hang, b/echo], deadlines: { first_token: 4s, answer: 4s } }
`, a.url, b.url))
	begin := time.Now()
	got := atOnce(t, n, n, func(i int) (string, string) { return s.Base + chatPath, chat("r", i%2 == 0) })
	served, spared := 0, 0
	for _, g := range got {
		switch {
		case g.status == 200 && strings.Contains(g.body, "Hello"):
			served++
		case g.status == 503 && field(t, g.body, "error", "code") == "retry_budget":
			spared++
			if g.header.Get("retry-after") == "" {
				t.Error("it is not said when to come again")
			}
		default:
			t.Errorf("got %d: %s", g.status, g.body)
		}
	}
	first, again := len(a.Journal()), len(b.Journal())
	t.Logf("%d requests: %d at the first target, %d at the second, %d served, %d spared, in %s", n, first, again, served, spared, time.Since(begin))
	windows := 1 + int(time.Since(begin)/(9*time.Second)) // of the budget, whose oldest part is forgotten whole
	if most := floor*windows + n/5; again > most || spared == 0 {
		t.Errorf("%d tries again, of %d that are allowed, and %d spared", again, most, spared)
	}
	if served != again {
		t.Errorf("%d served by %d attempts", served, again)
	}
}

// With every target out of order, more requests come than a plan has attempts for.
func TestAnOutageOfAllDoesNotDoubleTheTraffic(t *testing.T) {
	const n = 1000
	a, b, c := newProvider(t, "a"), newProvider(t, "b"), newProvider(t, "c")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: b, kind: mock, base_url: %s }
  - { name: c, kind: mock, base_url: %s }
routes:
  - { name: r, match: { models: [r] }, targets: [a/503, b/503, c/503] }
`, a.url, b.url, c.url))
	begin := time.Now()
	for _, g := range atOnce(t, n, 50, func(i int) (string, string) { return s.Base + chatPath, chat("r", i%2 == 0) }) {
		if g.status != 503 || field(t, g.body, "error", "message") == "" {
			t.Fatalf("got %d: %s", g.status, g.body)
		}
	}
	attempts := len(a.Journal()) + len(b.Journal()) + len(c.Journal())
	windows := 1 + int(time.Since(begin)/(9*time.Second))
	t.Logf("%d requests made %d attempts in %s", n, attempts, time.Since(begin))
	if most := n + n/5 + 2*floor*windows; attempts > most {
		t.Errorf("%d attempts of %d requests: at most %d are allowed", attempts, n, most)
	}
}

// A provider that fails now and then, less often than opens its breaker.
func TestTriesAgainStayAShareOfTheTraffic(t *testing.T) {
	const n = 1500
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: b, kind: mock, base_url: %s }
routes:
  - { name: strict, match: { models: [strict] }, targets: ["a/flaky:0.2+echo", b/echo], failover: { retry_budget: 0 } }
`, a.url, b.url))
	begin := time.Now()
	served := 0
	for _, g := range atOnce(t, n, 50, func(int) (string, string) { return s.Base + chatPath, chat("strict", false) }) {
		if g.status == 200 {
			served++
		}
	}
	windows := 1 + int(time.Since(begin)/(9*time.Second))
	attempts := len(a.Journal()) + len(b.Journal())
	t.Logf("%d requests made %d attempts, and %d were served, in %s", n, attempts, served, time.Since(begin))
	if most := n + 2*floor*windows; attempts > most {
		t.Errorf("%d attempts of %d requests: at most %d are allowed", attempts, n, most)
	}
	if served < n/2 {
		t.Errorf("%d of %d are served", served, n)
	}
}
