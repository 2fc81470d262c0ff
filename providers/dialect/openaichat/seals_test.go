package openaichat

import (
	"testing"

	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestSignaturesOnTheDiagonalFitTheModel(t *testing.T) {
	imitator := NewUpstream(Quirks{})
	for _, tc := range []struct {
		name     string
		up       dialect.Client
		model    string
		message  string
		want     string
		reshapes bool
	}{
		{"no signatures", New(), "gpt-5", `{"role":"assistant","content":"a"}`, `{"role":"assistant","content":"a"}`, false},
		{
			"Anthropic's, to OpenAI", New(), "gpt-5", `{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}]}`,
			`{"role":"assistant","content":"a","thinking_blocks":null}`, true,
		},
		{
			"Anthropic's, to a model of its own", New(), "claude-4", `{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}]}`,
			`{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}]}`, true,
		},
		{
			"an imitator's own, whatever its models are called", imitator, "sonnet", `{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}]}`,
			`{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s"}]}`, true,
		},
		{
			"those of several vendors", imitator, "claude-4",
			`{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"sbs1.x.s"}, {"type":"thinking","thinking":"hm","signature":"sbs1.anthropic-messages.t"}, {"type":"redacted_thinking","data":"sbt1.u"},{"type":"redacted_thinking","data":"sbs1.x.v"}]}`,
			`{"role":"assistant","content":"a","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"t"}, {"type":"thinking","thinking":"","signature":"u"}]}`, true,
		},
		{
			"Google's, to a model of its own", imitator, "gemini-3", `{"role":"assistant","content":"a","extra_content":{"google":{"thought_signature":"sbs1.gemini.s"}},"tool_calls":[{"id":"c","extra_content":{"google":{"thought_signature":"t"}}}]}`,
			`{"role":"assistant","content":"a","extra_content":{"google":{"thought_signature":"s"}},"tool_calls":[{"id":"c","extra_content":{"google":{"thought_signature":"t"}}}]}`, true,
		},
		{
			"Google's, to OpenAI", New(), "gpt-5", `{"role":"assistant","content":"a","tool_calls":[{"id":"c","extra_content":{"google":{"thought_signature":"t"}}}]}`,
			`{"role":"assistant","content":"a","tool_calls":[{"id":"c","extra_content":null}]}`, true,
		},
		{
			"another's in Google's place", imitator, "gemini-3", `{"role":"assistant","content":"a","tool_calls":[{"id":"c","extra_content":{"google":{"thought_signature":"sbs1.x.t"}}}]}`,
			`{"role":"assistant","content":"a","tool_calls":[{"id":"c","extra_content":null}]}`, true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := dialect.Inbound{Body: []byte(`{"model":"m","messages":[{"role":"user","content":"x"},` + tc.message + `]}`)}
			h, err := New().Peek(in)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tc.up.Splice(nil, h, dialect.Edits{Model: tc.model})
			if want := `{"model":"` + tc.model + `","messages":[{"role":"user","content":"x"},` + tc.want + `]}`; err != nil || string(got) != want {
				t.Errorf("got  %s, %v\nwant %s", got, err, want)
			}
			if r := tc.up.(dialect.Reshaper).Reshapes(h); r != tc.reshapes {
				t.Errorf("reshapes: %v", r)
			}
		})
	}
}
