package exchange_test

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// refusals keeps what an Observer is told of refusals.
type refusals struct{ all []exchange.Refusal }

func (r *refusals) Refused(e exchange.Refusal)  { r.all = append(r.all, e) }
func (*refusals) Planned(exchange.Planned)      {}
func (*refusals) Lost(_, _ dialect.Name, _ int) {}
func (*refusals) Attempt(exchange.AttemptSeen)  {}
func (*refusals) Closed(exchange.Closed)        {}

// TestARefusalSaysWhatWasAskedFor: the model as the client named it, as far as a record may hold it, and the configuration.
func TestARefusalSaysWhatWasAskedFor(t *testing.T) {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.route([]string{"chat", "fast", "->", "gpt/gpt-5.1", "client-timeout"})
	seen := &refusals{}
	core := exchange.New(r.snapshot(), exchange.Options{Observer: seen})
	long := strings.Repeat("é", 100)
	for _, c := range []struct {
		name, path, body string
		header           []string
		model, route     string
		stream           bool
	}{
		{"a model that no route takes", "/v1/chat/completions", `{"model":"unheard-of","stream":true,"messages":[{"role":"user","content":"hi"}]}`, nil, "unheard-of", "", true},
		{"one that is too long", "/v1/chat/completions", `{"model":"` + long + `","messages":[{"role":"user","content":"hi"}]}`, nil, strings.Repeat("é", 62) + "…", "", false},
		{"one that cannot be shown", "/v1/chat/completions", `{"model":"a\u0000b\nc\u202ed","messages":[{"role":"user","content":"hi"}]}`, nil, "a?b?c?d", "", false},
		{"one of a path", "/v1beta/models/gemini-of-nobody:generateContent", `{"contents":[{"parts":[{"text":"hi"}]}]}`, nil, "gemini-of-nobody", "", false},
		{"one of a path, before the body is read", "/v1beta/models/gemini-of-nobody:generateContent", "", []string{"content-type: text/plain"}, "gemini-of-nobody", "", false},
		{"one that a route takes", "/v1/chat/completions", `{"model":"fast","messages":[{"role":"user","content":"hi"}]}`, []string{"x-signalbox-timeout-ms: never"}, "fast", "chat", false},
		{"none that could be read", "/v1/chat/completions", `{"model":`, nil, "", "", false},
		{"none, but an id", "/v1/files/file-123/content", "", []string{":method: GET", "x-signalbox-provider: nobody"}, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen.all = nil
			h := benchHead(c.path, "")
			for _, line := range c.header {
				at := strings.LastIndex(line, ": ")
				name, value := line[:at], line[at+2:]
				replaced := false
				for i := range h {
					if h[i].Name == name {
						h[i].Value, replaced = value, true
					}
				}
				if !replaced {
					h = append(h, h[0])
					h[len(h)-1].Name, h[len(h)-1].Value = name, value
				}
			}
			x := core.Begin()
			if reply := x.Head(context.Background(), h, false); reply.Answer == nil {
				if reply = x.Body(context.Background(), []byte(c.body)); reply.Answer == nil {
					t.Fatal("it is not refused")
				}
			}
			if len(seen.all) != 1 {
				t.Fatalf("%d refusals", len(seen.all))
			}
			got := seen.all[0].Ticket
			if got.Model != c.model || got.Route != c.route || got.Stream != c.stream || got.Version != core.Snapshot().Version {
				t.Errorf("got %q of route %q, stream %t, configuration %q", got.Model, got.Route, got.Stream, got.Version)
			}
			if len(got.Model) > 128 || !utf8.ValidString(got.Model) {
				t.Errorf("%d bytes: %q", len(got.Model), got.Model)
			}
		})
	}
}
