// Package openai is the provider kind openai: the OpenAI API (https://platform.openai.com/docs/api-reference).
// It authenticates with a bearer key. Conversations go to the API that the client speaks, Chat Completions or
// Responses, as far as the model has it, and all others' to Chat Completions; params.api pins one of them. Legacy
// completions go to models that complete, and become chats elsewhere. Azure's and other vendors' variants are kinds of
// their own.
package openai

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
)

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:     "openai",
		Doc:      "The OpenAI API. `base_url` ends in `/v1`.",
		KeyEnv:   "OPENAI_API_KEY",
		BaseURL:  "https://api.openai.com/v1",
		Models:   []string{"gpt-*", "chatgpt-*", "o1*", "o3*", "o4*", "codex-*", "text-embedding-*", "omni-moderation-*", "dall-e-*", "whisper-*", "tts-*", "babbage-002", "davinci-002"},
		Sessions: true,
		Sets:     []string{"authorization"},
		Params:   func() any { return new(providers.API) },
		New: func(env providers.Env, params any) (providers.Adapter, error) {
			talk, err := params.(*providers.API).Conversations(mode)
			if err != nil {
				return nil, err
			}
			return &providers.Fixed{
				Base: env.BaseURL.EscapedPath(),
				Endpoints: slices.Concat(talk, []providers.Endpoint{
					{Op: llm.OpEmbed, Codec: openaiembeddings.New(), Path: "/embeddings"},
				}, providers.Moderations(), providers.Media(), providers.Objects(), providers.Realtime(), []providers.Endpoint{providers.Listing()}),
				Auth:   providers.Bearer,
				Models: func(model string) catalog.Facts { return catalog.FactsOf("openai", model) },
			}, nil
		},
	}
}

// mode says by which API a model is served. Models made from others by a client's own data are named ft:MODEL:….
func mode(model string) string {
	if rest, tuned := strings.CutPrefix(model, "ft:"); tuned {
		model, _, _ = strings.Cut(rest, ":")
	}
	for _, legacy := range [...]string{"gpt-3.5-turbo-instruct", "davinci-002", "babbage-002"} {
		if strings.HasPrefix(model, legacy) {
			return "completion"
		}
	}
	m, _ := catalog.Find("openai", model)
	return m.Mode
}
