package bedrock

import (
	"errors"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/sign/aws"
)

const (
	claude  = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"
)

// made makes an adapter at a base URL.
func made(t *testing.T, base string, change func(*Params)) *adapter {
	t.Helper()
	u, err := providers.ParseBase(base)
	if err != nil {
		t.Fatal(err)
	}
	p := &Params{Auth: aws.Defaults()}
	if change != nil {
		change(p)
	}
	a, err := newAdapter(providers.Env{Name: "p", BaseURL: u}, p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhichAPIAConversationGoesTo(t *testing.T) {
	for _, c := range []struct {
		api, model string
		client     dialect.Name
		want       dialect.Name
	}{
		{"", claude, dialect.AnthropicMessages, dialect.AnthropicMessages},
		{"", claude, dialect.OpenAIChat, dialect.BedrockConverse},
		{"", claude, dialect.BedrockConverse, dialect.BedrockConverse},
		{"", "amazon.nova-pro-v1:0", dialect.AnthropicMessages, dialect.BedrockConverse},
		{"", profile, dialect.AnthropicMessages, dialect.BedrockConverse},
		{"converse", claude, dialect.AnthropicMessages, dialect.BedrockConverse},
		{"invoke", claude, dialect.OpenAIChat, dialect.AnthropicMessages},
		{"invoke", profile, dialect.OpenAIChat, dialect.AnthropicMessages},
		{"invoke", "amazon.nova-pro-v1:0", dialect.OpenAIChat, dialect.BedrockConverse},
	} {
		a := made(t, "https://bedrock-runtime.us-east-1.amazonaws.com", func(p *Params) { p.API = c.api })
		got, ok := a.Speaks(llm.OpChat, c.model, c.client)
		if !ok || got.Name() != c.want {
			t.Errorf("api %q, %s for %s: got %v", c.api, c.model, c.client, got)
		}
	}
	u, err := providers.ParseBase("https://x.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newAdapter(providers.Env{BaseURL: u}, &Params{API: "chat", Auth: aws.Defaults()}); err == nil {
		t.Error("an unknown API is taken")
	}
}

func TestAModelIsEncodedOnceInThePath(t *testing.T) {
	a := made(t, "https://gateway.example/aws", nil)
	for _, c := range []struct {
		call providers.Call
		want string
	}{
		{providers.Call{Op: llm.OpChat, Dialect: dialect.BedrockConverse, Model: claude}, "/aws/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"},
		{providers.Call{Op: llm.OpChat, Dialect: dialect.BedrockConverse, Model: profile, Stream: true}, "/aws/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fmi1dadi0g15f/converse-stream"},
		{providers.Call{Op: llm.OpChat, Dialect: dialect.AnthropicMessages, Model: claude, Query: "beta=true"}, "/aws/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"},
		{providers.Call{Op: llm.OpChat, Dialect: dialect.AnthropicMessages, Model: "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-tg1-large", Stream: true}, "/aws/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Famazon.titan-tg1-large/invoke-with-response-stream"},
		{providers.Call{Op: llm.OpCount, Dialect: dialect.BedrockConverse, Model: "m x?#%"}, "/aws/model/m%20x%3F%23%25/count-tokens"},
		{providers.Call{Op: llm.OpEmbed, Dialect: embedding, Model: "amazon.titan-embed-text-v2:0"}, "/aws/model/amazon.titan-embed-text-v2%3A0/invoke"},
	} {
		if got, err := a.Address(c.call); err != nil || got != c.want {
			t.Errorf("got %s %v, want %s", got, err, c.want)
		}
	}
}

func TestRecordedPathsAreOurs(t *testing.T) {
	a := made(t, "https://bedrock-runtime.us-east-1.amazonaws.com", nil)
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return x.Provider == "bedrock" && x.Model != nil && strings.Contains(x.RequestPath, "%")
	}, func(t *testing.T, x *recorded.Exchange) {
		if got := "/model/" + escape(*x.Model); !strings.HasPrefix(x.RequestPath, got+"/") {
			t.Errorf("got %s, the client's is %s", got, x.RequestPath)
		}
	})
	if a.base != "" {
		t.Errorf("base %q", a.base)
	}
}

// outbound is a request to sign.
func outbound(key string) *providers.Outbound {
	return &providers.Outbound{
		Method: "POST", Host: "bedrock-runtime.eu-west-1.amazonaws.com", Path: "/model/m%3A0/converse", Body: []byte(`{}`),
		Key: secret.New(key), Client: func(string) string { return "" },
	}
}

func TestKeysAndSignatures(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	a := made(t, "https://bedrock-runtime.eu-west-1.amazonaws.com", func(p *Params) { p.Auth.Source = "environment" })
	out := outbound("bedrock-api-key")
	if err := a.Sign(t.Context(), out); err != nil || len(out.Header) != 1 || out.Header[0] != (providers.Header{Name: "authorization", Value: "Bearer bedrock-api-key"}) {
		t.Errorf("with a key: %v %v", out.Header, err)
	}
	out = outbound("")
	if err := a.Sign(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if h := out.Header[0]; h.Name != "authorization" || !strings.Contains(h.Value, "/eu-west-1/bedrock/aws4_request") || !strings.Contains(h.Value, "SignedHeaders=host;x-amz-date;x-amz-security-token") {
		t.Errorf("without a key: %v", out.Header)
	}
	// Without a region there is no signature, but a key will do.
	b := made(t, "https://gateway.example", nil)
	out = outbound("bedrock-api-key")
	if err := b.Sign(t.Context(), out); err != nil || len(out.Header) != 1 {
		t.Errorf("with a key and no region: %v %v", out.Header, err)
	}
	var e *llm.Error
	if err := b.Sign(t.Context(), outbound("")); !errors.As(err, &e) || e.Param != "region" {
		t.Errorf("neither key nor region: %v", err)
	}
}

func TestRegionsStandInTheHost(t *testing.T) {
	for host, want := range map[string]string{
		"https://bedrock-runtime.eu-west-1.amazonaws.com":      "eu-west-1",
		"https://bedrock-runtime-fips.us-east-1.amazonaws.com": "us-east-1",
		"https://bedrock-runtime.cn-north-1.amazonaws.com.cn":  "cn-north-1",
		"https://gateway.example":                              "",
		"https://vpce-1-bedrock.example.com":                   "",
	} {
		u, err := providers.ParseBase(host)
		if err != nil {
			t.Fatal(err)
		}
		if got := regionOf(providers.Env{BaseURL: u}); got != want {
			t.Errorf("%s: got %q", host, got)
		}
		if got := regionOf(providers.Env{BaseURL: u, Region: "ap-south-1"}); got != "ap-south-1" {
			t.Errorf("%s: the configured region is not taken: %q", host, got)
		}
	}
}

func TestStatusesAreJudged(t *testing.T) {
	a := made(t, "https://gateway.example", nil)
	for status, want := range map[int]llm.Code{200: llm.CodeNone, 403: llm.CodeCredential, 408: llm.CodeTimeout, 424: llm.CodeUpstream, 429: llm.CodeRateLimited, 500: llm.CodeUpstream, 503: llm.CodeOverloaded} {
		if got, ok := a.Judge(status); got != want || !ok {
			t.Errorf("%d: got %v, %t", status, got, ok)
		}
	}
	if _, ok := a.Judge(400); ok {
		t.Error("400 is judged without its body")
	}
}

// embedded writes a request for a model and reads an answer.
func embedded(t *testing.T, model string, e *llm.Embed, answer string) (body string, losses []llm.Loss, evs []llm.Event, err error) {
	t.Helper()
	c := embedderOf(model)
	if c == nil {
		t.Fatalf("%s is not known", model)
	}
	req := &llm.Request{Op: llm.OpEmbed, Body: e, Extra: llm.Extra{Dialect: "openai-embeddings"}}
	b, losses, err := c.WriteRequest(nil, req, dialect.Target{Model: model})
	if err == nil && jsonx.Valid(b) != nil {
		t.Errorf("not JSON: %s", b)
	}
	if answer != "" {
		if err := c.NewReader(req, false).Feed([]byte(answer), true, func(ev *llm.Event) error { evs = append(evs, *ev); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return string(b), losses, evs, err
}

func TestTextsAreEmbedded(t *testing.T) {
	one, two := []llm.EmbedInput{{Text: "a"}}, []llm.EmbedInput{{Text: "a"}, {Text: "b"}}
	for _, c := range []struct {
		name, model string
		embed       llm.Embed
		want        string // the body, or the member that is refused
		losses      int
	}{
		{"Titan 2", "amazon.titan-embed-text-v2:0", llm.Embed{Inputs: one, Dimensions: 256, User: "u"}, `{"inputText":"a","dimensions":256}`, 1},
		{"Titan 1", "amazon.titan-embed-text-v1", llm.Embed{Inputs: one, Task: llm.TaskQuery, Truncate: "end"}, `{"inputText":"a"}`, 2},
		{"Titan 1 has one length", "amazon.titan-embed-text-v1", llm.Embed{Inputs: one, Dimensions: 256}, "dimensions", 0},
		{"Titan's model for images takes texts", "amazon.titan-embed-image-v1", llm.Embed{Inputs: one, Dimensions: 256}, `{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":256}}`, 0},
		{"Titan takes one text", "amazon.titan-embed-text-v2:0", llm.Embed{Inputs: two}, "input", 0},
		{"Cohere takes many", "us.cohere.embed-v4:0", llm.Embed{Inputs: two, Dimensions: 512, Task: llm.TaskQuery, Truncate: "none"}, `{"texts":["a","b"],"input_type":"search_query","embedding_types":["float"],"truncate":"NONE","output_dimension":512}`, 0},
		{"Cohere 3 has one length", "cohere.embed-english-v3", llm.Embed{Inputs: one, Dimensions: 512}, "dimensions", 0},
		{"not too many", "cohere.embed-v4:0", llm.Embed{Inputs: make([]llm.EmbedInput, 97)}, "input", 0},
		{"no tokens", "cohere.embed-v4:0", llm.Embed{Inputs: []llm.EmbedInput{{Tokens: []int64{1}}}}, "input", 0},
		{"no images", "cohere.embed-v4:0", llm.Embed{Inputs: []llm.EmbedInput{{Text: "a"}, {Media: &llm.Media{Data: "x"}}}}, "input[1]", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, losses, _, err := embedded(t, c.model, &c.embed, "")
			var e *llm.Error
			if errors.As(err, &e) {
				got = e.Param
			}
			if got != c.want || len(losses) != c.losses || err != nil && e.Code != llm.CodeUnsupported {
				t.Errorf("got %s, losses %v, %v", got, losses, err)
			}
		})
	}
}

func TestVectorsAreRead(t *testing.T) {
	for _, c := range []struct {
		name, model, answer string
		inputs              int
		vectors             int // 0: it fails
		tokens              int64
	}{
		{"Titan", "amazon.titan-embed-text-v2:0", `{"embedding":[0.5,-1e-3],"embeddingsByType":{"float":[0.5]},"inputTextTokenCount":5}`, 1, 1, 5},
		{"Cohere 3", "cohere.embed-english-v3", `{"embeddings":[[1,2],[3,4]],"id":"x","response_type":"embeddings_floats"}`, 2, 2, 0},
		{"Cohere 4", "cohere.embed-v4:0", `{"embeddings":{"float":[[1],[2]]},"texts":["a","b"]}`, 2, 2, 0},
		{"one is missing", "cohere.embed-v4:0", `{"embeddings":{"float":[[1]]}}`, 2, 0, 0},
		{"no vectors", "cohere.embed-v4:0", `{"id":"x"}`, 1, 0, 0},
		{"no numbers", "amazon.titan-embed-text-v2:0", `{"embedding":["a"]}`, 1, 0, 0},
		{"an error", "amazon.titan-embed-text-v2:0", `{"message":"Input is too long for requested model."}`, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, evs, _ := embedded(t, c.model, &llm.Embed{Inputs: make([]llm.EmbedInput, c.inputs)}, c.answer)
			last := evs[len(evs)-1]
			if (last.Kind == llm.EvFinished) != (c.vectors > 0) || (last.Kind == llm.EvFailed) != (c.vectors == 0) {
				t.Fatalf("the last event is %v", last.Kind)
			}
			var tokens int64
			vectors := 0
			for _, ev := range evs {
				tokens = max(tokens, ev.Usage.Input.N)
				if r, ok := ev.Result.(*llm.Embeddings); ok {
					vectors = len(r.Vectors)
				}
			}
			if vectors != c.vectors || tokens != c.tokens {
				t.Errorf("got %d vectors, %d tokens", vectors, tokens)
			}
		})
	}
}

func TestRecordedVectorsAreRead(t *testing.T) {
	recorded.Each(t, func(x *recorded.Exchange) bool {
		return x.Provider == "bedrock" && x.Model != nil && embedderOf(*x.Model) != nil && x.Status == 200
	}, func(t *testing.T, x *recorded.Exchange) {
		b, err := x.Body()
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		err = embedderOf(*x.Model).NewReader(nil, false).Feed(b, true, func(ev *llm.Event) error {
			if r, ok := ev.Result.(*llm.Embeddings); ok {
				found = len(r.Vectors)
			}
			return nil
		})
		if err != nil || found == 0 {
			t.Errorf("%d vectors, %v", found, err)
		}
	})
}

func TestDocumentsAreRanked(t *testing.T) {
	req := &llm.Request{Op: llm.OpRerank, Body: &llm.Rerank{Query: "q", Documents: []llm.Document{{Text: "a"}, {Text: "b"}}, TopN: 1}}
	for model, want := range map[string]string{
		"cohere.rerank-v3-5:0": `{"query":"q","documents":["a","b"],"top_n":1,"api_version":2}`,
		"amazon.rerank-v1:0":   `{"query":"q","documents":["a","b"],"top_n":1}`,
	} {
		r := rerankerOf(model)
		got, losses, err := r.WriteRequest(nil, req, dialect.Target{Model: model})
		if err != nil || string(got) != want || len(losses) > 0 || r.Name() != reranking {
			t.Errorf("%s: got %s, %v, %v", model, got, losses, err)
		}
		var items []llm.Ranked
		err = r.NewReader(req, false).Feed([]byte(`{"results":[{"index":1,"relevance_score":0.8}]}`), true, func(ev *llm.Event) error {
			if k, ok := ev.Result.(*llm.Ranking); ok {
				items = k.Items
			}
			return nil
		})
		if err != nil || len(items) != 1 || items[0].Index != 1 || items[0].Score != 0.8 {
			t.Errorf("%s: got %v, %v", model, items, err)
		}
	}
	if rerankerOf("amazon.nova-pro-v1:0") != nil || embedderOf("amazon.nova-pro-v1:0") != nil {
		t.Error("a model for conversations is taken for another")
	}
}
