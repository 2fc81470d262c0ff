// Package mock is the provider kind mock: the scriptable provider that signalbox carries with it. It speaks
// every dialect that a front door has, needs no key, and is for trying failover and for tests; the server
// behind it is internal/mock.
package mock

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

// Kind returns the kind. Its base URL is where the program serves the mock, filled in at start.
func Kind() providers.Kind {
	return providers.Kind{
		Name:   "mock",
		Doc:    "The embedded scriptable provider; the model name says what it does (`signalbox mock --list`). With `base_url` it is a mock that runs elsewhere.",
		Models: []string{"mock/text", "mock/echo", "mock/tools", "mock/reasoning", "mock/error-first", "mock/429", "mock/*"}, // a few to be listed
		Sets:   []string{"authorization"},
		Params: func() any { return &Params{Speaks: []string{"openai-chat", "anthropic-messages"}} },
		New: func(env providers.Env, params any) (providers.Adapter, error) {
			f := &providers.Fixed{
				Base:   strings.TrimSuffix(env.BaseURL.EscapedPath(), "/v1"),
				Auth:   providers.Bearer,
				Models: func(string) catalog.Facts { return catalog.Facts{JSONSchema: true} },
			}
			f.Endpoints = append(f.Endpoints,
				providers.Endpoint{Op: llm.OpEmbed, Codec: openaiembeddings.New(), Path: "/v1/embeddings"},
				providers.Endpoint{Op: llm.OpRerank, Codec: rerank.New(), Path: "/v1/rerank"},
			)
			for _, d := range params.(*Params).Speaks {
				switch d {
				case "openai-chat":
					f.Endpoints = append(f.Endpoints, providers.Endpoint{Op: llm.OpChat, Codec: openaichat.New(), Path: "/v1/chat/completions"})
				case "anthropic-messages":
					f.Endpoints = append(f.Endpoints, providers.Endpoint{Op: llm.OpChat, Codec: anthropicmessages.New(), Path: "/v1/messages"})
				default:
					return nil, &llm.Error{Code: llm.CodeInvalid, Param: "params.speaks", Message: "unknown dialect; use openai-chat or anthropic-messages"}
				}
			}
			return f, nil
		},
	}
}

// Params is what only this kind has.
type Params struct {
	Speaks []string `yaml:"speaks" json:"speaks,omitempty" doc:"The dialects that the mock answers in, of openai-chat and anthropic-messages. With one alone, every other client is translated."`
}
