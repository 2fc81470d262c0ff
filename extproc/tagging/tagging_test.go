package tagging

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func scan(t *testing.T, body string) *jsonx.Doc {
	t.Helper()
	doc, err := jsonx.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTagsAreReadFromWhatIsConfigured(t *testing.T) {
	rules := New(map[string]string{"feature": "X-Feature", "cohort": "x-cohort"}, []string{"team", "feature"})
	long := strings.Repeat("é", Longest)
	for name, c := range map[string]struct {
		headers map[string]string
		dialect dialect.Name
		body    string
		want    map[string]string
	}{
		"headers":                   {map[string]string{"x-feature": "chat", "x-other": "not this"}, dialect.OpenAIChat, `{}`, map[string]string{"feature": "chat"}},
		"metadata":                  {nil, dialect.OpenAIChat, `{"metadata":{"team":"core","user":"not this"}}`, map[string]string{"team": "core"}},
		"a header before metadata":  {map[string]string{"x-feature": "a"}, dialect.AnthropicMessages, `{"metadata":{"feature":"b","team":"core"}}`, map[string]string{"feature": "a", "team": "core"}},
		"Gemini's labels":           {nil, dialect.Gemini, `{"labels":{"team":"core"},"metadata":{"feature":"not this"}}`, map[string]string{"team": "core"}},
		"Bedrock's requestMetadata": {nil, dialect.BedrockConverse, `{"requestMetadata":{"team":"core"}}`, map[string]string{"team": "core"}},
		"no object":                 {nil, dialect.OpenAIChat, `{"metadata":"team"}`, nil},
		"null":                      {nil, dialect.OpenAIChat, `{"metadata":null}`, nil},
		"no text":                   {nil, dialect.OpenAIChat, `{"metadata":{"team":7,"feature":{"a":"b"}}}`, nil},
		"an escaped name":           {nil, dialect.OpenAIChat, `{"metadata":{"te\u0061m":"c\u00f6re"}}`, map[string]string{"team": "cöre"}},
		"empty":                     {map[string]string{"x-feature": "  "}, dialect.OpenAIChat, `{"metadata":{"team":""}}`, nil},
		"control characters":        {map[string]string{"x-feature": "a\tb\x7f\u0085c"}, dialect.OpenAIChat, `{"metadata":{"team":"a\nb"}}`, map[string]string{"feature": "a b  c", "team": "a b"}},
		"no UTF-8":                  {map[string]string{"x-feature": "a\xff"}, dialect.OpenAIChat, `{}`, map[string]string{"feature": "a?"}},
		"too long":                  {map[string]string{"x-feature": "x" + long}, dialect.OpenAIChat, `{}`, map[string]string{"feature": "x" + long[:Longest-2]}},
	} {
		got := rules.Read(func(n string) string { return c.headers[n] }, c.dialect, scan(t, c.body), nil)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestABodyThatIsNoJSONHasNoMetadata(t *testing.T) {
	rules := New(map[string]string{"feature": "x-feature"}, []string{"team"})
	got := rules.Read(func(string) string { return "chat" }, dialect.OpenAIAudio, nil, nil)
	if d := cmp.Diff(map[string]string{"feature": "chat"}, got); d != "" {
		t.Error(d)
	}
}

func TestTheTagsOfAKeyGoFirst(t *testing.T) {
	own := map[string]string{"team": "core"}
	rules := New(map[string]string{"team": "x-team", "feature": "x-feature"}, nil)
	say := func(n string) string { return map[string]string{"x-team": "somebody else's", "x-feature": "chat"}[n] }
	if d := cmp.Diff(map[string]string{"team": "core", "feature": "chat"}, rules.Read(say, dialect.OpenAIChat, nil, own)); d != "" {
		t.Error(d)
	}
	silent := func(string) string { return "" }
	for _, r := range []*Rules{rules, New(nil, nil)} {
		if d := cmp.Diff(own, r.Read(silent, dialect.OpenAIChat, nil, own)); d != "" {
			t.Error(d)
		}
	}
	if len(own) != 1 {
		t.Errorf("the key's tags became %v", own)
	}
}

func TestWithoutTagsThereAreNoRules(t *testing.T) {
	if r := New(nil, nil); r != nil || r.Read(nil, dialect.OpenAIChat, nil, nil) != nil {
		t.Error("there are rules")
	}
}

func TestValuesAreBoundedWhateverComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "value"))
		got := clean(in)
		if len(got) > 3*Longest || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\t\x00") {
			t.Errorf("%q became %q", in, got)
		}
	})
}
