package openaichat

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// play writes events and returns what a client gets; the chunks' common head is cut to "…".
func play(t *testing.T, req *llm.Request, stream bool, events ...llm.Event) (string, error) {
	t.Helper()
	w := fixed().NewWriter(req, stream)
	var out []byte
	var err error
	for i := range events {
		if out, err = w.Write(out, &events[i]); err != nil {
			t.Fatal(err)
		}
	}
	out, err = w.Close(out)
	s := strings.ReplaceAll(string(out), `"id":"a","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":`, "…")
	return strings.ReplaceAll(s, `"id":"a","object":"chat.completion","created":1700000000,"model":"m","choices":`, "…"), err
}

func TestEventsAreWritten(t *testing.T) {
	started := llm.Event{Kind: llm.EvStarted, ID: "a", Name: "m"}
	block := func(i int, p llm.PartKind) llm.Event { return llm.Event{Kind: llm.EvBlockStarted, Index: i, Part: p} }
	delta := func(i int, p llm.PartKind, s string) llm.Event {
		return llm.Event{Kind: llm.EvDelta, Index: i, Part: p, Text: []byte(s)}
	}
	ended := func(i int, p llm.PartKind) llm.Event { return llm.Event{Kind: llm.EvBlockEnded, Index: i, Part: p} }
	call := llm.Event{Kind: llm.EvBlockStarted, Part: llm.PartCall, ID: "c", Name: "f"}
	finished := func(r llm.StopReason) llm.Event {
		return llm.Event{Kind: llm.EvFinished, Stop: llm.Stop{Reason: r, Native: "n", Sequence: "END"}}
	}
	usage := llm.Event{Kind: llm.EvUsage, Usage: llm.Usage{Input: llm.Tokens(1), Output: llm.Tokens(2), Cached: llm.Tokens(0)}}
	sealed := llm.Event{Kind: llm.EvDelta, Part: llm.PartThought, Seal: "s"}
	redacted := llm.Event{Kind: llm.EvBlockStarted, Index: 1, Part: llm.PartThought, Seal: "r"}
	functions := &llm.Request{Body: &llm.Chat{Tools: []llm.Tool{{Name: "f", Raw: []byte(deprecated)}}}}
	plain := &llm.Request{Body: &llm.Chat{}}
	const role = `data: {…[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
	const done = "data: [DONE]\n\n"
	chunk := func(s string) string { return `data: {…[{"index":0,"delta":{` + s + "}]}\n\n" }
	for _, tc := range []struct {
		name   string
		req    *llm.Request
		stream bool
		events []llm.Event
		want   string
	}{
		{"the deprecated form, streamed", functions, true, []llm.Event{started, call, delta(0, llm.PartCall, "{}"), ended(0, llm.PartCall), finished(llm.StopCalls)},
			role + chunk(`"function_call":{"name":"f","arguments":""}},"finish_reason":null`) + chunk(`"function_call":{"arguments":"{}"}},"finish_reason":null`) +
				chunk(`},"finish_reason":"function_call"`) + done},
		{"a sealed thought and a redacted one, streamed", plain, true,
			[]llm.Event{started, block(0, llm.PartThought), delta(0, llm.PartThought, "t"), sealed, ended(0, llm.PartThought), redacted, ended(1, llm.PartThought), finished(llm.StopEnd)},
			role + chunk(`"reasoning_content":"t"},"finish_reason":null`) + chunk(`"thinking_blocks":[{"type":"thinking","thinking":"t","signature":"s"}]},"finish_reason":null`) +
				chunk(`"thinking_blocks":[{"type":"redacted_thinking","data":"r"}]},"finish_reason":null`) + chunk(`},"finish_reason":"stop"`) + done},
		{"the same in one piece", plain, false,
			[]llm.Event{started, block(0, llm.PartThought), delta(0, llm.PartThought, "t"), sealed, ended(0, llm.PartThought), redacted, ended(1, llm.PartThought), usage, finished(llm.StopEnd)},
			`{…[{"index":0,"message":{"role":"assistant","content":"","refusal":null,"annotations":[],"reasoning_content":"t","thinking_blocks":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"r"}]},"logprobs":null,"finish_reason":"stop"}],` +
				`"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{}}}`},
		{"usage only when asked", &llm.Request{Usage: true, Body: &llm.Chat{}}, true, []llm.Event{started, usage, finished(llm.StopLength), usage},
			role + chunk(`},"finish_reason":"length"`) + `data: {…[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{}}}` + "\n\n" + done},
		{"a stop sequence", plain, true, []llm.Event{started, finished(llm.StopSequence)}, role + chunk(`},"finish_reason":"stop","stop_reason":"END"`) + done},
		{"a pause", plain, true, []llm.Event{started, finished(llm.StopPause)}, role + chunk(`},"finish_reason":"stop","native_finish_reason":"n"`) + done},
		{"a filter", plain, true, []llm.Event{started, finished(llm.StopFilter)}, role + chunk(`},"finish_reason":"content_filter"`) + done},
		{"a fault without content", plain, true, []llm.Event{started, finished(llm.StopFault)},
			role + `data: {"error":{"message":"The provider says that its output is broken: n","type":"server_error","param":null,"code":"upstream_error"}}` + "\n\n"},
		{"no end", plain, true, []llm.Event{started},
			role + `data: {"error":{"message":"The provider's answer ended early.","type":"server_error","param":null,"code":"upstream_error"}}` + "\n\n"},
		{"native blocks and pings are left out", plain, true,
			[]llm.Event{started, {Kind: llm.EvPing}, block(0, llm.PartNative), delta(0, llm.PartNative, "x"), ended(0, llm.PartNative), started, finished(llm.StopEnd)},
			role + chunk(`},"finish_reason":"stop"`) + done},
		{"a citation without URL is left out, one with it is not", plain, true,
			[]llm.Event{started, block(0, llm.PartText), {Kind: llm.EvDelta, Part: llm.PartText, Cite: &llm.Citation{Text: "x"}},
				{Kind: llm.EvDelta, Part: llm.PartText, Cite: &llm.Citation{URL: "u", Title: "t", Start: 1, End: 2}}, finished(llm.StopEnd)},
			role + chunk(`"annotations":[{"type":"url_citation","url_citation":{"start_index":1,"end_index":2,"url":"u","title":"t"}}]},"finish_reason":null`) + chunk(`},"finish_reason":"stop"`) + done},
		{"stop with calls", plain, true, []llm.Event{started, call, ended(0, llm.PartCall), finished(llm.StopEnd)},
			role + chunk(`"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null`) +
				chunk(`"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null`) + chunk(`},"finish_reason":"tool_calls"`) + done},
		{"nothing after a failure", plain, true, []llm.Event{started, {Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeOverloaded, Message: "busy"}}, finished(llm.StopEnd)},
			role + `data: {"error":{"message":"busy","type":"server_error","param":null,"code":"overloaded"}}` + "\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := play(t, tc.req, tc.stream, tc.events...)
			if err != nil || got != tc.want {
				t.Errorf("%v\ngot  %s\nwant %s", err, got, tc.want)
			}
		})
	}
}

func TestADocumentThatFailedIsAnError(t *testing.T) {
	for name, events := range map[string][]llm.Event{
		"failed": {{Kind: llm.EvStarted}, {Kind: llm.EvFailed, Err: &llm.Error{Code: llm.CodeOverloaded}}},
		"fault":  {{Kind: llm.EvStarted}, {Kind: llm.EvFinished, Stop: llm.Stop{Reason: llm.StopFault}}},
		"no end": {{Kind: llm.EvStarted}},
		"empty":  {},
	} {
		got, err := play(t, nil, false, events...)
		if err == nil || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
