package exchange_test

import (
	"context"
	"crypto/sha256"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// changing makes a core whose route has one arm that everybody gets, at a provider of a kind, and what the arm changes.
func changing(t *testing.T, kind, model string, c *override.Change, o exchange.Options, more ...func(*exchange.Snapshot, *routing.Trial)) *exchange.Core {
	t.Helper()
	k, _ := all.Kinds().Kind(kind)
	base, _ := url.Parse("https://there.example/v1")
	var params any
	if k.Params != nil {
		params = k.Params()
	}
	a, err := k.New(providers.Env{Name: "there", BaseURL: base}, params)
	if err != nil {
		t.Fatal(err)
	}
	p := &providers.Provider{Name: "there", Kind: kind, Base: base, Adapter: a, Keys: providers.NewKeyring(providers.Key{ID: "k", Secret: secret.New("sk-0")})}
	e := &experiment.Experiment{Name: "x", By: experiment.ByKey, Arms: []experiment.Arm{{Name: "control"}, {Name: "new", Weight: 1}}}
	rt := &routing.Route{Name: "r", Models: []string{"smart"}, Targets: []routing.Target{{Provider: "there", Model: model}}, Policies: []routing.Named{{Name: "capable", Policy: &policy.Capable{Strict: true}}}}
	control, arm := *rt, *rt
	arm.Change = c
	if o.Shadows != nil {
		e.Shadow = &experiment.Shadow{Share: 1}
	}
	rt.Trial = &routing.Trial{Experiment: e, Routes: []*routing.Route{&control, &arm}, Labels: []string{"x/control", "x/new"}}
	s := &exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{rt}, nil), Providers: map[string]*providers.Provider{"there": p}, Registry: all.Kinds(), Servers: all.Servers(),
		Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}
	for _, f := range more {
		f(s, rt.Trial)
	}
	return exchange.New(s, o)
}

// planned sends a request and returns what is sent to the provider, and the ticket.
func planned(t *testing.T, c *exchange.Core, path, body string, more ...providers.Header) (string, *ticket.Ticket) {
	t.Helper()
	x := c.Begin()
	r := x.Head(context.Background(), append(exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: path}, {Name: "content-type", Value: "application/json"}}, more...), false)
	if r.Answer == nil {
		r = x.Body(context.Background(), []byte(body))
	}
	if r.Answer != nil {
		t.Fatalf("%s is refused: %d %s", body, r.Answer.Status, r.Answer.Body)
	}
	k, err := ticket.Read(r.Plan.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	if r.Replace {
		body = string(r.Body)
	}
	return body, k
}

// TestAnArmsParametersCount: in every dialect, on the path that the request takes anyway.
func TestAnArmsParametersCount(t *testing.T) {
	p := &override.Parameters{Temperature: new(0.2), MaxTokens: 500, Stop: []string{"END"}}
	for _, c := range []struct {
		kind, model, path string
		body, want        string // members that are sent
		on                ticket.Path
	}{
		{"openai", "gpt-4.1", "/v1/chat/completions", `{"model":"smart","temperature":1,"messages":[{"role":"user","content":"x"}],"user":"u"}`, `{"model":"gpt-4.1","temperature":0.2,"messages":[{"role":"user","content":"x"}],"user":"u","max_completion_tokens":500,"stop":["END"]}`, ticket.Direct},
		{"openai", "gpt-4.1", "/v1/responses", `{"model":"smart","input":"x","max_output_tokens":9}`, `{"model":"gpt-4.1","input":"x","max_output_tokens":500,"temperature":0.2}`, ticket.Direct},
		{"openai", "gpt-3.5-turbo-instruct", "/v1/completions", `{"model":"smart","prompt":"x"}`, `{"model":"gpt-3.5-turbo-instruct","prompt":"x","temperature":0.2,"max_tokens":500,"stop":["END"]}`, ticket.Direct},
		{"anthropic", "claude-3-haiku-20240307", "/v1/messages", `{"model":"smart","max_tokens":9,"messages":[{"role":"user","content":"x"}]}`, `{"model":"claude-3-haiku-20240307","max_tokens":500,"messages":[{"role":"user","content":"x"}],"temperature":0.2,"stop_sequences":["END"]}`, ticket.Direct},
		{"gemini", "gemini-2.5-flash", "/v1beta/models/smart:generateContent", `{"contents":[{"role":"user","parts":[{"text":"x"}]}]}`, `{"contents":[{"role":"user","parts":[{"text":"x"}]}],"generationConfig":{"temperature":0.2,"maxOutputTokens":500,"stopSequences":["END"]}}`, ticket.Direct},
		{"cohere", "command-a-03-2025", "/v2/chat", `{"model":"smart","messages":[{"role":"user","content":"x"}]}`, `{"model":"command-a-03-2025","messages":[{"role":"user","content":"x"}],"temperature":0.2,"max_tokens":500,"stop_sequences":["END"]}`, ticket.Direct},
		{"anthropic", "claude-3-haiku-20240307", "/v1/chat/completions", `{"model":"smart","temperature":1,"messages":[{"role":"user","content":"x"}]}`, `{"model":"claude-3-haiku-20240307","max_tokens":500,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"temperature":0.2,"stop_sequences":["END"]}`, ticket.Worked},
	} {
		core := changing(t, c.kind, c.model, &override.Change{Parameters: p}, exchange.Options{})
		got, k := planned(t, core, c.path, c.body)
		if k.Steps[0].Path != c.on || k.Rules.Arm != "x/new" {
			t.Errorf("%s to %s: path %s of arm %s", c.path, c.kind, k.Steps[0].Path, k.Rules.Arm)
		}
		if c.on == ticket.Worked { // what is sent is made when the attempt begins
			d := core.Explain(t.Context(), exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: c.path}, {Name: "content-type", Value: "application/json"}}, []byte(c.body), auth.Identity{})
			if d.Output != 500 {
				t.Errorf("%s to %s: the answer may have %d tokens", c.path, c.kind, d.Output)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s to %s:\n got %s\nwant %s", c.path, c.kind, got, c.want)
		}
	}
}

// TestWhatDecidesSeesAnArmsParameters: a model that cannot answer at that length is not asked.
func TestWhatDecidesSeesAnArmsParameters(t *testing.T) {
	long := &override.Change{Parameters: &override.Parameters{MaxTokens: 100_000, Effort: "high"}}
	h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/completions"}, {Name: "content-type", Value: "application/json"}}
	d := changing(t, "openai", "gpt-3.5-turbo-instruct", long, exchange.Options{}).Explain(t.Context(), h, []byte(`{"model":"smart","prompt":"x"}`), auth.Identity{})
	if d.Refused == nil || !strings.Contains(d.Refused.Message, "its answers have at most 4096 tokens") {
		t.Errorf("it is sent: %+v %v", d.Legs, d.Refused)
	}
	if d.Output != 100_000 || len(d.Unset) != 1 || d.Unset[0].Path != "reasoning_effort" || d.Arm != "x/new" {
		t.Errorf("output %d, arm %q, not set: %v", d.Output, d.Arm, d.Unset)
	}
}

// TestCopiesHaveTheirArmsParameters, and what is copied has not.
func TestCopiesHaveTheirArmsParameters(t *testing.T) {
	passes := pass.New(secret.Value{})
	core := changing(t, "openai", "gpt-4.1", &override.Change{Parameters: &override.Parameters{Temperature: new(0.2)}}, exchange.Options{Passes: passes, Shadows: shadow.New(shadow.Params{Passes: passes, Count: func(string, shadow.Result) {}})})
	const body = `{"model":"smart","messages":[]}`
	if got, k := planned(t, core, "/v1/chat/completions", strings.Replace(body, "[]", `[{"role":"user","content":"x"}]`, 1)); strings.Contains(got, "temperature") || k.Rules.Arm != "x/control" {
		t.Errorf("the arm %s sends %s", k.Rules.Arm, got)
	}
	who, _ := auth.Open(auth.Options{}).Assume("")
	mark, err := passes.Issue(who, shadow.About{Arm: "x/new", Exchange: "acme/1"}.String(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	got, k := planned(t, core, "/v1/chat/completions", strings.Replace(body, "[]", `[{"role":"user","content":"x"}]`, 1), providers.Header{Name: pass.Header, Value: mark})
	if v, _ := jsonx.Float(jsonx.Get([]byte(got), "temperature")); v != 0.2 || k.Rules.Arm != "x/new" {
		t.Errorf("the arm %s sends %s", k.Rules.Arm, got)
	}
}

// worded gives a snapshot a template of three versions, of which the arm has one: the first is in production, and the third needs a
// variable that the others do not.
func worded(t *testing.T, may ...string) func(*exchange.Snapshot, *routing.Trial) {
	return func(s *exchange.Snapshot, trial *routing.Trial) {
		file := func(says string, variables ...string) *template.File {
			f := &template.File{Model: "smart", Messages: []template.Message{{Role: "system", Content: says}}}
			for _, v := range variables {
				f.Variables = append(f.Variables, template.Variable{Name: v})
			}
			f.Check(func(path, message string) { t.Fatalf("%s: %s", path, message) })
			return f
		}
		warm := file("Warm.")
		warm.Parameters.Temperature = new(1.0)
		s.Templates = template.NewSet([]template.Source{
			{Name: "support", Number: 1, File: file("First.")}, {Name: "support", Number: 2, File: warm}, {Name: "support", Number: 3, File: file("Third, {{name}}.", "name")}, {Name: "other", Number: 1, File: file("Other.")},
		}, map[string]template.Labels{"support": {"production": 1, "next": 2}})
		s.Templates.Bind(s.Servers)
		trial.Template = "support"
		if len(may) > 0 {
			k := &auth.Key{ID: "id", Name: "app", Hash: sha256.Sum256([]byte(clientSecret(0))), Role: auth.RoleMember, Owner: auth.Owner{Organization: auth.DefaultOrganization}, Scope: auth.Scope{Templates: may}}
			s.Keys = auth.NewGate([]*auth.Key{k}, auth.Options{})
		}
	}
}

// TestAnArmHasAVersionOfATemplate: where a request leaves the version to the gateway. What the arm cannot be is answered without it.
func TestAnArmHasAVersionOfATemplate(t *testing.T) {
	ask := func(template string) string {
		return `{"model":"` + template + `","messages":[{"role":"user","content":"x"}]}`
	}
	for name, c := range map[string]struct {
		change override.Change
		may    []string
		body   string
		says   string // in what is sent
		arm    string // "": none
		tag    string
		astray string
	}{
		"by number":                      {override.Change{Version: "2"}, nil, ask("support"), "Warm.", "x/new", "support@2", ""},
		"by label":                       {override.Change{Version: "next"}, nil, ask("support"), `"temperature":1`, "x/new", "support@2", ""},
		"by the label that a name means": {override.Change{Version: "2"}, nil, ask("support@production"), "Warm.", "x/new", "support@2", ""},
		"named by a member":              {override.Change{Version: "2"}, nil, `{"model":"smart","template":"support","messages":[{"role":"user","content":"x"}]}`, "Warm.", "x/new", "support@2", ""},
		"with parameters, which go before the version": {override.Change{Version: "2", Parameters: &override.Parameters{Temperature: new(0.5)}}, nil, ask("support"), `"temperature":0.5`, "x/new", "support@2", ""},
		"the version that it is anyway":                {override.Change{Version: "1"}, nil, ask("support"), "First.", "x/new", "support@1", ""},
		"parameters alone":                             {override.Change{Parameters: &override.Parameters{Temperature: new(0.5)}}, nil, ask("support"), `"temperature":0.5`, "x/new", "support@1", ""},
		"a request that chooses its version":           {override.Change{Version: "2"}, nil, ask("support@1"), "First.", "", "support@1", ""},
		"a request that chooses its label":             {override.Change{Version: "1"}, nil, ask("support@next"), "Warm.", "", "support@2", ""},
		"a request of another template":                {override.Change{Version: "2"}, nil, ask("other"), "Other.", "", "other@1", ""},
		"a request of no template":                     {override.Change{Version: "2"}, nil, ask("smart"), `"content":"x"`, "", "", ""},
		"a version that is not there":                  {override.Change{Version: "7"}, nil, ask("support"), "First.", "", "support@1", "x/new support@7"},
		"a label that is not there":                    {override.Change{Version: "beta"}, nil, ask("support"), "First.", "", "support@1", "x/new support@beta"},
		"a variable that the request lacks":            {override.Change{Version: "3"}, nil, ask("support"), "First.", "", "support@1", "x/new support@3"},
		"a variable that it has":                       {override.Change{Version: "3"}, nil, `{"model":"support","metadata":{"name":"Ann"},"messages":[{"role":"user","content":"x"}]}`, "Third, Ann.", "x/new", "support@3", ""},
		"a version that the key may use":               {override.Change{Version: "2"}, []string{"support"}, ask("support"), "Warm.", "x/new", "support@2", ""},
		"a version that the key may not use":           {override.Change{Version: "2"}, []string{"support@1"}, ask("support"), "First.", "", "support@1", "x/new support@2"},
	} {
		astray := ""
		core := changing(t, "openai", "gpt-4.1", &c.change, exchange.Options{Strays: func(arm, version string) { astray = arm + " " + version }}, worded(t, c.may...))
		got, k := planned(t, core, "/v1/chat/completions", c.body, providers.Header{Name: "authorization", Value: "Bearer " + clientSecret(0)})
		if !strings.Contains(got, c.says) || k.Rules.Arm != c.arm || k.Tags[template.Tag] != c.tag || astray != c.astray || k.Steps[0].Path != ticket.Direct {
			t.Errorf("%s: arm %q, template %q, astray %q, path %s, sends %s", name, k.Rules.Arm, k.Tags[template.Tag], astray, k.Steps[0].Path, got)
		}
	}
}

// TestAPromotedArmKeepsItsVersion: for all that take part.
func TestAPromotedArmKeepsItsVersion(t *testing.T) {
	var board experiment.Board
	board.Set(map[string]experiment.Phase{"x": {State: experiment.Promoted, Arm: "new"}})
	core := changing(t, "openai", "gpt-4.1", &override.Change{Version: "2"}, exchange.Options{Board: &board}, worded(t))
	for model, says := range map[string]string{"support": "Warm.", "support@1": "First.", "other": "Other."} {
		got, k := planned(t, core, "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"x"}]}`)
		if !strings.Contains(got, says) || k.Rules.Arm != "" {
			t.Errorf("%s: arm %q sends %s", model, k.Rules.Arm, got)
		}
	}
}

// TestCopiesHaveTheirArmsVersion, and one that cannot be made is refused: it would stand for what it is not.
func TestCopiesHaveTheirArmsVersion(t *testing.T) {
	passes := pass.New(secret.Value{})
	who, _ := auth.Open(auth.Options{}).Assume("")
	mark, err := passes.Issue(who, shadow.About{Arm: "x/new", Exchange: "acme/1"}.String(), time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	shows := providers.Header{Name: pass.Header, Value: mark}
	const body = `{"model":"support","messages":[{"role":"user","content":"x"}]}`
	o := exchange.Options{Passes: passes, Shadows: shadow.New(shadow.Params{Passes: passes, Count: func(string, shadow.Result) {}})}
	core := changing(t, "openai", "gpt-4.1", &override.Change{Version: "2"}, o, worded(t))
	if got, k := planned(t, core, "/v1/chat/completions", body, shows); !strings.Contains(got, "Warm.") || k.Rules.Arm != "x/new" || k.Tags[template.Tag] != "support@2" {
		t.Errorf("the arm %q of %q sends %s", k.Rules.Arm, k.Tags[template.Tag], got)
	}
	if got, k := planned(t, core, "/v1/chat/completions", body); !strings.Contains(got, "First.") || k.Rules.Arm != "x/control" {
		t.Errorf("the arm %q sends %s", k.Rules.Arm, got)
	}
	if _, k := planned(t, core, "/v1/chat/completions", strings.Replace(body, "support", "support@1", 1)); k.Rules.Arm != "" {
		t.Errorf("a request that chooses its version is copied")
	}
	gone := changing(t, "openai", "gpt-4.1", &override.Change{Version: "7"}, o, worded(t))
	if _, status := asked(t, gone, body, shows); status != 404 {
		t.Errorf("a copy of no version is answered with %d", status)
	}
}

// TestAnArmIsExplained: with the version that it has.
func TestAnArmIsExplained(t *testing.T) {
	core := changing(t, "openai", "gpt-4.1", &override.Change{Version: "2"}, exchange.Options{}, worded(t))
	h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}}
	d := core.Explain(t.Context(), h, []byte(`{"model":"support","messages":[{"role":"user","content":"x"}]}`), auth.Identity{})
	if d.Arm != "x/new" || d.Tags[template.Tag] != "support@2" || d.Refused != nil {
		t.Errorf("arm %q, tags %v, %v", d.Arm, d.Tags, d.Refused)
	}
}

// TestLimitsGoByAnArmsParameters: what is reserved is what the arm's answer can have, whatever the client allows.
func TestLimitsGoByAnArmsParameters(t *testing.T) {
	money := &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1_000_000_000, Window: life()}
	store := memory.New(memory.Params{})
	core := changing(t, "openai", "gpt-4o", &override.Change{Parameters: &override.Parameters{MaxTokens: 500}}, exchange.Options{}, func(s *exchange.Snapshot, _ *routing.Trial) {
		s.Providers["there"].Models = catalog.NewDeployment("openai", nil)
		s.Meter, s.Limits = metering.New(metering.Params{Store: store}), everybody{money}
	})
	for n, said := range []string{"", `"max_tokens":16000,`, `"max_completion_tokens":3,`} {
		got, _ := planned(t, core, "/v1/chat/completions", `{`+said+`"model":"smart","messages":[{"role":"user","content":"x"}]}`)
		if !strings.Contains(got, `_tokens":500`) {
			t.Errorf("%s: it sends %s", said, got)
		}
		each := int64(500 * 10_000) // nano-USD of what gpt-4o may answer, after a prompt of some bytes
		if c := counters(t, store, money); c.Reserved < each*int64(n+1) || c.Reserved > each*int64(n+1)*11/10 {
			t.Errorf("%s: %d nano-USD are reserved for %d requests", said, c.Reserved, n+1)
		}
	}
}
