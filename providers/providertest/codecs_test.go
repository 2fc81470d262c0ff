package providertest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// spoken is what providers speak: a dialect of an operation.
type spoken struct {
	Name dialect.Name
	Op   llm.Op
}

// adapter makes one of a kind with its default parameters.
func adapter(t testing.TB, k providers.Kind) providers.Adapter {
	t.Helper()
	u, err := providers.ParseBase("https://up.example/v1")
	if err != nil {
		t.Fatal(err)
	}
	var params any
	if k.Params != nil {
		params = k.Params()
	}
	a, err := k.New(providers.Env{Name: k.Name, BaseURL: u}, params)
	if err != nil {
		t.Fatalf("%s: %v", k.Name, err)
	}
	return a
}

// upstream returns the client half of every dialect that some kind speaks. Of several, that of the kind whose name
// the dialect has counts, then that of a kind that is code.
func upstream(t testing.TB) map[spoken]dialect.Client {
	t.Helper()
	names := []dialect.Name{}
	for _, p := range dialect.Paths() {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	out, rank := map[spoken]dialect.Client{}, map[spoken]int{}
	registry := all.Kinds()
	for _, n := range registry.Names() {
		k, _ := registry.Kind(n)
		a := adapter(t, k)
		models := []string{"m"}
		for _, glob := range k.Models {
			models = append(models, strings.ReplaceAll(glob, "*", "x"))
		}
		for _, model := range models {
			for _, name := range names {
				for _, op := range [...]llm.Op{llm.OpChat, llm.OpComplete, llm.OpCount, llm.OpEmbed, llm.OpRerank, llm.OpModerate} {
					c, ok := a.Speaks(op, model, name)
					if !ok {
						continue
					}
					s, r := spoken{c.Name(), op}, 1
					switch {
					case strings.HasPrefix(string(c.Name()), n):
						r = 3
					case k.Vendor == nil && n != "mock":
						r = 2
					}
					if r > rank[s] {
						out[s], rank[s] = c, r
					}
				}
			}
		}
	}
	return out
}

// ofOp returns the dialects in which providers take an operation, in order.
func ofOp(ups map[spoken]dialect.Client, op llm.Op) (names []dialect.Name) {
	for s := range ups {
		if s.Op == op {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}
