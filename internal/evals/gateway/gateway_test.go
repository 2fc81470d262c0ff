package gateway

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox-ai/signalbox/internal/evals"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

func ask(t *testing.T, status int, header map[string]string, body string) (evals.Answer, error) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer sk-x" {
			t.Errorf("asked at %s with %s", r.URL.Path, r.Header.Get("Authorization"))
		}
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer s.Close()
	c := Client{Base: s.URL + "/v1/", Key: secret.New("sk-x"), Price: func(target string, a *evals.Answer) (int64, bool) { return a.Prompt + 10*a.Output, target == "m" }}
	return c.Ask(t.Context(), "m", []byte(`{}`))
}

func TestAnswers(t *testing.T) {
	want := evals.Answer{Text: "Hi", Calls: []evals.Call{{Name: "f", Arguments: `{"a":1}`}}, Prompt: 3, Output: 2, Cached: 1, Cost: 23, Priced: true, Exchange: "id-1", Target: "p/m"}
	head := map[string]string{"x-request-id": "id-1", "x-signalbox-target": "p/m"}
	usage := `"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}`
	got, err := ask(t, 200, head, `{"choices":[{"message":{"content":"Hi","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]}}],`+usage+`}`)
	times := cmpopts.IgnoreFields(evals.Answer{}, "First", "Total")
	if diff := cmp.Diff(got, want, times); diff != "" || err != nil || got.Total <= 0 || got.First != 0 {
		t.Errorf("%v %s", err, diff)
	}
	head["content-type"] = "text/event-stream"
	got, err = ask(t, 200, head, `data: {"choices":[{"delta":{"role":"assistant","content":""}}]}

data: {"choices":[{"delta":{"content":"H"}}]}

data: {"choices":[{"delta":{"content":"i","tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\""}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":999}]}}]}

data: {"choices":[],`+usage+`}

data: [DONE]

`)
	if diff := cmp.Diff(got, want, times); diff != "" || err != nil || got.First <= 0 || got.First > got.Total {
		t.Errorf("%v %s", err, diff)
	}
}

func TestWhatIsNoAnswer(t *testing.T) {
	sse := map[string]string{"content-type": "text/event-stream"}
	for _, c := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		want   string
		busy   time.Duration // below 0: it is no use to ask again
	}{
		{"a limit", 429, map[string]string{"retry-after": "2"}, `{"error":{"message":"slow down"}}`, "429: slow down", 2 * time.Second},
		{"a limit that does not pass", 429, map[string]string{"x-should-retry": "false"}, `{"error":{"message":"no money"}}`, "429: no money", -1},
		{"an outage", 503, nil, `gone`, "503: gone", 0},
		{"a bad request", 400, nil, `{"error":{"message":"bad"}}`, "400: bad", -1},
		{"no JSON", 200, nil, `<html>`, "the answer is no JSON: invalid character at byte 0", -1},
		{"no message", 200, nil, `{}`, "the answer has no message", -1},
		{"a stream that is cut", 200, sse, "data: {\"choices\":[]}\n\n", "the stream was cut", -1},
		{"a stream with an error", 200, sse, "data: {\"error\":{\"message\":\"broke\"}}\n\n", "the stream ends with an error: broke", -1},
	} {
		_, err := ask(t, c.status, c.header, c.body)
		busy, ok := errors.AsType[*evals.Busy](err)
		if err == nil || c.name != "no JSON" && err.Error() != c.want || ok != (c.busy >= 0) || ok && busy.After != c.busy {
			t.Errorf("%s: got %v (%T)", c.name, err, err)
		}
	}
	c := Client{Base: "http://127.0.0.1:1"}
	if _, err := c.Ask(t.Context(), "m", nil); err == nil {
		t.Error("nobody answers, and no error")
	} else if _, ok := errors.AsType[*evals.Busy](err); !ok {
		t.Errorf("got %v", err)
	}
}
