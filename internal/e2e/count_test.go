package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

func TestCountsOfTokensAreMadeHere(t *testing.T) {
	a := newProvider(t, "a")
	s := stack.Up(t, fmt.Sprintf(`
providers:
  - { name: a, kind: mock, base_url: %[1]s }
  - { name: claude, kind: mock, base_url: %[1]s, params: { speaks: [anthropic-messages] } }
routes:
  - { name: here, match: { models: [here] }, targets: [{ target: claude/echo, like: claude-sonnet-4-5 }], answer_headers: true }
  - { name: other, match: { models: [other] }, targets: [{ target: a/echo, like: gpt-4o }] }
  - { name: small, match: { models: [small] }, targets: [{ target: a/echo, like: gpt-4 }] }
  - { name: next, match: { models: [next] }, targets: [{ target: a/500, like: gpt-4 }, a/text], answer_headers: true }
`, a.url))
	const body = `{"model":%q,"messages":[{"role":"user","content":"Hello, how are you?"}]}`
	got := post(t, s.Base+"/v1/messages/count_tokens", fmt.Sprintf(body, "here"), "anthropic-version: 2023-06-01")
	got.want(t, 200, `{"input_tokens":13}`)
	if h := got.header.Get("x-signalbox-tokens"); h != "13;method=reconstructed;error=1" {
		t.Errorf("x-signalbox-tokens: %q", h)
	}
	post(t, s.Base+"/v1/messages/count_tokens", fmt.Sprintf(body, "other")).want(t, 200, `{"input_tokens":13}`)
	post(t, s.Base+"/v1/responses/input_tokens", `{"model":"other","input":"Hello, how are you?"}`).want(t, 200, `"input_tokens":13`)
	post(t, s.Base+"/v1beta/models/other:countTokens", `{"contents":[{"parts":[{"text":"Hello, how are you?"}]}]}`).want(t, 200, `"totalTokens":13`)

	// What was counted once is at hand: no other request waits for a vocabulary.
	post(t, s.Base+"/v1/messages/count_tokens", fmt.Sprintf(body, "small")).want(t, 200, `{"input_tokens":13}`)
	long := strings.Repeat("word ", 9000)
	post(t, s.Base+chatPath, strings.Replace(chat("small", false), "Hello", long, 1)).want(t, 400, `"code":"context_length_exceeded"`)
	if n := len(a.Journal()); n != 0 {
		t.Errorf("the provider got %d requests", n)
	}
	moved := post(t, s.Base+chatPath, strings.Replace(chat("next", false), "Hello", long, 1))
	moved.want(t, 200, "")
	if target := moved.header.Get("x-signalbox-target"); target != "a/text" {
		t.Errorf("got target %q, want a/text", target)
	}
	if n := len(a.Journal()); n != 1 {
		t.Errorf("the provider got %d requests, want 1: a prompt that does not fit is not sent", n)
	}
}
