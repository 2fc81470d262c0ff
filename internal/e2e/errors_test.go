package e2e

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// exchangeRaw writes bytes to the listener and returns what comes back until the connection ends or falls
// silent.
func exchangeRaw(t *testing.T, base, request string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(base, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	var b bytes.Buffer
	_, _ = b.ReadFrom(c)
	return b.String()
}

func raw(method, path, headers, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n%s\r\n%s", method, path, len(body), headers, body)
}

const jsonType = "content-type: application/json\r\n"

// refusals are inputs that never reach a provider, with the status and what the answer's error must hold in
// the dialect of the path.
var refusals = []struct {
	name, method, path, headers, body string
	status                            int
	parts                             []string
}{
	{"unknown path", "POST", "/v1/nothing", jsonType, "{}", 404, []string{"/v1/nothing"}},
	{"unknown path of the other dialect", "POST", "/v1/messages/nothing", jsonType, "{}", 404, []string{`"type":"error"`, "not_found_error"}},
	{"wrong method", "GET", chatPath, "", "", 405, []string{"POST"}},
	{"wrong method on messages", "DELETE", messagePath, "", "", 405, []string{`"type":"error"`, "POST"}},
	{"no content-type", "POST", chatPath, "", "{}", 415, []string{"application/json"}},
	{"another content-type", "POST", chatPath, "content-type: text/plain\r\n", "{}", 415, []string{"text/plain"}},
	{"another charset", "POST", chatPath, "content-type: application/json; charset=latin1\r\n", "{}", 415, []string{"latin1"}},
	{"compressed", "POST", chatPath, jsonType + "content-encoding: gzip\r\n", "{}", 415, []string{"content-encoding"}},
	{"empty body", "POST", chatPath, jsonType, "", 400, []string{"body"}},
	{"no object", "POST", chatPath, jsonType, "[1]", 400, []string{"byte 0"}},
	{"malformed", "POST", chatPath, jsonType, `{"model":`, 400, []string{"byte 9"}},
	{"malformed for messages", "POST", messagePath, jsonType, `{"model":`, 400, []string{`"type":"error"`, "invalid_request_error", "byte 9"}},
	{"trailing data", "POST", chatPath, jsonType, `{"model":"m"} x`, 400, []string{"byte 14"}},
	{"byte order mark", "POST", chatPath, jsonType, "\xef\xbb\xbf{}", 400, []string{"byte order mark"}},
	{"invalid UTF-8", "POST", chatPath, jsonType, "{\"model\":\"\xff\"}", 400, []string{"UTF-8"}},
	{"duplicate member", "POST", chatPath, jsonType, `{"model":"a","model":"b"}`, 400, []string{"duplicate", "model"}},
	{"case variant", "POST", chatPath, jsonType, `{"model":"a/echo","Model":"b","messages":[{"role":"user","content":"x"}]}`, 400, []string{"Model"}},
	{"no model", "POST", chatPath, jsonType, `{"messages":[{"role":"user","content":"x"}]}`, 400, []string{"model"}},
	{"unknown model", "POST", chatPath, jsonType, `{"model":"nope","messages":[{"role":"user","content":"x"}]}`, 404, []string{"model_not_found", "nope"}},
	{"unknown model for messages", "POST", messagePath, jsonType, `{"model":"nope","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, 404, []string{"not_found_error", "nope"}},
	{"no messages", "POST", chatPath, jsonType, `{"model":"a/echo","messages":[]}`, 400, []string{"messages"}},
	{"wrong type", "POST", chatPath, jsonType, `{"model":"a/echo","stream":"true","messages":[{"role":"user","content":"x"}]}`, 400, []string{"stream"}},
	{"exponent", "POST", chatPath, jsonType, `{"model":"a/echo","max_tokens":1e3,"messages":[{"role":"user","content":"x"}]}`, 400, []string{"max_tokens"}},
	{"negative", "POST", messagePath, jsonType, `{"model":"a/echo","max_tokens":-1,"messages":[{"role":"user","content":"x"}]}`, 400, []string{"max_tokens"}},
	{"unknown role", "POST", chatPath, jsonType, `{"model":"a/echo","messages":[{"role":"robot","content":"x"}]}`, 400, []string{"role"}},
	{"dangling tool reply", "POST", chatPath, jsonType, `{"model":"a/echo","messages":[{"role":"tool","tool_call_id":"c1","content":"x"}]}`, 400, []string{"tool_call_id"}},
	{"a route that may not be named", "POST", chatPath, jsonType + "x-signalbox-route: a\r\n", `{"model":"a/echo","messages":[{"role":"user","content":"x"}]}`, 400, []string{"x-signalbox-route"}},
	{"two keys that differ", "POST", chatPath, jsonType + "authorization: Bearer one\r\nx-api-key: two\r\n", `{"model":"a/echo","messages":[{"role":"user","content":"x"}]}`, 400, nil},
	{"underscore in a header", "POST", chatPath, jsonType + "x_y: 1\r\n", "{}", 400, nil},
	{"model name as a path", "POST", chatPath, jsonType, `{"model":"a/../../etc","messages":[{"role":"user","content":"x"}]}`, 404, nil},
}

func TestBadInputGetsAnErrorInItsOwnDialect(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\nlimits: { body: 1MiB }\n", a.url))
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			got := exchangeRaw(t, s.Base, raw(c.method, c.path, c.headers, c.body))
			if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", c.status)) {
				t.Fatalf("want %d, got %s", c.status, got)
			}
			for _, p := range c.parts {
				if !strings.Contains(got, p) {
					t.Errorf("the answer lacks %q: %s", p, got)
				}
			}
			if _, body, ok := strings.Cut(got, "\r\n\r\n"); c.parts != nil && (!ok || field(t, body, "error", "message") == "") {
				t.Errorf("no error in the dialect: %s", got)
			}
			if !strings.Contains(got, "x-request-id: ") && c.parts != nil {
				t.Errorf("no x-request-id: %s", got)
			}
		})
	}
	if n := len(a.Journal()); n != 0 {
		t.Errorf("%d bad requests reached the provider", n)
	}
	for _, path := range []string{chatPath, messagePath} {
		big := strings.Replace(message("a/echo", false), "Hello", strings.Repeat("x", 1<<20), 1)
		got := post(t, s.Base+path, big)
		if got.status != 413 || field(t, got.body, "error", "message") == "" {
			t.Errorf("%s: a body over the limit got %d: %s", path, got.status, got.body)
		}
		if path == messagePath && field(t, got.body, "error", "type") != "request_too_large" {
			t.Errorf("a body over the limit got %s", got.body)
		}
	}
}

func TestKeysAreAskedFor(t *testing.T) {
	a := newProvider(t, "a")
	key := "client-key-0123456789"
	hash := strings.TrimSpace(stack.OutputOf(t, key, stack.Binary(t), "keys", "hash"))
	s := stack.Up(t, fmt.Sprintf("providers:\n  - { name: a, kind: mock, base_url: %s }\nkeys: [ { name: app, hash: \"%s\" } ]\n", a.url, hash))
	for _, header := range []string{"authorization: Bearer " + key, "x-api-key: " + key} {
		post(t, s.Base+chatPath, chat("a/echo", false), header).want(t, 200, "Hello")
	}
	for _, headers := range [][]string{nil, {"authorization: Bearer wrong-key-00000"}, {"authorization: Basic abc"}} {
		got := post(t, s.Base+chatPath, chat("a/echo", false), headers...)
		got.want(t, 401, `"error"`)
		if got.header.Get("www-authenticate") == "" {
			t.Error("no www-authenticate")
		}
		post(t, s.Base+messagePath, message("a/echo", false), headers...).want(t, 401, "authentication_error")
	}
	if strings.Contains(s.Log(), key) {
		t.Error("the key is in the log")
	}
}

func TestExhaustedTargetsSayWhatEachOfThemSaid(t *testing.T) {
	t.Parallel()
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %s }
  - { name: dead, kind: mock, base_url: "http://127.0.0.1:%s" }
routes:
  - { name: all, match: { models: [all] }, targets: [dead/x, a/500, "a/429:7"], answer_headers: true }
  - { name: key, match: { models: [key] }, targets: [a/401] }
  - { name: late, match: { models: [late] }, targets: [a/hang], deadlines: { answer: 300ms, first_token: 300ms } }
  - { name: total, match: { models: [total] }, targets: [a/hang], deadlines: { total: 500ms } }
  - { name: bad, match: { models: [bad] }, targets: [a/400] }
`, a.url, stack.FreePort(t)))
	for _, stream := range []bool{false, true} {
		got := post(t, s.Base+chatPath, chat("all", stream))
		got.want(t, 429, "dead/x", "connect", "a/500", "upstream (500)", "a/429:7", "rate limited (429)", "rate_limit_exceeded")
		if got.header.Get("retry-after") != "7" {
			t.Errorf("got retry-after %q, want 7", got.header.Get("retry-after"))
		}
		if n := got.header.Get("x-signalbox-attempts"); n != "3" {
			t.Errorf("got %q attempts, want 3", n)
		}
		post(t, s.Base+messagePath, message("all", stream)).want(t, 429, `"type":"error"`, "rate_limit_error", "dead/x")
		post(t, s.Base+chatPath, chat("key", stream)).want(t, 502, "a/401")
		post(t, s.Base+messagePath, message("key", stream)).want(t, 502, "api_error")
		post(t, s.Base+chatPath, chat("late", stream)).want(t, 504, "timeout")
		if got := post(t, s.Base+chatPath, chat("total", stream)); got.status != 504 || got.took > 20*time.Second {
			t.Errorf("the total deadline gave %d after %s: %s", got.status, got.took, got.body)
		}
		post(t, s.Base+chatPath, chat("bad", stream)).want(t, 400, `"error"`)
		post(t, s.Base+messagePath, message("bad", stream)).want(t, 400, `"type":"error"`)
	}
}
