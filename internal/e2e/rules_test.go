package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

const schemaAsked = `"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}},"messages"`

// What follows a failure is what the route says: the second target never, the third where the rule passes over what does not
// suit. Providers x and y speak another dialect, so that attempts are direct, watched and worked.
func TestRoutesSayWhatFollowsAFailure(t *testing.T) {
	a, b := newProvider(t, "a"), newProvider(t, "b")
	t.Setenv("KEY_B", "key-of-b")
	var routes strings.Builder
	cases := []struct {
		name, targets, on string
		body              func(model string, stream bool) string
		streams           bool // it holds of streams too
		status            int
		target            string
	}{
		{"a rate limit that ends it", "a/429, a/echo", "rate_limited: stop", chat, true, 429, ""},
		{"a rate limit after which another vendor is asked", "a/429, a/500, b/echo", "rate_limited: other_vendor", chat, true, 200, "b/echo"},
		{"an outage that ends it", "a/503, a/echo", "overloaded: stop", chat, true, 503, ""},
		{"another fault goes on", "a/500, a/echo", "overloaded: stop, rate_limited: stop", chat, true, 200, "a/echo"},
		{"a broken connection that ends it", "a/reset, a/echo", "reset: stop", chat, true, 502, ""},
		{"an answer that a filter stops", "a/filter, a/echo, b/echo", "content_filtered: other_vendor", chat, false, 200, "b/echo"},
		{"a refusal", "a/refuse, b/echo", "refusal: next", chat, true, 200, "b/echo"},
		{"a refusal, translated", "x/refuse, a/echo", "refusal: next", chat, false, 200, "a/echo"},
		// As a stream, x refuses behind its text only, which the client may have by then.
		{"a refusal of the last", "x/refuse, a/refuse", "refusal: next", chat, false, 200, "a/refuse"},
		{"text where JSON is due", "a/echo, a/json", "invalid_output: next", func(m string, s bool) string { return strings.Replace(chat(m, s), `"messages"`, schemaAsked, 1) }, false, 200, "a/json"},
		{"text where JSON is due, translated", "x/echo, a/json", "invalid_output: next", func(m string, s bool) string { return strings.Replace(chat(m, s), `"messages"`, schemaAsked, 1) }, false, 200, "a/json"},
		{"text where nothing is due", "a/echo, a/json", "invalid_output: next", chat, true, 200, "a/echo"},
	}
	for i, c := range cases {
		fmt.Fprintf(&routes, "  - { name: r%d, match: { models: [r%d] }, targets: [%s], answer_headers: true, failover: { on: { %s } } }\n", i, i, c.targets, c.on)
	}
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: b, kind: openai-compatible, base_url: %[2]s/v1, key: env:KEY_B }
  - { name: x, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
%[3]s`, a.url, b.url, routes.String()))
	for i, c := range cases {
		for _, stream := range []bool{false, true} {
			if stream && !c.streams {
				continue
			}
			t.Run(fmt.Sprintf("%s, stream %v", c.name, stream), func(t *testing.T) {
				got := post(t, s.Base+chatPath, c.body(fmt.Sprintf("r%d", i), stream))
				if got.status != c.status {
					t.Fatalf("got %d, want %d: %s", got.status, c.status, got.body)
				}
				if target := got.header.Get("x-signalbox-target"); c.target != "" && target != c.target {
					t.Errorf("got target %q, want %s: %s", target, c.target, got.body)
				}
			})
		}
	}
}

// What is nearly JSON is mended, and what is not is asked of the same target once more; both attempts are in the ledger.
func TestInvalidOutputIsRepaired(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: x, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
defaults: { answer_headers: true, failover: { on: { invalid_output: repair } } }
routes:
  - { name: fenced, match: { models: [fenced] }, targets: [ a/fenced ] }
  - { name: fencedx, match: { models: [fencedx] }, targets: [ x/fenced ] }
  - { name: coaxed, match: { models: [coaxed] }, targets: [ a/coaxed ] }
  - { name: coaxedx, match: { models: [coaxedx] }, targets: [ x/coaxed ] }
  - { name: next, match: { models: [next] }, targets: [ a/echo, x/json ] }
  - { name: never, match: { models: [never] }, targets: [ a/echo ] }
  - { name: gzip, match: { models: [gzip] }, targets: [ a/gzip+fenced ] }
`, a.url))
	for _, c := range []struct {
		model, target, mended string
		asked                 int
	}{
		{"fenced", "a/fenced", "fences", 1},
		{"fencedx", "x/fenced", "fences", 1},
		{"gzip", "a/gzip+fenced", "fences", 1},
		{"coaxed", "a/coaxed", "", 2},
		{"coaxedx", "x/coaxed", "", 2},
		{"next", "x/json", "", 3},
		{"never", "a/echo", "", 2},
	} {
		t.Run(c.model, func(t *testing.T) {
			before := len(a.Journal())
			got := post(t, s.Base+chatPath, strings.Replace(chat(c.model, false), `"messages"`, schemaAsked, 1))
			if got.status != 200 || got.header.Get("x-signalbox-target") != c.target || got.header.Get("x-signalbox-mended") != c.mended {
				t.Errorf("got %d of %q, mended by %q: %s", got.status, got.header.Get("x-signalbox-target"), got.header.Get("x-signalbox-mended"), got.body)
			}
			if n := len(a.Journal()) - before; n != c.asked {
				t.Errorf("the provider was asked %d times, want %d", n, c.asked)
			}
			if c.model != "never" && !strings.Contains(got.body, `"content":"{\"n\":`) && !strings.Contains(got.body, `"content":"{\"n\": `) {
				t.Errorf("no JSON: %s", got.body)
			}
		})
	}
	counted(t, s, `signalbox_mended_answers_total{provider="a",reason="fences"} 2`, `signalbox_mended_answers_total{provider="x",reason="fences"} 1`,
		`signalbox_repairs_total{code="ok",provider="a"} 2`, `signalbox_repairs_total{code="ok",provider="x"} 1`)
}

// counted waits until the page of metrics has these lines: Envoy's log entries, which most is counted from, come a moment later.
func counted(t *testing.T, s *stack.Stack, lines ...string) {
	t.Helper()
	stack.Eventually(t, 5*time.Second, "what was done is counted", func() error {
		page := s.Metrics()
		for _, want := range lines {
			if !strings.Contains(page, want+"\n") {
				return fmt.Errorf("the page lacks %s", want)
			}
		}
		return nil
	})
}

// Where the route says so, a target whose connection fails is tried once more before the next, and after any other failure
// it is not; whole and as a stream, direct, watched and worked.
func TestTheSameTargetIsTriedAgain(t *testing.T) {
	a, b := newProvider(t, "a"), newProvider(t, "b")
	var routes strings.Builder
	cases := []struct {
		name, targets, on string
		asked             int // times that a is
		attempts          string
	}{
		{"no connection", "gone/echo, b/echo", "connect: same", 0, "3"},
		{"a reset", "a/reset, b/echo", "reset: same", 2, "3"},
		{"a reset, translated", "x/reset, b/echo", "reset: same", 2, "3"},
		{"a reset where connections are tried again", "a/reset+echo, b/echo", "connect: same", 1, "2"},
		{"an outage", "a/503, b/echo", "connect: same, reset: same", 1, "2"},
		{"an outage, translated", "x/503, b/echo", "connect: same, reset: same", 1, "2"},
		{"a reset of the only one", "a/reset+json", "reset: same", 2, "2"},
	}
	for i, c := range cases {
		fmt.Fprintf(&routes, "  - { name: r%d, match: { models: [r%d] }, targets: [%s], answer_headers: true, failover: { on: { %s } } }\n", i, i, c.targets, c.on)
	}
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: b, kind: mock, base_url: %[2]s }
  - { name: gone, kind: mock, base_url: "http://127.0.0.1:1" }
  - { name: x, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
%[3]s`, a.url, b.url, routes.String()))
	for i, c := range cases {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", c.name, stream), func(t *testing.T) {
				before := len(a.Journal())
				got := post(t, s.Base+chatPath, chat(fmt.Sprintf("r%d", i), stream))
				if n := len(a.Journal()) - before; n != c.asked {
					t.Errorf("it was asked %d times, want %d", n, c.asked)
				}
				if (got.status == 200) != strings.Contains(c.targets, ",") || got.header.Get("x-signalbox-attempts") != c.attempts {
					t.Errorf("got %d after %q attempts: %s", got.status, got.header.Get("x-signalbox-attempts"), got.body)
				}
			})
		}
	}
	counted(t, s, `signalbox_same_attempts_total{code="connect",provider="gone"} 2`, `signalbox_same_attempts_total{code="reset",provider="a"} 4`, `signalbox_same_attempts_total{code="reset",provider="x"} 2`)
}

// A further round begins after a pause where every target failed in a way that may be over soon, and leaves out those that
// it cannot help.
func TestTargetsAreTriedInRounds(t *testing.T) {
	a, b := newProvider(t, "a"), newProvider(t, "b")
	var routes strings.Builder
	cases := []struct {
		name, targets, more string
		status              int
		a, b                int // times that they are asked
		least, most         time.Duration
	}{
		{"the first is well again", "a/fail-first:1:503+tokens:N, b/5N", "", 200, 2, 1, 100 * time.Millisecond, 2 * time.Second},
		{"translated", "x/fail-first:1:500+tokens:N, b/5N", "", 200, 2, 1, 100 * time.Millisecond, 2 * time.Second},
		{"none is", "a/5N, b/5N", "", 502, 2, 2, 100 * time.Millisecond, 2 * time.Second},
		{"the soonest says when", "a/429:60+tokens:N, b/429:1+tokens:N", "", 429, 1, 2, time.Second, 2500 * time.Millisecond},
		{"all of them rest for longer", "a/429:60+tokens:N, b/429:30+tokens:N", "", 429, 1, 1, 0, 900 * time.Millisecond},
		{"no time is left", "a/5N, b/5N", ", deadlines: { total: 90ms }", 502, 1, 1, 0, 900 * time.Millisecond},
		{"all attempts were made", "a/5N, b/5N", ", attempts: 3", 502, 2, 1, 100 * time.Millisecond, 2 * time.Second},
		{"one that no time helps", "x/quota+tokens:N, b/fail-first:1:503+tokens:N", "", 200, 1, 2, 100 * time.Millisecond, 2 * time.Second},
	}
	for i, c := range cases {
		for j, model := range []string{"w", "s"} {
			targets := strings.ReplaceAll(c.targets, "N", fmt.Sprint(20+2*i+j)) // what they fail with is counted by model
			failover, deadlines := "rounds: 2", ""
			if strings.Contains(c.more, "attempts") {
				failover += c.more
			} else {
				deadlines = c.more
			}
			fmt.Fprintf(&routes, "  - { name: %[1]s%[2]d, match: { models: [%[1]s%[2]d] }, targets: [%[3]s], answer_headers: true, failover: { %[4]s }%[5]s }\n", model, i, targets, failover, deadlines)
		}
	}
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: b, kind: mock, base_url: %[2]s }
  - { name: x, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
%[3]s`, a.url, b.url, routes.String()))
	for i, c := range cases {
		for _, model := range []string{"w", "s"} {
			if model == "s" && strings.Contains(c.more, "total") {
				continue // the pause is half of the time for a first token at most, which is then within the total
			}
			t.Run(c.name+", "+model, func(t *testing.T) {
				beforeA, beforeB, began := len(a.Journal()), len(b.Journal()), time.Now()
				got := post(t, s.Base+chatPath, chat(fmt.Sprint(model, i), model == "s"))
				took := time.Since(began)
				if got.status != c.status {
					t.Errorf("got %d, want %d: %s", got.status, c.status, got.body)
				}
				if na, nb := len(a.Journal())-beforeA, len(b.Journal())-beforeB; na != c.a || nb != c.b {
					t.Errorf("they were asked %d and %d times, want %d and %d", na, nb, c.a, c.b)
				}
				if took < c.least || took > c.most {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
	counted(t, s, `signalbox_rounds_total{route="w0"} 1`, `signalbox_rounds_total{route="s2"} 1`)
}

// A prompt that is too long for a window is asked of a bigger one, whatever the path, and of none that is not bigger.
func TestAPromptThatIsTooLongGoesToABiggerWindow(t *testing.T) {
	a, b, c := newProvider(t, "a"), newProvider(t, "b"), newProvider(t, "c")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s, models: [ { name: context, context: 10000 } ] }
  - { name: b, kind: mock, base_url: %[2]s, models: [ { name: echo, context: 9000 } ] }
  - { name: c, kind: mock, base_url: %[3]s, models: [ { name: echo, context: 100000 } ] }
  - { name: x, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] }, models: [ { name: context, context: 10000 } ] }
routes:
  - { name: r, match: { models: [r] }, targets: [ a/context, b/echo, c/echo ], answer_headers: true }
  - { name: loose, match: { models: [loose] }, targets: [ a/context, b/echo, c/echo ], answer_headers: true, failover: { first_token: false } }
  - { name: x, match: { models: [x] }, targets: [ x/context, b/echo, c/echo ], answer_headers: true }
  - { name: none, match: { models: [none] }, targets: [ a/context, b/echo ], answer_headers: true }
`, a.url, b.url, c.url))
	long := func(body string) string {
		return strings.Replace(body, `Hello`, `Hello `+strings.Repeat("word ", 2200), 1)
	}
	for _, stream := range []bool{false, true} {
		for _, model := range []string{"r", "loose", "x"} {
			for path, body := range map[string]string{chatPath: chat(model, stream), messagePath: message(model, stream)} {
				got := post(t, s.Base+path, long(body), "anthropic-version: 2023-06-01")
				got.want(t, 200, "Hello")
				if target, n := got.header.Get("x-signalbox-target"), got.header.Get("x-signalbox-attempts"); target != "c/echo" {
					t.Errorf("%s of %s, stream %v: target %q after %s attempts", path, model, stream, target, n)
				}
			}
		}
		post(t, s.Base+chatPath, long(chat("none", stream))).want(t, 400, "context_length_exceeded")
	}
	if n := len(b.Journal()); n > 0 {
		t.Errorf("the smaller window was asked %d times", n)
	}
	post(t, s.Base+chatPath, chat("r", false)).want(t, 400, "context_length_exceeded") // too short to be watched: the provider's own words
}
