package listing_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/listing"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

func provider(t *testing.T, name, kind string, declared ...catalog.Declared) *providers.Provider {
	t.Helper()
	k, ok := all.Kinds().Kind(kind)
	if !ok {
		t.Fatalf("no kind %s", kind)
	}
	base := &url.URL{Scheme: "https", Host: name + ".example"}
	var params any
	if k.Params != nil {
		params = k.Params()
	}
	a, err := k.New(providers.Env{Name: name, BaseURL: base}, params)
	if err != nil {
		t.Fatal(err)
	}
	return &providers.Provider{Name: name, Kind: kind, Base: base, Adapter: a, Models: catalog.NewDeployment(kind, declared)}
}

func list(t *testing.T) *listing.List {
	t.Helper()
	pass := func(p string) []routing.Target { return []routing.Target{{Provider: p, Model: "*"}} }
	table := routing.NewTable([]*routing.Route{
		{Name: "named", Models: []string{"support", "gpt-4.1"}, Targets: []routing.Target{{Provider: "gpt", Model: "gpt-5.1"}, {Provider: "claude", Model: "claude-sonnet-4-5"}}},
		{Name: "like", Models: []string{"prod"}, Targets: []routing.Target{{Provider: "local", Model: "x1", Like: "gpt-5.1"}}},
		{Name: "gpt", Models: []string{"gpt/*", "gpt-*"}, Targets: pass("gpt")},
		{Name: "fixed", Models: []string{"o3*"}, Targets: []routing.Target{{Provider: "gpt", Model: "o3"}}},
		{Name: "claude", Models: []string{"claude-*"}, Targets: pass("claude")},
		{Name: "odd", Models: []string{"odd/*"}, Targets: pass("odd")},
		{Name: "local", Models: []string{"local/*", "x1", "x2"}, Targets: pass("local")},
	}, map[string]string{"smart": "support", "fast": "claude-haiku-4-5", "gpt-4o": "support"})
	ps := map[string]*providers.Provider{}
	for _, p := range []*providers.Provider{
		provider(t, "gpt", "openai", catalog.Declared{Name: "gpt-old", Retires: "2026-01-01"}, catalog.Declared{Name: "gpt-soon", Retires: "2026-12-31"}),
		provider(t, "claude", "anthropic"),
		provider(t, "local", "openai-compatible", catalog.Declared{Name: "x1", Context: 5000}),
	} {
		ps[p.Name] = p
	}
	ps["odd"] = provider(t, "odd", "anthropic")
	ps["odd"].Models = catalog.NewDeployment("voyage", nil)
	return listing.New(table, ps, time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC))
}

func TestTheListHasNamesAndWhatRoutesPassOn(t *testing.T) {
	owners, before := map[string]string{}, ""
	for _, m := range list(t).Models(func(string) bool { return true }) {
		if m.ID <= before {
			t.Errorf("%s follows %s", m.ID, before)
		}
		before, owners[m.ID] = m.ID, m.Owner
	}
	for id, want := range map[string]string{
		"support": "signalbox", "prod": "signalbox", "smart": "signalbox", "fast": "signalbox", "gpt-4.1": "signalbox", // a route's own name, though a provider has it
		"gpt-4o":         "signalbox", // an alias goes before what is passed on
		"gpt-5.1":        "gpt",
		"gpt/o3":         "gpt", // o3 would go to another route
		"o3":             "",
		"gpt/gpt-4o":     "gpt", // the name is hidden by an alias
		"claude-opus-5":  "claude",
		"local/x1":       "",
		"x1":             "local",     // a route's name that the provider has too
		"x2":             "signalbox", // and one that it has not
		"gpt-old":        "",          // its service has ended
		"gpt-soon":       "gpt",
		"odd/voyage-3":   "", // no endpoint for embeddings
		"gpt/gpt-5.1":    "", // listed once, under the shorter name
		"local/gpt-5.1":  "",
		"claude/anthing": "",
	} {
		if owners[id] != want {
			t.Errorf("%s: owner %q, want %q", id, owners[id], want)
		}
	}
}

func TestAModelIsDescribedByItsFirstTarget(t *testing.T) {
	l := list(t)
	for _, c := range []struct {
		id      string
		context int64
	}{
		{"support", 272_000}, {"smart", 272_000}, {"fast", 200_000}, {"prod", 0}, {"claude-opus-5", 1_000_000}, {"local/x1", 5_000}, {"claude-opus-99", 1_000_000}, {"local/unknown", 0},
	} {
		m, ok := l.Find(c.id)
		if !ok || m.ID != c.id || m.Context != c.context && c.id != "prod" {
			t.Errorf("%s: %+v, %t", c.id, m, ok)
		}
	}
	if m, _ := l.Find("prod"); m.Context != 272_000 || !m.Can.Has(ability.Tools) {
		t.Errorf("what a target is like counts: %+v", m)
	}
	if m, _ := l.Find("claude-sonnet-4-5"); m.Created == 0 || !m.Known || m.MaxOutput != 64_000 {
		t.Errorf("%+v", m)
	}
	if m, ok := l.Find("nowhere"); ok {
		t.Errorf("no route takes it: %+v", m)
	}
}

func TestOnlyWhatTheCallerMayUseIsListed(t *testing.T) {
	got := list(t).Models(func(id string) bool { return strings.HasPrefix(id, "s") })
	if len(got) != 2 || got[0].ID != "smart" || got[1].ID != "support" {
		t.Errorf("%+v", got)
	}
}

// TestWithoutAFileEveryKnownModelIsListed makes what serves without a configuration file, with every key set.
func TestWithoutAFileEveryKnownModelIsListed(t *testing.T) {
	c := config.Default(all.Kinds(), func(string) (string, bool) { return "a key", true })
	ps := map[string]*providers.Provider{}
	for i := range c.Providers {
		p := &c.Providers[i]
		k, _ := all.Kinds().Kind(p.Kind)
		base := p.Base
		if base == nil {
			base = &url.URL{Scheme: "http", Host: "127.0.0.1"}
		}
		a, err := k.New(providers.Env{Name: p.Name, BaseURL: base}, p.Params)
		if err != nil {
			t.Fatal(p.Name, err)
		}
		ps[p.Name] = &providers.Provider{Name: p.Name, Kind: p.Kind, Base: base, Adapter: a, Models: p.Deployment()}
	}
	day := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	listed := map[string]bool{}
	for _, m := range listing.New(c.Table(), ps, day).Models(func(string) bool { return true }) {
		listed[m.ID] = true
		if c.Table().Match(c.Table().Resolve(m.ID)) == nil {
			t.Errorf("%s is listed, and no route takes it", m.ID)
		}
	}
	for _, want := range []string{"gpt-5.1", "claude-opus-5", "text-embedding-3-small", "mock/echo"} {
		if !listed[want] {
			t.Errorf("%s is not listed", want)
		}
	}
	for _, p := range ps {
		for _, m := range catalog.VendorModels(p.Kind) {
			if _, chat := p.Adapter.Speaks(llm.OpChat, m.ID, dialect.OpenAIChat); m.Mode == "chat" && chat && !listed[m.ID] && !listed[p.Name+"/"+m.ID] {
				t.Errorf("%s of %s is not listed", m.ID, p.Name)
			}
		}
	}
}

func BenchmarkNew(b *testing.B) {
	table := routing.NewTable([]*routing.Route{{Name: "r", Models: []string{"r/*"}, Targets: []routing.Target{{Provider: "r", Model: "*"}}}}, nil)
	k, _ := all.Kinds().Kind("openai-compatible")
	a, err := k.New(providers.Env{Name: "r", BaseURL: &url.URL{Scheme: "https", Host: "r.example"}}, k.Params())
	if err != nil {
		b.Fatal(err)
	}
	ps := map[string]*providers.Provider{"r": {Name: "r", Adapter: a, Models: catalog.NewDeployment("openrouter", nil)}}
	for b.Loop() {
		listing.New(table, ps, time.Now())
	}
}
