package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// ailing is a provider that is well or down, and counts what comes.
type ailing struct {
	down atomic.Bool
	came atomic.Int64
	slow atomic.Int64 // nanoseconds before an answer
}

func (a *ailing) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.came.Add(1)
	time.Sleep(time.Duration(a.slow.Load()))
	w.Header().Set("content-type", "application/json")
	if a.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":{"message":"down","type":"server_error"}}`)
		return
	}
	_, _ = io.WriteString(w, `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}`)
}

func newAiling(t *testing.T) (*ailing, string) {
	a := &ailing{}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	return a, s.URL
}

const ailingYAML = `
providers:
  - { name: first, kind: openai-compatible, base_url: %s/v1 }
  - { name: second, kind: openai-compatible, base_url: %s/v1 }
routes:
  - { name: r, match: { models: [r] }, targets: [first/m, second/m], answer_headers: true }
  - { name: only, match: { models: [only] }, targets: [first/m], answer_headers: true }
%s`

// TestABreakerOnARealEnvoy follows a provider through an outage: traffic moves away and does not come back while it is
// open; when it is tried again, three requests try it however many wait; and then it gets a growing share.
func TestABreakerOnARealEnvoy(t *testing.T) {
	t.Parallel()
	first, url1 := newAiling(t)
	second, url2 := newAiling(t)
	s := stack.Apart(t, fmt.Sprintf(ailingYAML, url1, url2, "health: { state: state.json }"))
	ask := func() string {
		got := post(t, s.Base+chatPath, chat("r", false))
		got.want(t, 200, "Hello")
		return got.header.Get("x-signalbox-target") + " " + got.header.Get("x-signalbox-attempts")
	}
	if got := ask(); got != "first/m 1" {
		t.Fatalf("while all is well: %s", got)
	}
	first.down.Store(true)
	for range 5 {
		if got := ask(); got != "second/m 2" {
			t.Fatalf("in the outage: %s", got)
		}
	}
	stack.Eventually(t, 5*time.Second, "the breaker opens", func() error { // entries of attempts come behind the answer
		if got := ask(); got != "second/m 1" {
			return fmt.Errorf("it goes to %s", got)
		}
		return nil
	})
	if m := s.Metrics(); !strings.Contains(m, `signalbox_breaker_changes_total{gen_ai_request_model="m",provider="first",state="open"} 1`) {
		t.Error("the page of metrics has no open breaker")
	}
	got := post(t, s.Base+chatPath, chat("only", false))
	if got.status != 503 || got.header.Get("x-signalbox-health") != "least_bad" {
		t.Errorf("with no other target: status %d, x-signalbox-health %q", got.status, got.header.Get("x-signalbox-health"))
	}

	s.Service().Kill() // a crash forgets what was learnt since the file was written: it is not there yet
	s.Serve()
	stack.Eventually(t, 30*time.Second, "the service is back", s.Ready)
	for range 6 {
		ask()
	}
	stack.Eventually(t, 5*time.Second, "the breaker opens again", func() error {
		if got := ask(); got != "second/m 1" {
			return fmt.Errorf("it goes to %s", got)
		}
		return nil
	})
	opened := time.Now()
	s.Service().Stop() // an orderly restart keeps it
	s.Serve()
	stack.Eventually(t, 30*time.Second, "the service is back", s.Ready)
	if time.Since(opened) < 4*time.Second {
		if got := ask(); got != "second/m 1" {
			t.Errorf("after a restart it goes to %s", got)
		}
	}

	first.down.Store(false)
	first.slow.Store(int64(time.Second))
	time.Sleep(time.Until(opened.Add(5500 * time.Millisecond)))
	before, other := first.came.Load(), second.came.Load()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { post(t, s.Base+chatPath, chat("r", false)).want(t, 200, "Hello") })
	}
	wg.Wait()
	if tried, moved := first.came.Load()-before, second.came.Load()-other; tried > 3 || tried < 1 || tried+moved < 40 {
		t.Errorf("of 40 that wait %d try it, and %d go elsewhere", tried, moved)
	}
	first.slow.Store(0)
	stack.Eventually(t, 60*time.Second, "everything goes to it again", func() error {
		for range 20 {
			if got := ask(); got != "first/m 1" {
				return fmt.Errorf("it goes to %s", got)
			}
		}
		return nil
	})
}

// TestReplicasShareHealth lets one of two services see an outage: the other's traffic moves away without an attempt.
func TestReplicasShareHealth(t *testing.T) {
	r := servers.StartRedis(t)
	first, url1 := newAiling(t)
	_, url2 := newAiling(t)
	yaml := fmt.Sprintf(ailingYAML, url1, url2, "health: { state: none, share: \"redis://"+r.Addr+"\" }")
	one, two := stack.Up(t, yaml), stack.Up(t, yaml)
	ask := func(s *stack.Stack) string {
		got := post(t, s.Base+chatPath, chat("r", false))
		got.want(t, 200, "Hello")
		return got.header.Get("x-signalbox-target") + " " + got.header.Get("x-signalbox-attempts")
	}
	if got := ask(two); got != "first/m 1" {
		t.Fatalf("while all is well: %s", got)
	}
	first.down.Store(true)
	for range 6 {
		ask(one)
	}
	stack.Eventually(t, 4*time.Second, "the other's breaker opens", func() error {
		if m := two.Metrics(); !strings.Contains(m, `signalbox_breaker_changes_total{gen_ai_request_model="m",provider="first",state="open"} 1`) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	before := first.came.Load()
	if got := ask(two); got != "second/m 1" || first.came.Load() != before {
		t.Errorf("the other goes to %s", got)
	}
	if m := two.Metrics(); !strings.Contains(m, "signalbox_health_replicas 2") {
		t.Error("the page of metrics does not have two replicas")
	}
	r.Kill()
	for range 3 {
		ask(one)
		ask(two)
	}
}

// TestRoomOnTheDirectPath has a provider whose answers say that its rate limit is nearly used up: traffic moves away, though
// the answers do not visit the service. Routes that do not go by limits get no more log entries than before.
func TestRoomOnTheDirectPath(t *testing.T) {
	const body = `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}`
	full := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{"content-type": "application/json", "x-ratelimit-limit-requests": "1000", "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "2m"} {
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(full.Close)
	_, other := newAiling(t)
	const yaml = `
providers:
  - { name: first, kind: openai-compatible, base_url: %s/v1 }
  - { name: second, kind: openai-compatible, base_url: %s/v1 }
routes:
  - { name: r, match: { models: [r] }, targets: [first/m, second/m], policy: [%s], answer_headers: true }
health: { state: none }
`
	for _, c := range []struct {
		policy string
		moves  bool
	}{{"{ limits: 50 }", true}, {"healthy", false}} {
		t.Run(c.policy, func(t *testing.T) {
			t.Parallel()
			s := stack.Up(t, fmt.Sprintf(yaml, full.URL, other, c.policy))
			moved := 0
			for range 60 {
				got := post(t, s.Base+chatPath, chat("r", false))
				got.want(t, 200, "Hello")
				if got.header.Get("x-signalbox-target") == "second/m" {
					moved++
				}
				time.Sleep(10 * time.Millisecond)
			}
			if c.moves && moved < 20 || !c.moves && moved > 0 {
				t.Errorf("%d of 60 moved away", moved)
			}
			table := stack.Output(t, stack.Binary(t), "health", "--config", s.Config)
			row := ""
			for line := range strings.Lines(table) {
				if strings.HasPrefix(line, "first/m ") {
					row = strings.TrimRight(line, " \n")
				}
			}
			if want := map[bool]string{true: " 0 %", false: " -"}[c.moves]; !regexp.MustCompile(want+" +-$").MatchString(row) || !strings.Contains(row, " 100.0 % ") { // and no probe
				t.Errorf("signalbox health says %s", table)
			}
		})
	}
}
