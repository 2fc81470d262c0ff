package catalog

import "github.com/signalbox-ai/signalbox/internal/catalog/ability"

// Efforts of single vendors.
var (
	effortsLowHigh     = []string{"low", "high"}
	effortsNoneHigh    = []string{"none", "high"}
	effortsNoneDefault = []string{"none", "default"}
)

// others are the rules of all models but OpenAI's, Anthropic's and Google's. What is told of a model here is
// from its vendor's documentation, or from answers of its API.
var others = []rule{
	{prefix: "", facts: Facts{MidSystem: true}}, // nothing is known: members pass as they are asked for

	{prefix: "gpt-oss", facts: withEfforts(thinksAlways(), effortsClassic)},

	// Mistral: reasoning_effort is none or high; Magistral always reasons.
	{prefix: "mistral-", vendor: "mistral", facts: plainModel()},
	{prefix: "mistral-", vendor: "mistral", need: ability.Reasoning, facts: withEfforts(plainModel(), effortsNoneHigh)},
	{prefix: "magistral", facts: thinksAlways()},

	// Cohere: thinking with a token_budget.
	{prefix: "command", facts: plainModel()},
	{prefix: "command-", need: ability.Reasoning, facts: cohereBudget()},

	// xAI: Grok 4 always reasons and takes no effort; models that reason refuse stop and the penalties.
	{prefix: "grok-", facts: grok(thinksAlways())},
	{prefix: "grok-", has: "-non-reasoning", facts: plainModel()},
	{prefix: "grok-3-mini", facts: grok(withEfforts(thinksAlways(), effortsLowHigh))},
	{prefix: "grok-3", facts: plainModel()},
	{prefix: "grok-2", facts: plainModel()},
	{prefix: "grok-beta", facts: plainModel()},
	{prefix: "grok-vision", facts: plainModel()},

	// DeepSeek: thinking {type: enabled or disabled}, which refuses a forced tool choice.
	{prefix: "deepseek-", facts: thinksSwitched(true)},
	{prefix: "deepseek-chat", facts: plainModel()},
	{prefix: "deepseek-coder", facts: plainModel()},
	{prefix: "deepseek-v3", facts: plainModel()},
	{prefix: "deepseek-v3", vendor: "bedrock", facts: thinksSwitched(false)}, // is V3.1 there
	{prefix: "deepseek-chat-v3-1", facts: thinksSwitched(false)},
	{prefix: "deepseek-v3-1", facts: thinksSwitched(false)},
	{prefix: "deepseek-v3-2", facts: thinksSwitched(false)},
	{prefix: "deepseek-r1", facts: thinksAlways()},
	{prefix: "deepseek-reasoner", facts: forcesNothing(thinksAlways())},

	// Qwen: enable_thinking, on by default in open models and off in the vendor's own line.
	{prefix: "qwen", facts: plainModel()},
	{prefix: "qwen3", facts: thinksSwitched(true)},
	{prefix: "qwen3", has: "-instruct", facts: plainModel()},
	{prefix: "qwen3", has: "-thinking", facts: forcesNothing(thinksAlways())},
	{prefix: "qwen3-235b-a22b-2507", facts: plainModel()}, // without a word it is the one that does not reason
	{prefix: "qwen3-next-80b-a3b", vendor: "bedrock", facts: plainModel()},
	{prefix: "qwen3-vl-235b-a22b", vendor: "bedrock", facts: plainModel()},
	{prefix: "qwen3-", has: "-realtime", facts: plainModel()},
	{prefix: "qwen3-asr", facts: plainModel()},
	{prefix: "qwen-plus-character", facts: plainModel()},
	{prefix: "qwen3-coder", facts: plainModel()},
	{prefix: "qwen3-max", facts: thinksSwitched(false)},
	{prefix: "qwen-plus", facts: thinksSwitched(false)},
	{prefix: "qwen-flash", facts: thinksSwitched(false)},
	{prefix: "qwen-turbo", facts: thinksSwitched(false)},
	{prefix: "qwen3-32b", vendor: "groq", facts: withEfforts(thinksSwitched(true), effortsNoneDefault)},
	{prefix: "qwq", facts: thinksAlways()},
	{prefix: "qvq", facts: thinksAlways()},

	{prefix: "glm-", facts: thinksSwitched(true)},
	{prefix: "glm-4-32b", facts: plainModel()},

	{prefix: "kimi-", facts: thinksSwitched(true)},
	{prefix: "kimi-k2", facts: plainModel()},
	{prefix: "kimi-k2-5", facts: thinksSwitched(true)},
	{prefix: "kimi-k2-6", facts: thinksSwitched(true)},
	{prefix: "kimi-k2-7", facts: thinksSwitched(true)},
	{prefix: "kimi-k2-thinking", facts: thinksAlways()},
	{prefix: "moonshot-v1", facts: plainModel()},

	{prefix: "minimax-m", facts: thinksAlways()},
	{prefix: "minimax-m2-her", facts: plainModel()},

	{prefix: "nova-", facts: plainModel()},
	{prefix: "nova-2-", facts: withEfforts(plainModel(), effortsClassic)}, // maxReasoningEffort

	{prefix: "sonar", facts: plainModel()},
	{prefix: "sonar-reasoning", facts: thinksAlways()},
	{prefix: "sonar-deep-research", facts: withEfforts(thinksAlways(), effortsClassic)},

	{prefix: "llama-", facts: plainModel()},
	{prefix: "jamba-", facts: plainModel()},
	{prefix: "phi-", facts: plainModel()},
	{prefix: "phi-4-reasoning", facts: thinksAlways()},
	{prefix: "phi-4-mini-reasoning", facts: thinksAlways()},
}

// plainModel is a model that does not reason.
func plainModel() Facts { return Facts{Efforts: effortsNone, MidSystem: true} }

// thinksAlways is a model that reasons on every request, and takes no word on it.
func thinksAlways() Facts {
	return Facts{Efforts: effortsNone, MidSystem: true, Reasoning: Reasoning{ThinkDefault: true, ThinkAlways: true}}
}

// thinksSwitched is a model that reasons or not, as it is told.
func thinksSwitched(byDefault bool) Facts {
	return forcesNothing(Facts{Thinking: ThinkSwitch, MidSystem: true, Reasoning: Reasoning{ThinkDefault: byDefault}})
}

// forcesNothing refuses a forced tool choice while it reasons.
func forcesNothing(f Facts) Facts {
	f.NoForcedThink = true
	return f
}

// withEfforts takes a word on how much to reason.
func withEfforts(f Facts, efforts []string) Facts {
	f.Thinking, f.Efforts = ThinkEffort, efforts
	return f
}

func grok(f Facts) Facts {
	f.NoPenalties = true
	return f
}

func cohereBudget() Facts {
	f := plainModel()
	f.Thinking, f.Reasoning = ThinkBudget, Reasoning{ThinkDefault: true, BudgetMin: 1}
	return f
}
