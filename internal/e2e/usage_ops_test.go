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

// TestUsageOfEveryOperation serves answers of operations that are no conversations, longer than what is kept of them, over
// the direct path.
func TestUsageOfEveryOperation(t *testing.T) {
	t.Setenv("TEST_KEY", "of-the-gateway")
	vector := strings.TrimSuffix(strings.Repeat("-0.0123456,", 3000), ",")
	image := strings.Repeat("iVBORw0KGgo", 3000)
	const lie = `{\"usage\":{\"prompt_tokens\":1,\"total_tokens\":1,\"input_tokens\":1,\"output_tokens\":1}}`
	cases := map[string]struct {
		path, body, typ, answer string
		piece                   int // bytes of a piece; 0: all in one
		want                    string
	}{
		"embeddings": {
			path: "/v1/embeddings", body: `{"model":"oai","input":"a"}`, want: "envoy 8 0 0 false",
			answer: `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[` + vector + `]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}`,
		},
		"embeddings-usage-first": {
			path: "/v1/embeddings", body: `{"model":"jina","input":"a"}`, want: "envoy 12 0 0 false",
			answer: `{"model":"m","object":"list","usage":{"total_tokens":12},"data":[{"object":"embedding","index":0,"embedding":[` + vector + `]}]}`,
		},
		"embeddings-usage-first-in-pieces": {
			path: "/v1/embeddings", body: `{"model":"jina","input":"a"}`, piece: 100, want: "envoy 12 0 0 false",
			answer: `{"model":"m","object":"list","usage":{"total_tokens":12},"data":[{"object":"embedding","index":0,"embedding":[` + vector + `]}]}`,
		},
		"embeddings-usage-first-in-lines": {
			path: "/v1/embeddings", body: `{"model":"jina","input":"a"}`, piece: 9000, want: "envoy 12 0 0 false",
			answer: "{\n  \"model\": \"m\",\n  \"usage\": {\n    \"total_tokens\": 12,\n    \"prompt_tokens\": 12\n  },\n  \"data\": [\n {\"index\": 0, \"embedding\": [" + vector + "]}\n  ]\n}\n",
		},
		"embeddings-without-usage": {
			path: "/v1/embeddings", body: `{"model":"jina","input":"a"}`, piece: 5000, want: "none 0 0 0 false",
			answer: `{"model":"` + lie + `","data":[{"usage":{"total_tokens":1},"object":"` + lie + strings.Repeat(" ", 8000) + lie + `","index":0,"embedding":[` + vector + `]}]}`,
		},
		"cohere-embed": {
			path: "/v2/embed", body: `{"model":"co","texts":["a"],"input_type":"search_query","embedding_types":["float"]}`, want: "envoy 5 0 0 false",
			answer: `{"id":"i","texts":["` + lie + `"],"embeddings":{"float":[[` + vector + `]]},"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":5}},"response_type":"embeddings_by_type"}`,
		},
		"cohere-rerank": {
			path: "/v2/rerank", body: `{"model":"co","query":"a","documents":["b"]}`, want: "envoy 0 0 2 false",
			answer: `{"id":"i","results":[{"index":0,"relevance_score":0.9}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}`,
		},
		"rerank": {
			path: "/v1/rerank", body: `{"model":"jina","query":"a","documents":["b"]}`, want: "envoy 815 0 0 false",
			answer: `{"model":"m","usage":{"total_tokens":815},"results":[{"index":0,"relevance_score":0.9,"document":{"text":"` + lie + strings.Repeat("x", 9000) + lie + `"}}]}`,
		},
		"gemini-embed": {
			path: "/v1beta/models/g:embedContent", body: `{"content":{"parts":[{"text":"a"}]}}`, want: "envoy 3 0 0 false",
			answer: `{"embedding":{"values":[` + vector + `]},"usageMetadata":{"promptTokenCount":3,"promptTokenDetails":[{"modality":"TEXT","tokenCount":3}]}}`,
		},
		"image": {
			path: "/v1/images/generations", body: `{"model":"oai","prompt":"a"}`, want: "envoy 50 4160 0 false",
			answer: `{"created":1,"data":[{"b64_json":"` + image + `"}],"usage":{"total_tokens":4210,"input_tokens":50,"output_tokens":4160,"input_tokens_details":{"text_tokens":50,"image_tokens":0}}}`,
		},
		"image-stream": {
			path: "/v1/images/generations", body: `{"model":"oai","prompt":"a","stream":true}`, typ: "text/event-stream", piece: 7000, want: "envoy 50 4160 0 false",
			answer: "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"" + image + `","usage":{"total_tokens":4210,"input_tokens":50,"output_tokens":4160}}` + "\n\n",
		},
		"transcription": {
			path: "/v1/audio/transcriptions", body: "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\noai\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n", want: "envoy 14 101 0 false",
			answer: `{"text":"` + lie + `","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":101,"total_tokens":115}}`,
		},
		"transcription-of-seconds": {
			path: "/v1/audio/transcriptions", body: "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\noai\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n", want: "envoy 0 0 0 false",
			answer: `{"text":"hello","usage":{"type":"duration","seconds":3}}`,
		},
		"speech": {
			path: "/v1/audio/speech", body: `{"model":"oai","input":"a","voice":"alloy"}`, typ: "audio/mpeg", want: "none 0 0 0 false",
			answer: `{"usage":{"input_tokens":1,"output_tokens":1}}`, // a sound, whatever it looks like
		},
		"speech-stream": {
			path: "/v1/audio/speech", body: `{"model":"oai","input":"a","voice":"alloy","stream_format":"sse"}`, typ: "text/event-stream", want: "envoy 14 101 0 false",
			answer: "data: {\"type\":\"speech.audio.delta\",\"audio\":\"" + image + "\"}\n\ndata: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n",
		},
		"moderation": {
			path: "/v1/moderations", body: `{"model":"oai","input":"a"}`, want: "none 0 0 0 false",
			answer: `{"id":"modr-1","object":"chat.completion","model":"m","results":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}`,
		},
		"completion": {
			path: "/v1/completions", body: `{"model":"instruct","prompt":"a"}`, want: "envoy 5 7 0 false",
			answer: `{"id":"c","object":"text_completion","created":1,"model":"m","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12},"choices":[{"text":"` + strings.Repeat("word ", 2000) + `","index":0,"logprobs":null,"finish_reason":"length"}]}`,
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := cases[strings.TrimPrefix(r.Header.Get("x-request-id"), usageID)]
		if c.typ == "" {
			c.typ = "application/json"
		}
		w.Header().Set("content-type", c.typ)
		for rest := c.answer; rest != ""; {
			n := len(rest)
			if c.piece > 0 {
				n = min(n, c.piece)
			}
			_, _ = io.WriteString(w, rest[:n])
			w.(http.Flusher).Flush() //nolint:forcetypeassert // the server's own
			rest = rest[n:]
		}
	}))
	t.Cleanup(server.Close)
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: oai, kind: openai, base_url: %[1]s/v1, key: env:TEST_KEY }
  - { name: g, kind: gemini, base_url: %[1]s, key: env:TEST_KEY }
  - { name: co, kind: cohere, base_url: %[1]s, key: env:TEST_KEY }
  - { name: jina, kind: jina, base_url: %[1]s/v1, key: env:TEST_KEY }
routes:
  - { name: oai, match: { models: [oai] }, targets: [oai/m] }
  - { name: instruct, match: { models: [instruct] }, targets: [oai/gpt-3.5-turbo-instruct] }
  - { name: g, match: { models: [g] }, targets: [g/m] }
  - { name: co, match: { models: [co] }, targets: [co/m] }
  - { name: jina, match: { models: [jina] }, targets: [jina/m] }
`, server.URL))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			headers := []string{"x-request-id: " + usageID + name}
			if strings.HasPrefix(c.body, "--b") {
				c.typ = "multipart/form-data; boundary=b"
			} else {
				c.typ = "application/json"
			}
			got, err := sendTyped(t.Context(), s.Base+c.path, c.typ, c.body, headers...)
			if err != nil || got.err != nil || got.status != http.StatusOK || got.body != c.answer {
				t.Fatalf("the client got %v, %d, %v, %.200q", err, got.status, got.err, got.body)
			}
			at := ended(t, s, usageID+name)
			if said := strings.Join([]string{at["usage_from"], at["input"], at["output"], at["queries"], at["partial"]}, " "); said != c.want {
				t.Errorf("got %s, want %s", said, c.want)
			}
		})
	}
}
