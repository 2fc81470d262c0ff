package providertest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini"
	"github.com/signalbox-ai/signalbox/providers/dialect/ollama"
)

// whereabouts say where a member of a request may be found in another dialect's body, by the request's endpoint.
type whereabouts map[string]map[string]string

var converseHomes = whereabouts{
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

var geminiHomes = whereabouts{
	"chat": {
		"model": "-", "messages": "contents", "stream": "-", "stream_options": "-", "tools": "tools", "functions": "tools", "web_search_options": "tools",
		"tool_choice": "toolConfig", "function_call": "toolConfig", "max_tokens": "generationConfig", "max_completion_tokens": "generationConfig",
		"temperature": "generationConfig", "top_p": "generationConfig", "top_k": "generationConfig", "stop": "generationConfig", "n": "generationConfig", "seed": "generationConfig",
		"presence_penalty": "generationConfig", "frequency_penalty": "generationConfig", "logprobs": "generationConfig", "top_logprobs": "generationConfig",
		"response_format": "generationConfig", "reasoning_effort": "generationConfig", "service_tier": "serviceTier",
	},
	"messages": {
		"model": "-", "messages": "contents", "system": "systemInstruction contents", "stream": "-", "tools": "tools", "tool_choice": "toolConfig", "max_tokens": "generationConfig",
		"temperature": "generationConfig", "top_p": "generationConfig", "top_k": "generationConfig", "stop_sequences": "generationConfig",
		"thinking": "generationConfig", "output_config": "generationConfig", "output_format": "generationConfig", "service_tier": "serviceTier",
	},
}

// plainHomes are those of Cohere and of Ollama.
var plainHomes = whereabouts{
	"chat": {
		"model": "model", "messages": "messages documents", "stream": "stream -", "stream_options": "-", "tools": "tools", "functions": "tools", "tool_choice": "tool_choice tools -",
		"function_call": "tool_choice tools -", "max_tokens": "max_tokens options", "max_completion_tokens": "max_tokens options", "temperature": "temperature options",
		"top_p": "p options", "top_k": "k options", "stop": "stop_sequences options", "n": "-", "seed": "seed options", "response_format": "response_format format",
		"reasoning_effort": "thinking think -", "logprobs": "logprobs -", "top_logprobs": "top_logprobs", "frequency_penalty": "frequency_penalty options",
		"presence_penalty": "presence_penalty options", "parallel_tool_calls": "-",
	},
	"messages": {
		"model": "model", "messages": "messages documents", "system": "messages", "stream": "stream -", "tools": "tools", "tool_choice": "tool_choice tools -", "max_tokens": "max_tokens options",
		"temperature": "temperature options", "top_p": "p options", "top_k": "k options", "stop_sequences": "stop_sequences options", "thinking": "thinking think -",
		"output_config": "thinking think response_format format -", "output_format": "response_format format",
	},
}

// TestRequestsReachModels writes every recorded request of three dialects for the models of the others, whose kinds
// decide what is written: nothing is lost silently, and the dialect's own server reads it.
func TestRequestsReachModels(t *testing.T) {
	plainModels := []string{"command-a-03-2025", "command-a-reasoning-08-2025", "gpt-oss:20b"}
	reached := []struct {
		kind, path string
		client     dialect.Client
		server     dialect.Server // nil: the client half alone
		homes      whereabouts
		models     []string
	}{
		{"bedrock", "/model/m/converse", bedrockconverse.New(), bedrockconverse.New(), converseHomes, []string{
			"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "us.anthropic.claude-opus-5", "us.amazon.nova-2-lite-v1:0",
			"amazon.nova-pro-v1:0", "openai.gpt-oss-120b-1:0", "qwen.qwen3-32b-v1:0", "us.meta.llama4-maverick-17b-instruct-v1:0", "mistral.mistral-large-2407-v1:0", "unknown",
		}},
		{"gemini", "", gemini.New(), gemini.New(), geminiHomes, []string{"gemini-1.5-pro", "gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview", "unknown"}},
		{"cohere", "/v2/chat", cohere.New(), cohere.New(), plainHomes, plainModels},
		{"ollama", "", ollama.New(), nil, plainHomes, plainModels},
	}
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return (x.Endpoint == "chat" || x.Endpoint == "messages") && x.HasRequest() && !x.RequestTrimmed
	}, func(t *testing.T, x *recorded.Exchange) {
		own, _ := across(x)
		req, err := own.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: x.RequestJSON})
		if err != nil {
			refusedByName(t, err)
			return
		}
		for _, to := range reached {
			for _, model := range to.models {
				target := dialect.Target{Model: model, Facts: catalog.FactsOf(to.kind, model)}
				body, losses, err := to.client.WriteRequest(nil, req, target)
				if err != nil {
					refusedByName(t, err)
					continue
				}
				again, lossesAgain, err := to.client.WriteRequest(nil, req, target)
				if err != nil || !bytes.Equal(body, again) || !cmp.Equal(losses, lossesAgain) || jsonx.Valid(body) != nil {
					t.Errorf("%s: written twice: %v\n%s\n%s", model, err, body, again)
				}
				if to.server != nil {
					if _, err := to.server.ReadRequest(dialect.Inbound{Op: llm.OpChat, Path: to.path, Model: model, Body: body}); err != nil {
						t.Errorf("%s of %s cannot be read: %v\n%s", model, to.kind, err, body)
					}
				}
				if to.kind == "bedrock" {
					roles(t, body)
				}
				for name := range jsonx.Members(x.RequestJSON) {
					if m := string(name); !carriedTo(to.homes[own.endpoint][m], m, x.RequestJSON, body, losses) {
						t.Errorf("%s of %s: %s = %.200s is neither written nor lost: %v\n%.1000s", model, to.kind, m, jsonx.Get(x.RequestJSON, m), losses, body)
					}
				}
				wordsSurvive(t, x.RequestJSON, body, losses)
			}
		}
	})
}

// roles checks of Converse that a conversation's roles take turns, and that every call has its specification.
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

func carriedTo(homes, member string, request, body []byte, losses []llm.Loss) bool {
	if carried("", member, request, body, losses) {
		return true
	}
	for home := range strings.FieldsSeq(homes) {
		if home == "-" || jsonx.Get(body, home) != nil {
			return true
		}
	}
	return slices.ContainsFunc(losses, func(l llm.Loss) bool { return strings.HasPrefix(l.Path, "thinking") && member == "thinking" })
}
