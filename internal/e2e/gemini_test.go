package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// geminiAPI is a provider with Gemini's paths. The model's name steers it.
type geminiAPI struct {
	url string
	mu  sync.Mutex
	got []string // method, path with query, key, authorization
}

func newGemini(t testing.TB) *geminiAPI {
	t.Helper()
	g := new(geminiAPI)
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	g.url = s.URL
	return g
}

// last returns the last request.
func (g *geminiAPI) last() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.got) == 0 {
		return ""
	}
	return g.got[len(g.got)-1]
}

func (g *geminiAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	g.mu.Lock()
	g.got = append(g.got, fmt.Sprintf("%s %s %s%s", r.Method, r.RequestURI, r.Header.Get("x-goog-api-key"), r.Header.Get("authorization")))
	g.mu.Unlock()
	const (
		one = `{"candidates":[{"content":{"parts":[{"text":"Hi "}],"role":"model"},"index":0}],"modelVersion":"g","responseId":"r"}`
		two = `{"candidates":[{"content":{"parts":[{"text":"there"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"g","responseId":"r"}`
	)
	piece := func(s string) {
		_, _ = io.WriteString(w, s)
		w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
	}
	events := r.URL.Query().Get("alt") == "sse"
	w.Header().Set("content-type", "application/json; charset=UTF-8")
	if events {
		w.Header().Set("content-type", "text/event-stream")
	}
	switch path := r.URL.Path; {
	case strings.Contains(path, "busy") && strings.Contains(path, "stream") && !events:
		piece(`[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}` + "\n]")
	case strings.Contains(path, "badkey"):
		w.WriteHeader(http.StatusBadRequest)
		piece(`{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}`)
	case strings.HasSuffix(path, ":countTokens"):
		piece(`{"totalTokens":7}`)
	case strings.HasSuffix(path, ":embedContent"):
		piece(`{"embedding":{"values":[0.5,-1]}}`)
	case strings.HasSuffix(path, ":batchEmbedContents"):
		piece(`{"embeddings":[{"values":[0.5,-1]}],"usageMetadata":{"promptTokenCount":2}}`)
	case events:
		piece("data: " + one + "\r\n\r\n")
		piece("data: " + two + "\r\n\r\n")
	case strings.HasSuffix(path, ":streamGenerateContent"):
		piece("[" + one)
		piece("\n,\r\n" + two + "\n]")
	default:
		piece(strings.Replace(two, "there", "Hi there", 1))
	}
}

func TestClientsOfGemini(t *testing.T) {
	t.Setenv("TEST_GEMINI_KEY", "AIza-of-the-gateway")
	g, a := newGemini(t), newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: g, kind: gemini, base_url: %[1]s, key: env:TEST_GEMINI_KEY }
  - { name: v, kind: vertex, base_url: %[1]s, key: env:TEST_GEMINI_KEY, params: { project: p, location: us-east5 } }
  - { name: a, kind: mock, base_url: %[2]s, params: { speaks: [openai-chat] } }
routes:
  - { name: one, match: { models: [ one ] }, targets: [ g/gemini-2.5-flash ] }
  - { name: two, match: { models: [ two ] }, targets: [ g/busy, g/gemini-2.5-flash ] }
  - { name: bad, match: { models: [ bad ] }, targets: [ g/badkey, g/gemini-2.5-flash ], failover: { error_bodies: true } }
  - { name: vertex, match: { models: [ vertex ] }, targets: [ v/gemini-2.5-pro ] }
  - { name: other, match: { models: [ other ] }, targets: [ a/text ] }
`, g.url, a.url))
	const (
		body = `{"contents":[{"parts":[{"text":"Hello"}]}]}`
		root = "/v1beta/models/"
		key  = " AIza-of-the-gateway"
	)
	sent := func(t *testing.T, want string) {
		t.Helper()
		if got := g.last(); got != want {
			t.Errorf("the provider got %s, want %s", got, want)
		}
	}
	t.Run("a document, with the key in the query", func(t *testing.T) {
		post(t, s.Base+root+"one:generateContent?key=sk-anything", body).want(t, 200, `"Hi there"`)
		sent(t, "POST "+root+"gemini-2.5-flash:generateContent"+key)
	})
	t.Run("a stream of events passes", func(t *testing.T) {
		got := post(t, s.Base+root+"one:streamGenerateContent?alt=sse", body, "x-goog-api-key: client")
		got.want(t, 200, "data: {", `"finishReason":"STOP"`)
		sent(t, "POST "+root+"gemini-2.5-flash:streamGenerateContent?alt=sse"+key)
	})
	t.Run("a stream as an array passes, from the target that has one", func(t *testing.T) {
		got := post(t, s.Base+root+"two:streamGenerateContent", body)
		got.want(t, 200, `"Hi "`, `"finishReason":"STOP"`)
		if jsonx.Valid([]byte(got.body)) != nil || strings.Contains(got.body, "overloaded") {
			t.Errorf("got %s", got.body)
		}
		sent(t, "POST "+root+"gemini-2.5-flash:streamGenerateContent"+key)
	})
	t.Run("a stream of another dialect becomes an array", func(t *testing.T) {
		got := post(t, s.Base+root+"other:streamGenerateContent", body)
		got.want(t, 200, `"finishReason":"STOP"`)
		if jsonx.Kind([]byte(got.body)) != '[' || jsonx.Valid([]byte(got.body)) != nil || !strings.HasPrefix(got.header.Get("content-type"), "application/json") {
			t.Errorf("got %v %s", got.header, got.body)
		}
	})
	t.Run("a client of chat at Gemini", func(t *testing.T) {
		post(t, s.Base+chatPath, chat("one", true)).want(t, 200, `"content":"Hi "`, "[DONE]")
		sent(t, "POST "+root+"gemini-2.5-flash:streamGenerateContent?alt=sse"+key)
	})
	t.Run("counts and vectors", func(t *testing.T) {
		post(t, s.Base+root+"one:countTokens", body).want(t, 200, `{"totalTokens":7}`)
		post(t, s.Base+root+"one:embedContent", `{"content":{"parts":[{"text":"a"}]}}`).want(t, 200, `"values":[0.5,-1]`)
		sent(t, "POST "+root+"gemini-2.5-flash:embedContent"+key)
		post(t, s.Base+"/v1/embeddings", `{"model":"one","input":"a","encoding_format":"float"}`).want(t, 200, `"embedding":[0.5,-1]`, `"prompt_tokens":2`)
		sent(t, "POST "+root+"gemini-2.5-flash:batchEmbedContents"+key)
	})
	t.Run("a bad key of the gateway's is a 400, and another target answers", func(t *testing.T) {
		post(t, s.Base+root+"bad:generateContent", body).want(t, 200, `"Hi there"`)
		sent(t, "POST "+root+"gemini-2.5-flash:generateContent"+key)
	})
	t.Run("on Vertex AI", func(t *testing.T) {
		post(t, s.Base+root+"vertex:streamGenerateContent?alt=sse", body).want(t, 200, `"there"`)
		sent(t, "POST /v1/projects/p/locations/us-east5/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"+key)
	})
}
