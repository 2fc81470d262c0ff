// Package cohere is the provider kind cohere: version 2 of the Cohere API (https://docs.cohere.com/v2/reference/about).
// It authenticates with a bearer key. Command models on Bedrock or Azure are not this kind.
package cohere

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/cohere"
)

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:     "cohere",
		Doc:      "The Cohere API, version 2: chat, embed and rerank. `base_url` may end in a version or not.",
		KeyEnv:   "CO_API_KEY",
		OtherEnv: "COHERE_API_KEY",
		BaseURL:  "https://api.cohere.com",
		Models:   []string{"command-*", "c4ai-*", "embed-*", "rerank-*"},
		Sets:     []string{"authorization"},
		New: func(env providers.Env, _ any) (providers.Adapter, error) {
			base := env.BaseURL.EscapedPath()
			for _, version := range [...]string{"/v1", "/v2"} {
				base = strings.TrimSuffix(base, version)
			}
			codec := cohere.New()
			return &providers.Fixed{
				Base: base,
				Endpoints: []providers.Endpoint{
					{Op: llm.OpChat, Codec: codec, Path: "/v2/chat"},
					{Op: llm.OpEmbed, Codec: codec, Path: "/v2/embed"},
					{Op: llm.OpRerank, Codec: codec, Path: "/v2/rerank"},
				},
				Auth:   providers.Bearer,
				Models: func(model string) catalog.Facts { return catalog.FactsOf("cohere", model) },
			}, nil
		},
	}
}
