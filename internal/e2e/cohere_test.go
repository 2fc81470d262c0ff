package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// otherAPIs is a provider with the paths of Cohere, Ollama and Jina.
type otherAPIs struct {
	url string
	mu  sync.Mutex
	got string // the last request: path, authorization, body
}

func newOtherAPIs(t testing.TB) *otherAPIs {
	t.Helper()
	p := new(otherAPIs)
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *otherAPIs) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

func (p *otherAPIs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	p.got = r.RequestURI + " " + r.Header.Get("authorization") + " " + string(body)
	p.mu.Unlock()
	answer := func(contentType string, pieces ...string) {
		w.Header().Set("content-type", contentType)
		for _, s := range pieces {
			_, _ = io.WriteString(w, s)
			w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
		}
	}
	stream := strings.Contains(string(body), `"stream":true`)
	switch {
	case r.URL.Path == "/api/chat" && strings.Contains(string(body), "cut"):
		answer("application/x-ndjson", `{"model":"m","message":{"role":"assistant","content":"Hi "},"done":false}`+"\n", `{"model":"m","mess`)
	case r.URL.Path == "/api/chat" && stream:
		answer("application/x-ndjson", `{"model":"m","message":{"role":"assistant","content":"Hi "},"done":false}`+"\n"+`{"model":"m","mess`, `age":{"role":"assistant","content":"there"},"done":false}`+"\n",
			`{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}`+"\n")
	case r.URL.Path == "/api/chat":
		answer("application/json; charset=utf-8", `{"model":"m","message":{"role":"assistant","content":"Hi there"},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}`)
	case r.URL.Path == "/v2/chat" && stream:
		answer("text/event-stream", "event: message-start\ndata: {\"type\":\"message-start\",\"id\":\"c1\",\"delta\":{\"message\":{\"role\":\"assistant\"}}}\n\n",
			"event: content-start\ndata: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n"+
				"event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"Hi there\"}}}}\n\n",
			"event: content-end\ndata: {\"type\":\"content-end\",\"index\":0}\n\nevent: message-end\ndata: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"COMPLETE\",\"usage\":{\"tokens\":{\"input_tokens\":3,\"output_tokens\":2}}}}\n\ndata: [DONE]\n\n")
	case r.URL.Path == "/v2/chat":
		answer("application/json", `{"id":"c1","message":{"role":"assistant","content":[{"type":"text","text":"Hi there"}]},"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":3,"output_tokens":2}}}`)
	case r.URL.Path == "/v2/embed":
		answer("application/json", `{"id":"e1","embeddings":{"float":[[0.5,-1]]},"texts":["a"],"meta":{"billed_units":{"input_tokens":1}}}`)
	case r.URL.Path == "/v2/rerank":
		answer("application/json", `{"id":"r1","results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}],"meta":{"billed_units":{"search_units":1}}}`)
	default:
		http.NotFound(w, r)
	}
}

func TestClientsAndProvidersOfCohereAndOllama(t *testing.T) {
	t.Setenv("TEST_COHERE_KEY", "co-of-the-gateway")
	p, a := newOtherAPIs(t), newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: co, kind: cohere, base_url: %[1]s, key: env:TEST_COHERE_KEY }
  - { name: local, kind: ollama, base_url: %[1]s, params: { api: native } }
  - { name: a, kind: mock, base_url: %[2]s, params: { speaks: [openai-chat] } }
routes:
  - { name: co, match: { models: [ co ] }, targets: [ co/command-a-03-2025 ] }
  - { name: vectors, match: { models: [ vectors ] }, targets: [ co/embed-v4.0 ] }
  - { name: ranks, match: { models: [ ranks ] }, targets: [ co/rerank-v3.5 ] }
  - { name: local, match: { models: [ local ] }, targets: [ local/qwen3 ] }
  - { name: cut, match: { models: [ cut ] }, targets: [ local/cut ] }
  - { name: other, match: { models: [ other ] }, targets: [ a/text ] }
`, p.url, a.url))
	sent := func(t *testing.T, path string, parts ...string) {
		t.Helper()
		got := p.last()
		if !strings.HasPrefix(got, path+" ") {
			t.Errorf("the provider got %s, want %s", got, path)
		}
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("the provider got %s, without %s", got, part)
			}
		}
	}
	const hello = `,"messages":[{"role":"user","content":"Hello"}]`
	t.Run("a client of chat at Ollama, as a stream of lines", func(t *testing.T) {
		got := post(t, s.Base+chatPath, chat("local", true))
		got.want(t, 200, `"content":"Hi "`, `"content":"there"`, `"finish_reason":"stop"`, "[DONE]")
		if ct := got.header.Get("content-type"); !strings.HasPrefix(ct, "text/event-stream") {
			t.Errorf("it comes as %s", ct)
		}
		sent(t, "/api/chat", `"stream":true`, `"model":"qwen3"`)
	})
	t.Run("a client of chat at Ollama, as a document", func(t *testing.T) {
		post(t, s.Base+chatPath, chat("local", false)).want(t, 200, `"content":"Hi there"`, `"prompt_tokens":3`)
		sent(t, "/api/chat", `"stream":false`)
	})
	t.Run("a stream of lines that is cut has no end", func(t *testing.T) {
		if got := post(t, s.Base+chatPath, chat("cut", true)); strings.Contains(got.body, "[DONE]") || strings.Contains(got.body, `"finish_reason":"stop"`) {
			t.Errorf("got %s", got.body)
		}
	})
	t.Run("a client of Cohere at Cohere: its bytes pass", func(t *testing.T) {
		got := post(t, s.Base+"/v2/chat", `{"stream":true, "model":"co"`+hello+`,"safety_mode":"STRICT"}`, "authorization: Bearer client")
		got.want(t, 200, "event: message-start", `"text":"Hi there"`, `"finish_reason":"COMPLETE"`, "data: [DONE]")
		sent(t, "/v2/chat", "Bearer co-of-the-gateway", `{"stream":true, "model":"command-a-03-2025"`+hello+`,"safety_mode":"STRICT"}`)
	})
	t.Run("a client of chat at Cohere", func(t *testing.T) {
		post(t, s.Base+chatPath, chat("co", true)).want(t, 200, `"content":"Hi there"`, `"finish_reason":"stop"`, "[DONE]")
		post(t, s.Base+chatPath, chat("co", false)).want(t, 200, `"content":"Hi there"`, `"completion_tokens":2`)
		sent(t, "/v2/chat")
	})
	t.Run("a client of Cohere at another provider", func(t *testing.T) {
		got := post(t, s.Base+"/v2/chat", `{"stream":true,"model":"other"`+hello+`}`)
		got.want(t, 200, "event: message-start", "event: content-delta", "event: message-end", "data: [DONE]")
		post(t, s.Base+"/v2/chat", `{"model":"other"`+hello+`}`).want(t, 200, `"finish_reason":"COMPLETE"`, `"type":"text"`)
	})
	t.Run("version 1 is told where to go", func(t *testing.T) {
		post(t, s.Base+"/v1/chat", `{"message":"hi","model":"co"}`).want(t, 400, `"message":"Version 1`, "/v2/chat")
		post(t, s.Base+"/v2/chat", `{"message":"hi","model":"co"}`).want(t, 400, `"message":"'message' is of version 1`)
	})
	t.Run("vectors", func(t *testing.T) {
		post(t, s.Base+"/v1/embeddings", `{"model":"vectors","input":"a"}`).want(t, 200, `"embedding":[0.5,-1]`, `"prompt_tokens":1`)
		sent(t, "/v2/embed", `"input_type":"search_document"`, `"texts":["a"]`)
		post(t, s.Base+"/v2/embed", `{"model":"vectors","texts":["a"],"input_type":"search_query"}`).want(t, 200, `{"id":"e1","embeddings":{"float":[[0.5,-1]]}`)
	})
	t.Run("rankings, in the form in which the client asks", func(t *testing.T) {
		post(t, s.Base+"/v1/rerank", `{"model":"ranks","query":"q","documents":["x","y"],"top_n":1,"return_documents":true}`).want(t, 200, `"results":[{"index":1,"relevance_score":0.9,"document":{"text":"y"}}`)
		sent(t, "/v2/rerank", `"model":"rerank-v3.5"`)
		post(t, s.Base+"/v1/rerank", `{"model":"ranks","query":"q","documents":["x","y"],"top_k":2}`).want(t, 200, `"data":[{"index":1,"relevance_score":0.9}`)
		post(t, s.Base+"/rerank?model=ranks", `{"query":"q","texts":["x","y"]}`).want(t, 200, `[{"index":1,"score":0.9},{"index":0,"score":0.1}]`)
		post(t, s.Base+"/v2/rerank", `{"model":"ranks","query":"q","documents":["x","y"]}`).want(t, 200, `"search_units":1`)
	})
}
