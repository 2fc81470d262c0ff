// Package bedrock is the provider kind bedrock: Amazon Bedrock's runtime
// (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html). It reaches models
// by Converse, Claude models by InvokeModel with Anthropic's bodies too, and embeddings and rankings by InvokeModel.
// Bedrock's endpoint with OpenAI's APIs is not this kind.
//
// It signs with a Bedrock API key as a bearer, or with Signature Version 4 over what is sent: the body's bytes, and the
// path in which a model's id is percent-encoded once.
package bedrock

import (
	"context"
	"net/http"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/bedrockconverse"
	"github.com/signalbox-ai/signalbox/providers/sign/aws"
)

// version is the anthropic_version that Bedrock takes.
const version = "bedrock-2023-05-31"

// Params are the kind's params.
type Params struct {
	API  string     `yaml:"api" json:"api,omitempty" enum:"converse,invoke" doc:"The API that conversations with Claude models go to: converse, or invoke (InvokeModel with Anthropic's bodies). Without it, clients of Anthropic's API are served by invoke and all others by converse. Other models are reached by converse only."`
	Auth aws.Params `yaml:"auth" json:"auth" doc:"Where credentials come from, where the provider has no key."`
}

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:        "bedrock",
		Doc:         "Amazon Bedrock. `key` is a Bedrock API key; without one, `params.auth` says where credentials come from.",
		KeyEnv:      "AWS_BEARER_TOKEN_BEDROCK",
		KeyOptional: true,
		RegionEnv:   "AWS_REGION",
		BaseURL:     "https://bedrock-runtime.{region}.amazonaws.com",
		Models:      []string{"anthropic.*", "amazon.*", "meta.*", "mistral.*", "cohere.*", "ai21.*", "qwen.*", "openai.gpt-oss*", "us.*", "eu.*", "apac.*", "jp.*", "au.*", "global.*", "arn:aws*:bedrock:*"},
		Sets:        aws.Headers(),
		Params:      func() any { return &Params{Auth: aws.Defaults()} },
		New: func(env providers.Env, params any) (providers.Adapter, error) {
			return newAdapter(env, params.(*Params)) //nolint:forcetypeassert // the kind's own
		},
	}
}

// adapter is one configured Bedrock.
type adapter struct {
	base     string
	api      string
	signer   *aws.Signer
	unsigned error // why there is no signer
	converse *bedrockconverse.Codec
	invoke   *anthropicmessages.Framed
}

var _ providers.Adapter = (*adapter)(nil)

func newAdapter(env providers.Env, p *Params) (*adapter, error) {
	a := &adapter{
		base: env.BaseURL.EscapedPath(), api: p.API, converse: bedrockconverse.New(),
		invoke: anthropicmessages.NewFramed(anthropicmessages.Host{Version: version, Betas: true, NoURLs: true}),
	}
	switch p.API {
	case "", "converse", "invoke":
	default:
		return nil, &llm.Error{Code: llm.CodeInvalid, Param: "params.api", Message: "unknown API; use converse or invoke"}
	}
	region, err := aws.Region(regionOf(env))
	if err != nil && p.Auth == aws.Defaults() { // an API key needs no region where the base URL is given
		a.unsigned = err
		return a, nil
	}
	if a.signer, err = aws.New(env.Sources, "params.auth", region, p.Auth); err != nil {
		return nil, err
	}
	return a, nil
}

// regionOf is the provider's region: the configured one, or that of its host.
func regionOf(env providers.Env) string {
	if env.Region != "" {
		return env.Region
	}
	service, rest, _ := strings.Cut(env.BaseURL.Hostname(), ".")
	region, domain, _ := strings.Cut(rest, ".")
	if strings.HasPrefix(service, "bedrock-runtime") && strings.HasPrefix(domain, "amazonaws.com") {
		return region
	}
	return ""
}

// Speaks implements providers.Adapter.
func (a *adapter) Speaks(op llm.Op, model string, client dialect.Name) (dialect.Client, bool) {
	switch op {
	case llm.OpChat:
		if a.invokes(model, client) {
			return a.invoke, true
		}
		return a.converse, true
	case llm.OpCount:
		return a.converse, true
	case llm.OpEmbed:
		if e := embedderOf(model); e != nil {
			return e, true
		}
	case llm.OpRerank:
		if r := rerankerOf(model); r != nil {
			return r, true
		}
	}
	return nil, false
}

// invokes reports whether a conversation goes to InvokeModel. The names of inference profiles of one's own say nothing
// of the model: there the configuration counts.
func (a *adapter) invokes(model string, client dialect.Name) bool {
	claude := strings.Contains(model, "claude")
	switch a.api {
	case "converse":
		return false
	case "invoke":
		return claude || strings.Contains(model, "inference-profile/")
	}
	return claude && client == dialect.AnthropicMessages
}

// Address implements providers.Adapter. The client's query stays behind: what Anthropic has there is in the body here.
func (a *adapter) Address(c providers.Call) (string, error) {
	var end string
	switch {
	case c.Op == llm.OpChat && c.Dialect == dialect.BedrockConverse:
		end = pick(c.Stream, "/converse-stream", "/converse")
	case c.Op == llm.OpChat && c.Dialect == dialect.AnthropicMessages:
		end = pick(c.Stream, "/invoke-with-response-stream", "/invoke")
	case c.Op == llm.OpCount && c.Dialect == dialect.BedrockConverse:
		end = "/count-tokens"
	case c.Op == llm.OpEmbed && c.Dialect == embedding, c.Op == llm.OpRerank && c.Dialect == reranking:
		end = "/invoke"
	default:
		return "", providers.NoEndpoint(c.Op)
	}
	return a.base + "/model/" + escape(c.Model) + end, nil
}

func pick(stream bool, yes, no string) string {
	if stream {
		return yes
	}
	return no
}

// escape percent-encodes all but unreserved characters (RFC 3986 §2.3), as AWS's SDKs do: the colons and slashes of ids
// and ARNs above all.
func escape(model string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(model)+16)
	for _, c := range []byte(model) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// Sign implements providers.Adapter.
func (a *adapter) Sign(ctx context.Context, out *providers.Outbound) error {
	if a.signer != nil {
		return a.signer.Sign(ctx, aws.Request{Method: out.Method, Host: out.Host, Path: out.Path, Body: out.Body}, out.Key, out.Set)
	}
	if out.Key.Empty() {
		return a.unsigned
	}
	providers.Bearer(out)
	return nil
}

// Judge implements providers.Adapter: as everywhere, and 424 is the model's own failure.
func (a *adapter) Judge(status int) (llm.Code, bool) {
	if status == http.StatusFailedDependency {
		return llm.CodeUpstream, true
	}
	return providers.JudgeStatus(status)
}

// Facts implements providers.Adapter.
func (a *adapter) Facts(model string) catalog.Facts { return catalog.FactsOf("bedrock", model) }
