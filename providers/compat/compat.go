// Package compat is the provider kind openai-compatible: any server that speaks openai-chat below a base
// URL, such as vLLM, llama.cpp, Ollama or a vendor's endpoint. It assumes nothing about models; known
// vendors with quirks of their own are data beside this kind, not branches in it.
package compat

import (
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name: "openai-compatible",
		Doc:  "Any server that speaks openai-chat. `base_url` is required and is what stands before `/chat/completions`.",
		Sets: []string{"authorization"},
		New: func(env providers.Env, _ any) (providers.Adapter, error) {
			return &providers.Fixed{
				Base: env.BaseURL.EscapedPath(),
				Endpoints: []providers.Endpoint{
					{Op: llm.OpChat, Codec: openaichat.New(), Path: "/chat/completions"},
					{Op: llm.OpEmbed, Codec: openaiembeddings.New(), Path: "/embeddings"},
					{Op: llm.OpRerank, Codec: rerank.New(), Path: "/rerank"},
				},
				Auth:   providers.Bearer,
				Models: func(string) catalog.Facts { return catalog.Facts{} },
			}, nil
		},
	}
}
