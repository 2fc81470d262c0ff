package kept_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini"
	"github.com/signalbox-ai/signalbox/providers/dialect/kept"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaicompletions"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
	"github.com/signalbox-ai/signalbox/providers/wire/awsevents"
)

func tokens(in, out int64) llm.Usage {
	return llm.Usage{Input: llm.Tokens(in), Output: llm.Tokens(out)}
}

// pieces keeps of an answer what usage.lua does, where it comes in small pieces.
func pieces(answer string, keep int) (p kept.Pieces) {
	say := func(s string) string {
		s = strings.Map(func(r rune) rune {
			if r == 0 || r > 0x7f {
				return '?'
			}
			return r
		}, s)
		at := strings.Index(s, `"usage`)
		if at < 0 {
			return ""
		}
		return s[strings.LastIndexByte(s[:at], '\n')+1:]
	}
	return kept.Pieces{Head: say(answer[:min(len(answer), keep)]), Tail: say(answer[max(0, len(answer)-keep):])}
}

func TestUsage(t *testing.T) {
	const (
		start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n"
		delta = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":9}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
		chunk = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n"
	)
	var none llm.Usage
	chat, messages, responses := openaichat.New(), anthropicmessages.New(), openairesponses.New()
	vectors, ranking := openaiembeddings.New(), rerank.New()
	for _, c := range []struct {
		name string
		to   dialect.Client
		kept kept.Pieces
		want llm.Usage
	}{
		{"nothing", chat, kept.Pieces{}, none},
		{"the last chunk of a stream", chat, kept.Pieces{Tail: chunk}, tokens(7, 9)},
		{"a chunk whose beginning is missing", chat, kept.Pieces{Tail: chunk[20:]}, tokens(7, 9)},
		{"a chunk whose end is missing", chat, kept.Pieces{Tail: chunk[:60]}, none},
		{"both ends of a stream", messages, kept.Pieces{Head: start, Tail: delta}, tokens(7, 9)},
		{"the beginning alone", messages, kept.Pieces{Head: start}, tokens(7, 1)},
		{"a beginning that is cut", messages, kept.Pieces{Head: start[:len(start)-9]}, none},
		{"an event that is longer than what is kept", responses, kept.Pieces{Tail: `"text":"a \"quoted\" word\\"}],"usage":{"input_tokens":7,"output_tokens":9},"user":null,"metadata":{"usage":"mine"}}}` + "\n\n"}, tokens(7, 9)},
		{"one whose lines end in CR and LF, and another behind it", chat, kept.Pieces{Tail: `"url":"https://example.com"}],"usage":{"prompt_tokens":7,"completion_tokens":9}}` + "\r\n\r\ndata: [DONE]\r\n\r\n"}, tokens(7, 9)},
		{"a whole document", openaicompletions.New(), kept.Pieces{Tail: `{"choices":[{"text":"x"}],"usage":{"prompt_tokens":7,"completion_tokens":9}}`}, tokens(7, 9)},
		{"a document in many lines", openaicompletions.New(), kept.Pieces{Tail: "  \"usage\": {\n \"prompt_tokens\": 7,\n \"completion_tokens\": 9\n },\n \"id\": \"i\"\n}\n"}, tokens(7, 9)},
		{"an array of answers", gemini.New(), kept.Pieces{Tail: "[{\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":9}}\r\n]"}, tokens(7, 9)},
		{"the end of a document of vectors", vectors, kept.Pieces{Tail: `0.1,-0.2]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}`}, tokens(7, 0)},
		{"the beginning of a document of vectors", vectors, kept.Pieces{Head: `{"model":"m","usage":{"total_tokens":7},"data":[{"embedding":[0.1,-0`}, tokens(7, 0)},
		{"a beginning that is cut in its usage", vectors, kept.Pieces{Head: `{"model":"m","usage":{"total_tokens":7`}, none},
		{"what stands deeper in a beginning", vectors, kept.Pieces{Head: `{"data":[{"usage":{"total_tokens":7},"embedding":[0.1,-0`}, none},
		{"what Cohere bills for vectors", cohere.New(), kept.Pieces{Tail: `0.1]]},"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":7}}}`}, llm.Usage{Input: llm.Tokens(7)}},
		{"metadata of another dialect", chat, kept.Pieces{Tail: `"choices":[],"meta":{"billed_units":{"input_tokens":7}}}`}, none},
		{"tokens of a ranking", ranking, kept.Pieces{Head: `{"model":"m","usage":{"total_tokens":7},"results":[{"index":0`}, tokens(7, 0)},
		{"a model's text", chat, kept.Pieces{Tail: `data: {"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}]}"}}]}` + "\n\ndata: [DONE]\n\n"}, none},
		{"a model's text that is cut", chat, kept.Pieces{Tail: `"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}"}}]}` + "\n\n"}, none},
		{"a tool's arguments", messages, kept.Pieces{Tail: `{"content":[{"type":"tool_use","input":{"usage":{"input_tokens":1,"output_tokens":1}}}],"stop_reason":"tool_use"}`}, none},
		{"a tool's arguments that are cut", bedrockconverse.New(), kept.Pieces{Tail: `"usage":{"inputTokens":1,"outputTokens":1}}}}]}}}`}, none},
		{"a member that is no object", chat, kept.Pieces{Tail: "data: {\"choices\":[],\"usage\":null}\n\n"}, none},
		{"a comment", chat, kept.Pieces{Tail: "data: {}\n\n: \"usage\":{\"prompt_tokens\":1}}\n\n"}, none},
		{"no JSON", chat, kept.Pieces{Tail: `usage":{"usage":{"`}, none},
		{"brackets that close nothing", chat, kept.Pieces{Tail: strings.Repeat("]", 5000)}, none},
		{"the last frame of an AWS event stream", bedrockconverse.New(), kept.Pieces{Tail: "\x01?:event-type?metadata:message-type?\x05event{\"metrics\":{},\"usage\":{\"inputTokens\":7,\"outputTokens\":9}}?x}{"}, tokens(7, 9)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := kept.Usage(c.to, c.kept)
			if d := cmp.Diff(llm.Usage{Input: got.Input, Output: got.Output}, c.want); d != "" {
				t.Errorf("(-got +want):\n%s", d)
			}
		})
	}
}

// TestRecordedAnswers reads from the ends of each recorded answer what the codec reads from all of it.
func TestRecordedAnswers(t *testing.T) {
	clients := map[string]dialect.Client{
		"chat": openaichat.New(), "completions": openaicompletions.New(), "responses": openairesponses.New(), "messages": anthropicmessages.New(),
		"generateContent": gemini.New(), "streamGenerateContent": gemini.New(), "converse": bedrockconverse.New(), "converse-stream": bedrockconverse.New(), "chat-native": cohere.New(),
	}
	except := map[string]string{
		"9eed91ff8f502414": "the record holds the events of several answers",
	}
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return clients[x.Endpoint] != nil && x.Status == 200 && !x.ResponseTrimmed && except[x.ID] == ""
	}, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		c, answer := clients[x.Endpoint], string(body)
		var want llm.Usage
		_ = c.NewReader(nil, x.Stream).Feed(body, true, func(ev *llm.Event) error { want.Merge(ev.Usage); return nil })
		got := kept.Usage(c, pieces(answer, 4096))
		want.WebSearches, got.WebSearches = llm.Count{}, llm.Count{} // Gemini states them apart
		if got.Details == nil || want.Details == nil {               // it may stand in a line before that of the usage
			want.Details = nil
		} else { // calls of tools stand in the answer's content
			for _, u := range []*llm.Usage{&got, &want} {
				served := *u.Details
				served.FileSearches, u.Details = llm.Count{}, &served
			}
		}
		if d := cmp.Diff(got, want); d != "" && (x.Stream || len(answer) <= 4096 || got.Known()) {
			t.Errorf("(-got +want):\n%s", d)
		}
	})
}

// TestServiceTiers are read where they stand in the same line as the usage, before or behind it.
func TestServiceTiers(t *testing.T) {
	chat, responses := openaichat.New(), openairesponses.New()
	for _, c := range []struct {
		name string
		to   dialect.Client
		tail string
		want string
	}{
		{"behind the usage of a document", chat, `"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":9},"service_tier":"flex","system_fingerprint":"f"}`, "flex"},
		{"before it", chat, `"x"}],"service_tier":"priority","usage":{"prompt_tokens":7,"completion_tokens":9}}`, "priority"},
		{"in a chunk", chat, "data: {\"choices\":[],\"service_tier\":\"flex\",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n", "flex"},
		{"in an event that is longer than what is kept", responses, `"text":"a"}],"service_tier":"priority","store":true,"usage":{"input_tokens":7,"output_tokens":9},"metadata":{"service_tier":"mine"}}}` + "\n\n", "priority"},
		{"nowhere", chat, `"x"}],"usage":{"prompt_tokens":7,"completion_tokens":9}}`, ""},
		{"in a text of a model", chat, `{"choices":[{"message":{"content":"\"service_tier\":\"flex\""}}],"usage":{"prompt_tokens":7,"completion_tokens":9}}`, ""},
		{"that is no text", chat, `"x"}],"service_tier":null,"usage":{"prompt_tokens":7,"completion_tokens":9}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, tier := kept.Usage(c.to, kept.Pieces{Tail: c.tail}), ""
			if got.Details != nil {
				tier = got.Details.Tier
			}
			if tier != c.want || got.Input.N != 7 || got.Output.N != 9 {
				t.Errorf("got tier %q of %+v, want %q", tier, got, c.want)
			}
		})
	}
}

// TestTextIsNeverUsage puts any text where a model's text stands, and cuts the answer anywhere.
func TestTextIsNeverUsage(t *testing.T) {
	word := rapid.SampledFrom([]string{`"usage"`, `"usage":{`, `usageMetadata`, `"prompt_tokens":1`, `"`, `\`, `{`, `}`, `]`, `[`, `:`, `,`, "\n", "\n\n", `data: `, "x"})
	rapid.Check(t, func(t *rapid.T) {
		text := string(jsonx.AppendQuote(nil, strings.Join(rapid.SliceOf(word).Draw(t, "text"), "")))
		for _, c := range []struct {
			to     dialect.Client
			answer string
		}{
			{openaichat.New(), `data: {"choices":[{"index":0,"delta":{"content":` + text + "}}]}\n\ndata: [DONE]\n\n"},
			{openaicompletions.New(), `{"choices":[{"index":0,"text":` + text + `}]}`},
			{bedrockconverse.New(), `{"output":{"message":{"content":[{"text":` + text + `},{"toolUse":{"input":{"usage":{"inputTokens":1,"outputTokens":1},"x":` + text + `}}}]}},"stopReason":"end_turn"}`},
			{bedrockconverse.New(), string(awsevents.Append(nil, awsevents.AppendString(nil, ":message-type", "event"), []byte(`{"delta":{"text":`+text+`}}`)))},
		} {
			from := rapid.IntRange(0, len(c.answer)).Draw(t, "from")
			if u := kept.Usage(c.to, kept.Pieces{Tail: c.answer[from:]}); u != (llm.Usage{}) {
				t.Fatalf("%q from %d: read as %+v", c.answer, from, u)
			}
		}
	})
}
