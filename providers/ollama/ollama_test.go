package ollama

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestClientsAreServedByTheirOwnAPIWhereThereIsOne(t *testing.T) {
	for _, c := range []struct {
		api, base string
		op        llm.Op
		client    dialect.Name
		want      string // dialect and path; "" where there is none
	}{
		{"", "http://127.0.0.1:11434", llm.OpChat, dialect.OpenAIChat, "openai-chat /v1/chat/completions"},
		{"", "http://127.0.0.1:11434", llm.OpChat, dialect.AnthropicMessages, "ollama /api/chat"},
		{"", "http://127.0.0.1:11434", llm.OpEmbed, dialect.OpenAIEmbeddings, "openai-embeddings /v1/embeddings"},
		{"", "http://127.0.0.1:11434", llm.OpEmbed, dialect.Cohere, "ollama /api/embed"},
		{"native", "http://127.0.0.1:11434", llm.OpChat, dialect.OpenAIChat, "ollama /api/chat"},
		{"native", "http://127.0.0.1:11434", llm.OpEmbed, dialect.OpenAIEmbeddings, "ollama /api/embed"},
		{"openai", "http://127.0.0.1:11434", llm.OpChat, dialect.AnthropicMessages, "openai-chat /v1/chat/completions"},
		{"", "http://127.0.0.1:11434/v1", llm.OpChat, dialect.OpenAIChat, "openai-chat /v1/chat/completions"},
		{"", "https://a.example/deep/api/", llm.OpChat, dialect.Gemini, "ollama /deep/api/chat"},
		{"", "http://127.0.0.1:11434", llm.OpRerank, dialect.Rerank, ""},
	} {
		u, err := providers.ParseBase(c.base)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Kind().New(providers.Env{BaseURL: u}, &Params{API: c.api})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if codec, ok := a.Speaks(c.op, "m", c.client); ok {
			path, err := a.Address(providers.Call{Op: c.op, Dialect: codec.Name(), Model: "m"})
			if err != nil {
				t.Fatal(err)
			}
			got = string(codec.Name()) + " " + path
		}
		if got != c.want {
			t.Errorf("%q, %s for %s: got %q, want %q", c.api, c.op, c.client, got, c.want)
		}
	}
	if _, err := Kind().New(providers.Env{}, &Params{API: "both"}); err == nil {
		t.Error("an API that there is not is taken")
	}
}

func TestTheQuirksAreKnown(t *testing.T) {
	q := quirks()
	if err := q.Check(); err != nil {
		t.Error(err)
	}
}
