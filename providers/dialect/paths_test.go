package dialect_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		method, path string
		told         dialect.Name
		name         dialect.Name
		op           llm.Op
		piece        string
		found        bool
	}{
		{"POST", "/v1/chat/completions", "", dialect.OpenAIChat, llm.OpChat, "", true},
		{"GET", "/v1/chat/completions", "", dialect.OpenAIChat, llm.OpUnknown, "", true},
		{"POST", "/v1/chat/completions/", "", dialect.OpenAIChat, llm.OpUnknown, "", false},
		{"POST", "/v1/messages/count_tokens", dialect.AnthropicMessages, dialect.AnthropicMessages, llm.OpCount, "", true},
		{"GET", "/v1/models", "", dialect.OpenAIChat, llm.OpModels, "", true},
		{"HEAD", "/v1/models", "", dialect.OpenAIChat, llm.OpModels, "", true},
		{"GET", "/v1/models", dialect.AnthropicMessages, dialect.AnthropicMessages, llm.OpModels, "", true},
		{"GET", "/v1/models", dialect.Gemini, dialect.Gemini, llm.OpModels, "", true},
		{"GET", "/v1/models/gemini-2.5-pro", dialect.Gemini, dialect.Gemini, llm.OpModels, "gemini-2.5-pro", true},
		{"POST", "/v1/chat/completions", dialect.Gemini, dialect.OpenAIChat, llm.OpChat, "", true},
		{"GET", "/v1/models/", "", dialect.OpenAIChat, llm.OpUnknown, "", false},
		{"GET", "/v1/models/mock/text", "", dialect.OpenAIChat, llm.OpModels, "mock/text", true},
		{"GET", "/v1/models/mock%2Ftext", "", dialect.OpenAIChat, llm.OpModels, "mock/text", true},
		{"GET", "/v1/models/mock%2", "", dialect.OpenAIChat, llm.OpUnknown, "", false},
		{"POST", "/v1beta/models/gemini-2.5-pro:generateContent", "", dialect.Gemini, llm.OpChat, "gemini-2.5-pro", true},
		{"POST", "/v1/models/gemini-2.5-pro:streamGenerateContent", "", dialect.Gemini, llm.OpChat, "gemini-2.5-pro", true},
		{"POST", "/v1beta/models/:generateContent", "", dialect.Gemini, llm.OpUnknown, "", true}, // as the model list knows it
		{"GET", "/v1beta/models/gemini-2.5-pro", dialect.AnthropicMessages, dialect.Gemini, llm.OpModels, "gemini-2.5-pro", true},
		{"POST", "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", "", dialect.BedrockConverse, llm.OpChat, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", true},
		{"POST", "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse-stream", "", dialect.BedrockConverse, llm.OpChat, "arn:aws:bedrock:us-east-1:1:inference-profile/x", true},
		{"POST", "/v1beta/nothing", "", dialect.Gemini, llm.OpUnknown, "", false},
		{"POST", "/v2/nothing", "", dialect.Cohere, llm.OpUnknown, "", false},
		{"POST", "/model/x/nothing", "", dialect.BedrockConverse, llm.OpUnknown, "", false},
		{"POST", "/v1/messages/nothing", "", dialect.AnthropicMessages, llm.OpUnknown, "", false},
		{"POST", "/nothing", dialect.AnthropicMessages, dialect.AnthropicMessages, llm.OpUnknown, "", false},
		{"POST", "/nothing", "", dialect.OpenAIChat, llm.OpUnknown, "", false},
	} {
		row, piece, found := dialect.Find(c.method, c.path, c.told)
		if row.Name != c.name || row.Op != c.op || piece != c.piece || found != c.found {
			t.Errorf("%s %s: got %s %s %q %v, want %s %s %q %v", c.method, c.path, row.Name, row.Op, piece, found, c.name, c.op, c.piece, c.found)
		}
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { dialect.Find("POST", "/v1/rerank", "") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
