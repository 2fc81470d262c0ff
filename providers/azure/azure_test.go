package azure

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
)

// made makes an adapter with changed params.
func made(t *testing.T, base string, change func(*Params)) providers.Adapter {
	t.Helper()
	k := Kind()
	p := k.Params().(*Params)
	change(p)
	u, err := providers.ParseBase(base)
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.New(providers.Env{Name: "az", BaseURL: u}, p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPathsFollowTheVersion(t *testing.T) {
	const base = "https://acme.openai.azure.com"
	for _, tc := range []struct {
		name   string
		base   string
		change func(*Params)
		call   providers.Call
		want   string
	}{
		{"the v1 API", base, func(*Params) {}, providers.Call{Op: llm.OpChat, Dialect: dialect.OpenAIChat, Model: "m"}, "/openai/v1/chat/completions"},
		{"a preview of it", base, func(p *Params) { p.APIVersion = "preview" }, providers.Call{Op: llm.OpChat, Dialect: dialect.OpenAIResponses, Model: "m"}, "/openai/v1/responses?api-version=preview"},
		{"the whole path as base", base + "/openai/v1/", func(*Params) {}, providers.Call{Op: llm.OpEmbed, Dialect: dialect.OpenAIEmbeddings, Model: "m"}, "/openai/v1/embeddings"},
		{"behind a proxy", "https://proxy.example/az", func(*Params) {}, providers.Call{Op: llm.OpChat, Dialect: dialect.OpenAIChat, Model: "m"}, "/az/openai/v1/chat/completions"},
		{"a dated version", base, func(p *Params) { p.APIVersion = "2024-10-21" }, providers.Call{Op: llm.OpChat, Dialect: dialect.OpenAIChat, Model: "my deployment"}, "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21"},
		{"a deployment by its model", base, func(p *Params) {
			p.APIVersion, p.Deployments = "2024-10-21", map[string]string{"gpt-4o": "prod-4o"}
		}, providers.Call{Op: llm.OpEmbed, Dialect: dialect.OpenAIEmbeddings, Model: "gpt-4o"}, "/openai/deployments/prod-4o/embeddings?api-version=2024-10-21"},
		{"dated Responses name no deployment", base, func(p *Params) { p.APIVersion = "2025-04-01-preview" }, providers.Call{Op: llm.OpChat, Dialect: dialect.OpenAIResponses, Model: "m"}, "/openai/responses?api-version=2025-04-01-preview"},
		{"completions", base, func(p *Params) { p.APIVersion = "2024-10-21" }, providers.Call{Op: llm.OpComplete, Dialect: dialect.OpenAICompletions, Model: "m"}, "/openai/deployments/m/completions?api-version=2024-10-21"},
		{"pictures", base, func(*Params) {}, providers.Call{Op: llm.OpImage, Dialect: dialect.OpenAIImages, Model: "m"}, "/openai/v1/images/generations"},
		{"files", base, func(p *Params) { p.APIVersion = "2024-10-21" }, providers.Call{Op: llm.OpFiles, Dialect: dialect.OpenAIFiles, Path: "/files/file-1"}, "/openai/files/file-1?api-version=2024-10-21"},
		{"Foundry's models", "https://acme.services.ai.azure.com/models", func(p *Params) { p.Surface = "models" }, providers.Call{Op: llm.OpChat, Dialect: dialect.OpenAIChat, Model: "m"}, "/models/chat/completions?api-version=2024-05-01-preview"},
		{"Claude", "https://acme.services.ai.azure.com", func(p *Params) { p.APIVersion = "2024-10-21" }, providers.Call{Op: llm.OpChat, Dialect: dialect.AnthropicMessages, Model: "claude-sonnet-4-5"}, "/anthropic/v1/messages"},
		{"the client's query, without a version of its own", base, func(p *Params) { p.APIVersion = "2024-10-21" }, providers.Call{Op: llm.OpChat, Dialect: dialect.OpenAIChat, Model: "m", Query: "a=1&api-version=2020-01-01&b=2"}, "/openai/deployments/m/chat/completions?api-version=2024-10-21&a=1&b=2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := made(t, tc.base, tc.change).Address(tc.call)
			if err != nil || got != tc.want {
				t.Errorf("got %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestEachModelSpeaksItsDialect(t *testing.T) {
	for _, tc := range []struct {
		change func(*Params)
		op     llm.Op
		model  string
		client dialect.Name
		want   dialect.Name
	}{
		{func(*Params) {}, llm.OpChat, "m", dialect.OpenAIChat, dialect.OpenAIChat},
		{func(*Params) {}, llm.OpChat, "m", dialect.OpenAIResponses, dialect.OpenAIResponses},
		{func(*Params) {}, llm.OpChat, "m", dialect.AnthropicMessages, dialect.OpenAIChat},
		{func(p *Params) { p.API = "responses" }, llm.OpChat, "m", dialect.OpenAIChat, dialect.OpenAIResponses},
		{func(p *Params) { p.API = "chat" }, llm.OpChat, "m", dialect.OpenAIResponses, dialect.OpenAIChat},
		{func(p *Params) { p.APIVersion = "2024-10-21" }, llm.OpChat, "m", dialect.OpenAIResponses, dialect.OpenAIChat},
		{func(p *Params) { p.Surface = "models" }, llm.OpChat, "m", dialect.OpenAIResponses, dialect.OpenAIChat},
		{func(*Params) {}, llm.OpChat, "claude-opus-4-5", dialect.OpenAIChat, dialect.AnthropicMessages},
		{func(p *Params) { p.Surface = "models" }, llm.OpImage, "m", dialect.OpenAIImages, ""},
		{func(*Params) {}, llm.OpEmbed, "claude-opus-4-5", dialect.OpenAIEmbeddings, ""},
	} {
		c, ok := made(t, "https://acme.openai.azure.com", tc.change).Speaks(tc.op, tc.model, tc.client)
		got := dialect.Name("")
		if ok {
			got = c.Name()
		}
		if got != tc.want {
			t.Errorf("%s of %s for %s: %q, want %q", tc.op, tc.model, tc.client, got, tc.want)
		}
	}
}

func TestBodiesNameTheDeploymentAndFitTheVersion(t *testing.T) {
	const body = `{"model":"gpt-4o","stream":true,"messages":[{"role":"developer","content":"x"},{"role":"user","content":"hi"}],"parallel_tool_calls":false}`
	prod := map[string]string{"gpt-4o": "prod-4o"}
	for _, tc := range []struct {
		name   string
		change func(*Params)
		want   string
		strips bool
	}{
		{"the v1 API", func(p *Params) { p.Deployments = prod },
			`{"model":"prod-4o","stream":true,"messages":[{"role":"developer","content":"x"},{"role":"user","content":"hi"}],"parallel_tool_calls":false,"stream_options":{"include_usage":true}}`, true},
		{"a version of today", func(p *Params) { p.APIVersion = "2025-04-01-preview" },
			`{"model":"gpt-4o","stream":true,"messages":[{"role":"developer","content":"x"},{"role":"user","content":"hi"}],"parallel_tool_calls":false,"stream_options":{"include_usage":true}}`, true},
		{"before the developer", func(p *Params) { p.APIVersion = "2024-10-21" },
			`{"model":"gpt-4o","stream":true,"messages":[{"role":"system","content":"x"},{"role":"user","content":"hi"}],"parallel_tool_calls":false,"stream_options":{"include_usage":true}}`, true},
		{"before usage in streams", func(p *Params) { p.APIVersion, p.Deployments = "2024-02-01", prod },
			`{"model":"prod-4o","stream":true,"messages":[{"role":"system","content":"x"},{"role":"user","content":"hi"}]}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := openaichat.New().Peek(dialect.Inbound{Op: llm.OpChat, Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			a := made(t, "https://acme.openai.azure.com", tc.change)
			c, _ := a.Speaks(llm.OpChat, "gpt-4o", dialect.OpenAIChat)
			got, err := c.Splice(nil, h, dialect.Edits{Model: "gpt-4o", AskUsage: true})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, string(got)); d != "" {
				t.Error(d)
			}
			if _, strips := c.(dialect.Stripper); strips != tc.strips {
				t.Errorf("strips: %v", strips)
			}
			if r, ok := c.(dialect.Rewriter); !ok || r.Rewrites(h) {
				t.Error("its answers are rewritten")
			}
			req, err := openaichat.New().ReadRequest(dialect.Inbound{Op: llm.OpChat, Body: []byte(body)})
			if err != nil {
				t.Fatal(err)
			}
			written, _, err := c.WriteRequest(nil, req, dialect.Target{Model: "gpt-4o", Facts: a.Facts("gpt-4o")})
			if want := got[:bytes.IndexByte(got, ',')]; err != nil || !bytes.HasPrefix(written, want) {
				t.Errorf("%v: %s", err, written)
			}
		})
	}
}

func TestEveryVersionsQuirksAreSound(t *testing.T) {
	tools, err := jsonx.Scan([]byte(`{"tools":[{}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"", "preview", "2023-05-15", "2023-12-01-preview", "2024-02-01", "2024-05-01-preview", "2024-06-01", "2024-08-01-preview", "2024-09-01-preview", "2024-10-21", "2024-12-01-preview", "2025-03-01-preview"} {
		q := quirksOf(v)
		if err := q.Check(); err != nil || q.Harms(quirk.Request{Doc: tools, Stream: true, Usage: true}) {
			t.Errorf("%s: %v", v, err)
		}
	}
	if len(faults) != 4 {
		t.Error("a version changed what all share")
	}
}

func TestParamsAreChecked(t *testing.T) {
	u, err := providers.ParseBase("https://acme.openai.azure.com")
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Params){
		"params.api_version":        func(p *Params) { p.APIVersion = "latest" },
		"params.surface":            func(p *Params) { p.Surface = "all" },
		"params.api":                func(p *Params) { p.API, p.Surface = "responses", "models" },
		"params.deployments.gpt-4o": func(p *Params) { p.Deployments = map[string]string{"gpt-4o": "a/b"} },
		"params.auth.tenant":        func(p *Params) { p.Auth.Source = "client-secret" },
	} {
		p := Kind().Params().(*Params)
		change(p)
		_, err := Kind().New(providers.Env{BaseURL: u}, p)
		if e, ok := err.(*llm.Error); !ok || e.Param != want {
			t.Errorf("%v, want one of %s", err, want)
		}
	}
	for _, v := range []string{"2024-1-21", "20241021", "2024-10-21-beta", "x024-10-21"} {
		if dated(v) {
			t.Errorf("%s is a date", v)
		}
	}
	k := Kind()
	if base, err := k.Locate("", &Params{Account: "acme"}); err != nil || base != "https://acme.openai.azure.com" {
		t.Error(base, err)
	}
}

func TestRequestsAreSigned(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Params)
		d      dialect.Name
		want   string
	}{
		{"a key", func(*Params) {}, dialect.OpenAIChat, "api-key=KEY"},
		{"models of others", func(p *Params) { p.Surface = "models" }, dialect.OpenAIChat, "extra-parameters=pass-through api-key=KEY"},
		{"Claude", func(*Params) {}, dialect.AnthropicMessages, "anthropic-version=2023-06-01 api-key=KEY"},
	} {
		out := &providers.Outbound{Dialect: tc.d, Key: secret.New("KEY"), Client: func(string) string { return "" }}
		if err := made(t, "https://acme.openai.azure.com", tc.change).Sign(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range out.Header {
			got = append(got, h.Name+"="+h.Value)
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s: %s", tc.name, s)
		}
	}
}

func TestErrorsOfAzure(t *testing.T) {
	c, _ := made(t, "https://acme.openai.azure.com", func(*Params) {}).Speaks(llm.OpChat, "m", dialect.OpenAIChat)
	for _, tc := range []struct {
		status int
		body   string
		code   llm.Code
		reason string
	}{
		{400, `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}`, llm.CodeBlocked, "content_filter"},
		{401, `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}`, llm.CodeCredential, ""},
		{404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`, llm.CodeNotFound, "model_not_found"},
		{404, `{"error":{"code":"404","message": "Resource not found"}}`, llm.CodeNotFound, ""},
		{400, `{"error":{"code":"OperationNotSupported","message":"The chatCompletion operation does not work with the specified model, m. Please choose different model and try again."}}`, llm.CodeUnsupported, ""},
		{429, `{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 26 seconds."}}`, llm.CodeRateLimited, "rate_limit_exceeded"},
		{429, `{"error":{"code":"NoCapacity","message":"The system is currently experiencing high demand and cannot process your request."}}`, llm.CodeOverloaded, "overloaded"},
		{403, `{"error":{"code":"403","message": "Out of call volume quota. Quota will be replenished in 2.00:00:00."}}`, llm.CodeOverQuota, "insufficient_quota"},
		{400, `{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, llm.CodeContextTooLong, "context_length_exceeded"},
	} {
		e := c.ReadError(tc.status, nil, []byte(tc.body))
		if tc.code == llm.CodeUnsupported || tc.reason == "" {
			e.Reason = tc.reason
		}
		if e.Code != tc.code || e.Reason != tc.reason || e.Message == "" {
			t.Errorf("%d %s: %s %s", tc.status, tc.body, e.Code, e.Reason)
		}
	}
}

// TestRecordedAnswersAreWhole reads Azure's recorded streams as a client of another dialect gets them.
func TestRecordedAnswersAreWhole(t *testing.T) {
	c, _ := made(t, "https://acme.openai.azure.com", func(p *Params) { p.Deployments = map[string]string{"a": "b"} }).Speaks(llm.OpChat, "m", dialect.AnthropicMessages)
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return x.Provider == "azure" && x.Endpoint == "chat" && x.Status == 200
	}, func(t *testing.T, x *recorded.Exchange) {
		body, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		req := &llm.Request{Op: llm.OpChat, Model: "m", Stream: true, Body: new(llm.Chat)}
		w := anthropicmessages.New().NewWriter(req, true)
		var out []byte
		ended := 0
		err = c.NewReader(req, x.BodyKind == "sse").Feed(body, true, func(ev *llm.Event) (err error) {
			if ev.Kind == llm.EvFinished {
				ended++
			}
			out, err = w.Write(out, ev)
			return err
		})
		if err == nil {
			out, err = w.Close(out)
		}
		if err != nil || ended != 1 || !strings.Contains(string(out), "message_stop") {
			t.Errorf("%v, %d ends: %s", err, ended, out)
		}
	})
}
