package bedrockconverse

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// asking is how a family of models is asked to reason, in additionalModelRequestFields.
type asking uint8

const (
	asksNothing asking = iota // it is not asked
	asksClaude                // thinking and output_config, as in Anthropic's API
	asksNova                  // reasoningConfig {type, maxReasoningEffort}
	asksEffort                // reasoning_effort
	asksWord                  // reasoning_config, a word
)

// family is what a family of models takes of Converse beyond what all take.
type family struct {
	asks    asking
	efforts []string // accepted by asksNova, asksEffort and asksWord, weakest first
	topK    string   // the member of additionalModelRequestFields for top_k, as "a.b"; "": it has none
	stops   int      // most stop sequences; 0: not known
	choice  bool     // may be forced to call a tool
	schema  bool     // takes outputConfig.textFormat; of Claude, the catalog knows
	cache   bool     // takes cachePoint in messages and system
	tools   bool     // takes cachePoint behind tools too
	results bool     // wants the results of tools as JSON
}

// families is the table of families by a part of the model's name, the first that fits. A newer model of a known
// family is taken to behave like the newest known one. What a family takes is from AWS's user guides for Converse,
// structured output, prompt caching and the models' own parameters, and from recorded traffic.
var families = [...]struct {
	part string
	family
}{
	{"claude", family{asks: asksClaude, topK: "top_k", stops: 8191, choice: true, cache: true, tools: true}},
	{"nova-2", family{asks: asksNova, efforts: effortsLow, topK: "inferenceConfig.topK", stops: 4, choice: true, cache: true}},
	{"nova-micro-v1", family{topK: "inferenceConfig.topK", stops: 4, choice: true, cache: true}},
	{"nova-lite-v1", family{topK: "inferenceConfig.topK", stops: 4, choice: true, cache: true}},
	{"nova-pro-v1", family{topK: "inferenceConfig.topK", stops: 4, choice: true, cache: true}},
	{"nova-premier-v1", family{topK: "inferenceConfig.topK", stops: 4, choice: true, cache: true}},
	{"amazon.nova", family{asks: asksNova, efforts: effortsLow, topK: "inferenceConfig.topK", stops: 4, choice: true, cache: true}},
	{"gpt-oss", family{asks: asksEffort, efforts: effortsLow, schema: true}},
	{"qwen", family{asks: asksWord, efforts: effortsLow, topK: "top_k", schema: true}},
	{"mistral-large-2402", family{topK: "top_k", results: true}},
	{"mistral-large-2407", family{topK: "top_k", results: true, choice: true}},
	{"mistral-7b", family{topK: "top_k", results: true}},
	{"mixtral", family{topK: "top_k", results: true}},
	{"mistral-small-2402", family{topK: "top_k", results: true}},
	{"pixtral", family{topK: "top_k", results: true, choice: true}},
	{"mistral.", family{topK: "top_k", results: true, choice: true, schema: true}},
	{"cohere.", family{topK: "k"}},
	{"llama", family{}},
	{"titan", family{}},
	{"ai21", family{}},
	{"deepseek.r1", family{}},
	{"writer.", family{}},
	{"deepseek", family{schema: true}},
	{"minimax", family{schema: true}},
	{"nemotron", family{schema: true}},
	{"gemma", family{schema: true}},
	{"kimi", family{schema: true}},
	{"glm", family{schema: true}},
}

var effortsLow = []string{llm.EffortLow, llm.EffortMedium, llm.EffortHigh}

// familyOf finds the family of a target: by the model that it is known to be like, else by its own name, else by what
// the catalog knows. The names of application inference profiles and of imported models say nothing.
func familyOf(t dialect.Target) family {
	for _, n := range [...]string{t.Like, t.Model} {
		n = strings.ToLower(n)
		for i := range families {
			if n != "" && strings.Contains(n, families[i].part) {
				return families[i].family
			}
		}
	}
	switch t.Facts.Thinking {
	case catalog.ThinkBudget, catalog.ThinkAdaptive:
		return families[0].family
	case catalog.ThinkEffort:
		return family{asks: asksEffort, efforts: t.Facts.Efforts, schema: t.Facts.JSONSchema}
	}
	return family{choice: true, schema: true}
}
