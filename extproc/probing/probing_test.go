package probing_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/probing"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// source has a provider of each of some kinds, by the kind's name, and routes with targets.
func source(t *testing.T, s *probe.Settings, targets []routing.Target, routes ...*routing.Route) *probing.Source {
	t.Helper()
	found := map[string]*providers.Provider{}
	for _, name := range []string{"openai", "anthropic", "gemini", "openai-compatible", "cohere"} {
		kind, _ := all.Kinds().Kind(name)
		base, err := url.Parse("https://" + name + ".example/v1")
		if err != nil {
			t.Fatal(err)
		}
		var params any
		if kind.Params != nil {
			params = kind.Params()
		}
		a, err := kind.New(providers.Env{Name: name, BaseURL: base}, params)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = &providers.Provider{Name: name, Kind: name, Base: base, Adapter: a, Keys: providers.NewKeyring(), Models: catalog.NewDeployment(name, nil)}
	}
	found["openai"].Keys = providers.NewKeyring(providers.Key{ID: "one", Secret: secret.New("1")}, providers.Key{ID: "two", Secret: secret.New("2")})
	routes = append(routes, &routing.Route{Name: "r", Models: []string{"r"}, Targets: targets})
	return &probing.Source{Settings: s, Table: routing.NewTable(routes, nil), Providers: found}
}

func TestTheSmallestQuestion(t *testing.T) {
	chat := func(model, most string) string {
		return "POST /v1/chat/completions " + `{"model":"` + model + `","messages":[{"role":"user","content":"ping"}],"` + most + `":1}`
	}
	for target, want := range map[string]string{
		"openai/gpt-5.1":                 chat("openai/gpt-5.1", "max_completion_tokens"),
		"openai/gpt-3.5-turbo":           chat("openai/gpt-3.5-turbo", "max_tokens"),
		"anthropic/claude-sonnet-4-5":    chat("anthropic/claude-sonnet-4-5", "max_tokens"),
		"openai-compatible/my \"model\"": chat(`openai-compatible/my \"model\"`, "max_tokens"),
		"openai/text-embedding-3-small":  `POST /v1/embeddings {"model":"openai/text-embedding-3-small","input":"ping"}`,
		"cohere/rerank-v3.5":             `POST /v1/rerank {"model":"cohere/rerank-v3.5","query":"ping","documents":["ping"]}`,
		"openai/gpt-realtime":            "",
		"nobody/gpt-5.1":                 "",
	} {
		provider, model := cut(target)
		s := probe.Preset()
		got := ""
		for _, x := range source(t, &s, []routing.Target{{Provider: provider, Model: model}}).Targets() {
			if got = x.Method + " " + x.Path + " " + string(x.Body); jsonx.Valid(x.Body) != nil {
				t.Errorf("%s: no JSON", target)
			}
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", target, got, want)
		}
	}
}

func cut(target string) (provider, model string) {
	for i := range target {
		if target[i] == '/' {
			return target[:i], target[i+1:]
		}
	}
	return target, ""
}

func TestWhatIsProbed(t *testing.T) {
	target := func(p, m string) routing.Target { return routing.Target{Provider: p, Model: m} }
	arm := func(shadow *experiment.Shadow, m string) *routing.Route {
		r := &routing.Route{Name: "e" + m, Models: []string{"e" + m}, Targets: []routing.Target{target("openai", "gpt-4.1")}}
		r.Trial = &routing.Trial{Experiment: &experiment.Experiment{Shadow: shadow}, Routes: []*routing.Route{r, {Targets: []routing.Target{target("openai", m)}}}}
		return r
	}
	s := probe.Preset()
	s.Providers = []string{"openai", "openai-compatible"}
	of := source(t, &s, []routing.Target{target("openai", "gpt-4.1"), target("openai-compatible", "*"), target("anthropic", "claude-sonnet-4-5")},
		arm(nil, "gpt-4o"), arm(&experiment.Shadow{Share: 1}, "gpt-5.1"))
	var got []string
	for _, x := range of.Targets() {
		got = append(got, x.Provider+"/"+x.Model)
		if d := cmp.Diff([]string{"one", "two"}, x.Keys); d != "" {
			t.Errorf("keys of %s: %s", x.Model, d)
		}
	}
	if d := cmp.Diff([]string{"openai/gpt-4.1", "openai/gpt-4o"}, got); d != "" {
		t.Error(d)
	}
	if x, ok := of.Other("openai-compatible", "llama"); !ok || x.Model != "llama" || !cmp.Equal(x.Keys, []string{""}) {
		t.Errorf("a model that is passed on: %+v, %v", x, ok)
	}
	for _, o := range [][2]string{{"openai", "gpt-4o"}, {"anthropic", "claude-sonnet-4-5"}} {
		if _, ok := of.Other(o[0], o[1]); ok {
			t.Errorf("%s passes nothing on", o[0])
		}
	}
}

func TestAListOfModelsIsAsked(t *testing.T) {
	s := probe.Preset()
	s.Ask = probe.AsksList
	of := source(t, &s, []routing.Target{{Provider: "openai", Model: "gpt-image 1"}, {Provider: "anthropic", Model: "claude-sonnet-4-5"}, {Provider: "gemini", Model: "gemini-2.5-pro"}, {Provider: "openai-compatible", Model: "a/b"}})
	var got []string
	for _, x := range of.Targets() {
		got = append(got, x.Method+" "+x.Path+" "+string(x.Body))
	}
	if d := cmp.Diff([]string{"GET /v1/models/openai/gpt-image%201 ", "GET /v1/models/anthropic/claude-sonnet-4-5 ", "GET /v1/models/openai-compatible/a/b "}, got); d != "" {
		t.Error(d)
	}
}
