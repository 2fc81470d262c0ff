// Package ollama is the provider kind ollama: an Ollama server (https://docs.ollama.com/api), by its native API or by
// the one that imitates OpenAI's. It authenticates with a bearer key where there is one, as Ollama's cloud wants.
package ollama

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/ollama"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
)

// Params are the kind's own settings.
type Params struct {
	API string `yaml:"api" json:"api,omitempty" enum:"native,openai" doc:"The API that requests go to: native (/api/chat, /api/embed) or openai (/v1). Without it, clients of OpenAI's Chat Completions and embeddings are served by /v1, and all others by the native API."`
}

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:    "ollama",
		Doc:     "An Ollama server. `base_url` may end in `/v1` or `/api`, or not; a key is optional.",
		BaseURL: "http://127.0.0.1:11434",
		Sets:    []string{"authorization"},
		Params:  func() any { return new(Params) },
		New: func(env providers.Env, params any) (providers.Adapter, error) {
			endpoints, err := params.(*Params).endpoints()
			if err != nil {
				return nil, err
			}
			base := env.BaseURL.EscapedPath()
			for _, api := range [...]string{"/v1", "/api"} {
				base = strings.TrimSuffix(base, api)
			}
			return &providers.Fixed{
				Base: base, Endpoints: endpoints, Auth: providers.Bearer,
				Models: func(model string) catalog.Facts { return catalog.FactsOf("ollama", model) },
			}, nil
		},
	}
}

// endpoints are the native ones first, which serve all clients that have none of their own.
func (p *Params) endpoints() ([]providers.Endpoint, error) {
	codec := ollama.New()
	native := []providers.Endpoint{
		{Op: llm.OpChat, Codec: codec, Path: "/api/chat"},
		{Op: llm.OpEmbed, Codec: codec, Path: "/api/embed"},
	}
	openai := []providers.Endpoint{
		{Op: llm.OpChat, Codec: openaichat.NewUpstream(quirks()), Path: "/v1/chat/completions"},
		{Op: llm.OpEmbed, Codec: openaiembeddings.New(), Path: "/v1/embeddings"},
	}
	switch p.API {
	case "":
		return append(native, openai...), nil
	case "native":
		return native, nil
	case "openai":
		return openai, nil
	}
	return nil, llm.Invalid("params.api", "unknown API; use native or openai")
}

// quirks are what /v1 does otherwise than OpenAI (https://docs.ollama.com/api/openai-compatibility).
func quirks() openaichat.Quirks {
	return openaichat.Quirks{
		Drops:     []string{"logit_bias", "user", "store", "metadata", "service_tier", "prompt_cache_key", "verbosity", "parallel_tool_calls"},
		Developer: true,
		Single:    true,
		Choices:   []string{"auto", "none"},
		Answers:   []string{"role_repeated", "whole_calls", "reasoning", "stop_with_calls", "no_call_index"},
	}
}
