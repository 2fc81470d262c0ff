// Package all is the one explicit list of provider kinds and front doors. A new one is a line here; there is no
// other registration.
package all

import (
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/anthropic"
	"github.com/signalbox-ai/signalbox/providers/azure"
	"github.com/signalbox-ai/signalbox/providers/bedrock"
	"github.com/signalbox-ai/signalbox/providers/cohere"
	"github.com/signalbox-ai/signalbox/providers/compat"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse"
	coherecodec "github.com/signalbox-ai/signalbox/providers/dialect/cohere"
	geminidialect "github.com/signalbox-ai/signalbox/providers/dialect/gemini"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaicompletions"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
	"github.com/signalbox-ai/signalbox/providers/gemini"
	"github.com/signalbox-ai/signalbox/providers/mistral"
	"github.com/signalbox-ai/signalbox/providers/mock"
	"github.com/signalbox-ai/signalbox/providers/ollama"
	"github.com/signalbox-ai/signalbox/providers/openai"
	"github.com/signalbox-ai/signalbox/providers/vertex"
)

// Kinds returns a registry of all kinds.
func Kinds() *providers.Registry {
	kinds := []providers.Kind{
		openai.Kind(), anthropic.Kind(), azure.Kind(), bedrock.Kind(), gemini.Kind(), vertex.Kind(), compat.Kind(), mock.Kind(),
		cohere.Kind(), mistral.Kind(), ollama.Kind(),
	}
	return providers.NewRegistry(append(kinds, compat.Kinds()...)...)
}

// Servers returns the front doors: the server halves of all dialects that clients may speak.
func Servers() map[dialect.Name]dialect.Server {
	all := map[dialect.Name]dialect.Server{}
	for _, s := range []dialect.Server{
		openaichat.New(),
		openairesponses.New(),
		openaicompletions.New(),
		anthropicmessages.New(),
		coherecodec.New(),
		bedrockconverse.New(),
		openaiembeddings.New(),
		geminidialect.New(),
		rerank.New(),
		passing.Moderations(),
		passing.Images(),
		passing.Audio(),
		passing.Files(),
		passing.AnthropicFiles(anthropicmessages.New()),
		passing.Stored(),
		passing.Realtime(),
	} {
		all[s.Name()] = s
	}
	return all
}
