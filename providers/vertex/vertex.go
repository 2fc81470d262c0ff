// Package vertex is the provider kind vertex: models on Google Cloud's Vertex AI
// (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest). Google's own models speak gemini,
// Anthropic's anthropic-messages with the model in the path, and those of all others openai-chat at one endpoint:
// which is which is told by the model's name.
//
//	gemini-*, text-embedding-*  publishers/google/models/MODEL:generateContent, :countTokens, :predict, …
//	claude-*                    publishers/anthropic/models/MODEL:rawPredict, :streamRawPredict, count-tokens:rawPredict
//	meta/llama-…, …             endpoints/openapi/chat/completions
//
// It authenticates with an access token of Google Cloud, or with an API key of Vertex AI's express mode.
package vertex

import (
	"context"
	"net/url"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/gemini"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/sign/google"
)

// Params is what only this kind has.
type Params struct {
	Project    string        `yaml:"project" json:"project,omitempty" doc:"The Google Cloud project. Without one, Google's own models are used by an API key of express mode."`
	Location   string        `yaml:"location" json:"location,omitempty" doc:"Where the models are, such as us-east5 or global. By default the provider's region, and global where it has none."`
	APIVersion string        `yaml:"api_version" json:"api_version,omitempty" short:"true" enum:"v1,v1beta1" doc:"The version in the paths."`
	Auth       google.Params `yaml:"auth" json:"auth,omitzero" doc:"How access tokens are obtained, where there is no key."`
}

// Kind returns the kind.
func Kind() providers.Kind {
	return providers.Kind{
		Name:        "vertex",
		Doc:         "Models on Vertex AI: Google's own, Anthropic's, and those of others by their names, as `meta/llama-…`. `key` is an API key or an access token; without one, `params.auth` says how tokens are obtained. `region` is the location.",
		KeyOptional: true,
		RegionEnv:   "GOOGLE_CLOUD_LOCATION",
		BaseURL:     "https://{region}-aiplatform.googleapis.com",
		Regions: map[string]string{
			"global": "https://aiplatform.googleapis.com",
			"us":     "https://aiplatform.us.rep.googleapis.com",
			"eu":     "https://aiplatform.eu.rep.googleapis.com",
		},
		Models: []string{"gemini-*", "claude-*", "text-embedding-*"},
		Sets:   append(google.Headers(), apiKey),
		Params: func() any { return &Params{APIVersion: "v1", Auth: google.Defaults()} },
		New:    newAdapter,
	}
}

const (
	apiKey        = "x-goog-api-key"
	claudeVersion = "vertex-2023-10-16" // of Anthropic's bodies on Vertex AI
)

func newAdapter(env providers.Env, params any) (providers.Adapter, error) {
	p := params.(*Params)
	location := p.Location
	if location == "" {
		location = env.Region
	}
	if location == "" {
		location = "global"
	}
	for name, value := range map[string]string{"project": p.Project, "location": location} {
		if strings.ContainsFunc(value, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-:.", r)
		}) {
			return nil, &llm.Error{Code: llm.CodeInvalid, Param: "params." + name, Message: "must be lower-case letters, digits, -, : and ."}
		}
	}
	signer, err := google.New(env.Sources, "params.auth", p.Auth)
	if err != nil {
		return nil, err
	}
	root := strings.TrimSuffix(strings.TrimSuffix(env.BaseURL.EscapedPath(), "/v1"), "/v1beta1") + "/" + p.APIVersion
	a := &adapter{
		root: root, project: p.Project, signer: signer,
		google: gemini.Vertex(), predict: gemini.Predict(), one: gemini.EmbedOne(),
		anthropic: anthropicmessages.NewHosted(anthropicmessages.Host{Version: claudeVersion, KeepStream: true}),
		counter:   anthropicmessages.NewCounter(claudeVersion),
		openapi:   openaichat.New(),
	}
	if p.Project != "" {
		a.root += "/projects/" + url.PathEscape(p.Project) + "/locations/" + location
	}
	return a, nil
}

type adapter struct {
	root      string // with the version, the project and the location
	project   string
	signer    *google.Signer
	google    *gemini.Codec
	predict   *gemini.Predictor
	one       *gemini.Predictor
	anthropic *anthropicmessages.Hosted
	counter   *anthropicmessages.Counter
	openapi   *openaichat.Codec
}

var (
	_ providers.Adapter = (*adapter)(nil)
	_ providers.Masker  = (*adapter)(nil)
)

// How a model is reached.
type way uint8

const (
	byOpenAPI   way = iota // the endpoint that all publishers share
	byGoogle               // generateContent
	byPredict              // an embedding model, many texts at once
	byOne                  // an embedding model, one text at a time
	byAnthropic            // rawPredict
)

// ways tell by the beginning of a model's name how it is reached; the longest counts.
var ways = [...]struct {
	prefix string
	way    way
}{
	{"gemini-", byGoogle}, {"learnlm-", byGoogle}, {"gemini-embedding-", byPredict}, {"gemini-embedding-2", byOne},
	{"text-embedding-", byPredict}, {"text-multilingual-embedding-", byPredict}, {"textembedding-", byPredict}, {"claude-", byAnthropic},
}

// own are the publishers whose models have paths of their own, as they may stand in front of a model's name.
var own = [...]string{"models/", "google/", "anthropic/"}

// find returns the name of a model in paths, and how it is reached. Without a project, all models are Google's.
func (a *adapter) find(model string) (string, way) {
	bare := model
	for _, p := range own {
		bare = strings.TrimPrefix(bare, p)
	}
	best, by := 0, byOpenAPI
	for _, w := range ways {
		if strings.HasPrefix(bare, w.prefix) && len(w.prefix) > best {
			best, by = len(w.prefix), w.way
		}
	}
	switch {
	case by != byOpenAPI:
		return bare, by
	case a.project == "":
		return bare, byGoogle
	}
	return model, by
}

// Speaks implements providers.Adapter.
func (a *adapter) Speaks(op llm.Op, model string, _ dialect.Name) (dialect.Client, bool) {
	switch _, by := a.find(model); {
	case by == byGoogle && (op == llm.OpChat || op == llm.OpCount):
		return a.google, true
	case by == byPredict && op == llm.OpEmbed:
		return a.predict, true
	case by == byOne && op == llm.OpEmbed:
		return a.one, true
	case by == byAnthropic && op == llm.OpChat:
		return a.anthropic, true
	case by == byAnthropic && op == llm.OpCount:
		return a.counter, true
	case by == byOpenAPI && op == llm.OpChat:
		return a.openapi, true
	}
	return nil, false
}

// Address implements providers.Adapter. A query of Anthropic's or OpenAI's clients stays behind: the service
// refuses parameters that it does not know.
func (a *adapter) Address(c providers.Call) (string, error) {
	model, by := a.find(c.Model)
	codec, ok := a.Speaks(c.Op, c.Model, c.Dialect)
	if !ok || codec.Name() != c.Dialect {
		return "", providers.NoEndpoint(c.Op)
	}
	if by == byAnthropic && a.project == "" {
		return "", &llm.Error{
			Code: llm.CodeUnsupported, Op: "providers.address", Param: "model",
			Message: "the provider serves " + c.Model + " only within a project, which its configuration does not name (params.project)",
		}
	}
	at := a.root + "/publishers/google/models/" + url.PathEscape(model) + ":"
	switch by {
	case byGoogle:
		query := c.Query
		if c.Verb == "" {
			query = gemini.Query(c.Stream)
		}
		return providers.WithQuery(at+gemini.Method(c.Op, c.Stream, c.Verb), query), nil
	case byPredict:
		return at + "predict", nil
	case byOne:
		return at + "embedContent", nil
	case byAnthropic:
		method := ":rawPredict"
		switch {
		case c.Op == llm.OpCount: // the body names the model
			model = "count-tokens"
		case c.Stream:
			method = ":streamRawPredict"
		}
		return a.root + "/publishers/anthropic/models/" + url.PathEscape(model) + method, nil
	}
	return a.root + "/endpoints/openapi/chat/completions", nil
}

// Sign implements providers.Adapter: with the key, by its form an API key or an access token, or with a token that
// is obtained.
func (a *adapter) Sign(ctx context.Context, out *providers.Outbound) error {
	switch key := out.Key.Reveal(); {
	case key == "":
		return a.signer.Sign(ctx, out.Set)
	case strings.HasPrefix(key, "AIza"), strings.HasPrefix(key, "AQ."):
		out.Set(apiKey, key)
	default:
		providers.Bearer(out)
	}
	return nil
}

// Judge implements providers.Adapter.
func (a *adapter) Judge(status int) (llm.Code, bool) { return providers.JudgeStatus(status) }

// MasksKeys implements providers.Masker: without a project, keys are the Gemini API's.
func (a *adapter) MasksKeys() bool { return a.project == "" }

// Facts implements providers.Adapter.
func (a *adapter) Facts(model string) catalog.Facts {
	bare, _ := a.find(model)
	return catalog.FactsOf("vertex", bare)
}
