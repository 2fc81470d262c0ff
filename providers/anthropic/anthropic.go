// Package anthropic is the provider kind anthropic: the Anthropic API (https://docs.anthropic.com/en/api).
// It authenticates with x-api-key and always sends an anthropic-version. Claude on Bedrock or Vertex is not
// this kind.
package anthropic

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
)

// version is the API version that the codec writes; a client's own version passes in its place.
const version = "2023-06-01"

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:    "anthropic",
		Doc:     "The Anthropic API. `base_url` may end in `/v1` or not.",
		KeyEnv:  "ANTHROPIC_API_KEY",
		BaseURL: "https://api.anthropic.com",
		Models:  []string{"claude-*"},
		Sets:    []string{"x-api-key", "anthropic-version"},
		New: func(env providers.Env, _ any) (providers.Adapter, error) {
			codec := anthropicmessages.New()
			files := passing.AnthropicFiles(codec)
			return &providers.Fixed{
				Base: strings.TrimSuffix(env.BaseURL.EscapedPath(), "/v1") + "/v1",
				Endpoints: []providers.Endpoint{
					{Op: llm.OpChat, Codec: codec, Path: "/messages"},
					{Op: llm.OpCount, Codec: codec, Path: "/messages/count_tokens"},
					{Op: llm.OpFiles, Codec: files},
					{Op: llm.OpBatches, Codec: files},
					providers.Listing(),
				},
				Auth:   auth,
				Models: func(model string) catalog.Facts { return catalog.FactsOf("anthropic", model) },
			}, nil
		},
	}
}

func auth(out *providers.Outbound) {
	providers.KeyHeader("x-api-key")(out)
	v := out.Client("anthropic-version")
	if v == "" {
		v = version
	}
	out.Set("anthropic-version", v)
}
