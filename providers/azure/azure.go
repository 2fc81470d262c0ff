// Package azure is the provider kind azure: models of OpenAI and others in Azure OpenAI and Azure AI Foundry
// (https://learn.microsoft.com/azure/ai-foundry/openai/reference). A model is reached by the name of its deployment.
//
//	api_version "", preview     /openai/v1/chat/completions, /responses, …: the deployment is the body's model
//	api_version 2024-10-21, …   /openai/deployments/DEPLOYMENT/chat/completions?api-version=…
//	surface models              /models/chat/completions?api-version=…, for models of others
//	claude-*                    /anthropic/v1/messages
//
// It authenticates with an api-key header or a token of Microsoft Entra ID. Azure's content filter is read by the
// codec; what its older versions refuse is a table of versions here.
package azure

import (
	"context"
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/sign/azure"
)

// Params is what only this kind has.
type Params struct {
	Account     string            `yaml:"account" json:"account,omitempty" doc:"The name of the resource, in place of base_url: https://NAME.openai.azure.com."`
	APIVersion  string            `yaml:"api_version" json:"api_version,omitempty" doc:"The version of the API: empty or preview for the v1 API, or a dated one such as 2024-10-21, whose paths name deployments."`
	API         string            `yaml:"api" json:"api,omitempty" enum:"chat,responses" doc:"The API that conversations go to: chat (Chat Completions) or responses (Responses). Without it, clients of either are served by their own, and all others by Chat Completions."`
	Surface     string            `yaml:"surface" json:"surface,omitempty" short:"true" enum:"openai,models" doc:"Which endpoint of the resource: openai, or models, the endpoint of Azure AI Foundry that all models share."`
	Deployments map[string]string `yaml:"deployments" json:"deployments,omitempty" doc:"Deployments by the names of models, where they differ."`
	Auth        azure.Params      `yaml:"auth" json:"auth,omitzero" doc:"What requests are signed with."`
}

// Place implements providers.Placed.
func (p *Params) Place() string { return p.Account }

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:        "azure",
		Doc:         "Azure OpenAI and Azure AI Foundry. `base_url` is the resource's, such as `https://NAME.openai.azure.com` or `https://NAME.services.ai.azure.com`; a target's model is the name of a deployment, or a model of `params.deployments`.",
		KeyEnv:      "AZURE_OPENAI_API_KEY",
		KeyOptional: true,
		BaseURL:     "https://{account}.openai.azure.com",
		Sets:        append(azure.Headers(), extra, "anthropic-version"),
		Params:      func() any { return &Params{Surface: surfaceOpenAI, Auth: azure.Defaults()} },
		New:         newAdapter,
	}
}

// Surfaces of a resource.
const (
	surfaceOpenAI = "openai"
	surfaceModels = "models"
)

// modelsVersion is the version of the endpoint models where none is given: the only one there is.
const modelsVersion = "2024-05-01-preview"

// extra is the header that lets members which the endpoint models does not know pass on to the model.
const extra = "extra-parameters"

// messagesVersion is the anthropic-version of requests whose client names none.
const messagesVersion = "2023-06-01"

func newAdapter(env providers.Env, params any) (providers.Adapter, error) {
	p := params.(*Params)
	if err := p.check(); err != nil {
		return nil, err
	}
	signer, err := azure.New(env.Sources, "params.auth", p.Auth)
	if err != nil {
		return nil, err
	}
	base := env.BaseURL.EscapedPath()
	for _, end := range [...]string{"/v1", "/openai", "/models", "/anthropic"} {
		base = strings.TrimSuffix(base, end)
	}
	a := &adapter{base: base, signer: signer, params: *p}
	a.routes = a.endpoints()
	return a, nil
}

func (p *Params) check() error {
	switch {
	case p.APIVersion != "" && p.APIVersion != "preview" && !dated(p.APIVersion):
		return llm.Invalid("params.api_version", "a version is preview, or a date such as 2024-10-21 or 2025-04-01-preview")
	case p.Surface == surfaceModels && p.API == "responses":
		return llm.Invalid("params.api", "the endpoint models has no Responses API")
	case p.Surface != surfaceOpenAI && p.Surface != surfaceModels:
		return llm.Invalid("params.surface", "unknown surface; use openai or models")
	case p.API != "" && p.API != "chat" && p.API != "responses":
		return llm.Invalid("params.api", "unknown API; use chat or responses")
	case p.API == "responses" && dated(p.APIVersion) && p.APIVersion < "2025-03-01":
		return llm.Invalid("params.api", "the Responses API begins with api_version 2025-03-01-preview")
	}
	for model, d := range p.Deployments {
		if model == "" || d == "" || strings.ContainsFunc(d, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/?#%\`, r) }) {
			return llm.Invalid("params.deployments."+model, "a deployment is a name without spaces and slashes")
		}
	}
	return nil
}

// dated reports whether a version is a date, of a release or of a preview.
func dated(v string) bool {
	day, _ := strings.CutSuffix(v, "-preview")
	if len(day) != len("2024-10-21") {
		return false
	}
	for i, c := range day {
		if dash := i == 4 || i == 7; dash != (c == '-') || !dash && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

type adapter struct {
	base   string
	signer *azure.Signer
	params Params
	routes []route
}

var _ providers.Adapter = (*adapter)(nil)

// Speaks implements providers.Adapter.
func (a *adapter) Speaks(op llm.Op, model string, client dialect.Name) (dialect.Client, bool) {
	var first dialect.Client
	for i := range a.routes {
		r := &a.routes[i]
		if r.op != op || r.claude != claude(model) {
			continue
		}
		if r.codec.Name() == client {
			return r.codec, true
		}
		if first == nil {
			first = r.codec
		}
	}
	return first, first != nil
}

// claude reports whether a model speaks anthropic-messages alone.
func claude(model string) bool { return strings.HasPrefix(model, "claude-") }

// Address implements providers.Adapter.
func (a *adapter) Address(c providers.Call) (string, error) {
	for i := range a.routes {
		r := &a.routes[i]
		if r.op != c.Op || r.codec.Name() != c.Dialect {
			continue
		}
		path := r.path
		if path == "" { // objects at the provider
			path = a.root() + c.Path
		}
		path = strings.ReplaceAll(path, "{deployment}", url.PathEscape(a.deployment(c.Model)))
		if v := a.version(); v != "" && !r.claude {
			path = providers.WithQuery(path, "api-version="+v)
		}
		return providers.WithQuery(path, without(c.Query, "api-version")), nil
	}
	return "", providers.NoEndpoint(c.Op)
}

// without takes a parameter out of a query.
func without(query, name string) string {
	if !strings.Contains(query, name) {
		return query
	}
	var kept []string
	for p := range strings.SplitSeq(query, "&") {
		if n, _, _ := strings.Cut(p, "="); n != name {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "&")
}

// Sign implements providers.Adapter.
func (a *adapter) Sign(ctx context.Context, out *providers.Outbound) error {
	if out.Dialect == dialect.AnthropicMessages {
		v := out.Client("anthropic-version")
		if v == "" {
			v = messagesVersion
		}
		out.Set("anthropic-version", v)
	} else if a.params.Surface == surfaceModels {
		out.Set(extra, "pass-through")
	}
	return a.signer.Sign(ctx, out.Key, out.Set)
}

// Judge implements providers.Adapter by status alone.
func (a *adapter) Judge(status int) (llm.Code, bool) { return providers.JudgeStatus(status) }

// Facts implements providers.Adapter. A deployment's own name says nothing of its model, unless it is the model's or
// params say whose it is.
func (a *adapter) Facts(model string) catalog.Facts {
	of := ""
	for m, d := range a.params.Deployments {
		if d == model && (of == "" || m < of) {
			of = m
		}
	}
	if of == "" {
		of = model
	}
	return catalog.FactsOf("azure", of)
}

// deployment is the name by which a model is reached.
func (a *adapter) deployment(model string) string {
	if d := a.params.Deployments[model]; d != "" {
		return d
	}
	return model
}
