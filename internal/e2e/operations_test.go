package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

// answersOf is what a provider says for each operation, by its path; realtime is a session.
var answersOf = map[string]string{
	"/v1/embeddings":           `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}`,
	"/v1/moderations":          `{"id":"modr-1","model":"m","results":[]}`,
	"/v1/images/generations":   `{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"total_tokens":70,"input_tokens":50,"output_tokens":20}}`,
	"/v1/audio/speech":         `RIFF`,
	"/v1/audio/transcriptions": `{"text":"hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":5,"total_tokens":19}}`,
	"/v1/completions":          `{"id":"c","object":"text_completion","created":1,"model":"m","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`,
	"/v1/files":                `{"id":"file-1","object":"file"}`,
	"/v1/batches":              `{"id":"batch_1","object":"batch"}`,
	"/v1/responses/resp_1":     `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[],"usage":{"input_tokens":900,"output_tokens":900,"total_tokens":1800}}`,
	"/v2/rerank":               `{"id":"i","results":[{"index":0,"relevance_score":0.5}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}`,
}

// TestEveryOperationIsLimitedAndWrittenDown asks for each under a limit of one request, over a target that is dead where
// another may be tried. The first is answered and has its record with what it used, the second is refused, and under a
// limit of money what has no measure is.
func TestEveryOperationIsLimitedAndWrittenDown(t *testing.T) {
	mux := http.NewServeMux()
	for path, body := range answersOf {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("content-type", map[bool]string{true: "application/json", false: "audio/wav"}[body[0] == '{'])
			_, _ = io.WriteString(w, body)
		})
	}
	mux.Handle("/v1/realtime", &websocket.Server{Handler: func(ws *websocket.Conn) {
		var m string
		_ = websocket.Message.Receive(ws, &m)
		defer func() { _ = websocket.Message.Receive(ws, &m) }() // until the client leaves
		_ = websocket.Message.Send(ws, `{"type":"response.done","response":{"usage":{"total_tokens":12,"input_tokens":5,"output_tokens":7}}}`)
	}})
	up := httptest.NewServer(mux)
	t.Cleanup(up.Close)
	t.Setenv("TEST_KEY", "sk-provider")
	form := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n"
	ops := []struct {
		op, method, path, body string
		used                   string // tokens of prompt and answer, queries
		measured               bool   // it is admitted under a limit of money
	}{
		{"embed", "POST", "/v1/embeddings", `{"model":"m","input":"a"}`, "8 0 0", true},
		{"rerank", "POST", "/v2/rerank", `{"model":"co","query":"a","documents":["b"]}`, "0 0 2", true},
		{"moderate", "POST", "/v1/moderations", `{"model":"m","input":"a"}`, "0 0 0", true},
		{"complete", "POST", "/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"a"}`, "5 7 0", true},
		{"image", "POST", "/v1/images/generations", `{"model":"m","prompt":"a"}`, "50 20 0", false},
		{"speech", "POST", "/v1/audio/speech", `{"model":"m","input":"a","voice":"alloy"}`, "0 0 0", false},
		{"transcribe", "POST", "/v1/audio/transcriptions", form, "14 5 0", false},
		{"files", "POST", "/v1/files", form, "0 0 0", false},
		{"batches", "POST", "/v1/batches", `{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}`, "0 0 0", false},
		{"stored_answers", "GET", "/v1/responses/resp_1", "", "0 0 0", true},
		{"realtime", "", "/v1/realtime?model=m", "", "5 7 0", false},
	}
	var keys strings.Builder
	for _, o := range ops {
		fmt.Fprintf(&keys, "  - { name: %[1]s, hash: \"%[2]s\", limits: { requests_per_day: 1 } }\n  - { name: money-%[1]s, hash: \"%[3]s\", budget: { day: 5 USD } }\n", strings.ReplaceAll(o.op, "_", "-"), auth.HashKey("sk-one-"+o.op), auth.HashKey("sk-money-"+o.op))
	}
	const rates = "{ input: 1, output: 2, per_query: 0.001 }"
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: dead, kind: openai, base_url: "http://127.0.0.1:9/v1", key: env:TEST_KEY, models: [{ name: m, price: %[2]s }] }
  - { name: oai, kind: openai, base_url: "%[1]s/v1", key: env:TEST_KEY, models: [{ name: m, price: %[2]s }, { name: gpt-3.5-turbo-instruct, price: %[2]s }] }
  - { name: co, kind: cohere, base_url: "%[1]s", key: env:TEST_KEY, models: [{ name: m, price: { per_query: 0.001 } }] }
routes:
  - { name: one, match: { models: [m] }, targets: [dead/m, oai/m] }
  - { name: instruct, match: { models: [gpt-3.5-turbo-instruct] }, targets: [oai/gpt-3.5-turbo-instruct] }
  - { name: co, match: { models: [co] }, targets: [co/m] }
ledger: { store: "sqlite:run/ledger.db" }
keys:
%[3]s`, up.URL, rates, keys.String()))
	ask := func(method, path, body, key string) answer {
		if method == "" {
			return session(t, s.Base+path, key)
		}
		if method == "GET" {
			return get(t, s.Base+path, "authorization: Bearer "+key, "x-signalbox-provider: oai")
		}
		kind := "application/json"
		if strings.HasPrefix(body, "--b") {
			kind = "multipart/form-data; boundary=b"
		}
		got, err := sendTyped(t.Context(), s.Base+path, kind, body, "authorization: Bearer "+key, "x-signalbox-provider: oai")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, o := range ops {
		if got := ask(o.method, o.path, o.body, "sk-one-"+o.op); got.status != 200 {
			t.Errorf("%s: %d %s", o.op, got.status, got.body)
		}
		if got := ask(o.method, o.path, o.body, "sk-one-"+o.op); got.status != 429 {
			t.Errorf("%s over its limit: %d %s", o.op, got.status, got.body)
		}
		got := ask(o.method, o.path, o.body, "sk-money-"+o.op)
		if o.measured && got.status != 200 || !o.measured && got.status != 429 {
			t.Errorf("%s under a limit of money: %d %s", o.op, got.status, got.body)
		}
	}
	var all []*ledger.Record
	stack.Eventually(t, 10*time.Second, "every record", func() error {
		if all = records(t, filepath.Join(s.Dir, "run/ledger.db")); len(all) < 3*len(ops) {
			return fmt.Errorf("%d of %d", len(all), 3*len(ops))
		}
		return nil
	})
	for _, o := range ops {
		var ok, refused int
		for _, r := range all {
			if r.Asked.Op != o.op {
				continue
			}
			if r.Result.Status == ledger.Refused {
				refused++
				continue
			}
			ok++
			u := r.Attempts[len(r.Attempts)-1].Units
			if used := fmt.Sprint(u.Prompt(), u.Answer(), u[price.PerQuery]); used != o.used {
				t.Errorf("%s: %s were used, want %s", o.op, used, o.used)
			}
		}
		if want := map[bool]int{true: 2, false: 1}[o.measured]; ok != want || refused != 3-want {
			t.Errorf("%s: %d answers and %d refusals are written down, want %d and %d", o.op, ok, refused, want, 3-want)
		}
	}
}

// session opens a realtime session and has one turn.
func session(t *testing.T, url, key string) answer {
	t.Helper()
	c, err := websocket.NewConfig("ws"+strings.TrimPrefix(url, "http"), "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	c.Header.Set("authorization", "Bearer "+key)
	ws, err := c.DialContext(t.Context())
	if err != nil {
		return answer{status: 429, body: err.Error()} // the package does not tell which status it was
	}
	defer ws.Close()
	_ = websocket.Message.Send(ws, `{"type":"response.create"}`)
	var m string
	if err := websocket.Message.Receive(ws, &m); err != nil || !strings.Contains(m, "response.done") {
		t.Errorf("a session: %q, %v", m, err)
	}
	return answer{status: 200, body: m}
}
