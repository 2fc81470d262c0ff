package providertest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse"
)

func converseCodec() codec {
	return codec{"converse", bedrockconverse.New(), bedrockconverse.New(), nil}
}

func ofConverse(x *recorded.Exchange) bool {
	return x.Provider == "bedrock" && (x.Endpoint == "converse" || x.Endpoint == "converse-stream")
}

// converseHomes says where a member of a request may be found in Converse's body.
var converseHomes = map[string]map[string]string{
	"chat": {
		"model": "-", "messages": "messages", "stream": "-", "stream_options": "-", "tools": "toolConfig", "functions": "toolConfig", "tool_choice": "toolConfig -",
		"function_call": "toolConfig", "max_tokens": "inferenceConfig", "max_completion_tokens": "inferenceConfig", "temperature": "inferenceConfig",
		"top_p": "inferenceConfig", "top_k": "additionalModelRequestFields", "stop": "inferenceConfig", "n": "-", "response_format": "outputConfig toolConfig system",
		"reasoning_effort": "additionalModelRequestFields -", "service_tier": "serviceTier", "metadata": "requestMetadata", "user": "requestMetadata",
		"parallel_tool_calls": "additionalModelRequestFields -",
	},
	"messages": {
		"model": "-", "messages": "messages", "system": "system messages", "stream": "-", "tools": "toolConfig", "tool_choice": "toolConfig -", "max_tokens": "inferenceConfig",
		"temperature": "inferenceConfig", "top_p": "inferenceConfig", "top_k": "additionalModelRequestFields", "stop_sequences": "inferenceConfig",
		"thinking": "additionalModelRequestFields -", "output_config": "outputConfig additionalModelRequestFields -", "output_format": "outputConfig toolConfig system",
		"service_tier": "serviceTier", "metadata": "requestMetadata",
	},
}

var converseModels = []string{
	"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "us.anthropic.claude-opus-5", "us.amazon.nova-2-lite-v1:0",
	"amazon.nova-pro-v1:0", "openai.gpt-oss-120b-1:0", "qwen.qwen3-32b-v1:0", "us.meta.llama4-maverick-17b-instruct-v1:0", "mistral.mistral-large-2407-v1:0", "unknown",
}

// TestRequestsReachConverse writes every recorded request of the other dialects for Converse.
func TestRequestsReachConverse(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return (x.Endpoint == "chat" || x.Endpoint == "messages") && x.HasRequest() && !x.RequestTrimmed
	}, func(t *testing.T, x *recorded.Exchange) {
		own, _ := across(x)
		req, err := own.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: x.RequestJSON})
		if err != nil {
			refusedByName(t, err)
			return
		}
		c := converseCodec()
		for _, model := range converseModels {
			target := dialect.Target{Model: model, Facts: catalog.FactsOf("bedrock", model)}
			body, losses, err := c.client.WriteRequest(nil, req, target)
			if err != nil {
				refusedByName(t, err)
				continue
			}
			again, lossesAgain, err := c.client.WriteRequest(nil, req, target)
			if err != nil || !bytes.Equal(body, again) || !cmp.Equal(losses, lossesAgain) {
				t.Errorf("written twice: %v\n%s\n%s", err, body, again)
			}
			if _, err := c.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: "/model/m/converse", Model: model, Body: body}); err != nil {
				t.Errorf("%s: Converse cannot read it: %v\n%s", model, err, body)
			}
			roles(t, body)
			for name := range jsonx.Members(x.RequestJSON) {
				if m := string(name); !carriedTo(converseHomes[own.endpoint][m], m, x.RequestJSON, body, losses) {
					t.Errorf("%s: %s = %.200s is neither written nor lost: %v\n%.1000s", model, m, jsonx.Get(x.RequestJSON, m), losses, body)
				}
			}
			wordsSurvive(t, x.RequestJSON, body, losses)
		}
	})
}

// roles checks that a conversation's roles take turns, and that every call has its specification.
func roles(t *testing.T, body []byte) {
	t.Helper()
	last, calls := "", false
	for _, m := range jsonx.Elements(jsonx.Get(body, "messages")) {
		role, _ := jsonx.String(jsonx.Get(m, "role"))
		if role == last {
			t.Errorf("two messages of the %s: %.500s", role, body)
		}
		last = role
		for _, b := range jsonx.Elements(jsonx.Get(m, "content")) {
			calls = calls || jsonx.Get(b, "toolUse") != nil || jsonx.Get(b, "toolResult") != nil
			if s, ok := jsonx.String(jsonx.Get(b, "text")); ok && strings.TrimSpace(s) == "" {
				t.Errorf("a blank text: %.500s", body)
			}
		}
	}
	if calls && jsonx.At(body, "toolConfig", "tools") == nil {
		t.Errorf("calls without specifications: %.500s", body)
	}
}

// TestConversesRequestsReachTheOthers writes every recorded request of Converse for the other dialects.
func TestConversesRequestsReachTheOthers(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool { return ofConverse(x) && x.HasRequest() && !x.RequestTrimmed }, func(t *testing.T, x *recorded.Exchange) {
		req, err := bedrockconverse.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "m", Path: "/model/m/" + x.Endpoint, Body: x.RequestJSON})
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []codec{chatCodec(), messagesCodec(), geminiCodec()} {
			target := dialect.Target{Model: "target", Facts: catalog.OpenAI("gpt-5.1")}
			switch other.endpoint {
			case "messages":
				target.Facts = catalog.Anthropic("claude-sonnet-4-5")
			case "gemini":
				target = dialect.Target{Model: "gemini-2.5-pro", Facts: catalog.FactsOf("gemini", "gemini-2.5-pro")}
			}
			body, losses, err := other.client.WriteRequest(nil, req, target)
			if err != nil {
				refusedByName(t, err)
				continue
			}
			if _, err := other.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Model: "m", Body: body}); err != nil {
				t.Errorf("%s cannot read it: %v\n%s", other.endpoint, err, body)
			}
			all := strings.Join(texts(body), "\x00")
			for _, m := range jsonx.Elements(jsonx.Get(x.RequestJSON, "messages")) {
				for _, b := range jsonx.Elements(jsonx.Get(m, "content")) {
					if s, ok := jsonx.String(jsonx.Get(b, "text")); ok && !strings.Contains(all, strings.TrimSpace(s)) && len(losses) == 0 {
						t.Errorf("%s: the words %.100q are not in the written request: %.1000s", other.endpoint, s, body)
					}
				}
			}
		}
	})
}

// TestAnswersSurviveConverse writes every recorded answer of the other dialects for Converse's clients, and Converse's
// for theirs, and reads them again.
func TestAnswersSurviveConverse(t *testing.T) {
	c := converseCodec()
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return answered(x) || ofConverse(x) && x.Status == 200
	}, func(t *testing.T, x *recorded.Exchange) {
		own, others := c, []codec{chatCodec(), messagesCodec(), geminiCodec()}
		if !ofConverse(x) {
			own, _ = across(x)
			others = []codec{c}
		}
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		stream := x.BodyKind == "sse" || x.BodyKind == "eventstream-b64"
		want := read(t, own, body, stream)
		if want.Err {
			t.Skip("the provider says that it failed")
		}
		evs := events(t, own, body, stream)
		for _, other := range others {
			want := want
			if want.Refused && other.endpoint != "chat" {
				want.Refused, want.Stop = false, "filter" // it tells a refusal by its stop reason alone
			}
			for _, stream := range []bool{false, true} {
				out := written(t, other, evs, stream)
				if diff := cmp.Diff(want, read(t, other, out, stream)); diff != "" {
					t.Errorf("%s, stream %v: it says something else (-was +is):\n%s\n%q", other.endpoint, stream, diff, out)
				}
			}
		}
	})
}
