package catalog_test

import (
	"sync"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		why, provider, model string
		match                catalog.Match
		vendor, id           string
	}{
		{"by its name", "openai", "gpt-5.1", catalog.Exact, "openai", "gpt-5.1"},
		{"at a cloud, by its name there", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", catalog.Exact, "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"},
		{"by the name that others give the vendor", "aws-bedrock", "anthropic.claude-opus-5", catalog.Exact, "bedrock", "anthropic.claude-opus-5"},
		{"Azure's other catalog is Azure too", "azure", "Phi-4", catalog.Exact, "azure-foundry", "Phi-4"},
		{"another spelling", "anthropic", "claude-sonnet-4.5", catalog.Alias, "anthropic", "claude-sonnet-4-5"},
		{"the name of another vendor", "anthropic", "anthropic/claude-haiku-4.5", catalog.Alias, "anthropic", "claude-haiku-4-5"},
		{"Vertex writes the date otherwise", "vertex", "claude-opus-4-5-20251101", catalog.Alias, "vertex", "claude-opus-4-5"},
		{"an ARN of an inference profile", "bedrock", "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0", catalog.Alias, "bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"},
		{"a cloud's name without date and revision keeps its region", "bedrock", "eu.anthropic.claude-sonnet-4-5", catalog.Alias, "bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"},
		{"a region that is not listed has another price", "bedrock", "ca.anthropic.claude-sonnet-4-5-20250929-v1:0", catalog.Family, "bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"},
		{"a tuned model has another price", "openai", "ft:gpt-4o-mini-2024-07-18:acme::id", catalog.Family, "openai", "gpt-4o-mini"},
		{"a snapshot that is not known has another price", "openai", "gpt-4o-2031-01-01", catalog.Family, "openai", "gpt-4o"},
		{"a free variant that is not listed", "openrouter", "anthropic/claude-opus-5:free", catalog.Family, "openrouter", "anthropic/claude-opus-5"},
		{"known at another vendor", "nim", "meta/llama-3.3-70b-instruct", catalog.Elsewhere, "", ""},
		{"the same maker in another country has other prices", "zhipu", "glm-5", catalog.Elsewhere, "zai", "glm-5"},
		{"its maker knows it best", "nim", "deepseek-ai/deepseek-v4-pro", catalog.Elsewhere, "deepseek", "deepseek-v4-pro"},
		{"newer than the newest", "anthropic", "claude-opus-6", catalog.Family, "anthropic", "claude-opus-5"},
		{"between known ones", "openai", "gpt-5.5.1", catalog.Family, "openai", "gpt-5.5"},
		{"older than the oldest", "anthropic", "claude-fable-1", catalog.Family, "anthropic", "claude-fable-5"},
		{"a newer one keeps its line", "gemini", "gemini-4-flash-lite", catalog.Family, "gemini", "gemini-3.5-flash-lite"},
		{"a newer one at a cloud", "bedrock", "global.anthropic.claude-sonnet-7", catalog.Family, "bedrock", "anthropic.claude-sonnet-5"},
		{"nothing is like it", "openai", "in-house", catalog.None, "", ""},
		{"no name", "openai", "", catalog.None, "", ""},
		{"no vendor", "", "gpt-5.1", catalog.Elsewhere, "openai", "gpt-5.1"},
	} {
		m, match := catalog.Find(c.provider, c.model)
		if match != c.match || c.id != "" && (m.Vendor != c.vendor || m.ID != c.id) {
			t.Errorf("%s: %s at %s: got %s at %s, match %d; want %s at %s, match %d", c.why, c.model, c.provider, m.ID, m.Vendor, match, c.id, c.vendor, c.match)
		}
		if (m.Card != nil) != (match >= catalog.Alias) {
			t.Errorf("%s: match %d with card %v: a price is guessed", c.why, match, m.Card)
		}
	}
}

func TestOneModelHasOneNameAtAllVendors(t *testing.T) {
	m, _ := catalog.Find("anthropic", "claude-sonnet-4-5")
	ids := map[string]string{}
	for _, a := range m.Aliases() {
		ids[a.Vendor+" "+a.ID] = a.Name
	}
	for _, want := range []string{
		"anthropic claude-sonnet-4-5", "anthropic claude-sonnet-4-5-20250929", "bedrock anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
		"vertex claude-sonnet-4-5@20250929", "openrouter anthropic/claude-sonnet-4.5", "azure-foundry claude-sonnet-4-5", "databricks databricks-claude-sonnet-4-5",
	} {
		if ids[want] == "" {
			t.Errorf("%s is missing", want)
		}
	}
	old, _ := catalog.Find("openai", "gpt-4o-2024-05-13")
	if now, _ := catalog.Find("openai", "gpt-4o"); now.Name == old.Name {
		t.Error("snapshots of one name are different models where there are several")
	}
}

func TestEveryModelIsFoundAndReadsBack(t *testing.T) {
	all := catalog.All()
	if len(all) < 1500 {
		t.Fatalf("only %d models", len(all))
	}
	priced := 0
	for _, m := range all {
		got, match := catalog.Find(m.Vendor, m.ID)
		if match != catalog.Exact || got.ID != m.ID || got.Vendor != m.Vendor {
			t.Errorf("%s at %s: got %s at %s, %d", m.ID, m.Vendor, got.ID, got.Vendor, match)
		}
		if _, ok := m.Card.Rates.Get(price.Input); ok {
			priced++
		}
	}
	if priced < 1500 {
		t.Errorf("only %d models have a price of input", priced)
	}
}

func TestLookupsAllocateNothing(t *testing.T) {
	for _, c := range [][2]string{
		{"openai", "gpt-5.1"}, {"bedrock", "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-4-5-20251001-v1:0"},
		{"anthropic", "claude-opus-9"}, {"nim", "meta/llama-3.3-70b-instruct"}, {"openai", "in-house"},
	} {
		if n := testing.AllocsPerRun(100, func() { catalog.Find(c[0], c[1]) }); n != 0 {
			t.Errorf("%v: %v allocations", c, n)
		}
	}
}

// TestWhatANameMeansDoesNotHangOnWhatWasAskedBefore asks for many names of many vendors, twice and at once.
func TestWhatANameMeansDoesNotHangOnWhatWasAskedBefore(t *testing.T) {
	type answer struct {
		id    string
		match catalog.Match
		max   int64
	}
	ask := func(vendor, model string) answer {
		m, match := catalog.Find(vendor, model)
		return answer{m.ID, match, catalog.FactsOf(vendor, model).MaxOutput}
	}
	var names [][2]string
	for _, m := range catalog.All() {
		for _, v := range []string{"openai", "nim", "bedrock"} {
			names = append(names, [2]string{v, m.Name + "-x"}, [2]string{v, m.ID})
		}
	}
	first := make([]answer, len(names))
	for i, n := range names {
		first[i] = ask(n[0], n[1])
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, n := range names {
				if got := ask(n[0], n[1]); got != first[i] {
					t.Errorf("%v: got %+v, before %+v", n, got, first[i])
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkFind(b *testing.B) {
	for _, c := range []struct{ name, vendor, model string }{
		{"exact", "anthropic", "claude-sonnet-4-5-20250929"},
		{"alias", "anthropic", "claude-sonnet-4.5"},
		{"family", "anthropic", "claude-opus-9"},
		{"none", "openai", "in-house"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			catalog.Find(c.vendor, c.model)
			for b.Loop() {
				catalog.Find(c.vendor, c.model)
			}
		})
	}
}
