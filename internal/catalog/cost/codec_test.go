package cost_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini"
	"github.com/signalbox-ai/signalbox/providers/dialect/ollama"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

// Vendors place cached and reasoning tokens differently. Whatever a vendor does, its answer must come to the same
// disjoint units. Numbers are chosen so that no two sums agree by accident.
func TestUnitsOfEveryVendorsUsage(t *testing.T) {
	chat := func(usage string) string {
		return `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":` + usage + `}`
	}
	for _, c := range []struct {
		name   string
		client dialect.Client
		stream bool
		answer string
		want   cost.Units
	}{
		{"OpenAI chat: cached and written inside the prompt, reasoning inside the completion", openaichat.New(), false,
			chat(`{"prompt_tokens":1000,"completion_tokens":300,"total_tokens":1300,"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":150,"audio_tokens":7},"completion_tokens_details":{"reasoning_tokens":200,"audio_tokens":3}}`),
			cost.Units{price.Input: 243, price.CacheRead: 600, price.CacheWrite: 150, price.AudioInput: 7, price.Output: 97, price.Reasoning: 200, price.AudioOutput: 3, price.PerRequest: 1}},
		{"xAI chat: reasoning outside the completion", openaichat.New(), false,
			chat(`{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1300,"prompt_tokens_details":{"cached_tokens":600},"completion_tokens_details":{"reasoning_tokens":200}}`),
			cost.Units{price.Input: 400, price.CacheRead: 600, price.Output: 100, price.Reasoning: 200, price.PerRequest: 1}},
		{"DeepSeek: hits and misses", openaichat.New(), false,
			chat(`{"prompt_tokens":563,"completion_tokens":116,"total_tokens":679,"prompt_cache_hit_tokens":512,"prompt_cache_miss_tokens":51,"completion_tokens_details":{"reasoning_tokens":60}}`),
			cost.Units{price.Input: 51, price.CacheRead: 512, price.Output: 56, price.Reasoning: 60, price.PerRequest: 1}},
		{"OpenAI Responses", openairesponses.New(), false,
			`{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600},"output_tokens":300,"output_tokens_details":{"reasoning_tokens":200},"total_tokens":1300}}`,
			cost.Units{price.Input: 400, price.CacheRead: 600, price.Output: 100, price.Reasoning: 200, price.PerRequest: 1}},
		{"Anthropic: read and written outside the input", anthropicmessages.New(), false,
			`{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":21,"cache_read_input_tokens":2000,"cache_creation_input_tokens":1500,"cache_creation":{"ephemeral_5m_input_tokens":500,"ephemeral_1h_input_tokens":1000},"output_tokens":393,"server_tool_use":{"web_search_requests":2}}}`,
			cost.Units{price.Input: 21, price.CacheRead: 2000, price.CacheWrite: 500, price.CacheWrite1h: 1000, price.Output: 393, price.WebSearch: 2, price.PerRequest: 1}},
		{"Anthropic stream: cumulative numbers are never added", anthropicmessages.New(), true,
			"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":21,\"cache_read_input_tokens\":2000,\"cache_creation_input_tokens\":0,\"output_tokens\":4}}}\n\n" +
				"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
				"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":21,\"cache_read_input_tokens\":2000,\"output_tokens\":393}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
			cost.Units{price.Input: 21, price.CacheRead: 2000, price.Output: 393, price.PerRequest: 1}},
		{"Bedrock Converse: read and written outside the input", bedrockconverse.New(), false,
			`{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":21,"outputTokens":393,"totalTokens":3914,"cacheReadInputTokens":2000,"cacheWriteInputTokens":1500},"metrics":{"latencyMs":1}}`,
			cost.Units{price.Input: 21, price.CacheRead: 2000, price.CacheWrite: 1500, price.Output: 393, price.PerRequest: 1}},
		{"Gemini: thoughts outside the candidates, tool use outside the prompt", gemini.New(), false,
			`{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1000,"cachedContentTokenCount":600,"candidatesTokenCount":100,"thoughtsTokenCount":200,"toolUsePromptTokenCount":50,"totalTokenCount":1350,"promptTokensDetails":[{"modality":"TEXT","tokenCount":990},{"modality":"AUDIO","tokenCount":10}]}}`,
			cost.Units{price.Input: 440, price.CacheRead: 600, price.AudioInput: 10, price.Output: 100, price.Reasoning: 200, price.PerRequest: 1}},
		{"OpenAI chat: images in tokens, in the prompt and the completion", openaichat.New(), false,
			chat(`{"prompt_tokens":1000,"completion_tokens":300,"total_tokens":1300,"prompt_tokens_details":{"cached_tokens":0,"image_tokens":85},"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":272}}`),
			cost.Units{price.Input: 915, price.ImageInput: 85, price.Output: 28, price.ImageOutput: 272, price.PerRequest: 1}},
		{"OpenAI Responses: calls of its own tools; a page that is opened is no search", openairesponses.New(), false,
			`{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"a"}},{"type":"web_search_call","id":"ws_2","status":"completed","action":{"type":"open_page","url":"u"}},{"type":"file_search_call","id":"fs_1","status":"completed","queries":["q"]},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hi","annotations":[]}]}],"usage":{"input_tokens":1000,"output_tokens":300,"total_tokens":1300}}`,
			cost.Units{price.Input: 1000, price.Output: 300, price.WebSearch: 1, price.FileSearch: 1, price.PerRequest: 1}},
		{"Gemini: an image in the prompt and one in the answer", gemini.New(), false,
			`{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":278,"candidatesTokenCount":1310,"totalTokenCount":1588,"promptTokensDetails":[{"modality":"TEXT","tokenCount":20},{"modality":"IMAGE","tokenCount":258}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290}]}}`,
			cost.Units{price.Input: 20, price.ImageInput: 258, price.Output: 20, price.ImageOutput: 1290, price.PerRequest: 1}},
		{"Cohere: what is billed, not what was used", cohere.New(), false,
			`{"id":"c1","message":{"role":"assistant","content":[{"type":"text","text":"hi"}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":7,"output_tokens":3},"tokens":{"input_tokens":502,"output_tokens":6},"cached_tokens":448}}`,
			cost.Units{price.Input: 7, price.Output: 3, price.PerRequest: 1}},
		{"Ollama", ollama.New(), false,
			`{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"hi"},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":298}`,
			cost.Units{price.Input: 26, price.Output: 298, price.PerRequest: 1}},
		{"a ranking by search units", rerank.NewForm(rerank.Jina()), false,
			`{"results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":3}}}`,
			cost.Units{price.PerQuery: 3, price.PerRequest: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: c.stream, Body: &llm.Chat{}}
			if c.want[price.PerQuery] > 0 {
				req = &llm.Request{Op: llm.OpRerank, Model: "m", Body: &llm.Rerank{Documents: []llm.Document{{}}}}
			}
			var u llm.Usage
			err := c.client.NewReader(req, c.stream).Feed([]byte(c.answer), true, func(ev *llm.Event) error {
				u.Merge(ev.Usage)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, flags := cost.Split(req.Op, u)
			if diff := cmp.Diff(got, c.want); diff != "" || flags != 0 {
				t.Errorf("[%s] of %+v (-got +want):\n%s", flags, u, diff)
			}
		})
	}
}
