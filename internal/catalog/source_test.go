package catalog_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
)

// vendorOf are our names of the facts' providers that Vendor translates.
func vendorOf(provider string) string { return catalog.Vendor(provider) }

// plainPrices are the facts' names of items.
var plainPrices = map[string]price.Item{
	"input": price.Input, "output": price.Output, "cache_read": price.CacheRead, "cache_write": price.CacheWrite, "cache_write_1h": price.CacheWrite1h,
	"reasoning_output": price.Reasoning, "audio_input": price.AudioInput, "audio_output": price.AudioOutput, "audio_cache_read": price.AudioCacheRead,
	"image_input": price.ImageInput, "per_image_in": price.PerImage, "per_query": price.PerQuery, "per_request": price.PerRequest, "web_search_per_call": price.WebSearch,
}

var searchPrices = map[string]price.Item{"low": price.WebSearchLow, "medium": price.WebSearchMedium, "high": price.WebSearchHigh}

// ratesIn reads an object of prices, member by member and digit by digit; other members are left to others.
func ratesIn(t *testing.T, raw []byte, others ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, v := range jsonx.Members(raw) {
		item, ok := plainPrices[string(name)]
		switch {
		case jsonx.Kind(v) == '{':
			for size, v := range jsonx.Members(v) {
				out[searchPrices[string(size)].String()], _ = jsonx.String(v)
			}
		case ok:
			out[item.String()], _ = jsonx.String(v)
		case !slices.Contains(others, string(name)):
			t.Errorf("unknown price %s", name)
		}
	}
	return out
}

func texts(r price.Rates) map[string]string {
	out := map[string]string{}
	for i, v := range r.All() {
		out[i.String()] = v.String()
	}
	return out
}

func textsOf(raw []byte) (out []string) {
	for _, e := range jsonx.Elements(raw) {
		s, _ := jsonx.String(e)
		out = append(out, s)
	}
	return out
}

// source returns the list of facts, or skips.
func source(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(recorded.Path(t, "model-facts.json"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv(recorded.EnvRequire) != "1" {
		t.Skip("the list of model facts is not present")
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestTheRegistryIsItsSource reads the facts by itself and compares every record.
func TestTheRegistryIsItsSource(t *testing.T) {
	records := jsonx.Elements(jsonx.Get(source(t), "models"))
	n := 0
	for _, raw := range records {
		n++
		str := func(name string) string { s, _ := jsonx.String(jsonx.Get(raw, name)); return s }
		num := func(name string) int64 { n, _ := jsonx.Int(jsonx.Get(raw, name)); return n }
		m, match := catalog.Find(vendorOf(str("provider")), str("id"))
		if match != catalog.Exact {
			t.Errorf("%s at %s is missing", str("id"), str("provider"))
			continue
		}
		want := catalog.Model{
			Vendor: vendorOf(str("provider")), ID: str("id"), Name: m.Name, Mode: str("mode"), Context: num("context"), MaxOutput: num("max_output"),
			CacheMin: int(num("cache_min_tokens")), Dimensions: int(num("dims")),
			Dates: catalog.Dates{Released: str("released"), Knowledge: str("knowledge"), Retires: str("retires")}, Card: m.Card, Can: m.Can, Cannot: m.Cannot,
		}
		if diff := cmp.Diff(m, want, cmp.Comparer(func(a, b *price.Card) bool { return a == b })); diff != "" {
			t.Errorf("%s (-got +want):\n%s", m.ID, diff)
		}
		sameAbilities(t, &m, raw)
		sameCard(t, &m, raw)
	}
	if n != len(catalog.All()) {
		t.Errorf("%d records, %d models", n, len(catalog.All()))
	}
}

func sameAbilities(t *testing.T, m *catalog.Model, raw []byte) {
	t.Helper()
	can, cannot := textsOf(jsonx.Get(raw, "caps")), textsOf(jsonx.Get(raw, "not"))
	switch string(jsonx.Get(raw, "open_weights")) {
	case "true":
		can = append(can, "open_weights")
	case "false":
		cannot = append(cannot, "open_weights")
	}
	if jsonx.Get(jsonx.Get(raw, "service_tiers"), "batch") != nil {
		can = append(can, "batch")
	}
	for _, c := range []struct {
		got  ability.Set
		want []string
	}{{m.Can, can}, {m.Cannot, cannot}} {
		got := c.got.Names()
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, slices.Compact(c.want)) {
			t.Errorf("%s: abilities %v, want %v", m.ID, got, c.want)
		}
	}
}

func sameCard(t *testing.T, m *catalog.Model, raw []byte) {
	t.Helper()
	type list struct {
		Head  string
		Above int64
		UpTo  int64
		Rates map[string]string
	}
	base := ratesIn(t, jsonx.Get(raw, "price"))
	want := []list{{"base", 0, 0, base}}
	for _, e := range jsonx.Elements(jsonx.Get(raw, "tiers")) {
		num := func(name string) int64 { n, _ := jsonx.Int(jsonx.Get(e, name)); return n }
		want = append(want, list{"tier", num("above_input_tokens") + num("from_input_tokens"), num("to_input_tokens"), ratesIn(t, e, "above_input_tokens", "from_input_tokens", "to_input_tokens")})
	}
	for name, e := range jsonx.Members(jsonx.Get(raw, "service_tiers")) {
		want = append(want, list{"service " + string(name), 0, 0, ratesIn(t, e)})
	}
	for _, e := range jsonx.Elements(jsonx.Get(raw, "dated_prices")) {
		from, _ := jsonx.String(jsonx.Get(e, "from"))
		now := ratesIn(t, e, "from")
		for k, v := range base { // what a change does not state is as before
			if _, ok := now[k]; !ok {
				now[k] = v
			}
		}
		want = append(want, list{"from " + from, 0, 0, now})
	}
	for member, mark := range map[string]string{"multipliers": "factor ", "regional_multiplier": "region "} {
		for name, v := range jsonx.Members(jsonx.Get(raw, member)) {
			want = append(want, list{mark + string(name), 0, 0, map[string]string{"": string(v)}})
		}
	}
	c := m.Card
	got := []list{{"base", 0, 0, texts(c.Rates)}}
	for _, x := range c.Tiers {
		got = append(got, list{"tier", x.Above, x.UpTo, texts(x.Rates)})
	}
	for _, x := range c.Services {
		got = append(got, list{"service " + x.Name, 0, 0, texts(x.Rates)})
	}
	for _, x := range c.Changes {
		got = append(got, list{"from " + x.From.Format(time.DateOnly), 0, 0, texts(x.Rates)})
	}
	for _, x := range c.Factors {
		mark := "factor "
		if x.Region {
			mark = "region "
		}
		got = append(got, list{mark + x.Name, 0, 0, map[string]string{"": fmt.Sprintf("%.1f", float64(x.Milli)/1000)}})
	}
	sortLists := func(a, b list) int {
		return strings.Compare(fmt.Sprintf("%s %9d", a.Head, a.Above), fmt.Sprintf("%s %9d", b.Head, b.Above))
	}
	slices.SortFunc(got, sortLists)
	slices.SortFunc(want, sortLists)
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("%s at %s: card (-got +want):\n%s", m.ID, m.Vendor, diff)
	}
}
