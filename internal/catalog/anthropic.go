package catalog

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/catalog/naming"
)

// Sets of efforts, as Claude models take them in output_config.effort.
var (
	effortsClaude45 = []string{"low", "medium", "high"}
	effortsClaude46 = []string{"low", "medium", "high", "max"}
	effortsClaude47 = []string{"low", "medium", "high", "xhigh", "max"}
)

// anthropic is the table behind Anthropic, by plain name. The longest prefix wins. Numbers are from public model
// lists as of August 2026; what a model refuses is from answers of the API and the vendor's documentation.
var anthropic = [...]struct {
	prefix string
	facts  Facts
}{
	// A Claude that is newer than all below is like the newest known one.
	{"claude-", claude55()},

	{"claude-1", claudeOld(100_000, 4_096)},
	{"claude-2", claudeOld(200_000, 4_096)},
	{"claude-v1", claudeOld(100_000, 4_096)},
	{"claude-v2", claudeOld(200_000, 4_096)},
	{"claude-instant", claudeOld(100_000, 4_096)},
	{"claude-3-", claudeOld(200_000, 4_096)},
	{"claude-3-5-", claudeOld(200_000, 8_192)},
	{"claude-3-7-", claudeBudget(64_000)},

	{"claude-opus-4", claudeBudget(32_000)},
	{"claude-sonnet-4", claudeBudget(64_000)},

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
	{"claude-sonnet-5", claude48()},
	{"claude-sonnet-5-", claude55()},
	{"claude-fable-5", claude55()},
	{"claude-mythos-5", claude55()},

	// Newer than all of its line above.
	{"claude-opus-4-", claude48()},
	{"claude-sonnet-4-", claude48()},
	{"claude-haiku-4-", claude48()},
}

// Anthropic returns how a Claude model must be asked, by the longest known prefix of its plain name. The name
// may have around it what clouds put there ("us.anthropic.claude-…-v1:0", "anthropic/claude-…", "claude-…@date").
// Of any other model nothing is known.
func Anthropic(model string) Facts {
	var buf [naming.Longest + 32]byte
	name, _ := naming.Append(buf[:0], model)
	return claude(name)
}

// claude is Anthropic for a plain name.
func claude(name []byte) Facts {
	at := bytes.Index(name, []byte("claude-"))
	if at < 0 {
		return Facts{}
	}
	name = name[at:]
	best := 0
	for i := range anthropic {
		if p := anthropic[i].prefix; len(p) > len(anthropic[best].prefix) && len(p) <= len(name) && string(name[:len(p)]) == p {
			best = i
		}
	}
	return anthropic[best].facts
}

// claudeOld is a model that does not reason.
func claudeOld(context, output int64) Facts {
	return Facts{Context: context, MaxOutput: output, Efforts: effortsNone, Sampling: Sampling{MaxTemperature: 1}}
}

// claudeBudget is a model that reasons within a budget.
func claudeBudget(output int64) Facts {
	f := claudeOld(200_000, output)
	f.Thinking, f.BudgetMin = ThinkBudget, 1_024
	return f
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
	f := claudeOld(1_000_000, output)
	f.Thinking, f.Efforts, f.JSONSchema = ThinkAdaptive, effortsClaude46, true
	return f
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
