// Package mistral is the provider kind mistral: the Mistral AI API (https://docs.mistral.ai/api). Its chat is OpenAI's
// with differences, which are data here; it authenticates with a bearer key. Mistral's models at clouds are not this
// kind, and completions in the middle of a text (FIM) are not served.
package mistral

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
)

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:    "mistral",
		Doc:     "The Mistral AI API: chat, embeddings, moderation and transcription. `base_url` ends in `/v1`.",
		KeyEnv:  "MISTRAL_API_KEY",
		BaseURL: "https://api.mistral.ai/v1",
		Models:  []string{"mistral-*", "open-mistral-*", "open-mixtral-*", "ministral-*", "magistral-*", "codestral-*", "devstral-*", "pixtral-*", "voxtral-*"},
		Sets:    []string{"authorization"},
		New: func(env providers.Env, _ any) (providers.Adapter, error) {
			return &providers.Fixed{
				Base: env.BaseURL.EscapedPath(),
				Endpoints: slices.Concat([]providers.Endpoint{
					{Op: llm.OpChat, Codec: openaichat.NewUpstream(quirks()), Path: "/chat/completions"},
					{Op: llm.OpEmbed, Codec: openaiembeddings.NewForm(openaiembeddings.Mistral()), Path: "/embeddings"},
					{Op: llm.OpTranscribe, Codec: passing.Audio(), Path: "/audio/transcriptions"},
					providers.Listing(),
				}, providers.Moderations()),
				Auth:   providers.Bearer,
				Models: func(model string) catalog.Facts { return catalog.FactsOf("mistral", model) },
			}, nil
		},
	}
}

// quirks are what the chat does otherwise than OpenAI's. Members that it does not know are refused with 422; ids of
// calls must be of 9 letters and digits; content is a list of parts where the model reasons, and deltas of calls may
// lack an index, on which OpenAI's clients break.
func quirks() openaichat.Quirks {
	return openaichat.Quirks{
		Drops: []string{
			"user", "safety_identifier", "store", "service_tier", "prompt_cache_retention", "verbosity", "logit_bias", "top_k", "logprobs", "top_logprobs",
		},
		Refuses:   []string{"modalities", "audio", "web_search_options", "functions", "function_call"},
		Renames:   map[string]string{"seed": "random_seed"},
		Values:    []quirk.Value{{Member: "tool_choice", From: "required", To: "any"}},
		Usage:     "always",
		MaxTokens: "max_tokens",
		Developer: true,
		Choices:   []string{"auto", "none", "required", "function"},
		Parts:     []string{"text", "image_url", "audio_text", "document_url"},
		CallID:    9,
		Reasoning: quirk.Reasoning{Knob: "effort", Efforts: []string{llm.EffortNone, llm.EffortHigh}, Models: []string{"mistral-small*", "mistral-medium*"}, History: "drop"},
		Errors: []quirk.Error{
			{Says: "invalid model", Code: "not_found"}, {Says: "invalid_model", Code: "not_found"},
			{Says: "logprobs are not enabled", Code: "unsupported"}, {Says: "too large for model", Code: "context_too_long"},
			{Status: 429, Says: "capacity exceeded", Code: "overloaded"},
		},
		Answers: []string{"content_parts", "no_call_index", "whole_calls", "usage_on_finish", "extra_members"},
	}
}
