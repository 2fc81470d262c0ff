package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// steering are headers with which a client might try to steer Envoy, the service or a provider.
var steering = []string{
	"X-Envoy-Original-Path: /v1/nothing",
	"x-envoy-upstream-rq-timeout-ms: 1",
	"X-ENVOY-UPSTREAM-RQ-PER-TRY-TIMEOUT-MS: 1",
	"x-envoy-max-retries: 0",
	"x-envoy-retry-on: 4xx",
	"x-envoy-attempt-count: 7",
	"x-envoy-internal: true",
	"x-envoy-force-trace: 1",
	"x-envoy-decorator-operation: smuggled",
	"X-Forwarded-For: 203.0.113.9",
	"x-forwarded-host: smuggled.example",
	"x-forwarded-proto: https",
	"x-forwarded-client-cert: smuggled",
	"X-Signalbox-Watch: 0",
	"x-signalbox-idle: 1",
	"x-signalbox-retry: 1",
	"X-SIGNALBOX-TARGET: dead/x",
	"x-original-url: /v1/nothing",
	"x-rewrite-url: /v1/nothing",
	"x-http-method-override: DELETE",
	"forwarded: for=203.0.113.9",
	"x-real-ip: 203.0.113.9",
	"openai-organization: smuggled",
	"proxy-authorization: Basic smuggled",
	"cookie: session=smuggled",
	"te: trailers",
}

// foreign reports a request header that must not reach a provider.
func foreign(name string, values []string) bool {
	n := strings.ToLower(name)
	for _, p := range []string{"x-envoy-", "x-signalbox-", "x-forwarded-", "x-original-", "x-rewrite-", "proxy-"} {
		if strings.HasPrefix(n, p) {
			return true
		}
	}
	switch n {
	case "x-http-method-override", "forwarded", "x-real-ip", "openai-organization", "cookie", "te":
		return true
	}
	return strings.Contains(strings.Join(values, " "), "smuggled")
}

const hygiene = `
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: direct, match: { models: [direct] }, targets: ["a/slow:100ms+echo"], answer_headers: true }
  - { name: watched, match: { models: [watched] }, targets: ["a/slow:100ms+echo", a/text], answer_headers: true, failover: { error_bodies: true } }
  - { name: worked, match: { models: [worked] }, targets: ["claude/slow:100ms+echo"], answer_headers: true }
  - { name: second, match: { models: [second] }, targets: [a/500, "a/slow:100ms+echo"], answer_headers: true }
`

func TestHeadersThatSteerChangeNothingAndReachNobody(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(hygiene, a.url))
	lines := strings.Join(steering, "\r\n") + "\r\n"
	for _, c := range []struct{ model, target, attempts string }{
		{"direct", "a/slow:100ms+echo", "1"}, {"watched", "a/slow:100ms+echo", "1"}, {"worked", "claude/slow:100ms+echo", "1"}, {"second", "a/slow:100ms+echo", "2"},
	} {
		body := chat(c.model, false)
		trailed := fmt.Sprintf("POST %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: x-envoy-max-retries\r\n%s\r\n%x\r\n%s\r\n0\r\n%s\r\n", chatPath, jsonType, len(body), body, lines)
		for way, request := range map[string]string{
			"headers":             raw("POST", chatPath, jsonType+lines, body),
			"upper-case headers":  raw("POST", chatPath, jsonType+strings.ToUpper(lines), body),
			"trailers":            trailed,
			"upper-case trailers": strings.Replace(trailed, lines, strings.ToUpper(lines), 1),
		} {
			a.Clear()
			got := exchangeRaw(t, s.Base, request)
			if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, "Hello") {
				t.Errorf("%s, %s: got %s", c.model, way, got)
			}
			for _, line := range []string{"x-signalbox-target: " + c.target, "x-signalbox-attempts: " + c.attempts} {
				if !strings.Contains(got, "\r\n"+line+"\r\n") {
					t.Errorf("%s, %s: the answer lacks %q: %s", c.model, way, line, got)
				}
			}
			checkSeen(t, c.model+", "+way, a, c.attempts)
		}
	}
}

// checkSeen holds what the provider got against what must not reach it.
func checkSeen(t *testing.T, what string, p *provider, attempts string) {
	t.Helper()
	seen := p.Journal()
	if fmt.Sprint(len(seen)) != attempts {
		t.Errorf("%s: the provider got %d requests, want %s", what, len(seen), attempts)
	}
	for _, r := range seen {
		if r.Method != http.MethodPost {
			t.Errorf("%s: the provider got %s %s", what, r.Method, r.Path)
		}
		for name, values := range r.Header {
			if foreign(name, values) {
				t.Errorf("%s: the provider got %s: %q", what, name, values)
			}
		}
	}
}

// private are answer headers that are about the provider's account or its network.
var private = map[string]string{
	"set-cookie": "session=private", "x-ratelimit-remaining-requests": "17", "X-RateLimit-Reset-Tokens": "6m0s", "anthropic-ratelimit-requests-limit": "50",
	"openai-organization": "private", "openai-project": "private", "anthropic-organization-id": "private", "cf-ray": "private", "alt-svc": "h3=private",
	"strict-transport-security": "max-age=1", "via": "1.1 private", "x-envoy-upstream-service-time": "12", "x-signalbox-retry": "1",
}

func TestAnswersLoseWhatIsAboutTheAccount(t *testing.T) {
	answer := `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range private {
			w.Header().Set(name, value)
		}
		w.Header().Set("x-request-id", "req-of-the-provider")
		w.Header().Set("x-harmless", "kept")
		body, _ := io.ReadAll(r.Body)
		switch field(t, string(body), "model") {
		case "bad":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"no","type":"invalid_request_error"}}`)
			return
		case "streamed":
			w.Header().Set("content-type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
			return
		}
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(up.Close)
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: up, kind: openai-compatible, base_url: %s/v1 }
routes:
  - { name: all, match: { models: [whole, bad, streamed] }, targets: [up/*] }
  - { name: watched, match: { models: [watched] }, targets: [up/whole, up/other], failover: { error_bodies: true } }
  - { name: wbad, match: { models: [wbad] }, targets: [up/bad, up/other], failover: { error_bodies: true } }
`, up.URL))
	for _, c := range []struct {
		name, path, body string
		status           int
	}{
		{"direct", chatPath, chat("whole", false), 200},
		{"direct stream", chatPath, asked("streamed"), 200},
		{"strip", chatPath, chat("streamed", true), 200},
		{"watched", chatPath, chat("watched", false), 200},
		{"worked", messagePath, message("whole", false), 200},
		{"worked stream", messagePath, message("streamed", true), 200},
		{"error", chatPath, chat("bad", false), 400},
		{"watched error", chatPath, chat("wbad", false), 400},
		{"translated error", messagePath, message("bad", false), 400},
	} {
		got := post(t, s.Base+c.path, c.body)
		if got.status != c.status {
			t.Errorf("%s: got status %d: %s", c.name, got.status, got.body)
		}
		for name := range private {
			if v := got.header.Values(name); len(v) > 0 {
				t.Errorf("%s: the answer carries %s: %q", c.name, name, v)
			}
		}
		// A translated error is the service's own answer: Envoy adds to it nothing of the provider's.
		if id := got.header.Get("x-signalbox-upstream-request-id"); id != "req-of-the-provider" && c.name != "translated error" {
			t.Errorf("%s: the provider's request id is %q", c.name, id)
		}
		if id := got.header.Get("x-request-id"); id == "" || id == "req-of-the-provider" {
			t.Errorf("%s: got x-request-id %q", c.name, id)
		}
	}
}

// Secrets stand where they are needed and nowhere else.
const (
	canaryProvider = "canary-of-the-provider-1f9c"
	canarySecond   = "canary-of-the-second-key-77aa"
	canaryClient   = "canary-of-the-client-83d1"
	canaryWrong    = "canary-of-a-wrong-client-5be0"
	canaryPrompt   = "canary-in-the-prompt-20e7"
)

func TestSecretsAreSeenNowhere(t *testing.T) {
	a := newProvider(t, "a")
	t.Setenv("CANARY_A", canaryProvider)
	t.Setenv("CANARY_B", canarySecond)
	hash := strings.TrimSpace(stack.OutputOf(t, canaryClient, stack.Binary(t), "keys", "hash"))
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, keys: [env:CANARY_A, env:CANARY_B], base_url: %[1]s }
  - { name: claude, kind: anthropic, key: env:CANARY_A, base_url: %[1]s }
keys: [ { name: app, hash: "%[2]s" } ]
routes:
  - { name: ok, match: { models: [text, tools, "429", "400", "401", html, hang] }, targets: ["a/*"], deadlines: { answer: 500ms } }
  - { name: worked, match: { models: [worked] }, targets: [claude/500, claude/text] }
  - { name: bad, match: { models: [bad] }, targets: [claude/400, a/401, claude/context], failover: { error_bodies: true } }
`, a.url, hash))
	var bodies strings.Builder
	ask := func(path, body string, headers ...string) {
		body = strings.Replace(body, "Hello", canaryPrompt, 1)
		got := post(t, s.Base+path, body, headers...)
		bodies.WriteString(got.body)
		fmt.Fprintln(&bodies, got.header)
	}
	for _, key := range []string{canaryClient, canaryWrong} {
		for _, header := range []string{"authorization: Bearer " + key, "x-api-key: " + key, "api-key: " + key} {
			for _, model := range []string{"text", "tools", "429", "400", "401", "html", "worked", "bad", "nope"} {
				ask(chatPath, chat(model, false), header)
				ask(chatPath, chat(model, true), header)
				ask(messagePath, message(model, true), header)
			}
		}
		ask(chatPath, chat("hang", false), "authorization: Bearer "+key)
		ask(chatPath, strings.Replace(chat("text", false), `"messages"`, `"messages":7,"messages"`, 1), "authorization: Bearer "+key)
		ask(chatPath+"?key="+key, chat("text", false), "authorization: Bearer "+key)
	}
	keys := map[string]bool{}
	for _, r := range a.Journal() {
		keys[r.Header.Get("Authorization")+r.Header.Get("X-Api-Key")] = true
		if strings.Contains(fmt.Sprint(r.Header, r.Path), canaryClient) {
			t.Errorf("a client's key reached the provider: %s %v", r.Path, r.Header)
		}
	}
	if !keys["Bearer "+canaryProvider] || !keys[canaryProvider] {
		t.Errorf("the provider's own key was not used: %v", keys)
	}
	stack.Eventually(t, 30*time.Second, "the exchanges are closed", func() error {
		if p, e := strings.Count(s.Log(), `msg="exchange planned"`), strings.Count(s.Log(), `msg="exchange ended"`); p == 0 || e < p {
			return fmt.Errorf("%d of %d", e, p)
		}
		return nil
	})
	pages := map[string]string{"log": s.Log(), "metrics": s.Metrics(), "answers": bodies.String()}
	for _, path := range []string{"/config_dump?include_eds", "/stats?format=prometheus", "/clusters", "/server_info", "/certs", "/init_dump", "/memory", "/listeners"} {
		pages[path] = adminPage(t, s, path)
	}
	for name, text := range pages {
		for _, canary := range []string{canaryProvider, canarySecond, canaryClient, canaryWrong, canaryPrompt} {
			if i := strings.Index(text, canary); i >= 0 {
				t.Errorf("%s holds %q: …%s…", name, canary, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
}

// adminPage reads a page of Envoy's admin interface through its socket.
func adminPage(t *testing.T, s *stack.Stack, path string) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.Dir+"/a.sock")
	}}}
	res, err := c.Get("http://envoy" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || len(b) == 0 {
		t.Fatalf("%s: %s, %d bytes, %v", path, res.Status, len(b), err)
	}
	return string(b)
}
