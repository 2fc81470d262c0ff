package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// lock is an upstream that refuses one key, and remembers the order of keys.
type lock struct {
	refused string
	status  int

	mu   sync.Mutex
	seen []string
}

func (l *lock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	l.mu.Lock()
	l.seen = append(l.seen, key)
	l.mu.Unlock()
	w.Header().Set("content-type", "application/json")
	if key == l.refused {
		w.WriteHeader(l.status)
		fmt.Fprint(w, `{"error":{"message":"not this key","type":"invalid_request_error"}}`)
		return
	}
	fmt.Fprint(w, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}`)
}

func (l *lock) keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

func TestARefusedKeyRestsAndTheNextIsUsed(t *testing.T) {
	t.Setenv("ROTATED_1", "rotated-key-one")
	t.Setenv("ROTATED_2", "rotated-key-two")
	locks := map[string]*lock{"k401": {refused: "rotated-key-one", status: 401}, "k402": {refused: "rotated-key-one", status: 402}, "k429": {refused: "rotated-key-two", status: 429}, "none": {}}
	var providers strings.Builder
	for name, l := range locks {
		up := httptest.NewServer(l)
		t.Cleanup(up.Close)
		fmt.Fprintf(&providers, "  - { name: %s, kind: openai-compatible, keys: [env:ROTATED_1, env:ROTATED_2], base_url: %s/v1 }\n", name, up.URL)
	}
	s := stack.Up(t, "providers:\n"+providers.String())
	for name, l := range locks {
		ask := func() {
			t.Helper()
			post(t, s.Base+chatPath, chat(name+"/m", false)).want(t, 200, "Hello")
		}
		ask()
		ask() // keys are used in turn: by now both were
		if l.status == 0 {
			if seen := l.keys(); len(seen) != 2 || seen[0] == seen[1] {
				t.Errorf("keys are not used in turn: %v", seen)
			}
			continue
		}
		seen := l.keys()
		if i := slices.Index(seen, l.refused); len(seen) != 3 || i > 1 || seen[i+1] == l.refused {
			t.Fatalf("%s: the other key did not follow the refused one: %v", name, seen)
		}
		refusal := fmt.Sprintf("target=%s/m", name)
		stack.Eventually(t, 30*time.Second, "the refusal is known", func() error {
			for line := range strings.Lines(s.Log()) {
				if strings.Contains(line, `msg="attempt ended"`) && strings.Contains(line, refusal) && strings.Contains(line, fmt.Sprintf("status=%d ", l.status)) {
					return nil
				}
			}
			return fmt.Errorf("not yet")
		})
		for range 6 {
			ask()
		}
		if later := l.keys()[3:]; len(later) != 6 || slices.Contains(later, l.refused) {
			t.Errorf("%s: the refused key does not rest: %v", name, later)
		}
	}
	for _, key := range []string{"rotated-key-one", "rotated-key-two"} {
		if strings.Contains(s.Log(), key) {
			t.Error("a key is in the log")
		}
	}
}

func TestWeightsShareFirstAttempts(t *testing.T) {
	a, b, c := newProvider(t, "a"), newProvider(t, "b"), newProvider(t, "c")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: b, kind: mock, base_url: %s }
  - { name: c, kind: mock, base_url: %s }
routes:
  - { name: w, match: { models: [w] }, targets: [ { target: a/echo, weight: 3 }, { target: b/echo, weight: 1 }, { target: c/echo, weight: 0 } ] }
`, a.url, b.url, c.url))
	const n = 240
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range n / 8 {
				if got, err := send(t.Context(), s.Base+chatPath, chat("w", false)); err != nil || got.status != 200 {
					t.Errorf("status %d, %v: %s", got.status, err, got.body)
				}
			}
		})
	}
	wg.Wait()
	// Of 240 draws at 3:1 the first gets 180 ± 6.7; these bounds are six deviations away.
	if x, y, z := len(a.Journal()), len(b.Journal()), len(c.Journal()); x+y != n || x < 140 || x > 220 || z != 0 {
		t.Errorf("3:1:0 gave %d, %d and %d of %d", x, y, z, n)
	}
}

func TestAContextThatIsTooLongMovesOn(t *testing.T) {
	a, b := newProvider(t, "a"), newProvider(t, "b")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
  - { name: b, kind: mock, base_url: %[2]s }
routes:
  - { name: moves, match: { models: [moves] }, targets: [a/context, b/echo], failover: { error_bodies: true }, answer_headers: true }
  - { name: across, match: { models: [across] }, targets: [claude/context, b/echo], failover: { error_bodies: true }, answer_headers: true }
  - { name: stays, match: { models: [stays] }, targets: [a/context, b/echo] }
  - { name: wrong, match: { models: [wrong] }, targets: [a/400, b/echo], failover: { error_bodies: true } }
`, a.url, b.url))
	for _, model := range []string{"moves", "across"} {
		for _, stream := range []bool{false, true} {
			for _, got := range []answer{post(t, s.Base+chatPath, chat(model, stream)), post(t, s.Base+messagePath, message(model, stream))} {
				got.want(t, 200, "Hello")
				if target := got.header.Get("x-signalbox-target"); target != "b/echo" {
					t.Errorf("%s: got target %q, want b/echo", model, target)
				}
			}
		}
	}
	post(t, s.Base+chatPath, chat("stays", false)).want(t, 400, "context")
	before := len(b.Journal())
	post(t, s.Base+chatPath, chat("wrong", false)).want(t, 400, `"error"`)
	if n := len(b.Journal()); n != before {
		t.Error("a request that is wrong in itself went to the next target")
	}
}

func TestLossesAreNamedOrRefused(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: poor, kind: openai-compatible, base_url: %[1]s/v1, params: { quirks: { drops: [seed] } } }
routes:
  - { name: warn, match: { models: [warn] }, targets: [claude/echo] }
  - { name: refuse, match: { models: [refuse] }, targets: [claude/echo], lossy: refuse }
  - { name: silent, match: { models: [silent] }, targets: [claude/echo], lossy: silent }
  - { name: other, match: { models: [other] }, targets: [claude/echo, a/echo], lossy: refuse }
  - { name: direct, match: { models: [direct] }, targets: [poor/echo] }
  - { name: direct-silent, match: { models: [direct-silent] }, targets: [poor/echo], lossy: silent }
  - { name: moved, match: { models: [moved] }, targets: [poor/500, a/echo], failover: { first_token: false } }
  - { name: moved-to, match: { models: [moved-to] }, targets: [a/500, poor/echo], failover: { first_token: false } }
  - { name: watched, match: { models: [watched] }, targets: [poor/echo, a/echo], failover: { first_token: true, error_bodies: true } }
`, a.url))
	lossy := func(model string, stream bool) string {
		return strings.Replace(chat(model, stream), `"messages"`, `"seed":7,"frequency_penalty":0.5,"messages"`, 1)
	}
	for _, stream := range []bool{false, true} {
		got := post(t, s.Base+chatPath, lossy("warn", stream))
		got.want(t, 200, "Hello")
		if h := got.header.Get("x-signalbox-losses"); !strings.Contains(h, "seed") || !strings.Contains(h, "frequency_penalty") {
			t.Errorf("stream %v: got x-signalbox-losses %q", stream, h)
		}
		for model, want := range map[string]string{"direct": "seed", "direct-silent": "", "moved": "", "moved-to": "seed", "watched": "seed"} {
			got := post(t, s.Base+chatPath, lossy(model, stream))
			got.want(t, 200, "Hello")
			if h := strings.Join(got.header.Values("x-signalbox-losses"), "|"); h != want {
				t.Errorf("%s, stream %v: got x-signalbox-losses %q, want %q", model, stream, h, want)
			}
		}
		got = post(t, s.Base+chatPath, lossy("silent", stream))
		got.want(t, 200, "Hello")
		if h, there := got.header["X-Signalbox-Losses"]; there {
			t.Errorf("silent: got x-signalbox-losses %q", h)
		}
		got = post(t, s.Base+chatPath, chat("warn", stream))
		if h, there := got.header["X-Signalbox-Losses"]; there {
			t.Errorf("nothing is lost, but got x-signalbox-losses %q", h)
		}
		before := len(a.Journal())
		post(t, s.Base+chatPath, lossy("refuse", stream)).want(t, 400, "seed")
		if n := len(a.Journal()); n != before {
			t.Error("a refused request reached the provider")
		}
		post(t, s.Base+chatPath, chat("refuse", stream)).want(t, 200, "Hello")
		post(t, s.Base+chatPath, lossy("other", stream)).want(t, 200, "Hello")
		if j := a.Journal(); field(t, string(j[len(j)-1].Body), "seed") != "7" {
			t.Errorf("the target that can carry it did not get it: %s", j[len(j)-1].Body)
		}
	}
}
