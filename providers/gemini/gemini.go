// Package gemini is the provider kind gemini: the Gemini API (https://ai.google.dev/api). It authenticates with
// x-goog-api-key. The model stands in the path, and so does the method; the provider's OpenAI-compatible endpoint
// is not used. Gemini on Google Cloud is the kind vertex.
package gemini

import (
	"context"
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	codec "github.com/signalbox-ai/signalbox/providers/dialect/gemini"
)

// version is the API version where the base URL names none: the one that has all members.
const version = "/v1beta"

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:     "gemini",
		Doc:      "The Gemini API. `base_url` may end in `/v1beta` or `/v1`; names of models may begin with `models/`.",
		KeyEnv:   "GEMINI_API_KEY",
		OtherEnv: "GOOGLE_API_KEY",
		BaseURL:  "https://generativelanguage.googleapis.com",
		Models:   []string{"gemini-*", "gemma-*", "models/gemini-*"},
		Sets:     []string{"x-goog-api-key"},
		New: func(env providers.Env, _ any) (providers.Adapter, error) {
			base := env.BaseURL.EscapedPath()
			if !strings.HasSuffix(base, version) && !strings.HasSuffix(base, "/v1") {
				base += version
			}
			return &adapter{base: base, codec: codec.New()}, nil
		},
	}
}

type adapter struct {
	base  string // with the version
	codec *codec.Codec
}

var (
	_ providers.Adapter = (*adapter)(nil)
	_ providers.Masker  = (*adapter)(nil)
)

// Speaks implements providers.Adapter.
func (a *adapter) Speaks(op llm.Op, _ string, _ dialect.Name) (dialect.Client, bool) {
	switch op {
	case llm.OpChat, llm.OpCount, llm.OpEmbed:
		return a.codec, true
	}
	return nil, false
}

// Address implements providers.Adapter.
func (a *adapter) Address(c providers.Call) (string, error) {
	method := codec.Method(c.Op, c.Stream, c.Verb)
	if c.Dialect != dialect.Gemini || method == "" {
		return "", providers.NoEndpoint(c.Op)
	}
	query := c.Query
	if c.Verb == "" {
		query = codec.Query(c.Stream)
	}
	model := strings.TrimPrefix(c.Model, "models/")
	return providers.WithQuery(a.base+"/models/"+url.PathEscape(model)+":"+method, query), nil
}

// Sign implements providers.Adapter.
func (a *adapter) Sign(_ context.Context, out *providers.Outbound) error {
	providers.KeyHeader("x-goog-api-key")(out)
	return nil
}

// Judge implements providers.Adapter. A bad key is a 400, which the body tells.
func (a *adapter) Judge(status int) (llm.Code, bool) { return providers.JudgeStatus(status) }

// MasksKeys implements providers.Masker.
func (a *adapter) MasksKeys() bool { return true }

// Facts implements providers.Adapter.
func (a *adapter) Facts(model string) catalog.Facts {
	return catalog.FactsOf("gemini", strings.TrimPrefix(model, "models/"))
}
