package asking_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/extproc/asking"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func session(t *testing.T, by, body string, headers map[string]string) string {
	t.Helper()
	doc, err := jsonx.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return asking.Session(by, doc, func(n string) string { return headers[n] })
}

func TestTheBeginningOfAConversationStaysTheSame(t *testing.T) {
	for _, c := range []struct{ name, first, later, other string }{
		{
			"chat completions",
			`{"model":"m","messages":[{"role":"system","content":"You help."},{"role":"user","content":"Hi"}]}`,
			`{"messages":[{"role":"system","content":"You help."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"}],"temperature":1}`,
			`{"model":"m","messages":[{"role":"system","content":"You help."},{"role":"user","content":"Ho"}]}`,
		},
		{
			"messages, of which other blocks are marked to be cached",
			`{"system":[{"type":"text","text":"You help.","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"a"}],"messages":[{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral"}}]}]}`,
			`{"system":[{"type":"text","text":"You help."}],"tools":[{"name":"a","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":"Hello"},{"role":"user","content":[{"type":"text","text":"Bye","cache_control":{"type":"ephemeral"}}]}]}`,
			`{"system":[{"type":"text","text":"You help."}],"tools":[{"name":"b"}],"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`,
		},
		{
			"responses",
			`{"instructions":"You help.","input":[{"role":"user","content":"Hi"}]}`,
			`{"instructions":"You help.","input":[{"role":"user","content":"Hi"},{"type":"function_call","name":"f"},{"role":"user","content":"Bye"}]}`,
			`{"instructions":"You do not.","input":[{"role":"user","content":"Hi"}]}`,
		},
		{
			"contents",
			`{"systemInstruction":{"parts":[{"text":"You help."}]},"contents":[{"parts":[{"text":"Hi"}]}]}`,
			`{"systemInstruction":{"parts":[{"text":"You help."}]},"contents":[{"parts":[{"text":"Hi"}]},{"role":"model","parts":[{"text":"Hello"}]},{"role":"user","parts":[{"text":"Bye"}]}]}`,
			`{"contents":[{"parts":[{"text":"Hi"}]}]}`,
		},
		{
			"Converse, with points of the cache",
			`{"system":[{"text":"You help."},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"Hi"},{"cachePoint":{"type":"default"}}]}]}`,
			`{"system":[{"text":"You help."},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"Hi"}]},{"role":"assistant","content":[{"text":"Hello"}]},{"role":"user","content":[{"text":"Bye"},{"cachePoint":{"type":"default"}}]}]}`,
			`{"system":[{"text":"You help?"}],"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, later, other := session(t, "prefix", c.first, nil), session(t, "prefix", c.later, nil), session(t, "prefix", c.other, nil)
			if first == "" || first != later || first == other {
				t.Errorf("%q, later %q, another conversation %q", first, later, other)
			}
		})
	}
}

func TestWhatASessionIsToldBy(t *testing.T) {
	for _, c := range []struct{ name, by, body, want string }{
		{"a header", "session", `{"prompt_cache_key":"b"}`, "h"},
		{"a named header", "header:x-chat", `{}`, "c"},
		{"a way that nobody knows", "luck", `{}`, ""},
		{"a prompt of nothing", "prefix", `{"model":"m"}`, ""},
	} {
		if got := session(t, c.by, c.body, map[string]string{"x-session-id": "h", "x-chat": "c"}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for _, body := range []string{`{"prompt_cache_key":"s"}`, `{"conversation":"s"}`, `{"previous_response_id":"s"}`, `{"session_id":"s","prompt_cache_key":""}`} {
		if got := session(t, "session", body, nil); got != "s" {
			t.Errorf("%s: got %q", body, got)
		}
	}
	if got := asking.Session("prefix", nil, nil); got != "" {
		t.Errorf("of no body: %q", got)
	}
}
