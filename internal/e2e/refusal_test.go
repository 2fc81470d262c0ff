package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// TestRefusalsOfKeysWithStatus400 holds that a provider which refuses the gateway's key as if the request were wrong is told
// from one that finds the request wrong, on the direct path.
func TestRefusalsOfKeysWithStatus400(t *testing.T) {
	t.Setenv("TEST_KEY", "AIzaOfTheGateway")
	t.Setenv("GOOD_KEY", "AIzaGood")
	const (
		refused = `{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}`
		wrong   = `{"error":{"code":400,"message":"Request contains an invalid argument: contents[0].parts.","status":"INVALID_ARGUMENT"}}`
		right   = `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":9,"totalTokenCount":16},"modelVersion":"m"}`
	)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-type", "application/json")
		body, _ := io.ReadAll(r.Body)
		stream := strings.Contains(r.URL.Path, "stream")
		switch key := r.Header.Get("x-goog-api-key") + strings.TrimPrefix(r.Header.Get("authorization"), "Bearer "); {
		case strings.Contains(string(body), "wrong"):
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, wrong)
		case strings.Contains(string(body), "nothing"):
			w.WriteHeader(http.StatusBadRequest)
		case key != "AIzaGood" && strings.HasSuffix(r.URL.Path, "/chat/completions"):
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"code":"Client specified an invalid argument","error":"Incorrect API key provided: AI***ay."}`)
		case key != "AIzaGood":
			w.WriteHeader(http.StatusBadRequest)
			for _, piece := range []string{refused[:60], refused[60:]} {
				_, _ = io.WriteString(w, piece)
				w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
			}
		case strings.HasSuffix(r.URL.Path, "/embeddings"):
			_, _ = io.WriteString(w, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}`)
		case strings.HasSuffix(r.URL.Path, "/completions"):
			_, _ = io.WriteString(w, `{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"Hi","finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16}}`)
		case stream:
			w.Header().Set("content-type", "text/event-stream")
			_, _ = io.WriteString(w, "data: "+right+"\n\n")
		default:
			_, _ = io.WriteString(w, right)
		}
	}))
	t.Cleanup(server.Close)
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: bad, kind: gemini, base_url: %[1]s, key: env:TEST_KEY }
  - { name: good, kind: gemini, base_url: %[1]s, key: env:GOOD_KEY }
  - { name: grok, kind: xai, base_url: %[1]s/v1, key: env:TEST_KEY }
  - { name: grok2, kind: xai, base_url: %[1]s/v1, key: env:GOOD_KEY }
routes:
  - { name: bad, match: { models: [bad] }, targets: [bad/m] }
  - { name: good, match: { models: [good] }, targets: [good/m] }
  - { name: both, match: { models: [both] }, targets: [bad/m, good/m], failover: { first_token: false } }
  - { name: grok2, match: { models: [grok2] }, targets: [grok2/grok-3] }
  - { name: grok, match: { models: [grok] }, targets: [grok/grok-3] }
`, server.URL))
	asks := func(text string) string { return `{"contents":[{"role":"user","parts":[{"text":"` + text + `"}]}]}` }
	const whole, stream, count, embed = ":generateContent", ":streamGenerateContent?alt=sse", ":countTokens", ":embedContent"
	for _, c := range []struct {
		name, url, body string
		status          int
		holds, lacks    string
	}{
		{"one target", "/v1beta/models/bad" + whole, asks("Hello"), 502, `"code":502`, "API key"},
		{"one target, a stream", "/v1beta/models/bad" + stream, asks("Hello"), 502, `"code":502`, "API key"},
		{"one target, a stream in an array", "/v1beta/models/bad:streamGenerateContent", asks("Hello"), 502, `"code":502`, "API key"},
		{"one target, vectors", "/v1beta/models/bad" + embed, `{"content":{"parts":[{"text":"Hello"}]}}`, 502, `"code":502`, "API key"},
		{"another vendor", chatPath, chat("grok", false), 502, `"error"`, "API key"},
		{"another target", "/v1beta/models/both" + whole, asks("Hello"), 200, `"Hi"`, "API key"},
		{"another target, a stream", "/v1beta/models/both" + stream, asks("Hello"), 200, `"Hi"`, "API key"},
		{"a wrong request", "/v1beta/models/good" + whole, asks("wrong"), 400, wrong, ""},
		{"a wrong request, a stream", "/v1beta/models/good" + stream, asks("wrong"), 400, wrong, ""},
		{"an answer without a body", "/v1beta/models/good" + whole, asks("nothing"), 400, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := post(t, s.Base+c.url, c.body)
			if got.status != c.status || !strings.Contains(got.body, c.holds) || c.lacks != "" && strings.Contains(got.body, c.lacks) {
				t.Errorf("got %d %s, want %d with %s and without %q", got.status, got.body, c.status, c.holds, c.lacks)
			}
		})
	}
	for name, url := range map[string]string{"whole": whole, "stream": stream} { // a good answer's usage is read as before
		id := usageID + "refusals-" + name
		got, err := send(t.Context(), s.Base+"/v1beta/models/good"+url, asks("Hello"), "x-request-id: "+id)
		if err != nil || got.status != http.StatusOK {
			t.Fatal(err, got.status, got.body)
		}
		if at := ended(t, s, id); at["usage_from"] != "envoy" || at["input"] != "7" || at["output"] != "9" {
			t.Errorf("%s: got %s and %s from %s", name, at["input"], at["output"], at["usage_from"])
		}
	}
	for _, c := range []struct{ path, body, input, output string }{ // and that of one that is no chat
		{"/v1/embeddings", `{"model":"grok2","input":"Hello"}`, "7", "0"},
		{"/v1/completions", `{"model":"grok2","prompt":"Hello"}`, "7", "9"},
	} {
		id := usageID + "refusals" + strings.ReplaceAll(c.path, "/", "-")
		got, err := send(t.Context(), s.Base+c.path, c.body, "x-request-id: "+id)
		if err != nil || got.status != http.StatusOK {
			t.Fatal(err, got.status, got.body)
		}
		if at := ended(t, s, id); at["usage_from"] != "envoy" || at["input"] != c.input || at["output"] != c.output {
			t.Errorf("%s: got %s and %s from %s", c.path, at["input"], at["output"], at["usage_from"])
		}
	}
}
