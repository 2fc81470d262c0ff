package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// facts is the file of facts, as far as it is used. What says where a fact is from (src, agree, differ, was,
// context_also) stays behind.
type facts struct {
	Meta   meta     `json:"meta"`
	Models []record `json:"models"`
}

type meta struct {
	AsOf    string   `json:"as_of"`
	Sources []source `json:"sources"`
}

type source struct {
	Name    string `json:"name"`
	Repo    string `json:"repo"`
	Licence string `json:"licence"`
	Commit  string `json:"commit"`
	Date    string `json:"date"`
	From    string `json:"read_from"`
}

type record struct {
	Provider  string         `json:"provider"`
	ID        string         `json:"id"`
	Mode      string         `json:"mode"`
	Context   int64          `json:"context"`
	MaxOutput int64          `json:"max_output"`
	Price     map[string]any `json:"price"`
	Able
	Extra
}

// Able is what a model can do.
type Able struct {
	Caps []string `json:"caps"`
	Not  []string `json:"not"`
	Open *bool    `json:"open_weights"`
}

// Extra is what not every record has.
type Extra struct {
	Tiers     []map[string]any             `json:"tiers"`
	Services  map[string]map[string]string `json:"service_tiers"`
	Regional  map[string]float64           `json:"regional_multiplier"`
	Factors   map[string]float64           `json:"multipliers"`
	Dated     []map[string]string          `json:"dated_prices"`
	CacheMin  int64                        `json:"cache_min_tokens"`
	Dims      int64                        `json:"dims"`
	Released  string                       `json:"released"`
	Knowledge string                       `json:"knowledge"`
	Retires   string                       `json:"retires"`
}

// known are the members of a record: those that are written, and those that stay behind. Another one fails,
// for it may be a fact.
const known = " provider id mode context max_output price caps not open_weights tiers service_tiers regional_multiplier multipliers dated_prices cache_min_tokens dims released knowledge retires " +
	"src agree differ was context_also "

// vendors are our names of the facts' providers, where they differ: kinds of providers, or compatible vendors.
var vendors = map[string]string{
	"google-gemini":         "gemini",
	"google-vertex":         "vertex",
	"aws-bedrock":           "bedrock",
	"azure-openai":          "azure",
	"azure-ai-foundry":      "azure-foundry",
	"alibaba-dashscope":     "alibaba",
	"cloudflare-workers-ai": "cloudflare",
}

// read reads the facts, with our names of vendors, in the order of the registry.
func read(raw []byte) (*facts, error) {
	for i, m := range jsonx.Elements(jsonx.Get(raw, "models")) {
		for name := range jsonx.Members(m) {
			if !strings.Contains(known, " "+string(name)+" ") {
				return nil, fmt.Errorf("models[%d]: the generator does not know %s", i, name)
			}
		}
	}
	f := &facts{}
	if err := jsonx.Decode(raw, f); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i := range f.Models {
		m := &f.Models[i]
		if ours := vendors[m.Provider]; ours != "" {
			m.Provider = ours
		}
		key := m.Provider + " " + m.ID
		if seen[key] || strings.ContainsAny(m.ID, "\t\n") || strings.HasPrefix(m.ID, "#") {
			return nil, fmt.Errorf("%s cannot be written, or stands there twice", key)
		}
		seen[key] = true
	}
	slices.SortFunc(f.Models, func(a, b record) int {
		return strings.Compare(a.Provider+"\x00"+a.ID, b.Provider+"\x00"+b.ID)
	})
	return f, nil
}

// sorted returns the names of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
