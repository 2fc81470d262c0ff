package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// classes are the ways in which a first target fails, by the target that does so. Every one must end at the
// second target, whole and streamed.
var classes = []struct{ name, target string }{
	{"refused connection", "dead/x"},
	{"unknown host", "nodns/x"},
	{"untrusted certificate", "badtls/x"},
	{"reset before the head", "a/reset"},
	{"401 for the gateway's credential", "a/401"},
	{"403 for the gateway's credential", "a/403"},
	{"408", "a/408"},
	{"409", "a/409"},
	{"425", "a/425"},
	{"429", "a/429"},
	{"429 for an empty account", "a/quota"},
	{"500", "a/500"},
	{"502 with a page of HTML", "a/html"},
	{"503", "a/503"},
	{"504", "a/504"},
	{"529", "a/529"},
	{"no head in time", "a/hang"},
}

func TestEveryFailureClassMovesToTheNextTarget(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	tlsServer := newTLS(t)
	var routes strings.Builder
	for i, c := range classes {
		soon := "20s" // than which a busy machine is faster
		if c.target == "a/hang" {
			soon = "2s"
		}
		fmt.Fprintf(&routes, "  - { name: r%d, match: { models: [r%d] }, targets: [%s, b/echo], answer_headers: true, deadlines: { first_token: %s, answer: %s }, failover: { error_bodies: %v } }\n", i, i, c.target, soon, soon, c.target == "a/quota") // some providers say 400 then
	}
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: b, kind: mock, base_url: %s }
  - { name: dead, kind: mock, base_url: "http://127.0.0.1:%s" }
  - { name: nodns, kind: mock, base_url: "https://no-such-host.invalid" }
  - { name: badtls, kind: mock, base_url: %s }
routes:
%s`, a.url, b.url, stack.FreePort(t), tlsServer, routes.String()))
	for i, c := range classes {
		model := fmt.Sprintf("r%d", i)
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", c.name, stream), func(t *testing.T) {
				t.Parallel()
				got := post(t, s.Base+chatPath, chat(model, stream))
				got.want(t, 200, "Hello")
				if n := got.header.Get("x-signalbox-attempts"); n != "2" {
					t.Errorf("got %s attempts, want 2", n)
				}
				if target := got.header.Get("x-signalbox-target"); target != "b/echo" {
					t.Errorf("got target %q, want b/echo", target)
				}
				got = post(t, s.Base+messagePath, message(model, stream), "anthropic-version: 2023-06-01")
				got.want(t, 200, "Hello")
			})
		}
	}
}

func TestAttemptsComeInOrderWithTheirOwnBody(t *testing.T) {
	a, b, c := newProvider(t, "a"), newProvider(t, "b"), newProvider(t, "c")
	t.Setenv("KEY_A", "key-of-a")
	t.Setenv("KEY_B", "key-of-b")
	t.Setenv("KEY_C", "key-of-c")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: openai, key: env:KEY_A, base_url: %s/v1 }
  - { name: b, kind: anthropic, key: env:KEY_B, base_url: %s }
  - { name: c, kind: openai, key: env:KEY_C, base_url: %s/up/v1 }
routes:
  - { name: order, match: { models: [order] }, targets: [a/500, b/529, c/echo] }
`, a.url, b.url, c.url))
	for _, stream := range []bool{false, true} {
		body := strings.Replace(chat("order", stream), `"model"`, `"unknown_member": [1.0, 1e3],  "model"`, 1)
		post(t, s.Base+chatPath, body, "authorization: Bearer client", "x-signalbox-evil: 1", "x-envoy-evil: 1", "cookie: a=b").want(t, 200, "Hello")
	}
	for i, p := range []struct {
		*provider
		path, key, header, model string
	}{
		{a, "/v1/chat/completions", "Bearer key-of-a", "Authorization", "500"},
		{b, "/v1/messages", "key-of-b", "X-Api-Key", "529"},
		{c, "/up/v1/chat/completions", "Bearer key-of-c", "Authorization", "echo"},
	} {
		seen := p.Journal()
		if len(seen) != 2 {
			t.Fatalf("provider %d got %d requests, want 2", i, len(seen))
		}
		for _, r := range seen {
			if r.Path != p.path || r.Header.Get(p.header) != p.key || field(t, string(r.Body), "model") != p.model {
				t.Errorf("provider %d got %s, %s %q, model %s", i, r.Path, p.header, r.Header.Get(p.header), field(t, string(r.Body), "model"))
			}
			if cl := r.Header.Get("Content-Length"); cl != "" && cl != fmt.Sprint(len(r.Body)) {
				t.Errorf("provider %d got content-length %s for %d bytes", i, cl, len(r.Body))
			}
			if te := r.Header.Get("Transfer-Encoding"); te != "" {
				t.Errorf("provider %d got transfer-encoding %s", i, te)
			}
			for name, values := range r.Header {
				for _, v := range values {
					for _, secret := range []string{"key-of-a", "key-of-b", "key-of-c", "Bearer client", "a=b"} {
						if strings.Contains(v, secret) && !(name == p.header && v == p.key) {
							t.Errorf("provider %d got %s: %s", i, name, v)
						}
					}
				}
				low := strings.ToLower(name)
				if strings.HasPrefix(low, "x-signalbox-") || strings.HasPrefix(low, "x-envoy-") || strings.HasPrefix(low, "x-forwarded-") {
					t.Errorf("provider %d got header %s", i, name)
				}
			}
		}
	}
	if got := string(a.Journal()[0].Body); !strings.Contains(got, `"unknown_member": [1.0, 1e3],  "model"`) {
		t.Errorf("the body was not kept on the diagonal: %s", got)
	}
}

func TestFirstTokenFailoverBehindA200(t *testing.T) {
	t.Parallel()
	a, b := newProvider(t, "a"), newProvider(t, "b")
	var routes strings.Builder
	models := []string{"error-first", "empty", "ping-only", "slow-first:30s", "stall:0", "notjson"}
	for i, m := range models {
		soon := "20s" // than which a busy machine is faster
		if m == "ping-only" || m == "slow-first:30s" || m == "stall:0" {
			soon = "2s"
		}
		fmt.Fprintf(&routes, "  - { name: f%d, match: { models: [f%d] }, targets: [%q, b/echo], answer_headers: true, deadlines: { first_token: %s } }\n", i, i, "a/"+m, soon)
	}
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\n  - { name: b, kind: mock, base_url: %s }\nroutes:\n%s", a.url, b.url, routes.String()))
	for i, m := range models {
		t.Run(m, func(t *testing.T) {
			t.Parallel()
			model := fmt.Sprintf("f%d", i)
			for _, got := range []answer{
				post(t, s.Base+chatPath, chat(model, true)),
				post(t, s.Base+chatPath, strings.Replace(chat(model, true), `"stream"`, `"stream_options":{"include_usage":true},"stream"`, 1)),
				post(t, s.Base+messagePath, message(model, true), "anthropic-version: 2023-06-01"),
			} {
				got.want(t, 200, "Hello")
				if target := got.header.Get("x-signalbox-target"); target != "b/echo" {
					t.Errorf("got target %q, want b/echo: %s", target, got.body)
				}
			}
		})
	}
}
