package catalog

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/naming"
)

// rule is how the models of a prefix must be asked. Of those that fit, the one with the longest texts counts;
// of two as long, the one that asks for more.
type rule struct {
	prefix string // of the plain name
	has    string // somewhere behind the prefix
	vendor string // "": all
	need   ability.Set
	facts  Facts
}

// FactsOf returns how a model must be asked at a provider, by the provider's kind or a compatible vendor's name.
// How is told by rules; limits and abilities are the registry's. Of a model that neither knows, the zero
// limits say so. It allocates only the first time that it is asked for a name.
func FactsOf(provider, model string) Facts {
	t, vendor := registry(), Vendor(provider)
	i, ok := t.exact(vendor, model)
	if !ok {
		return t.recall(vendor, model).facts
	}
	if f := t.facts[i].Load(); f != nil {
		return *f
	}
	return t.remember(i)
}

// remember computes the facts of a listed model, once.
func (t *table) remember(i int) Facts {
	m := &t.models[i]
	f := factsOf(m.Vendor, m.ID, m, Exact)
	t.facts[i].Store(&f)
	return f
}

func factsOf(vendor, model string, m *Model, match Match) Facts {
	var buf [naming.Longest + 32]byte
	name, _ := naming.Append(buf[:0], model)
	var f Facts
	switch {
	case bytes.HasPrefix(name, []byte("claude-")): // its limits too: lists give those of beta headers and of other clouds
		f = claude(name)
		f.know(m, match)
	case isOpenAI(name):
		f = OpenAI(bareOpenAI(model))
		f.know(m, match)
		if vendor != "openai" && match >= Alias {
			f.limit(m)
		}
		f.splitOpenAI()
	default:
		table := others
		if bytes.HasPrefix(name, []byte("gem")) || bytes.HasPrefix(name, []byte("learnlm")) {
			table = gemini
		}
		f = best(table, vendor, name, m.Can)
		f.know(m, match)
		f.limit(m)
		if bytes.HasPrefix(name, []byte("gemini")) { // https://ai.google.dev/gemini-api/docs/models: an input and an output limit
			f.Input = f.Context
		}
		f.JSONSchema = f.JSONSchema || m.Can.Has(ability.JSONSchema)
		if f.Efforts == nil && f.Thinking == ThinkNone && match > Family && m.Mode == "chat" && !m.Can.Has(ability.Reasoning) {
			f.Efforts = effortsNone
		}
	}
	if f.MaxTemperature == 0 {
		f.MaxTemperature = hottest(vendor)
	}
	return f
}

// know takes what the registry has of abilities.
func (f *Facts) know(m *Model, match Match) {
	f.Known = match != None
	f.Can = m.Can &^ m.Cannot
	f.NoSampling = f.NoSampling || m.Cannot.Has(ability.Sampling)
}

// limit takes the registry's limits.
func (f *Facts) limit(m *Model) {
	if m.Context > 0 {
		f.Context = m.Context
	}
	if m.MaxOutput > 0 {
		f.MaxOutput = m.MaxOutput
	}
}

// splitOpenAI finds the largest prompt of OpenAI's models from gpt-5 on that reason: what their window has beside the
// largest answer, however long the answer may be; a longer prompt is refused as longer than the configured limit. Lists
// give either the window or the prompt's part of it. See https://platform.openai.com/docs/models.
func (f *Facts) splitOpenAI() {
	const small, large = 400_000, 1_050_000
	f.Input = 0
	switch {
	case f.Thinking == ThinkNone || f.MaxOutput == 0:
	case f.Context == small, f.Context == large:
		f.Input = f.Context - f.MaxOutput
	case f.Context+f.MaxOutput == small, f.Context+f.MaxOutput == large:
		f.Input = f.Context
	}
}

// isOpenAI reports whether a plain name is one of OpenAI's own models.
func isOpenAI(name []byte) bool {
	for _, p := range [...]string{"gpt-", "chatgpt-", "o1", "o3", "o4", "o5", "codex-"} {
		if len(name) >= len(p) && string(name[:len(p)]) == p {
			return !bytes.HasPrefix(name, []byte("gpt-oss"))
		}
	}
	return false
}

// best returns the facts of the rule that fits best, of a table whose first rule fits anything that is asked.
func best(table []rule, vendor string, name []byte, can ability.Set) Facts {
	at, most := -1, -1
	for i := range table {
		r := &table[i]
		if len(r.prefix) > 0 && (len(name) == 0 || r.prefix[0] != name[0]) {
			continue
		}
		score := 4 * (len(r.prefix) + len(r.has))
		if r.vendor != "" {
			score += 2
		}
		if r.need != 0 {
			score++
		}
		if score > most && r.fits(vendor, name, can) {
			at, most = i, score
		}
	}
	if at < 0 {
		return Facts{MidSystem: true}
	}
	return table[at].facts
}

func (r *rule) fits(vendor string, name []byte, can ability.Set) bool {
	return len(name) >= len(r.prefix) && string(name[:len(r.prefix)]) == r.prefix &&
		(r.vendor == "" || r.vendor == vendor) && can.Has(r.need) &&
		(r.has == "" || bytes.Contains(name[max(0, len(r.prefix)-1):], []byte(r.has)))
}

// hottest is the largest temperature that a vendor takes for every model of its own; 0: not known.
func hottest(vendor string) float64 {
	switch vendor {
	case "anthropic", "bedrock", "cohere", "moonshot", "minimax", "zai":
		return 1
	case "mistral":
		return 1.5
	case "openai", "azure", "gemini", "vertex", "groq", "xai", "deepseek":
		return 2
	}
	return 0
}
