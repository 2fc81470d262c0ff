package catalog_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// azure is an adapter, as far as facts go.
type azure struct{}

func (azure) Facts(m string) catalog.Facts { return catalog.FactsOf("azure", m) }

// nothing is an adapter that assumes nothing.
type nothing struct{}

func (nothing) Facts(string) catalog.Facts { return catalog.Facts{} }

func TestDeployment(t *testing.T) {
	card := &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: 1})}
	d := catalog.NewDeployment("azure-openai", []catalog.Declared{
		{Name: "prod-chat", Like: "gpt-5.1", Context: 100_000},
		{Name: "gpt-4.1", Card: card, Retires: "2027-01-01"},
		{Name: "in-house", Can: ability.Tools, Stated: true, MaxOutput: 2_000},
		{Name: "gpt-4o", MaxOutput: 1_000},
	})
	of := azure{}

	m, match := d.Find("prod-chat")
	if match != catalog.Exact || m.Context != 100_000 || m.MaxOutput != 128_000 || !m.Can.Has(ability.Tools) || m.Card != nil || m.ID != "prod-chat" {
		t.Errorf("a deployment has the facts of the model that it is like, and not its price: %+v", m)
	}
	if f := d.Facts("prod-chat", of); f.Context != 100_000 || f.Input != 100_000 || f.Thinking != catalog.ThinkEffort || !f.CompletionsMax {
		t.Errorf("facts of a deployment: %+v", f)
	}
	if m, _ := d.Find("gpt-4.1"); m.Card != card || m.Context != 1_047_576 || m.Dates.Retires != "2027-01-01" {
		t.Errorf("a declared price: %+v", m)
	}
	if m, _ := d.Find("gpt-4o"); m.Card == nil || m.MaxOutput != 1_000 {
		t.Errorf("a declared limit of a known model leaves it its price: %+v", m)
	}
	if m, match := d.Find("in-house"); match != catalog.Exact || m.Card != nil || m.Can != ability.Tools || m.MaxOutput != 2_000 || m.Mode != "chat" {
		t.Errorf("an unknown model has what is declared: %+v", m)
	}
	if f := d.Facts("in-house", of); !f.Lacks(ability.Vision) || f.Lacks(ability.Tools) || f.MaxOutput != 2_000 || f.Efforts == nil {
		t.Errorf("facts of an unknown model: %+v", f)
	}
	if m, match := d.Find("gpt-5.2"); match != catalog.Exact || m.Card == nil {
		t.Errorf("what is not declared is the registry's: %+v", m)
	}
	names := map[string]int{}
	for _, m := range d.Models() {
		names[m.ID]++
	}
	for _, want := range []string{"prod-chat", "gpt-4.1", "in-house", "gpt-5.2", "Phi-4"} {
		if names[want] != 1 {
			t.Errorf("%s is listed %d times", want, names[want])
		}
	}
	local := catalog.NewDeployment("openai-compatible", []catalog.Declared{{Name: "mine", Like: "gpt-5.1", Context: 9_000}})
	for like, context := range map[string]int64{"mine": 9_000, "gpt-5.1": 272_000} {
		if f := local.FactsLike(like, nothing{}); f.Context != context || f.Thinking != catalog.ThinkEffort {
			t.Errorf("like %s at an adapter that assumes nothing: %+v", like, f)
		}
	}
	for _, c := range [][3]string{{"mine", "", "gpt-5.1"}, {"x", "mine", "gpt-5.1"}, {"x", "gpt-4o", "gpt-4o"}, {"mine", "gpt-4o", "gpt-4o"}, {"x", "", ""}} {
		if got := local.Like(c[0], c[1]); got != c[2] {
			t.Errorf("%s, said to be like %q: like %q, want %q", c[0], c[1], got, c[2])
		}
	}
	if f := local.Facts("mine", nothing{}); f.Context != 9_000 || !f.CompletionsMax {
		t.Errorf("a declared model is like a known one at an adapter that assumes nothing: %+v", f)
	}
	if f := local.Facts("gpt-5.1", nothing{}); f.Known {
		t.Errorf("an adapter that assumes nothing by a name: %+v", f)
	}
	var none *catalog.Deployment
	if f := none.FactsLike("gpt-5.1", nothing{}); f.Context == 0 {
		t.Errorf("like a known model, without a deployment: %+v", f)
	}
	if _, match := none.Find("gpt-5.1"); match != catalog.None || none.Models() != nil || none.Facts("gpt-5.1", of).Context == 0 {
		t.Error("no deployment declares nothing")
	}
}

func TestACardSaysWhatItIsFrom(t *testing.T) {
	d := catalog.NewDeployment("openai", []catalog.Declared{{Name: "mine", Card: &price.Card{}}, {Name: "gpt-4o", Context: 1000}})
	for model, want := range map[string]string{"mine": "config", "gpt-4o": catalog.AsOf(), "gpt-4o-mini": catalog.AsOf()} {
		if got := d.Version(model); got != want {
			t.Errorf("%s: got %q, want %q", model, got, want)
		}
	}
}
