package catalog_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
)

func reasons(f *catalog.Facts) bool { return f.Thinking != catalog.ThinkNone || f.ThinkAlways }

// otherwise holds where the lists are wrong, with the reason, by the beginning of a plain name.
var otherwise = map[string]string{
	"gpt-5-chat": "answers without reasoning", "gpt-5-1-chat": "as gpt-5-chat", "gpt-5-2-chat": "as gpt-5-chat", "gpt-5-3-chat": "as gpt-5-chat",
	"gpt-5-search-api": "the list knows no abilities of it", "o3-deep-research": "reasons, as all of the line", "o4-mini-deep-research": "reasons, as all of the line",
	"qwen3-coder": "its vendor says that it does not think", "qwen-coder": "as qwen3-coder", "qwen-max": "is none of those that think",
	"gemini-2-5-flash-image": "takes no thinkingConfig", "gemini-2-5-computer-use": "is a 2.5 Pro",
	"grok-4": "reasons, though the list forgot", "glm-4-5": "has thinking, though the list forgot", "sonar-pro-search": "takes no word on it", "qwen3-235b-a22b-2507": "is the one that does not think",
}

// TestFactsAgreeWithTheRegistry holds the rules against what the lists say of reasoning. The lists of resellers
// forget it often; what they state is never wrong but where otherwise says so, and makers' lists forget nothing else.
func TestFactsAgreeWithTheRegistry(t *testing.T) {
	checked := 0
	for _, m := range catalog.All() {
		if m.Mode != "chat" && m.Mode != "responses" {
			continue
		}
		f := catalog.FactsOf(m.Vendor, m.ID)
		if !f.Known || f.Can != m.Can&^m.Cannot {
			t.Errorf("%s at %s: known %t, can %s", m.ID, m.Vendor, f.Known, f.Can)
		}
		if f.Context == 0 && m.Context != 0 || f.MaxOutput == 0 && m.MaxOutput != 0 {
			t.Errorf("%s at %s: limits are lost", m.ID, m.Vendor)
		}
		if f.Efforts == nil && !reasons(&f) {
			continue // no rule
		}
		checked++
		ours, listed := reasons(&f), m.Can.Has(ability.Reasoning)
		maker := slices.Contains([]string{"openai", "anthropic", "gemini", "mistral", "cohere", "xai", "deepseek", "alibaba", "moonshot", "zai", "minimax", "perplexity"}, m.Vendor)
		if ours == listed || ours && !maker {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(otherwise)), func(p string) bool { return strings.HasPrefix(m.Name, p) }) {
			t.Errorf("%s at %s: reasons %t, listed %t", m.ID, m.Vendor, ours, listed)
		}
	}
	if checked < 1000 {
		t.Errorf("only %d models were compared", checked)
	}
}

func TestFactsOf(t *testing.T) {
	const none, effort, budget, adaptive, level, sw = catalog.ThinkNone, catalog.ThinkEffort, catalog.ThinkBudget, catalog.ThinkAdaptive, catalog.ThinkLevel, catalog.ThinkSwitch
	for _, c := range []struct {
		vendor, model string
		thinking      catalog.Thinking
		efforts       string // "?": unknown
		flags         string // d: by default, a: always, f: no forced choice, s: no system, p: no penalties, n: no sampling
		least, most   int64
		hottest       float64
	}{
		{"bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", budget, "", "", 1024, 0, 1},
		{"bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-opus-4-6-v1", adaptive, "low medium high max", "", 0, 0, 1},
		{"vertex", "claude-opus-4-7@default", adaptive, "low medium high xhigh max", "an", 0, 0, 1},
		{"openrouter", "anthropic/claude-haiku-4.5", budget, "", "", 1024, 0, 1},
		{"azure", "gpt-35-turbo", none, "", "", 0, 0, 2},
		{"azure", "gpt-5.2", effort, "none minimal low medium high xhigh", "", 0, 0, 2},
		{"bedrock", "openai.gpt-5.4", effort, "none minimal low medium high xhigh", "", 0, 0, 2},
		{"databricks", "databricks-gpt-5-1", effort, "none minimal low medium high", "", 0, 0, 2},
		{"groq", "openai/gpt-oss-120b", effort, "low medium high", "da", 0, 0, 2},
		{"gemini", "gemini-2.5-pro", budget, "", "da", 128, 32768, 2},
		{"gemini", "gemini-2.5-flash", budget, "", "d", 1, 24576, 2},
		{"vertex", "gemini-2.5-flash-lite", budget, "", "", 512, 24576, 2},
		{"gemini", "gemini-3.1-pro-preview", level, "low medium high", "da", 0, 0, 2},
		{"gemini", "gemini-3-flash-preview", level, "minimal low medium high", "da", 0, 0, 2},
		{"gemini", "gemini-9-flash", level, "minimal low medium high", "da", 0, 0, 2},
		{"gemini", "gemini-9-pro", level, "low medium high", "da", 0, 0, 2},
		{"gemini", "gemini-2.0-flash", none, "", "", 0, 0, 2},
		{"gemini", "gemma-3-27b-it", none, "", "s", 0, 0, 2},
		{"openrouter", "google/gemma-3-27b-it", none, "", "", 0, 0, 0},
		{"mistral", "mistral-small-2603", effort, "none high", "", 0, 0, 1.5},
		{"mistral", "mistral-small-2506", none, "", "", 0, 0, 1.5},
		{"mistral", "magistral-medium-2509", none, "", "da", 0, 0, 1.5},
		{"cohere", "command-a-reasoning-08-2025", budget, "", "d", 1, 0, 1},
		{"cohere", "command-r-plus", none, "", "", 0, 0, 1},
		{"xai", "grok-3-mini-latest", effort, "low high", "dap", 0, 0, 2},
		{"xai", "grok-4.5", none, "", "dap", 0, 0, 2},
		{"xai", "grok-4.20-0309-non-reasoning", none, "", "", 0, 0, 2},
		{"deepseek", "deepseek-v4-pro", sw, "?", "df", 0, 0, 2},
		{"deepseek", "deepseek-chat", none, "", "", 0, 0, 2},
		{"groq", "qwen/qwen3-32b", effort, "none default", "df", 0, 0, 2},
		{"alibaba", "qwen3-next-80b-a3b-thinking", none, "", "daf", 0, 0, 0},
		{"together", "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8", none, "", "", 0, 0, 0},
		{"moonshot", "kimi-k2-thinking", none, "", "da", 0, 0, 1},
		{"moonshot", "kimi-k9", sw, "?", "df", 0, 0, 1},
		{"bedrock", "amazon.nova-2-lite-v1:0", effort, "low medium high", "", 0, 0, 1},
		{"openrouter", "gryphe/mythomax-l2-13b", none, "", "", 0, 0, 0},
		{"openai-compatible", "in-house", none, "?", "", 0, 0, 0},
	} {
		f := catalog.FactsOf(c.vendor, c.model)
		flags := ""
		for _, x := range []struct {
			flag string
			set  bool
		}{{"d", f.ThinkDefault}, {"a", f.ThinkAlways}, {"f", f.NoForcedThink}, {"s", f.NoSystem}, {"p", f.NoPenalties}, {"n", f.NoSampling}} {
			if x.set {
				flags += x.flag
			}
		}
		efforts := strings.Join(f.Efforts, " ")
		if f.Efforts == nil {
			efforts = "?"
		}
		if f.Thinking != c.thinking || efforts != c.efforts || flags != c.flags || f.BudgetMin != c.least || f.BudgetMax != c.most || f.MaxTemperature != c.hottest {
			t.Errorf("%s at %s: thinking %d, efforts %q, flags %q, budget %d to %d, temperature %v", c.model, c.vendor, f.Thinking, efforts, flags, f.BudgetMin, f.BudgetMax, f.MaxTemperature)
		}
	}
}

func TestWhatIsNotKnownCanAnything(t *testing.T) {
	known, unknown := catalog.FactsOf("openai", "gpt-4"), catalog.FactsOf("openai", "in-house")
	if !known.Lacks(ability.Vision) || known.Lacks(ability.Tools) || unknown.Lacks(ability.Vision) {
		t.Errorf("known %s, unknown %s", known.Can, unknown.Can)
	}
	if unknown.Context != 0 || unknown.Known {
		t.Errorf("%+v", unknown)
	}
	if f := catalog.FactsOf("nim", "meta/llama-3.3-70b-instruct"); f.Context == 0 || !f.Can.Has(ability.Tools) {
		t.Errorf("a model of another vendor's has its limits and abilities: %+v", f)
	}
	if n := testing.AllocsPerRun(100, func() { catalog.FactsOf("bedrock", "us.anthropic.claude-opus-9-v1:0") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFactsOf(b *testing.B) {
	for _, c := range [][2]string{
		{"openai", "gpt-5.4-mini"}, {"anthropic", "claude-sonnet-4-5"}, {"bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}, {"gemini", "gemini-2.5-flash"},
		{"groq", "llama-3.3-70b-versatile"}, {"openai", "in-house"},
	} {
		b.Run(c[0]+"_"+strings.ReplaceAll(c[1], "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			catalog.FactsOf(c[0], c[1])
			for b.Loop() {
				catalog.FactsOf(c[0], c[1])
			}
		})
	}
}
