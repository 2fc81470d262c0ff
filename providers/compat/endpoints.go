package compat

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaicompletions"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
	"github.com/signalbox-ai/signalbox/providers/dialect/rerank"
)

// Endpoints are paths below a base URL. One that begins with ../ leaves the base URL's last element. Empty: the
// server has none.
type Endpoints struct {
	Chat           string `yaml:"chat" json:"chat,omitempty" doc:"Path of openai-chat."`
	Responses      string `yaml:"responses" json:"responses,omitempty" doc:"Path of openai-responses."`
	Seals          string `yaml:"seals" json:"seals,omitempty" doc:"Who encrypts the reasoning of its models in openai-responses, by any name, where that is not OpenAI. Reasoning that OpenAI encrypted is then not sent there. Empty: OpenAI, for whom the server stands, or it is not known."`
	Messages       string `yaml:"messages" json:"messages,omitempty" doc:"Path of anthropic-messages."`
	Completions    string `yaml:"completions" json:"completions,omitempty" doc:"Path of openai-completions."`
	Embeddings     string `yaml:"embeddings" json:"embeddings,omitempty" doc:"Path of openai-embeddings."`
	EmbedForm      string `yaml:"embeddings_form" json:"embeddings_form,omitempty" enum:"openai,voyage,jina,nvidia" zero:"openai" doc:"Whose form its embeddings have."`
	Rerank         string `yaml:"rerank" json:"rerank,omitempty" doc:"Path of rerank."`
	RerankForm     string `yaml:"rerank_form" json:"rerank_form,omitempty" enum:"jina,voyage,llamacpp,tei" zero:"jina" doc:"Whose form its rerank has."`
	Moderations    string `yaml:"moderations" json:"moderations,omitempty" doc:"Path of openai-moderations."`
	Images         string `yaml:"images" json:"images,omitempty" doc:"Path of image generation in OpenAI's form."`
	Speech         string `yaml:"speech" json:"speech,omitempty" doc:"Path of speech in OpenAI's form."`
	Transcriptions string `yaml:"transcriptions" json:"transcriptions,omitempty" doc:"Path of transcription in OpenAI's form."`
	Translations   string `yaml:"translations" json:"translations,omitempty" doc:"Path of translation of audio in OpenAI's form."`

	Only map[string]string `yaml:"only" json:"only,omitempty" doc:"The models of endpoints that do not serve all: names, or with one * at an end, with commas between them."`
}

// route is an endpoint and what it takes.
type route struct {
	name, path string
	op         llm.Op
	dialect    dialect.Name
	codec      func(*Endpoints, openaichat.Quirks) dialect.Client // nil: no codec reads it
}

// routes are the endpoints in the order in which one is chosen for a client of another dialect.
func (e *Endpoints) routes() []route {
	images := func(*Endpoints, openaichat.Quirks) dialect.Client { return passing.Images() }
	audio := func(*Endpoints, openaichat.Quirks) dialect.Client { return passing.Audio() }
	return []route{
		{"chat", e.Chat, llm.OpChat, dialect.OpenAIChat, func(_ *Endpoints, q openaichat.Quirks) dialect.Client { return openaichat.NewUpstream(q) }},
		{"responses", e.Responses, llm.OpChat, dialect.OpenAIResponses, answers},
		{"messages", e.Messages, llm.OpChat, dialect.AnthropicMessages, func(*Endpoints, openaichat.Quirks) dialect.Client { return anthropicmessages.New() }},
		{"completions", e.Completions, llm.OpComplete, dialect.OpenAICompletions, func(*Endpoints, openaichat.Quirks) dialect.Client { return openaicompletions.New() }},
		{"embeddings", e.Embeddings, llm.OpEmbed, dialect.OpenAIEmbeddings, embeddings},
		{"rerank", e.Rerank, llm.OpRerank, dialect.Rerank, ranking},
		{"moderations", e.Moderations, llm.OpModerate, dialect.OpenAIModerations, func(*Endpoints, openaichat.Quirks) dialect.Client { return passing.Moderations() }},
		{"images", e.Images, llm.OpImage, dialect.OpenAIImages, images},
		{"speech", e.Speech, llm.OpSpeech, dialect.OpenAIAudio, audio},
		{"transcriptions", e.Transcriptions, llm.OpTranscribe, dialect.OpenAIAudio, audio},
		{"translations", e.Translations, llm.OpTranslate, dialect.OpenAIAudio, audio},
	}
}

func answers(e *Endpoints, _ openaichat.Quirks) dialect.Client {
	if e.Seals != "" {
		return openairesponses.NewVendor(e.Seals)
	}
	return openairesponses.New()
}

func embeddings(e *Endpoints, _ openaichat.Quirks) dialect.Client {
	switch e.EmbedForm {
	case "voyage":
		return openaiembeddings.NewForm(openaiembeddings.Voyage())
	case "jina":
		return openaiembeddings.NewForm(openaiembeddings.Jina())
	case "nvidia":
		return openaiembeddings.NewForm(openaiembeddings.NVIDIA())
	}
	return openaiembeddings.New()
}

func ranking(e *Endpoints, _ openaichat.Quirks) dialect.Client {
	switch e.RerankForm {
	case "voyage":
		return rerank.NewForm(rerank.Voyage())
	case "llamacpp":
		return rerank.NewForm(rerank.LlamaCPP())
	case "tei":
		return rerank.NewForm(rerank.TEI())
	}
	return rerank.New()
}

// made makes the endpoints below a base path.
func (e *Endpoints) made(base string, q openaichat.Quirks) []providers.Endpoint {
	var out []providers.Endpoint
	for _, r := range e.routes() {
		if r.path != "" && r.codec != nil {
			out = append(out, providers.Endpoint{Op: r.op, Codec: r.codec(e, q), Path: below(base, r.path), Only: e.only(r.name)})
		}
	}
	if beside, ok := strings.CutSuffix(e.Chat, "/chat/completions"); ok { // as OpenAI has it; who has none there says 404
		list := providers.Listing()
		list.Path = below(base, beside+list.Path)
		out = append(out, list)
	}
	return out
}

// only tells which models an endpoint serves; nil: all.
func (e *Endpoints) only(endpoint string) func(model string) bool {
	names := strings.FieldsFunc(e.Only[endpoint], func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) == 0 {
		return nil
	}
	return func(model string) bool { return quirk.Matches(names, model) }
}

// speaks are the dialects that the endpoints take.
func (e *Endpoints) speaks() []dialect.Name {
	var out []dialect.Name
	for _, r := range e.routes() {
		if r.path != "" && r.codec != nil && !slices.Contains(out, r.dialect) {
			out = append(out, r.dialect)
		}
	}
	return out
}

// below is a path below a base path, or beside its last elements.
func below(base, path string) string {
	for {
		rest, up := strings.CutPrefix(path, "../")
		if !up {
			break
		}
		path, base = rest, base[:max(0, strings.LastIndexByte(base, '/'))]
	}
	return base + "/" + strings.TrimPrefix(path, "/")
}

// check returns what is wrong with params, naming the field.
func (p *Params) check() error {
	some := false
	for _, r := range p.Endpoints.routes() {
		some = some || r.path != ""
		rest := strings.TrimLeft(r.path, "./")
		if r.path != "" && (rest == "" || !strings.HasPrefix(r.path, "/") && !strings.HasPrefix(r.path, "../") || strings.Contains(rest, "..") || strings.ContainsFunc(r.path, unfit)) {
			return llm.Invalid("params.endpoints."+r.name, "a path begins with a slash, or with ../, and has no spaces, queries or dots in a row")
		}
	}
	if !some {
		return llm.Invalid("params.endpoints", "no endpoint has a path")
	}
	for name, models := range p.Endpoints.Only {
		if !slices.ContainsFunc(p.Endpoints.routes(), func(r route) bool { return r.name == name && r.path != "" }) || strings.Trim(models, ", ") == "" {
			return llm.Invalid("params.endpoints.only."+name, "it names models of an endpoint that has a path")
		}
	}
	for _, f := range [...]struct{ name, form, forms string }{
		{"embeddings_form", p.Endpoints.EmbedForm, "openai voyage jina nvidia"}, {"rerank_form", p.Endpoints.RerankForm, "jina voyage llamacpp tei"},
	} {
		if f.form != "" && !slices.Contains(strings.Fields(f.forms), f.form) {
			return llm.Invalid("params.endpoints."+f.name, "the forms are "+f.forms)
		}
	}
	if s := p.Endpoints.Seals; strings.ContainsFunc(s, unfit) || strings.Contains(s, ".") {
		return llm.Invalid("params.endpoints.seals", "a name has no dots and no spaces")
	}
	if err := p.Quirks.Check(); err != nil {
		field, message, _ := strings.Cut(err.Error(), ": ")
		return llm.Invalid("params.quirks."+field, message)
	}
	return nil
}

func unfit(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`?#%\@`, r) }

// needless is the error of an account that stands nowhere.
func needless(kind string) error {
	return llm.Invalid("params.account", "the address of the kind "+kind+" has no account in it")
}
