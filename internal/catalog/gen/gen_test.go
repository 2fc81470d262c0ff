package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
)

func TestTheFilesAreWhatTheGeneratorWrites(t *testing.T) {
	raw, err := os.ReadFile(recorded.Path(t, "model-facts.json"))
	if errors.Is(err, fs.ErrNotExist) && os.Getenv(recorded.EnvRequire) != "1" {
		t.Skip("the list of model facts is not present")
	}
	if err != nil {
		t.Fatal(err)
	}
	table, notice, err := generate(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"models.tsv": table, "NOTICE": notice} {
		got, err := os.ReadFile("../" + name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what make gen writes (%v)", name, err)
		}
	}
	if len(table) > 400<<10 {
		t.Errorf("the table has %d bytes", len(table))
	}
}

func TestTheNoticeNamesTheTableBesideIt(t *testing.T) {
	table, err := os.ReadFile("../models.tsv")
	if err != nil {
		t.Fatal(err)
	}
	notice, err := os.ReadFile("../NOTICE")
	if err != nil || !strings.Contains(string(notice), sum(table)) {
		t.Errorf("NOTICE has another checksum (%v)", err)
	}
}

// small has everything that a record can have.
const small = `{"meta":{"as_of":"2026-08-22 (a day)","sources":[{"name":"a list","repo":"a/b","licence":"MIT","commit":"c0ffee"}]},"models":[
{"provider":"openai","id":"m-2025-01-02","mode":"chat","context":1000,"max_output":null,"price":{"input":"0.0000025","cache_write":"0.00000008333333","web_search_per_call":{"low":"0.01","high":"0.03"}},
 "caps":["tools","vision"],"not":["prefill"],"open_weights":true,"tiers":[{"above_input_tokens":200000,"input":"0.000005"},{"from_input_tokens":0,"to_input_tokens":5,"output":"0"}],
 "service_tiers":{"priority":{"input":"0.000004"},"batch":{"input":"0.00000125"}},"regional_multiplier":{"eu":1.1},"multipliers":{"fast":6.0},
 "dated_prices":[{"from":"2026-09-01","input":"0.000003"}],"cache_min_tokens":1024,"dims":3,"released":"2025-01","knowledge":"2024-12","retires":"2027-01-01",
 "src":"x","agree":["y"],"differ":{},"was":{},"context_also":5},
{"provider":"google-gemini","id":"m","mode":"embedding","context":null,"price":{}}]}`

func TestGenerate(t *testing.T) {
	table, notice, err := generate([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	want := "#as_of 2026-08-22\n# Written by ./gen; sources and licences are in NOTICE.\n@gemini\nm\t\tembedding\t/\t0.0\t\t\n@openai\n" +
		"m-2025-01-02\tm\tchat\t1000/\t600401.20000\ti2.5w0.08333333L10000H30000;>200000:i5;0-5:o0;=batch:i1.25;=priority:i4;@2026-09-01:i3;*fast:6000;%eu:1100\tR2025-01 K2024-12 X2027-01-01 m1024 d3\n"
	if string(table) != want {
		t.Errorf("got\n%s\nwant\n%s", table, want)
	}
	for _, s := range []string{"2 hosted models", "2026-08-22", "a list", "MIT", "c0ffee"} {
		if !strings.Contains(string(notice), s) {
			t.Errorf("the notice lacks %q:\n%s", s, notice)
		}
	}
}

func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	for _, c := range []struct{ name, from, to string }{
		{"a member", `"src":"x"`, `"colour":"x"`},
		{"an ability", `"vision"`, `"telepathy"`},
		{"a price", `"cache_write":`, `"per_smile":`},
		{"a price that is no decimal", `"0.0000025"`, `"cheap"`},
		{"a price that cannot be kept to the last digit", `"0.0000025"`, `"0.00000000000000025"`},
		{"a number for a price", `"0.0000025"`, `0.0000025`},
		{"a model that is there twice", `"provider":"google-gemini","id":"m"`, `"provider":"openai","id":"m-2025-01-02"`},
		{"no JSON", `{"meta"`, `{meta`},
	} {
		if _, _, err := generate([]byte(strings.Replace(small, c.from, c.to, 1))); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}
