package plain

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
)

func TestReaders(t *testing.T) {
	type reader = func([]byte, string) (Answer, error)
	for name, c := range map[string]struct {
		read       reader
		kind, body string
		want       Answer
	}{
		"chat document": {Chat, "json", `{"choices":[{"index":0,"message":{"content":"a","reasoning_content":"r","tool_calls":[{"function":{"name":"f","arguments":"{\"x\":1}"}},{"function":{"name":"g","arguments":""}}]},"finish_reason":"tool_calls"},{"index":1,"message":{"content":"no"}}],"usage":{"prompt_tokens":5,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}`,
			Answer{Text: "a", Reasoning: "r", Calls: []Call{{"f", `{"x":1}`}, {"g", "{}"}}, Stop: "tool_calls", Usage: Usage{In: 5, Out: 4, CacheRead: 2, Reasoning: 1}}},
		"chat stream with interleaved calls": {Chat, "sse", "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"\"}},{\"index\":1,\"function\":{\"name\":\"g\"}}]}}]}\r\n\r\n: note\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\",\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"[]\"}},{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: [DONE]\r\n\r\n",
			Answer{Text: "ab", Calls: []Call{{"f", "{}"}, {"g", "[]"}}, Stop: "stop"}},
		"chat error within a stream": {Chat, "sse", "data: {\"error\":{\"message\":\"m\"}}\n\n", Answer{Error: "m"}},
		"error that is a text":       {Chat, "json", `{"error":"m"}`, Answer{Error: "m"}},
		"parts of a content":         {Chat, "json", `{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"text":"t"}]},{"type":"text","text":"x"}]}}]}`, Answer{Text: "x", Reasoning: "t"}},
		"message document": {Messages, "json", `{"type":"message","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"a"},{"type":"tool_use","name":"f","input":{"x":1}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":2,"cache_read_input_tokens":1}}`,
			Answer{Text: "a", Reasoning: "t", Calls: []Call{{"f", `{"x":1}`}}, Stop: "tool_use", Usage: Usage{In: 3, Out: 2, CacheRead: 1}}},
		"message stream": {Messages, "sse", "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{}}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":7}}\n\n",
			Answer{Text: "a", Calls: []Call{{"f", "{}"}}, Stop: "tool_use", Usage: Usage{In: 3, Out: 7}}},
		"message error": {Messages, "json", `{"type":"error","error":{"type":"x","message":"m"}}`, Answer{Error: "m"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.read([]byte(c.body), c.kind)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, kind := range []string{"json", "xml"} {
		if _, err := Chat([]byte("{"), kind); err == nil {
			t.Errorf("%s: no error", kind)
		}
	}
}

// endless lists answers that give no reason for their end.
func endless(x *recorded.Exchange) bool {
	switch x.ID {
	case "14dd4b45d1c11a62", "ce4c44862f72d274": // audio output
		return true
	case "1f48a03b58bce790": // OpenRouter, a call and then only usage
		return true
	}
	return x.Provider == "snowflake" && x.ID != "a3a876e31bf2aa02" // the others leave it empty
}

// What is no error says something, and why it ended.
func TestRecordedAnswersAreUnderstood(t *testing.T) {
	readers := map[string]func([]byte, string) (Answer, error){"chat": Chat, "messages": Messages}
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return readers[x.Endpoint] != nil && (x.BodyKind == "sse" || x.BodyKind == "json")
	}, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		a, err := readers[x.Endpoint](body, x.BodyKind)
		if err != nil {
			t.Fatal(err)
		}
		if a.Error == "" && x.Status < 400 && (a.Stop == "") != endless(x) {
			t.Errorf("stop reason %q: %+v", a.Stop, a)
		}
		if a.Error == "" && x.Status < 400 && a.Text+a.Reasoning+a.Refusal == "" && a.Calls == nil && a.Usage == (Usage{}) {
			t.Errorf("nothing is said: %.400s", body)
		}
	})
}
