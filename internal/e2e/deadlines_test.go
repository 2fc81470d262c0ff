package e2e

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/mock"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

func TestClientsMayShortenTheDeadlineWhereTheRouteLets(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
routes:
  - { name: may, match: { models: [may] }, targets: [a/hang], deadlines: { total: 30s, answer: 20s }, client_headers: { timeout: true } }
  - { name: maynot, match: { models: [maynot] }, targets: ["a/slow:400ms+echo"], deadlines: { total: 30s } }
  - { name: most, match: { models: [most] }, targets: [a/hang], deadlines: { total: 1s }, client_headers: { timeout: true } }
  - { name: fast, match: { models: [fast] }, targets: [a/echo], deadlines: { total: 30s }, client_headers: { timeout: true } }
`, a.url))
	header := func(v string) string { return "x-signalbox-timeout-ms: " + v }
	for _, path := range []string{chatPath, messagePath} {
		body := func(model string) string {
			if path == messagePath {
				return message(model, false)
			}
			return chat(model, false)
		}
		if got := post(t, s.Base+path, body("may"), header("300")); got.status != 504 || got.took > 20*time.Second || field(t, got.body, "error", "message") == "" {
			t.Errorf("a client's deadline of 300 ms gave %d after %s: %s", got.status, got.took, got.body)
		}
		if got := post(t, s.Base+path, body("most"), header("3600000")); got.status != 504 || got.took > 20*time.Second {
			t.Errorf("a deadline over the route's gave %d after %s: %s", got.status, got.took, got.body)
		}
		post(t, s.Base+path, body("maynot"), header("20")).want(t, 200, "Hello")
		post(t, s.Base+path, body("maynot"), header("nonsense")).want(t, 200, "Hello")
		post(t, s.Base+path, body("fast"), header("20000")).want(t, 200, "Hello")
		for _, bad := range []string{"0", "-5", "1.5", "10s", "1e3", "99999999999999999999", "nonsense", "0x10", "５"} {
			post(t, s.Base+path, body("fast"), header(bad)).want(t, 400, "x-signalbox-timeout-ms")
		}
	}
	for _, r := range a.Journal() {
		if v := r.Header.Get("X-Signalbox-Timeout-Ms"); v != "" {
			t.Errorf("the header reached the provider: %q", v)
		}
	}
}

// newSilent serves a mock that sends no keep-alives: a stalled stream is silent.
func newSilent(t *testing.T) *provider {
	t.Helper()
	m := mock.New(mock.Options{Name: "silent", Seed: 7, KeepAlive: time.Hour, Journal: 64})
	s := httptest.NewServer(m)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return &provider{m, s.URL}
}

// A deadline that is missed in mid-stream breaks the stream; where the service sees the answer it may end in an
// error event instead. It never ends as if it were whole. Deadlines leave a busy machine the time to begin a stream.
func TestDeadlinesInMidStream(t *testing.T) {
	t.Parallel()
	a, lively := newSilent(t), newProvider(t, "lively")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: lively, kind: mock, base_url: %[2]s, params: { speaks: [anthropic-messages] } }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
  - { name: oai, kind: mock, base_url: %[1]s, params: { speaks: [openai-chat] } }
routes:
  - { name: stall, match: { models: [stall] }, targets: ["a/pace:5ms+stall:5"], deadlines: { between_tokens: 2s, total: 60s } }
  - { name: wstall, match: { models: [wstall] }, targets: ["a/pace:5ms+stall:5", a/echo], deadlines: { between_tokens: 2s, total: 60s } }
  - { name: xstall, match: { models: [xstall] }, targets: ["claude/pace:5ms+stall:5"], deadlines: { between_tokens: 2s, total: 60s } }
  - { name: ostall, match: { models: [ostall] }, targets: ["oai/pace:5ms+stall:5"], deadlines: { between_tokens: 2s, total: 60s } }
  - { name: total, match: { models: [total] }, targets: ["a/pace:100ms+tokens:1000"], deadlines: { total: 4s } }
  - { name: xtotal, match: { models: [xtotal] }, targets: ["claude/pace:100ms+tokens:1000"], deadlines: { total: 4s } }
  - { name: ototal, match: { models: [ototal] }, targets: ["oai/pace:100ms+tokens:1000"], deadlines: { total: 4s } }
  - { name: alive, match: { models: [alive] }, targets: ["lively/pace:5ms+stall:5"], deadlines: { between_tokens: 2s, total: 60s } }
`, a.url, lively.url))
	for _, c := range []struct{ name, path, body string }{
		{"between tokens, direct", chatPath, asked("stall")},
		{"between tokens, watched", chatPath, asked("wstall")},
		{"between tokens, stripped", chatPath, chat("stall", true)},
		{"between tokens, translated", chatPath, chat("xstall", true)},
		{"between tokens, anthropic direct", messagePath, message("stall", true)},
		{"between tokens, anthropic translated", messagePath, message("ostall", true)},
		{"between tokens, translated, keep-alives go on", chatPath, chat("alive", true)},
		{"total, direct", chatPath, asked("total")},
		{"total, stripped", chatPath, chat("total", true)},
		{"total, translated", chatPath, chat("xtotal", true)},
		{"total, anthropic direct", messagePath, message("total", true)},
		{"total, anthropic translated", messagePath, message("ototal", true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := send(context.Background(), s.Base+c.path, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if got.status != 200 || !strings.Contains(got.body, "delta") {
				t.Fatalf("the stream did not begin: %d: %s", got.status, got.body)
			}
			for _, end := range []string{"[DONE]", `"finish_reason":"`, "message_stop", `"stop_reason":"`} {
				if strings.Contains(got.body, end) {
					t.Errorf("a broken stream holds %q: %s", end, got.body)
				}
			}
			if got.err == nil && !strings.Contains(got.body, `"error"`) {
				t.Errorf("the stream ended cleanly and without an error: %s", got.body)
			}
			if got.took > 40*time.Second {
				t.Errorf("it took %s", got.took)
			}
		})
	}
}
