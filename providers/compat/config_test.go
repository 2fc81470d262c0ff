package compat_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/compat"
)

func TestConfigurationsOfVendors(t *testing.T) {
	for _, tc := range []struct{ name, provider, base, want string }{
		{"a vendor by its name", "kind: groq, key: env:K", "https://api.groq.com/openai/v1", ""},
		{"without its key", "kind: groq", "", "usual for the kind groq is env:GROQ_API_KEY"},
		{"in a region of its own", "kind: moonshot, key: env:K, region: cn", "https://api.moonshot.cn/v1", ""},
		{"in no region", "kind: moonshot, key: env:K, region: mars", "", "the kind moonshot has no region mars; it has cn, intl"},
		{"an account in the address", "kind: cloudflare, key: env:K, params: { account: 0a1b2c }", "https://api.cloudflare.com/client/v4/accounts/0a1b2c/ai/v1", ""},
		{"without the account", "kind: cloudflare, key: env:K", "", "the kind cloudflare needs an account, or a base_url"},
		{"an account that is a path", "kind: databricks, key: env:K, params: { account: evil.example/x }", "", "make an account"},
		{"an account that stands nowhere", "kind: groq, key: env:K, params: { account: x }", "", "has no account in it"},
		{"a server of one's own", "kind: vllm, base_url: \"http://127.0.0.1:8000/v1\"", "http://127.0.0.1:8000/v1", ""},
		{"whose address nobody knows", "kind: vllm", "", "the kind vllm has no address of its own"},
		{"quirks of an unknown vendor", "kind: openai-compatible, base_url: \"https://x.example/v1\", params: { endpoints: { messages: /messages }, quirks: { drops: [seed], usage: never, reasoning: { knob: thinking }, errors: [ { status: 429, says: balance, code: over_quota } ], values: [ { member: tool_choice, from: required, to: any } ], renames: { user: user_id } } }", "https://x.example/v1", ""},
		{"a quirk that there is not", "kind: openai-compatible, base_url: \"https://x.example/v1\", params: { quirks: { drop: [seed] } }", "", `did you mean "drops"?`},
		{"a word that there is not", "kind: openai-compatible, base_url: \"https://x.example/v1\", params: { quirks: { usage: often } }", "", "usage"},
		{"an answer's quirk that there is not", "kind: openai-compatible, base_url: \"https://x.example/v1\", params: { quirks: { answers: [late] } }", "", "answers"},
		{"quirks that contradict", "kind: openai-compatible, base_url: \"https://x.example/v1\", params: { quirks: { drops: [n], refuses: [n] } }", "", "the member n stands in drops too"},
		{"a vendor's quirk overruled", "kind: groq, key: env:K, params: { quirks: { one_answer: false } }", "https://api.groq.com/openai/v1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := config.Parse("f.yaml", []byte("providers:\n  - { name: p, "+tc.provider+" }\n"), all.Kinds())
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %s", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p := c.Providers[0]; p.Base.String() != tc.base {
				t.Errorf("%s", p.Base)
			}
		})
	}
}

func TestParamsAreReadFromJSON(t *testing.T) {
	p := new(compat.Params)
	err := jsonx.DecodeStrict([]byte(`{"account":"a","endpoints":{"chat":"/c","embeddings_form":"jina"},"quirks":{"drops":["seed"],"one_answer":true,"max_tokens":"max_tokens","developer_as_system":true,"tool_choice":["auto"],"response_format":["text"],`+
		`"parts":["text"],"call_id":9,"reasoning":{"knob":"thinking","efforts":["low"],"history":"calls","member":"reasoning"},"errors":[{"status":429,"says":"x","code":"blocked"}],"values":[{"member":"a","from":"b","to":"c"}],"renames":{"d":"e"},"answers":["no_done"],"usage":"always","refuses":["n"]}}`), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Quirks.Check(); err != nil || p.Quirks.CallID != 9 || p.Quirks.Errors[0].Code != "blocked" || p.Quirks.Reasoning.Member != "reasoning" || p.Endpoints.EmbedForm != "jina" {
		t.Errorf("%v: %+v", err, p)
	}
}

func TestAVendorsDefaultsStayWhenOneIsOverruled(t *testing.T) {
	c, err := config.Parse("f.yaml", []byte("providers:\n  - { name: p, kind: groq, key: env:K, params: { quirks: { drops: [seed] } } }\n"), all.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	got := c.Providers[0].Params.(*compat.Params)
	k, _ := all.Kinds().Kind("groq")
	own := k.Params().(*compat.Params)
	if len(got.Quirks.Drops) != 1 || !got.Quirks.Single || got.Quirks.Reasoning.Knob != "effort" || !reflect.DeepEqual(got.Endpoints, own.Endpoints) || len(own.Quirks.Drops) != 3 {
		t.Errorf("%+v\n%+v", got, own)
	}
}

// TestKeysInTheEnvironment is the program without a configuration: vendors whose key is there are there, but for
// those that need to be told more.
func TestKeysInTheEnvironment(t *testing.T) {
	env := map[string]string{"GROQ_API_KEY": "x", "DATABRICKS_TOKEN": "x", "DEEPSEEK_API_KEY": "x"}
	c := config.Default(all.Kinds(), func(n string) (string, bool) { v, ok := env[n]; return v, ok })
	var names []string
	for _, p := range c.Providers {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "deepseek groq mock" {
		t.Error(got)
	}
	for model, want := range map[string]string{"deepseek-chat": "deepseek", "llama-3.3-70b-versatile": "groq", "groq/openai/gpt-oss-20b": "groq"} {
		if r := c.Table().Match(model); r == nil || r.Name != want {
			t.Errorf("%s goes to %+v", model, r)
		}
	}
}
