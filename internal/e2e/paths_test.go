package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

func TestEveryExchangeTakesTheCheapestPath(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
  - { name: oai, kind: mock, base_url: %[1]s, params: { speaks: [openai-chat] } }
routes:
  - { name: one, match: { models: [one] }, targets: [a/echo] }
  - { name: two, match: { models: [two] }, targets: [a/echo, a/text] }
  - { name: nohold, match: { models: [nohold] }, targets: [a/echo, a/text], failover: { first_token: false } }
  - { name: judge, match: { models: [judge] }, targets: [a/context, a/echo], failover: { error_bodies: true } }
  - { name: pass, match: { models: [pass] }, targets: [a/echo], usage: pass }
  - { name: estimate, match: { models: [estimate] }, targets: [a/echo], usage: estimate }
  - { name: claude, match: { models: [claude] }, targets: [claude/echo] }
  - { name: oai, match: { models: [oai] }, targets: [oai/echo] }
`, a.url))
	for _, c := range []struct{ name, path, body, want, usage string }{
		{"whole, one target", chatPath, chat("one", false), "direct", "envoy"},
		{"whole, two targets", chatPath, chat("two", false), "direct", "envoy"},
		{"whole, error bodies judged", chatPath, chat("judge", false), "watched", "envoy"},
		{"stream that asks for usage, one target", chatPath, asked("one"), "direct", "envoy"},
		{"stream that asks for usage, two targets", chatPath, asked("two"), "watched", "envoy"},
		{"stream that asks for usage, two targets, not held", chatPath, asked("nohold"), "direct", "envoy"},
		{"stream whose usage is stripped", chatPath, chat("one", true), "worked", "service"},
		{"stream whose usage passes", chatPath, chat("pass", true), "direct", "envoy"},
		{"stream whose usage is not asked for", chatPath, chat("estimate", true), "direct", "none"},
		{"anthropic stream, one target", messagePath, message("one", true), "direct", "envoy"},
		{"anthropic stream, two targets", messagePath, message("two", true), "watched", "envoy"},
		{"openai client, anthropic target, whole", chatPath, chat("claude", false), "worked", "service"},
		{"openai client, anthropic target, stream", chatPath, chat("claude", true), "worked", "service"},
		{"anthropic client, openai target, whole", messagePath, message("oai", false), "worked", "service"},
		{"anthropic client, openai target, stream", messagePath, message("oai", true), "worked", "service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := post(t, s.Base+c.path, c.body)
			got.want(t, 200, "Hello")
			id := got.header.Get("x-request-id")
			if id == "" {
				t.Fatal("no x-request-id")
			}
			var planned, ended string
			stack.Eventually(t, 30*time.Second, "the exchange is logged", func() error {
				for line := range strings.Lines(s.Log()) {
					if strings.Contains(line, "exchange="+id) {
						if strings.Contains(line, `msg="exchange planned"`) {
							planned = line
						} else if strings.Contains(line, `msg="exchange ended"`) {
							ended = line
						}
					}
				}
				if planned == "" || ended == "" {
					return fmt.Errorf("not yet")
				}
				return nil
			})
			if !strings.Contains(planned, "path="+c.want) {
				t.Errorf("want path %s: %s", c.want, planned)
			}
			if !strings.Contains(ended, "usage_from="+c.usage) {
				t.Errorf("want usage from %s: %s", c.usage, ended)
			}
			if c.path == chatPath && c.want != "direct" && strings.Contains(c.body, `"stream":true`) && !strings.Contains(c.body, "include_usage") && strings.Contains(got.body, `"choices":[]`) {
				t.Errorf("the client got a usage frame that it did not ask for: %s", got.body)
			}
			if strings.Contains(c.body, "include_usage") && !strings.Contains(got.body, `"usage":{`) {
				t.Errorf("the client did not get the usage that it asked for: %s", got.body)
			}
		})
	}
	metrics := s.Metrics()
	for _, p := range []string{"direct", "watched", "worked"} {
		if !strings.Contains(metrics, `signalbox_paths_total{path="`+p+`"}`) {
			t.Errorf("no metric of the path %s", p)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: direct, match: { models: [direct] }, targets: [a/text] }
  - { name: second, match: { models: [second] }, targets: [a/500, a/text] }
  - { name: across, match: { models: [across] }, targets: [claude/text] }
  - { name: big, match: { models: [big] }, targets: ["a/big:6000"] }
  - { name: xbig, match: { models: [xbig] }, targets: ["claude/big:6000"] }
`, a.url))
	const limit = 20 << 20
	for _, model := range []string{"direct", "second", "across"} {
		a.Clear()
		body := chat(model, false)
		body = strings.Replace(body, "Hello", strings.Repeat("x", limit-len(body)), 1)
		post(t, s.Base+chatPath, body).want(t, 200, "choices")
		for _, r := range a.Journal() {
			if r.Header.Get("Content-Length") != fmt.Sprint(r.Length) || r.Length < limit-200 {
				t.Errorf("%s: the provider got %d bytes, content-length %s", model, r.Length, r.Header.Get("Content-Length"))
			}
		}
		over := strings.Replace(chat(model, false), "Hello", strings.Repeat("x", limit), 1)
		post(t, s.Base+chatPath, over).want(t, 413, `"error"`)
	}
	for _, model := range []string{"big", "xbig"} {
		got := post(t, s.Base+chatPath, chat(model, false))
		if got.status != 200 || len(got.body) < 6000<<10 || got.err != nil {
			t.Errorf("%s: status %d, %d bytes, %v", model, got.status, len(got.body), got.err)
		}
	}
}

func TestModelsAreListedInBothDialects(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\naliases: { smart: one }\nroutes:\n  - { name: one, match: { models: [one, \"two-*\"] }, targets: [a/echo] }\n", a.url))
	list := func(path string, headers ...string) answer { return get(t, s.Base+path, headers...) }
	list("/v1/models").want(t, 200, `"object":"list"`, `"id":"one"`, `"id":"smart"`)
	list("/v1/models", "anthropic-version: 2023-06-01").want(t, 200, `"type":"model"`, `"has_more":false`, `"id":"smart"`)
	list("/v1/models/two-three").want(t, 200, `"id":"two-three"`)
	list("/v1/models/nope").want(t, 404, "model_not_found")
	list("/v1/models/nope", "anthropic-version: 2023-06-01").want(t, 404, "not_found_error")
	post(t, s.Base+chatPath, chat("smart", false)).want(t, 200, "Hello")
}

func TestAProviderCannotSteerEnvoy(t *testing.T) {
	n := 0
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header().Set("content-type", "application/json")
		w.Header().Set("x-signalbox-retry", "1")
		w.Header().Set("x-signalbox-target", "forged")
		_, _ = io.WriteString(w, `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}`)
	}))
	t.Cleanup(up.Close)
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: up, kind: openai-compatible, base_url: %s/v1 }\nroutes:\n  - { name: r, match: { models: [r] }, targets: [up/m, up/n], answer_headers: true }\n", up.URL))
	got := post(t, s.Base+chatPath, chat("r", false))
	got.want(t, 200, "Hello")
	if n != 1 || got.header.Get("x-signalbox-retry") != "" || got.header.Get("x-signalbox-target") != "up/m" {
		t.Errorf("%d requests, retry %q, target %q", n, got.header.Get("x-signalbox-retry"), got.header.Get("x-signalbox-target"))
	}
}

func TestAsManyHeadersAsTheLimitAllowsPass(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\n", a.url))
	var many []string
	for i := range 90 {
		many = append(many, fmt.Sprintf("h-%d: x", i))
	}
	post(t, s.Base+chatPath, chat("a/echo", false), many...).want(t, 200, "Hello")
	post(t, s.Base+chatPath, chat("a/echo", false), append(many, many[:20]...)...).want(t, 431, `"error"`)
}

// TestDeclaredModelsAreListedAndAskedAsDeclared lists what a configuration declares and the registry knows, and asks
// a model by a name of the operator's own: it gets the members of the model that it is declared to be like.
func TestDeclaredModelsAreListedAndAskedAsDeclared(t *testing.T) {
	t.Setenv("DECLARED_KEY", "declared-key")
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`providers:
  - name: gpt
    kind: openai
    key: env:DECLARED_KEY
    base_url: %s/v1
    models:
      - { name: echo, like: gpt-5.1, context: 5k, abilities: [ tools ] }
`, a.url))
	get(t, s.Base+"/v1/models").want(t, 200, `{"id":"echo","object":"model","created":1762992000,"owned_by":"gpt","context_window":5000,"max_completion_tokens":128000,"abilities":["tools"]}`,
		`"id":"gpt-5.1","object":"model","created":1762992000,"owned_by":"gpt","context_window":272000`)
	get(t, s.Base+"/v1/models/echo", "anthropic-version: 2023-06-01").want(t, 200, `"id":"echo","display_name":"gpt-5-1","created_at":"2025-11-13T00:00:00Z","max_input_tokens":5000,"max_tokens":128000`)
	post(t, s.Base+"/v1/messages", `{"model":"echo","max_tokens":77,"messages":[{"role":"user","content":"Hello"}]}`).want(t, 200, "Hello")
	js := a.Journal()
	if len(js) != 1 || !strings.Contains(string(js[0].Body), `"max_completion_tokens":77`) {
		t.Errorf("the provider got %d requests: %+v", len(js), js)
	}
}
