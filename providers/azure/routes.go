package azure

import (
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/anthropicmessages"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat/quirk"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaicompletions"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaiembeddings"
	"github.com/signalbox-ai/signalbox/providers/dialect/openairesponses"
	"github.com/signalbox-ai/signalbox/providers/dialect/passing"
)

// route is a path where an operation is taken in a dialect.
type route struct {
	op     llm.Op
	codec  dialect.Client
	path   string // with {deployment} where it names it; "": the client's own below the root
	claude bool   // for Claude models, and for those alone
}

// version is the api-version of the query, "" where there is none.
func (a *adapter) version() string {
	if a.params.APIVersion == "" && a.params.Surface == surfaceModels {
		return modelsVersion
	}
	return a.params.APIVersion
}

// root is what stands before the paths that name no deployment.
func (a *adapter) root() string {
	switch {
	case a.params.Surface == surfaceModels:
		return a.base + "/models"
	case dated(a.params.APIVersion):
		return a.base + "/openai"
	}
	return a.base + "/openai/v1"
}

// endpoints are the resource's. Where a path names the deployment, Azure ignores the model in the body.
func (a *adapter) endpoints() []route {
	named := func(c dialect.Client) dialect.Client { return named(c, a.params.Deployments) }
	root := a.root()
	chat := route{op: llm.OpChat, codec: named(openaichat.NewVersion(quirksOf(a.version()))), path: root + "/chat/completions"}
	embed := route{op: llm.OpEmbed, codec: named(openaiembeddings.New()), path: root + "/embeddings"}
	messages := route{op: llm.OpChat, codec: named(anthropicmessages.New()), path: a.base + "/anthropic/v1/messages", claude: true}
	if a.params.Surface == surfaceModels {
		return []route{chat, embed, messages}
	}
	responses := route{op: llm.OpChat, codec: named(openairesponses.New()), path: root + "/responses"}
	images, audio, files := passing.Images(), passing.Audio(), passing.Files()
	at := root
	if dated(a.params.APIVersion) {
		at = root + "/deployments/{deployment}"
		chat.path, embed.path = at+"/chat/completions", at+"/embeddings"
	}
	var out []route
	if a.params.API != "responses" {
		out = append(out, chat)
	}
	if a.params.API != "chat" && (!dated(a.params.APIVersion) || a.params.APIVersion >= "2025-03-01") {
		out = append(out, responses)
	}
	return append(out, messages, embed,
		route{op: llm.OpComplete, codec: named(openaicompletions.New()), path: at + "/completions"},
		route{op: llm.OpImage, codec: named(images), path: at + "/images/generations"},
		route{op: llm.OpImageEdit, codec: named(images), path: at + "/images/edits"},
		route{op: llm.OpSpeech, codec: named(audio), path: at + "/audio/speech"},
		route{op: llm.OpTranscribe, codec: named(audio), path: at + "/audio/transcriptions"},
		route{op: llm.OpTranslate, codec: named(audio), path: at + "/audio/translations"},
		route{op: llm.OpFiles, codec: files}, route{op: llm.OpBatches, codec: files}, route{op: llm.OpStored, codec: passing.Stored()},
	)
}

// faults are what Azure says otherwise than by the status.
var faults = []quirk.Error{
	{Status: 400, Says: "operationnotsupported", Code: "unsupported"},
	{Status: 403, Says: "out of call volume quota", Code: "over_quota"},
	{Status: 429, Says: "nocapacity", Code: "overloaded"},
	{Status: 429, Says: "system is currently experiencing high demand", Code: "overloaded"},
}

// since are the dated versions that brought members and words: those before refuse them
// (https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle).
var since = [...]struct {
	version string
	lacks   func(*openaichat.Quirks)
}{
	{"2023-12-01", func(q *openaichat.Quirks) { q.Refuses = append(q.Refuses, "tools", "logprobs") }},
	{"2024-08-01", func(q *openaichat.Quirks) {
		q.Formats = []string{"text", "json_object"}
		q.Drops = append(q.Drops, "parallel_tool_calls")
	}},
	{"2024-09-01", func(q *openaichat.Quirks) { q.Usage = "never" }},
	{"2024-10-01", func(q *openaichat.Quirks) { q.Drops = append(q.Drops, "store", "metadata") }},
	{"2024-12-01", func(q *openaichat.Quirks) {
		q.Developer = true
		q.Drops = append(q.Drops, "reasoning_effort", "service_tier", "prediction")
	}},
}

// quirksOf are the quirks of a version: its peculiar answers harm nobody, and dated versions lack what came later.
func quirksOf(version string) openaichat.Quirks {
	q := openaichat.Quirks{Errors: faults, Answers: []string{"first_chunk_bare", "finish_absent", "extra_members"}}
	if dated(version) && version != modelsVersion {
		for _, s := range since {
			if version < s.version {
				s.lacks(&q)
			}
		}
	}
	return q
}

// named is a codec that writes the deployment's name for a model's. Without deployments it is the codec itself.
func named(c dialect.Client, deployments map[string]string) dialect.Client {
	if len(deployments) == 0 {
		return c
	}
	d := deployed{c, deployments}
	if s, ok := c.(dialect.Stripper); ok {
		return &stripping{d, s}
	}
	return &d
}

type deployed struct {
	dialect.Client
	names map[string]string
}

// stripping is one whose streams carry usage when they are asked to.
type stripping struct {
	deployed
	dialect.Stripper
}

var (
	_ dialect.Rewriter = (*deployed)(nil)
	_ dialect.Reshaper = (*deployed)(nil)
	_ dialect.Trimmer  = (*deployed)(nil)
)

func (d *deployed) name(model string) string {
	if n := d.names[model]; n != "" {
		return n
	}
	return model
}

func (d *deployed) WriteRequest(dst []byte, req *llm.Request, t dialect.Target) ([]byte, []llm.Loss, error) {
	if t.Model == "" {
		t.Model = req.Model
	}
	t.Model = d.name(t.Model)
	return d.Client.WriteRequest(dst, req, t)
}

func (d *deployed) Splice(dst []byte, h *dialect.Head, e dialect.Edits) ([]byte, error) {
	if e.Model == "" {
		e.Model = h.Model
	}
	e.Model = d.name(e.Model)
	return d.Client.Splice(dst, h, e)
}

func (d *deployed) Rewrites(h *dialect.Head) bool {
	r, ok := d.Client.(dialect.Rewriter)
	return ok && r.Rewrites(h)
}

func (d *deployed) Reshapes(h *dialect.Head) bool {
	r, ok := d.Client.(dialect.Reshaper)
	return ok && r.Reshapes(h)
}

func (d *deployed) Trims(h *dialect.Head, model string) ([]llm.Loss, error) {
	if t, ok := d.Client.(dialect.Trimmer); ok {
		return t.Trims(h, model)
	}
	return nil, nil
}
