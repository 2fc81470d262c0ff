package vertex

import (
	"errors"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
)

func adapterOf(t *testing.T, region string, set func(*Params)) providers.Adapter {
	t.Helper()
	k := Kind()
	p := k.Params().(*Params)
	set(p)
	base, err := k.Locate(region, p)
	if err != nil {
		t.Fatal(err)
	}
	u, err := providers.ParseBase(base)
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.New(providers.Env{BaseURL: u, Region: region}, p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func inProject(p *Params) { p.Project = "my-project" }

func TestTheModelsNameTellsTheWay(t *testing.T) {
	const root = "/v1/projects/my-project/locations/us-east5"
	for _, tt := range []struct {
		model  string
		op     llm.Op
		client dialect.Name
		stream bool
		speaks dialect.Name
		want   string
	}{
		{"gemini-2.5-pro", llm.OpChat, dialect.OpenAIChat, false, dialect.Gemini, root + "/publishers/google/models/gemini-2.5-pro:generateContent"},
		{"google/gemini-2.5-pro", llm.OpChat, dialect.OpenAIChat, true, dialect.Gemini, root + "/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"},
		{"gemini-2.5-pro", llm.OpCount, dialect.Gemini, false, dialect.Gemini, root + "/publishers/google/models/gemini-2.5-pro:countTokens"},
		{"text-embedding-005", llm.OpEmbed, dialect.OpenAIEmbeddings, false, "vertex-predict", root + "/publishers/google/models/text-embedding-005:predict"},
		{"gemini-embedding-001", llm.OpEmbed, dialect.Gemini, false, "vertex-predict", root + "/publishers/google/models/gemini-embedding-001:predict"},
		{"gemini-embedding-2", llm.OpEmbed, dialect.Gemini, false, "vertex-predict", root + "/publishers/google/models/gemini-embedding-2:embedContent"},
		{"claude-sonnet-4-5@20250929", llm.OpChat, dialect.AnthropicMessages, false, dialect.AnthropicMessages, root + "/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"},
		{"claude-opus-4-6", llm.OpCount, dialect.AnthropicMessages, false, dialect.AnthropicMessages, root + "/publishers/anthropic/models/count-tokens:rawPredict"},
		{"anthropic/claude-opus-4-6", llm.OpChat, dialect.Gemini, true, dialect.AnthropicMessages, root + "/publishers/anthropic/models/claude-opus-4-6:streamRawPredict"},
		{"meta/llama-3.3-70b-instruct-maas", llm.OpChat, dialect.Gemini, true, dialect.OpenAIChat, root + "/endpoints/openapi/chat/completions"},
	} {
		t.Run(tt.model, func(t *testing.T) {
			a := adapterOf(t, "us-east5", inProject)
			c, ok := a.Speaks(tt.op, tt.model, tt.client)
			if !ok || c.Name() != tt.speaks {
				t.Fatalf("speaks %v, %v", c, ok)
			}
			got, err := a.Address(providers.Call{Op: tt.op, Dialect: c.Name(), Model: tt.model, Stream: tt.stream, Query: map[bool]string{true: "beta=true"}[tt.client == tt.speaks && tt.speaks != dialect.Gemini]})
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	a := adapterOf(t, "us-east5", inProject)
	for _, tt := range []struct {
		model string
		op    llm.Op
	}{{"claude-sonnet-4-5", llm.OpEmbed}, {"text-embedding-005", llm.OpChat}, {"meta/llama", llm.OpCount}} {
		if _, ok := a.Speaks(tt.op, tt.model, dialect.Gemini); ok {
			t.Errorf("%s is served for %v", tt.model, tt.op)
		}
	}
}

func TestHostsOfLocations(t *testing.T) {
	k := Kind()
	for region, want := range map[string]string{
		"us-east5": "https://us-east5-aiplatform.googleapis.com", "global": "https://aiplatform.googleapis.com", "eu": "https://aiplatform.eu.rep.googleapis.com",
	} {
		if got, err := k.Locate(region, nil); err != nil || got != want {
			t.Errorf("%s: got %s, %v", region, got, err)
		}
	}
	if _, err := k.Locate("evil.example/", nil); err == nil {
		t.Error("a region that is none was taken")
	}
}

func TestExpressModeHasGooglesModelsAlone(t *testing.T) {
	a := adapterOf(t, "global", func(*Params) {})
	if got, err := a.Address(providers.Call{Op: llm.OpChat, Dialect: dialect.Gemini, Model: "gemini-3-flash-preview"}); err != nil || got != "/v1/publishers/google/models/gemini-3-flash-preview:generateContent" {
		t.Errorf("got %s, %v", got, err)
	}
	var e *llm.Error
	if _, err := a.Address(providers.Call{Op: llm.OpChat, Dialect: dialect.AnthropicMessages, Model: "claude-opus-4-6"}); !errors.As(err, &e) || !strings.Contains(e.Message, "params.project") {
		t.Errorf("got %v", err)
	}
}

func TestAKeyIsSignedByItsForm(t *testing.T) {
	a := adapterOf(t, "global", inProject)
	for key, want := range map[string]providers.Header{
		"AIzaSyExample":  {Name: "x-goog-api-key", Value: "AIzaSyExample"},
		"AQ.Example":     {Name: "x-goog-api-key", Value: "AQ.Example"},
		"ya29.a0Example": {Name: "authorization", Value: "Bearer ya29.a0Example"},
	} {
		out := &providers.Outbound{Key: secret.New(key)}
		if err := a.Sign(t.Context(), out); err != nil || len(out.Header) != 1 || out.Header[0] != want {
			t.Errorf("got %v, %v", out.Header, err)
		}
	}
}

func TestParamsThatCannotBeAreRefusedByName(t *testing.T) {
	for want, set := range map[string]func(*Params){
		"params.project":          func(p *Params) { p.Project = "a/b" },
		"params.location":         func(p *Params) { p.Location = "EU" },
		"params.auth.credentials": func(p *Params) { p.Auth.Source = "credentials" },
	} {
		k := Kind()
		p := k.Params().(*Params)
		set(p)
		u, err := providers.ParseBase("https://h")
		if err != nil {
			t.Fatal(err)
		}
		var e *llm.Error
		if _, err := k.New(providers.Env{BaseURL: u}, p); !errors.As(err, &e) || e.Param != want {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestClaudesBodyIsReshaped(t *testing.T) {
	a := adapterOf(t, "us-east5", inProject)
	c, _ := a.Speaks(llm.OpChat, "claude-sonnet-4-5", dialect.AnthropicMessages)
	body := []byte(`{"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	h, err := anthropicmessages.New().Peek(dialect.Inbound{Op: llm.OpChat, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Splice(nil, h, dialect.Edits{Model: "claude-sonnet-4-5", Betas: []string{"b"}})
	if err != nil || jsonx.Get(out, "model") != nil || string(jsonx.Get(out, "anthropic_version")) != `"vertex-2023-10-16"` || string(jsonx.Get(out, "stream")) != "true" || jsonx.Get(out, "anthropic_beta") != nil {
		t.Errorf("got %s, %v", out, err)
	}
	count, _ := a.Speaks(llm.OpCount, "claude-sonnet-4-5", dialect.AnthropicMessages)
	if out, err := count.Splice(nil, h, dialect.Edits{Model: "n"}); err != nil || string(jsonx.Get(out, "model")) != `"n"` || string(jsonx.Get(out, "anthropic_version")) != `"vertex-2023-10-16"` {
		t.Errorf("a count: %s, %v", out, err)
	}
	if r, ok := c.(dialect.Reshaper); !ok || !r.Reshapes(h) {
		t.Error("the body is not made for the attempt alone")
	}
	if e, ok := c.(dialect.Enclosed); ok && e.Encloses() {
		t.Error("the betas' header does not pass")
	}
}
