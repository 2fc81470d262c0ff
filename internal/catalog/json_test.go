package catalog_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func TestAModelAsJSON(t *testing.T) {
	m, _ := catalog.Find("openai", "gpt-5.4-2026-03-05")
	want := `{"vendor":"openai","id":"gpt-5.4-2026-03-05","name":"gpt-5-4","mode":"chat","context":1050000,"max_output":128000,` +
		`"abilities":["tools","tool_choice","parallel_tools","json_schema","reasoning","vision","pdf","prompt_cache","system","batch"],` +
		`"price":{"input":"0.0000025","output":"0.000015","cache_read":"0.00000025",` +
		`"tiers":[{"above":272000,"input":"0.000005","output":"0.0000225","cache_read":"0.0000005"}],` +
		`"services":[{"name":"batch","input":"0.00000125","output":"0.0000075"},{"name":"flex","input":"0.00000125","output":"0.0000075","cache_read":"0.00000013"},{"name":"priority","input":"0.000005","output":"0.00003","cache_read":"0.0000005"}],` +
		`"factors":[{"name":"eu","region":true,"times":"1.1"},{"name":"us","region":true,"times":"1.1"}]}}`
	if got := string(m.AppendJSON(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	n := 0
	for _, m := range catalog.All() {
		if err := jsonx.DecodeStrict(m.AppendJSON(nil), &map[string]any{}); err != nil {
			t.Errorf("%s: %v", m.ID, err)
		}
		n++
	}
	if unknown := (&catalog.Model{ID: "x"}); string(unknown.AppendJSON(nil)) != `{"id":"x","abilities":[]}` || n == 0 {
		t.Error(string(unknown.AppendJSON(nil)))
	}
}
