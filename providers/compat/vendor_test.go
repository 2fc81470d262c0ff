package compat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/openaichat"
)

func TestEveryFileIsAVendor(t *testing.T) {
	all := vendors()
	if len(all) < 45 {
		t.Errorf("%d vendors", len(all))
	}
	for _, v := range all {
		if strings.Trim(v.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%s is no name of a kind", v.name)
		}
		if golden, err := filepath.Glob(filepath.Join("testdata", v.name, "*.txtar")); err != nil || len(golden) == 0 {
			t.Errorf("%s has no golden files in testdata/%s: make the folder and run the tests with -update", v.name, v.name)
		}
		for region, base := range v.Regions {
			if got, err := kindOf(t, v.name).Locate(region, nil); err != nil || got != base {
				t.Errorf("%s in %s: %s, %v", v.name, region, got, err)
			}
		}
	}
	for i := 1; i < len(all); i++ {
		for j := range i {
			if all[i].KeyEnv != "" && all[i].KeyEnv == all[j].KeyEnv || all[i].BaseURL != "" && all[i].BaseURL == all[j].BaseURL {
				t.Errorf("%s and %s are the same", all[i].name, all[j].name)
			}
		}
	}
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if _, err := os.Stat(f.Name() + ".yaml"); f.IsDir() && err != nil {
			t.Errorf("testdata/%s is of no vendor", f.Name())
		}
	}
}

func kindOf(t *testing.T, name string) *providers.Kind {
	t.Helper()
	for _, k := range Kinds() {
		if k.Name == name {
			return &k
		}
	}
	t.Fatalf("no kind %s", name)
	return nil
}

func TestFilesAreReadStrictly(t *testing.T) {
	const good = "title: X\ndocs: https://x.example\nbase_url: https://x.example/v1\nendpoints:\n  chat: /chat/completions\ndata:\n  hosted: US\n  retention: unknown\n"
	if _, err := read("x", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, change, to, want string }{
		{"an unknown field", "data:", "colour: red\ndata:", "colour"},
		{"an unknown quirk", "data:", "quirks:\n  drop: [seed]\ndata:", "drop"},
		{"a quirk that is none", "data:", "quirks:\n  usage: often\ndata:", "usage"},
		{"no title", "title: X", "title: \"\"", "title"},
		{"plain HTTP", "base_url: https", "base_url: http", "base_url"},
		{"an unknown placeholder", "x.example/v1", "x.example/{tenant}", "base_url"},
		{"an account that nobody explains", "https://x.example/v1", "\"https://x.example/{account}\"", "account"},
		{"no endpoint", "chat: /chat/completions", "chat: \"\"", "endpoint"},
		{"a path with a query", "/chat/completions", "/chat?x=1", "chat"},
		{"a path without a slash", "/chat/completions", "chat", "chat"},
		{"an unknown retention", "retention: unknown", "retention: maybe", "retention"},
		{"a retention without a source", "retention: unknown", "retention: none", "source"},
		{"a credential header in capitals", "data:", "auth: X-Key\ndata:", "auth"},
		{"an unknown family of limits", "data:", "limits: [many]\ndata:", "limits"},
		{"an unknown ability", "data:", "abilities: [flying]\ndata:", "abilities"},
	} {
		text := strings.Replace(good, tc.change, tc.to, 1)
		if text == good {
			t.Fatalf("%s: nothing is changed", tc.name)
		}
		if _, err := read("x", []byte(text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestAnAddressThatNeedsAnAccountSaysSo(t *testing.T) {
	k := kindOf(t, "snowflake")
	for account, want := range map[string]string{
		"myorg-acct1": "https://myorg-acct1.snowflakecomputing.com/api/v2/cortex/v1",
		"":            "params.account", "a/b": "params.account", "a..b": "params.account", "evil.com/#": "params.account", ".a": "params.account", "a b": "params.account",
	} {
		got, err := k.Locate("", &Params{Account: account})
		if e, ok := err.(*llm.Error); ok {
			got = e.Param
		}
		if got != want {
			t.Errorf("%q: %q, %v", account, got, err)
		}
	}
	if _, err := kindOf(t, "moonshot").Locate("mars", nil); err == nil || !strings.Contains(err.Error(), "cn, intl") {
		t.Errorf("%v", err)
	}
}

func TestParamsAreChecked(t *testing.T) {
	base, err := providers.ParseBase("https://up.example/v1")
	if err != nil {
		t.Fatal(err)
	}
	for want, p := range map[string]*Params{
		"params.endpoints":               {},
		"params.endpoints.seals":         {Endpoints: Endpoints{Chat: "/c", Seals: "a.b"}},
		"params.endpoints.chat":          {Endpoints: Endpoints{Chat: "chat"}},
		"params.endpoints.rerank":        {Endpoints: Endpoints{Chat: "/c", Rerank: "/a/../b"}},
		"params.endpoints.only.messages": {Endpoints: Endpoints{Chat: "/c", Only: map[string]string{"messages": "claude-*"}}},
		"params.quirks.usage":            {Endpoints: Endpoints{Chat: "/c"}, Quirks: openaichat.Quirks{Usage: "x"}},
		"params.account":                 {Account: "a", Endpoints: Endpoints{Chat: "/c"}},
	} {
		for _, k := range []providers.Kind{Kind(), *kindOf(t, "groq")} {
			_, err := k.New(providers.Env{BaseURL: base}, p)
			if e, ok := err.(*llm.Error); !ok || e.Param != want || e.Message == "" {
				t.Errorf("%s: %v, want one of %s", k.Name, err, want)
			}
		}
	}
}

func TestPathsLieBelowTheBaseOrBesideItsEnd(t *testing.T) {
	for _, tc := range []struct{ base, path, want string }{
		{"", "/chat", "/chat"},
		{"/v1", "/chat", "/v1/chat"},
		{"/v1", "../anthropic/v1/messages", "/anthropic/v1/messages"},
		{"/proxy/v1", "../anthropic/v1/messages", "/proxy/anthropic/v1/messages"},
		{"/api/paas/v4", "../../anthropic/v1/messages", "/api/anthropic/v1/messages"},
		{"", "../anthropic/v1/messages", "/anthropic/v1/messages"},
	} {
		if got := below(tc.base, tc.path); got != tc.want {
			t.Errorf("%s below %s: %s", tc.path, tc.base, got)
		}
	}
}

// BenchmarkFiles is what reading all files costs, once in a process.
func BenchmarkFiles(b *testing.B) {
	entries, err := files.ReadDir(".")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range entries {
			data, err := files.ReadFile(e.Name())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := read("x", data); err != nil {
				b.Fatal(e.Name(), err)
			}
		}
	}
}

func TestAnEndpointMayServeSomeModelsOnly(t *testing.T) {
	base, err := providers.ParseBase("https://acct.snowflakecomputing.com/api/v2/cortex/v1")
	if err != nil {
		t.Fatal(err)
	}
	k := kindOf(t, "snowflake")
	a, err := k.New(providers.Env{BaseURL: base}, k.Params())
	if err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]dialect.Name{"claude-sonnet-4-5": dialect.AnthropicMessages, "llama3.1-70b": dialect.OpenAIChat} {
		if c, ok := a.Speaks(llm.OpChat, model, dialect.AnthropicMessages); !ok || c.Name() != want {
			t.Errorf("%s is served by %v", model, c)
		}
	}
}
