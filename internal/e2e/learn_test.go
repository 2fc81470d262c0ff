package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

func TestAnswersShowHowManyTokensThePromptHas(t *testing.T) {
	a := newProvider(t, "a")
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/json")
		w.Header().Set("x-signalbox-tokens", "forged")
		_, _ = io.WriteString(w, `{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}`)
	}))
	t.Cleanup(up.Close)
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
  - { name: up, kind: openai-compatible, base_url: %[2]s/v1 }
routes:
  - { name: direct, match: { models: [direct] }, targets: [{ target: a/echo, like: gpt-4o }], answer_headers: true }
  - { name: worked, match: { models: [worked] }, targets: [{ target: claude/echo, like: claude-sonnet-4-5 }], answer_headers: true }
  - { name: second, match: { models: [second] }, targets: [{ target: a/500, like: gpt-4o }, { target: claude/echo, like: claude-sonnet-4-5 }], answer_headers: true }
  - { name: again, match: { models: [again] }, targets: [{ target: claude/500, like: claude-sonnet-4-5 }, { target: a/echo, like: gpt-4o }], answer_headers: true }
  - { name: silent, match: { models: [silent] }, targets: [{ target: a/echo, like: gpt-4o }] }
  - { name: forged, match: { models: [forged] }, targets: [up/m] }
`, a.url, up.URL))
	const body = `{"model":%q,"stream":%v,"messages":[{"role":"user","content":"Hello, how are you?"}]}`
	for _, model := range []string{"direct", "worked"} { // who asks for a count has the vocabulary read
		post(t, s.Base+"/v1/messages/count_tokens", fmt.Sprintf(body, model, false)).want(t, 200, `"input_tokens":13`)
	}
	for _, c := range []struct{ model, want string }{
		{"direct", "13;method=exact"},
		{"worked", "13;method=reconstructed;error=1"},
		{"second", "13;method=reconstructed;error=1"},
		{"again", "13;method=exact"},
		{"silent", ""},
		{"forged", ""},
	} {
		for _, stream := range []bool{false, true} {
			got := post(t, s.Base+chatPath, fmt.Sprintf(body, c.model, stream && c.model != "forged"))
			got.want(t, 200, "")
			if h := got.header.Get("x-signalbox-tokens"); h != c.want {
				t.Errorf("%s, streamed %v: x-signalbox-tokens is %q, want %q", c.model, stream, h, c.want)
			}
		}
	}
}

// hiding is a provider that puts a prompt of its own before each: it reports more tokens than it was sent.
type hiding struct {
	wrong atomic.Int64 // reported in place of the right number; 0: none is
}

const hidden = 40

func (h *hiding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n := int64(7 + hidden) // the frame of gpt-4o's
	for _, m := range jsonx.Elements(jsonx.Get(body, "messages")) {
		text, _ := jsonx.String(jsonx.Get(m, "content"))
		n += int64(len(strings.Fields(text))) // a token for a word
	}
	if wrong := h.wrong.Load(); wrong != 0 {
		n = wrong
	}
	w.Header().Set("content-type", "application/json")
	fmt.Fprintf(w, `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":1,"total_tokens":%d}}`, n, n+1)
}

func TestCountsLearnOfAHiddenPromptAndKeepIt(t *testing.T) {
	h := &hiding{}
	up := httptest.NewServer(h)
	t.Cleanup(up.Close)
	s := stack.Apart(t, fmt.Sprintf(`
providers:
  - { name: up, kind: openai-compatible, base_url: %s/v1 }
routes:
  - { name: r, match: { models: [r] }, targets: [{ target: up/m, like: gpt-4o }], answer_headers: true }
`, up.URL))
	ask := func(words int) string {
		return fmt.Sprintf(`{"model":"r","messages":[{"role":"user","content":%q}]}`, strings.TrimSpace(strings.Repeat(" word", words)))
	}
	counted := func(words int) string {
		got := post(t, s.Base+"/v1/messages/count_tokens", ask(words))
		got.want(t, 200, "input_tokens")
		return got.header.Get("x-signalbox-tokens")
	}
	exchange := func(words int) string {
		got := post(t, s.Base+chatPath, ask(words))
		got.want(t, 200, "Hello")
		return got.header.Get("x-signalbox-tokens")
	}
	if got := counted(100); got != "107;method=exact" {
		t.Fatalf("before anything was learnt the count is %q", got)
	}
	for i := range 12 {
		exchange(20 + 10*i)
	}
	const right = "147;method=calibrated"
	stack.Eventually(t, 10*time.Second, "the hidden prompt is learnt", func() error {
		if got := counted(100); got != right {
			return fmt.Errorf("the count is %q, want %q", got, right)
		}
		return nil
	})
	if got := exchange(100); got != right {
		t.Errorf("the answer has %q, want %q", got, right)
	}

	// Reports that are wrong move nothing, whether they cannot be believed or could be.
	for _, wrong := range []int64{1_000_000, 1, 250} {
		h.wrong.Store(wrong)
		exchange(100)
	}
	h.wrong.Store(0)
	time.Sleep(500 * time.Millisecond)                       // usage is learnt from behind the answer
	if got := counted(100); !strings.HasPrefix(got, right) { // the error may be larger for a while
		t.Errorf("after wrong reports the count is %q, want %q", got, right)
	}

	s.Service().Stop()
	s.Serve()
	stack.Eventually(t, 30*time.Second, "the service is back", func() error {
		got := post(t, s.Base+"/v1/messages/count_tokens", ask(100))
		if v := got.header.Get("x-signalbox-tokens"); got.status != 200 || !strings.HasPrefix(v, right) {
			return fmt.Errorf("status %d, count %q, want %q", got.status, v, right)
		}
		return nil
	})
}
