package exchange_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// changing makes a core whose route has one arm that everybody gets, at a provider of a kind, and what the arm changes.
func changing(t *testing.T, kind, model string, c *override.Change, o exchange.Options) *exchange.Core {
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
	return exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{rt}, nil), Providers: map[string]*providers.Provider{"there": p}, Registry: all.Kinds(), Servers: all.Servers(),
		Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}, o)
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

func hot(v float64) *float64 { return &v }

// TestAnArmsParametersCount: in every dialect, on the path that the request takes anyway.
func TestAnArmsParametersCount(t *testing.T) {
	p := &override.Parameters{Temperature: hot(0.2), MaxTokens: 500, Stop: []string{"END"}}
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
	core := changing(t, "openai", "gpt-4.1", &override.Change{Parameters: &override.Parameters{Temperature: hot(0.2)}}, exchange.Options{Passes: passes, Shadows: shadow.New(shadow.Params{Passes: passes, Count: func(string, shadow.Result) {}})})
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
