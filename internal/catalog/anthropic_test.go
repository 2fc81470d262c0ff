package catalog_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

func TestClaudeByName(t *testing.T) {
	const none, budget, adaptive = catalog.ThinkNone, catalog.ThinkBudget, catalog.ThinkAdaptive
	for _, c := range []struct {
		model    string
		output   int64
		thinking catalog.Thinking
		flags    string // s: no sampling, o: one of two, j: schema, a: always reasons, f: no forced choice, m: system anywhere
	}{
		{"gpt-5", 0, none, ""},
		{"claude-instant-1.2", 4096, none, ""},
		{"anthropic.claude-v2:1", 4096, none, ""},
		{"claude-2.1", 4096, none, ""},
		{"claude-3-opus-20240229", 4096, none, ""},
		{"claude-3-haiku-20240307", 4096, none, ""},
		{"claude-3-5-haiku-latest", 8192, none, ""},
		{"anthropic/claude-3.5-sonnet", 8192, none, ""},
		{"claude-3-7-sonnet@20250219", 64000, budget, ""},
		{"claude-4-opus-20250514", 32000, budget, ""},
		{"claude-opus-4@20250514", 32000, budget, ""},
		{"claude-opus-4-0", 32000, budget, ""},
		{"claude-opus-4-20250514", 32000, budget, ""},
		{"claude-sonnet-4-0", 64000, budget, ""},
		{"us.anthropic.claude-sonnet-4-20250514-v1:0", 64000, budget, ""},
		{"claude-opus-4-1-20250805", 32000, budget, "oj"},
		{"claude-sonnet-4-5", 64000, budget, "oj"},
		{"anthropic/claude-haiku-4.5", 64000, budget, "oj"},
		{"claude-opus-4-5-20251101", 64000, budget, "j"},
		{"claude-opus-4-6", 128000, adaptive, "j"},
		{"claude-sonnet-4-6", 64000, adaptive, "j"},
		{"claude-opus-4-7-20260416", 128000, adaptive, "sja"},
		{"claude-opus-4-8", 128000, adaptive, "sjm"},
		{"claude-opus-5", 128000, adaptive, "sjm"},
		{"claude-opus-5-20260801", 128000, adaptive, "sjm"},
		{"claude-sonnet-5", 128000, adaptive, "sjm"},
		{"claude-opus-5-5", 128000, adaptive, "sjafm"},
		{"claude-fable-5", 128000, adaptive, "sjafm"},
		{"claude-mythos-5", 128000, adaptive, "sjafm"},
		{"claude-opus-4-9", 128000, adaptive, "sjm"},
		{"claude-haiku-6", 128000, adaptive, "sjafm"},
		{"claude-saga-7", 128000, adaptive, "sjafm"},
	} {
		f := catalog.Anthropic(c.model)
		flags := ""
		for _, x := range []struct {
			flag string
			set  bool
		}{{"s", f.NoSampling}, {"o", f.OneSampling}, {"j", f.JSONSchema}, {"a", f.ThinkAlways}, {"f", f.NoForcedThink}, {"m", f.MidSystem}} {
			if x.set {
				flags += x.flag
			}
		}
		if f.MaxOutput != c.output || f.Thinking != c.thinking || flags != c.flags {
			t.Errorf("%s: got output %d, thinking %d, flags %q; want %d, %d, %q", c.model, f.MaxOutput, f.Thinking, flags, c.output, c.thinking, c.flags)
		}
	}
}

// listed holds what the public list says otherwise, with the reason why ours stands.
var listed = map[string]string{
	"claude-4-sonnet-20250514": "a context of a million tokens needs a beta header",
	"claude-3-haiku-20240307":  "the list's json_schema is the tool trick",
}

func TestClaudeAgreesWithThePublicList(t *testing.T) {
	dir := os.Getenv("SIGNALBOX_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	b, err := os.ReadFile(dir + "/model-facts.json")
	if err != nil {
		if os.Getenv("SIGNALBOX_REQUIRE_DATA") != "" {
			t.Fatal(err)
		}
		t.Skip("the list of model facts is not present")
	}
	checked := 0
	for _, m := range jsonx.Elements(jsonx.Get(b, "models")) {
		id, _ := jsonx.String(jsonx.Get(m, "id"))
		if p, _ := jsonx.String(jsonx.Get(m, "provider")); p != "anthropic" {
			continue
		}
		if _, known := listed[id]; known {
			continue
		}
		checked++
		f := catalog.Anthropic(id)
		if n, _ := jsonx.Int(jsonx.Get(m, "context")); n != f.Context {
			t.Errorf("%s: context %d, listed %d", id, f.Context, n)
		}
		if n, _ := jsonx.Int(jsonx.Get(m, "max_output")); n != f.MaxOutput {
			t.Errorf("%s: output %d, listed %d", id, f.MaxOutput, n)
		}
		caps := string(jsonx.Get(m, "caps"))
		for _, e := range []string{"xhigh", "max"} {
			if got, want := slices.Contains(f.Efforts, e), strings.Contains(caps, `"effort_`+e+`"`); got != want {
				t.Errorf("%s: effort %s is %t, listed %t", id, e, got, want)
			}
		}
		if got, want := f.Thinking == catalog.ThinkAdaptive, strings.Contains(caps, `"adaptive_thinking"`); got != want {
			t.Errorf("%s: adaptive is %t, listed %t", id, got, want)
		}
		if got, want := f.NoSampling, strings.Contains(string(jsonx.Get(m, "not")), `"sampling_params"`); got != want {
			t.Errorf("%s: no sampling is %t, listed %t", id, got, want)
		}
	}
	if checked < 15 {
		t.Errorf("only %d models were compared", checked)
	}
}
