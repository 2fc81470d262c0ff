package catalog

import "strings"

// Sets of efforts, as OpenAI's models take them; others are a 400 there.
var (
	effortsClassic = []string{"low", "medium", "high"}
	effortsFive    = []string{"minimal", "low", "medium", "high"}
	efforts51      = []string{"none", "minimal", "low", "medium", "high"}
	effortsXHigh   = []string{"none", "low", "medium", "high", "xhigh"}
	efforts52      = []string{"none", "minimal", "low", "medium", "high", "xhigh"}
	effortsPro     = []string{"medium", "high", "xhigh"}
	effortsNone    = []string{}
)

// openAI is the table behind OpenAI. The longest prefix wins. Numbers are from public model lists as of
// August 2026; which models refuse what is from answers of the API.
var openAI = [...]struct {
	prefix string
	facts  Facts
}{
	{"", Facts{MidSystem: true}}, // nothing is known: members pass as they are asked for

	{"gpt-3.5", plainOpenAI(16_385, 4_096, false)},
	{"gpt-4", plainOpenAI(8_192, 4_096, false)},
	{"gpt-4-turbo", plainOpenAI(128_000, 4_096, false)},
	{"gpt-4-1106", plainOpenAI(128_000, 4_096, false)},
	{"gpt-4-0125", plainOpenAI(128_000, 4_096, false)},
	{"gpt-4o", plainOpenAI(128_000, 16_384, true)},
	{"gpt-4o-2024-05-13", plainOpenAI(128_000, 4_096, false)},
	{"gpt-4o-audio", plainOpenAI(128_000, 16_384, false)},
	{"gpt-4o-mini-audio", plainOpenAI(128_000, 16_384, false)},
	{"gpt-4.1", plainOpenAI(1_047_576, 32_768, true)},
	{"chatgpt-4o", plainOpenAI(128_000, 4_096, false)},
	{"gpt-audio", plainOpenAI(128_000, 16_384, false)},

	// "gpt-5-chat" and its successors are listed as reasoning models but are none.
	{"gpt-5-chat", plainOpenAI(128_000, 16_384, true)},
	{"gpt-5.1-chat", plainOpenAI(128_000, 16_384, true)},
	{"gpt-5.2-chat", plainOpenAI(128_000, 16_384, true)},
	{"gpt-5.3-chat", plainOpenAI(128_000, 16_384, true)},

	{"o1", thinkAlways(200_000, 100_000, effortsClassic, true)},
	{"o1-mini", thinkFirst(128_000, 65_536)},
	{"o1-preview", thinkFirst(128_000, 32_768)},
	{"o3", thinkAlways(200_000, 100_000, effortsClassic, true)},
	{"o4", thinkAlways(200_000, 100_000, effortsClassic, true)},
	{"codex-mini", thinkAlways(200_000, 100_000, effortsClassic, true)},

	{"gpt-5", thinkAlways(272_000, 128_000, effortsFive, true)},
	{"gpt-5-search", thinkAlways(272_000, 128_000, effortsFive, true)},
	{"gpt-5-pro", thinkAlways(400_000, 128_000, []string{"high"}, true)},
	{"gpt-5.1", thinkAsked(272_000, 128_000, efforts51)},
	{"gpt-5-1", thinkAsked(272_000, 128_000, efforts51)}, // as Databricks writes it
	{"gpt-5.1-codex", thinkAlways(272_000, 128_000, effortsFive, true)},
	{"gpt-5.1-codex-max", thinkAlways(272_000, 128_000, []string{"minimal", "low", "medium", "high", "xhigh"}, true)},
	{"gpt-5.2", thinkAsked(272_000, 128_000, efforts52)},
	{"gpt-5.2-codex", thinkAlways(272_000, 128_000, []string{"minimal", "low", "medium", "high", "xhigh"}, true)},
	{"gpt-5.2-pro", thinkAlways(272_000, 128_000, effortsPro, true)},
	{"gpt-5.3-codex", thinkAlways(272_000, 128_000, effortsFive, true)},
	{"gpt-5.3-codex-spark", thinkAlways(128_000, 32_000, effortsFive, true)},
	{"gpt-5.4", thinkAsked(1_050_000, 128_000, efforts52)},
	{"gpt-5.4-mini", thinkAsked(272_000, 128_000, effortsXHigh)},
	{"gpt-5.4-nano", thinkAsked(272_000, 128_000, effortsXHigh)},
	{"gpt-5.4-pro", thinkAlways(1_050_000, 128_000, effortsPro, false)},
	{"gpt-5.5", thinkDefault(1_050_000, 128_000, effortsXHigh)},
	{"gpt-5.5-pro", thinkAlways(1_050_000, 128_000, effortsPro, false)},
	{"gpt-5.6", thinkDefault(1_050_000, 128_000, effortsXHigh)},

	// Newer than all above: as the newest known one.
	{"gpt-5.", thinkDefault(1_050_000, 128_000, effortsXHigh)},
	{"gpt-6", thinkDefault(1_050_000, 128_000, effortsXHigh)},
	{"gpt-7", thinkDefault(1_050_000, 128_000, effortsXHigh)},
	{"o5", thinkAlways(200_000, 100_000, effortsClassic, true)},
}

// OpenAI returns the facts of a model of OpenAI's, by the longest known prefix of its name. A fine-tuned
// model ("ft:gpt-4o:...") is like its base.
func OpenAI(model string) Facts {
	model = strings.TrimPrefix(model, "ft:")
	best := 0
	for i := range openAI {
		if p := openAI[i].prefix; len(p) > len(openAI[best].prefix) && strings.HasPrefix(model, p) {
			best = i
		}
	}
	f := openAI[best].facts
	f.splitOpenAI()
	return f
}

// bareOpenAI cuts what clouds and routers put around OpenAI's names. Azure leaves the dot out of gpt-3.5.
func bareOpenAI(model string) string {
	model = strings.TrimPrefix(model[strings.LastIndexByte(model, '/')+1:], "openai.")
	model = strings.TrimPrefix(model, "databricks-")
	if strings.HasPrefix(model, "gpt-35") {
		return "gpt-3.5"
	}
	return model
}

// plainOpenAI is a model that does not reason.
func plainOpenAI(context, output int64, schema bool) Facts {
	return Facts{Context: context, MaxOutput: output, Efforts: effortsNone, JSONSchema: schema, MidSystem: true, Sampling: Sampling{MaxTemperature: 2}}
}

// thinkFirst is a model of the first that reasoned, which take neither efforts nor instructions.
func thinkFirst(context, output int64) Facts {
	return Facts{
		Context: context, MaxOutput: output, Thinking: ThinkEffort, Efforts: effortsNone, CompletionsMax: true, NoSystem: true,
		Reasoning: Reasoning{ThinkDefault: true, ThinkAlways: true}, Sampling: Sampling{NoSampling: true},
	}
}

// thinkAlways is a model that reasons on every request.
func thinkAlways(context, output int64, efforts []string, schema bool) Facts {
	f := thinkDefault(context, output, efforts)
	f.ThinkAlways, f.NoSampling, f.JSONSchema = true, true, schema
	return f
}

// thinkDefault is a model that reasons unless it is told not to.
func thinkDefault(context, output int64, efforts []string) Facts {
	f := thinkAsked(context, output, efforts)
	f.ThinkDefault = true
	return f
}

// thinkAsked is a model that reasons when it is asked to.
func thinkAsked(context, output int64, efforts []string) Facts {
	return Facts{
		Context: context, MaxOutput: output, Thinking: ThinkEffort, Efforts: efforts,
		JSONSchema: true, DeveloperRole: true, CompletionsMax: true, MidSystem: true,
		Sampling: Sampling{NoSamplingThink: true, MaxTemperature: 2},
	}
}
