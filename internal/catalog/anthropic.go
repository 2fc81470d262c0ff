package catalog

import "strings"

// Sets of efforts, as Claude models take them in output_config.effort.
var (
	effortsClaude45 = []string{"low", "medium", "high"}
	effortsClaude46 = []string{"low", "medium", "high", "max"}
	effortsClaude47 = []string{"low", "medium", "high", "xhigh", "max"}
)

// anthropic is the table behind Anthropic. The longest prefix wins. Numbers are from public model lists as
// of August 2026; what a model refuses is from answers of the API and the vendor's documentation.
var anthropic = [...]struct {
	prefix string
	facts  Facts
}{
	// A Claude that is newer than all below is like the newest known one.
	{"claude-", claude55()},

	{"claude-1", Facts{Context: 100_000, MaxOutput: 4_096, Efforts: effortsNone}},
	{"claude-2", Facts{Context: 200_000, MaxOutput: 4_096, Efforts: effortsNone}},
	{"claude-v1", Facts{Context: 100_000, MaxOutput: 4_096, Efforts: effortsNone}},
	{"claude-v2", Facts{Context: 200_000, MaxOutput: 4_096, Efforts: effortsNone}},
	{"claude-instant", Facts{Context: 100_000, MaxOutput: 4_096, Efforts: effortsNone}},
	{"claude-3-", Facts{Context: 200_000, MaxOutput: 4_096, Efforts: effortsNone}},
	{"claude-3-5-", Facts{Context: 200_000, MaxOutput: 8_192, Efforts: effortsNone}},
	{"claude-3-7-", claudeBudget(64_000)},

	// The first of the fourth generation, under all its names.
	{"claude-4-opus", claudeBudget(32_000)},
	{"claude-4-sonnet", claudeBudget(64_000)},
	{"claude-opus-4", claudeBudget(32_000)},
	{"claude-opus-4-0", claudeBudget(32_000)},
	{"claude-opus-4-2025", claudeBudget(32_000)},
	{"claude-sonnet-4", claudeBudget(64_000)},
	{"claude-sonnet-4-0", claudeBudget(64_000)},
	{"claude-sonnet-4-2025", claudeBudget(64_000)},

	{"claude-opus-4-1", claude41()},
	{"claude-sonnet-4-5", claude45()},
	{"claude-haiku-4-5", claude45()},
	{"claude-opus-4-5", claudeOpus45()},

	{"claude-opus-4-6", claude46(128_000)},
	{"claude-sonnet-4-6", claude46(64_000)},
	{"claude-opus-4-7", claudeOpus47()},
	{"claude-opus-4-8", claude48()},

	{"claude-opus-5", claude48()},
	{"claude-opus-5-", claude55()},
	{"claude-opus-5-20", claude48()}, // a date
	{"claude-sonnet-5", claude48()},
	{"claude-sonnet-5-", claude55()},
	{"claude-sonnet-5-20", claude48()},
	{"claude-fable-5", claude55()},
	{"claude-mythos-5", claude55()},

	// Newer than all of its line above.
	{"claude-opus-4-", claude48()},
	{"claude-sonnet-4-", claude48()},
	{"claude-haiku-4-", claude48()},
}

// Anthropic returns the facts of a Claude model, by the longest known prefix of its name. The name may have
// in front what clouds put there ("us.anthropic.claude-…", "anthropic/claude-…"), and a dot in its version.
// Of any other model nothing is known.
func Anthropic(model string) Facts {
	at := strings.Index(model, "claude-")
	if at < 0 {
		return Facts{}
	}
	model = strings.ReplaceAll(model[at:], ".", "-")
	best := 0
	for i := range anthropic {
		if p := anthropic[i].prefix; strings.HasPrefix(model, p) && len(p) >= len(anthropic[best].prefix) {
			best = i
		}
	}
	return anthropic[best].facts
}

// claudeBudget is a model that reasons within a budget.
func claudeBudget(output int64) Facts {
	return Facts{Context: 200_000, MaxOutput: output, Thinking: ThinkBudget, Efforts: effortsNone}
}

func claude41() Facts {
	f := claudeBudget(32_000)
	f.JSONSchema, f.OneSampling = true, true
	return f
}

func claude45() Facts {
	f := claudeBudget(64_000)
	f.JSONSchema, f.OneSampling = true, true
	return f
}

func claudeOpus45() Facts {
	f := claudeBudget(64_000)
	f.JSONSchema, f.Efforts = true, effortsClaude45
	return f
}

// claude46 is a model that reasons as much as it sees fit.
func claude46(output int64) Facts {
	return Facts{
		Context: 1_000_000, MaxOutput: output, Thinking: ThinkAdaptive, Efforts: effortsClaude46, JSONSchema: true,
	}
}

// claudeOpus47 refuses budgets, the sampling members, and to be told not to reason.
func claudeOpus47() Facts {
	f := claude46(128_000)
	f.Efforts, f.NoSampling, f.ThinkAlways = effortsClaude47, true, true
	return f
}

func claude48() Facts {
	f := claude46(128_000)
	f.Efforts, f.NoSampling, f.MidSystem = effortsClaude47, true, true
	return f
}

// claude55 always reasons, and refuses to be forced to call a tool.
func claude55() Facts {
	f := claude46(128_000)
	f.Efforts, f.NoSampling, f.MidSystem = effortsClaude47, true, true
	f.ThinkDefault, f.ThinkAlways, f.NoForcedThink = true, true, true
	return f
}
