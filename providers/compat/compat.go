// Package compat is the provider kinds that speak openai-chat and are data: a YAML file for each vendor, and the
// kind openai-compatible for any other server below a base URL. The folder's README describes the files.
//
// It has no branches for vendors: what differs is a quirk of its codecs (openaichat.Quirks), an endpoint, or an
// address. A vendor that needs code, for its signature or its dialect, is a kind of its own beside this package.
package compat

import (
	"slices"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

// Params is what only these kinds have.
type Params struct {
	Account   string            `yaml:"account" json:"account,omitempty" doc:"The account, workspace or project that stands in the kind's base URL, where it has one."`
	Endpoints Endpoints         `yaml:"endpoints" json:"endpoints,omitzero" doc:"Paths below the base URL, of what it serves."`
	Quirks    openaichat.Quirks `yaml:"quirks" json:"quirks,omitzero" doc:"In what it differs from OpenAI."`
}

// Place implements providers.Placed.
func (p *Params) Place() string { return p.Account }

// Kind returns the kind openai-compatible: any server that speaks openai-chat below a base URL, such as a proxy or
// a vendor without a kind of its own. It assumes nothing about models.
func Kind() providers.Kind {
	return providers.Kind{
		Name: "openai-compatible",
		Doc:  "Any server that speaks openai-chat. `base_url` is required and is what stands before `/chat/completions`.",
		Sets: []string{"authorization"},
		Params: func() any {
			return &Params{Endpoints: Endpoints{Chat: "/chat/completions", Completions: "/completions", Embeddings: "/embeddings", Rerank: "/rerank"}}
		},
		New: func(env providers.Env, params any) (providers.Adapter, error) {
			p := params.(*Params)
			if p.Account != "" {
				return nil, needless("openai-compatible")
			}
			return adapter(env, p, providers.Bearer, func(string) catalog.Facts { return catalog.Facts{} })
		},
	}
}

// Kinds returns the kinds of vendors, by name.
func Kinds() []providers.Kind {
	all := vendors()
	out := make([]providers.Kind, len(all))
	for i := range all {
		out[i] = all[i].kind()
	}
	return out
}

// kind makes a kind of a vendor.
func (v *vendor) kind() providers.Kind {
	k := providers.Kind{
		Name: v.name, Doc: v.Title + ".", KeyEnv: v.KeyEnv, BaseURL: v.BaseURL, Regions: v.Regions, Models: v.Models,
		Sets:   []string{v.credential()},
		Params: func() any { return &Params{Endpoints: v.Endpoints, Quirks: v.Quirks} },
		Vendor: &providers.Vendor{
			Title: v.Title, Docs: v.Docs, Speaks: v.Endpoints.speaks(), Abilities: v.Abilities, Limits: v.Limits,
			Hosted: v.Data.Hosted, Retention: v.Data.Retention, Source: v.Data.Source,
		},
	}
	for _, h := range v.headers() {
		k.Sets = append(k.Sets, h.Name)
	}
	if v.Endpoints.Messages != "" {
		k.Sets = append(k.Sets, "anthropic-version")
	}
	k.New = func(env providers.Env, params any) (providers.Adapter, error) {
		p := params.(*Params)
		if p.Account != "" && v.Account == "" {
			return nil, needless(v.name)
		}
		return adapter(env, p, v.sign, v.facts)
	}
	return k
}

// facts is what is known of a model: of one that the catalog does not know, what the vendor's models can do.
func (v *vendor) facts(model string) catalog.Facts {
	f := catalog.FactsOf(v.name, model)
	if !f.Known {
		f.JSONSchema = slices.Contains(v.Abilities, ability.JSONSchema.String())
	}
	return f
}

// version is the API version of anthropic-messages where the client names none.
const version = "2023-06-01"

// sign adds the credential, and what the vendor wants beside it.
func (v *vendor) sign(out *providers.Outbound) {
	if v.Auth == "" {
		providers.Bearer(out)
	} else {
		providers.KeyHeader(v.Auth)(out)
	}
	for _, h := range v.headers() {
		out.Set(h.Name, h.Value)
	}
	if out.Dialect == dialect.AnthropicMessages {
		said := out.Client("anthropic-version")
		if said == "" {
			said = version
		}
		out.Set("anthropic-version", said)
	}
}

func adapter(env providers.Env, p *Params, sign func(*providers.Outbound), facts func(string) catalog.Facts) (providers.Adapter, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return &providers.Fixed{Endpoints: p.Endpoints.made(env.BaseURL.EscapedPath(), p.Quirks), Auth: sign, Models: facts, Masks: p.Quirks.MasksKeys()}, nil
}
