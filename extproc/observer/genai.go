package observer

import (
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// operation is an operation as gen_ai.operation.name has it
// (https://github.com/open-telemetry/semantic-conventions-genai), or in our own word where the conventions have none.
func operation(op llm.Op, d dialect.Name) string {
	switch op {
	case llm.OpChat:
		if d == dialect.Gemini {
			return "generate_content"
		}
		return "chat"
	case llm.OpComplete:
		return "text_completion"
	case llm.OpEmbed:
		return "embeddings"
	}
	return op.String()
}

// systems are kinds of providers that gen_ai.provider.name has another word for.
var systems = map[string]string{
	"azure":    "azure.ai.openai",
	"bedrock":  "aws.bedrock",
	"gemini":   "gcp.gemini",
	"mistral":  "mistral_ai",
	"moonshot": "moonshot_ai",
	"vertex":   "gcp.vertex_ai",
	"xai":      "x_ai",
}

// system is a kind of provider as gen_ai.provider.name has it, or by our own word.
func system(kind string) string {
	if s, ok := systems[kind]; ok {
		return s
	}
	return kind
}
