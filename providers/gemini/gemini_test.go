package gemini

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func adapterAt(t *testing.T, base string) providers.Adapter {
	t.Helper()
	u, err := providers.ParseBase(base)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Kind().New(providers.Env{BaseURL: u}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPaths(t *testing.T) {
	const g = dialect.Gemini
	for _, tt := range []struct {
		name, base string
		call       providers.Call
		want       string
	}{
		{"whole", "https://h", providers.Call{Op: llm.OpChat, Dialect: g, Model: "gemini-2.5-flash"}, "/v1beta/models/gemini-2.5-flash:generateContent"},
		{"a stream that was written", "https://h", providers.Call{Op: llm.OpChat, Dialect: g, Model: "models/gemini-2.5-flash", Stream: true}, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"},
		{"a client's own stream of events", "https://h", providers.Call{Op: llm.OpChat, Dialect: g, Model: "m", Stream: true, Verb: "streamGenerateContent", Query: "alt=sse"}, "/v1beta/models/m:streamGenerateContent?alt=sse"},
		{"a client's own stream as an array", "https://h", providers.Call{Op: llm.OpChat, Dialect: g, Model: "m", Stream: true, Verb: "streamGenerateContent"}, "/v1beta/models/m:streamGenerateContent"},
		{"a count", "https://h/v1", providers.Call{Op: llm.OpCount, Dialect: g, Model: "m"}, "/v1/models/m:countTokens"},
		{"vectors that were written", "https://h/x/v1beta", providers.Call{Op: llm.OpEmbed, Dialect: g, Model: "m"}, "/x/v1beta/models/m:batchEmbedContents"},
		{"a client's own vector", "https://h", providers.Call{Op: llm.OpEmbed, Dialect: g, Model: "m", Verb: "embedContent"}, "/v1beta/models/m:embedContent"},
		{"a name that must be escaped", "https://h", providers.Call{Op: llm.OpChat, Dialect: g, Model: "tuned/a b"}, "/v1beta/models/tuned%2Fa%20b:generateContent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := adapterAt(t, tt.base).Address(tt.call); err != nil || got != tt.want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	if _, ok := adapterAt(t, "https://h").Speaks(llm.OpRerank, "m", g); ok {
		t.Error("it speaks of what it has not")
	}
}

func TestTheKeyIsAHeader(t *testing.T) {
	out := &providers.Outbound{Key: secret.New("k")}
	if err := adapterAt(t, "https://h").Sign(t.Context(), out); err != nil || len(out.Header) != 1 || out.Header[0] != (providers.Header{Name: "x-goog-api-key", Value: "k"}) {
		t.Errorf("got %v, %v", out.Header, err)
	}
}
