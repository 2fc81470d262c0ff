package openai_test

import (
	"errors"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/openai"
)

// TestEveryClientIsServedByTheAPIThatTheModelHas asks for the dialect toward the provider, and where its endpoint is.
func TestEveryClientIsServedByTheAPIThatTheModelHas(t *testing.T) {
	for _, tc := range []struct {
		name, api, model string
		op               llm.Op
		client, want     dialect.Name
		path             string // "": there is none
	}{
		{"a chat by chat", "", "gpt-4.1", llm.OpChat, dialect.OpenAIChat, dialect.OpenAIChat, "/v1/chat/completions"},
		{"responses by responses", "", "gpt-4.1", llm.OpChat, dialect.OpenAIResponses, dialect.OpenAIResponses, "/v1/responses"},
		{"any other by chat", "", "gpt-4.1", llm.OpChat, dialect.AnthropicMessages, dialect.OpenAIChat, "/v1/chat/completions"},
		{"a chat with a model of responses alone", "", "gpt-5.1-codex", llm.OpChat, dialect.OpenAIChat, dialect.OpenAIResponses, "/v1/responses"},
		{"a chat pinned to responses", "responses", "gpt-4.1", llm.OpChat, dialect.OpenAIChat, dialect.OpenAIResponses, "/v1/responses"},
		{"responses pinned to chat", "chat", "gpt-4.1", llm.OpChat, dialect.OpenAIResponses, dialect.OpenAIChat, "/v1/chat/completions"},
		{"a count", "", "gpt-4.1", llm.OpCount, dialect.AnthropicMessages, dialect.OpenAIResponses, "/v1/responses/input_tokens"},
		{"a count pinned to chat", "chat", "gpt-4.1", llm.OpCount, dialect.AnthropicMessages, "", ""},
		{"a completion with a model that completes", "", "gpt-3.5-turbo-instruct", llm.OpComplete, dialect.OpenAICompletions, dialect.OpenAICompletions, "/v1/completions"},
		{"a completion with one tuned from it", "", "ft:davinci-002:acme::x", llm.OpComplete, dialect.OpenAICompletions, dialect.OpenAICompletions, "/v1/completions"},
		{"a completion with a model that chats", "", "gpt-4.1", llm.OpComplete, dialect.OpenAICompletions, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base, err := providers.ParseBase("https://api.openai.com/v1")
			if err != nil {
				t.Fatal(err)
			}
			a, err := openai.Kind().New(providers.Env{Name: "openai", BaseURL: base}, &providers.API{API: tc.api})
			if err != nil {
				t.Fatal(err)
			}
			c, ok := a.Speaks(tc.op, tc.model, tc.client)
			if ok != (tc.path != "") {
				t.Fatalf("speaks: %v", ok)
			}
			if !ok {
				return
			}
			path, err := a.Address(providers.Call{Op: tc.op, Dialect: c.Name(), Model: tc.model})
			if c.Name() != tc.want || path != tc.path || err != nil {
				t.Errorf("got %s at %s, %v", c.Name(), path, err)
			}
		})
	}
}

func TestAnUnknownAPIIsRefusedByName(t *testing.T) {
	base, _ := providers.ParseBase("https://api.openai.com/v1")
	_, err := openai.Kind().New(providers.Env{BaseURL: base}, &providers.API{API: "assistants"})
	e, ok := errors.AsType[*llm.Error](err)
	if !ok || e.Param != "params.api" {
		t.Errorf("got %v", err)
	}
}
