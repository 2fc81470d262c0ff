package exchange_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// copying makes a core whose route has a shadow in another region, with the results of its copies.
func copying(t *testing.T, passes *pass.Issuer, share float64) (*exchange.Core, map[shadow.Result]int) {
	t.Helper()
	found := map[string]*providers.Provider{}
	kind, _ := all.Kinds().Kind("openai")
	for name, region := range map[string]string{"here": "eu", "there": "us"} {
		base, err := url.Parse("https://" + name + ".example/v1")
		if err != nil {
			t.Fatal(err)
		}
		a, err := kind.New(providers.Env{Name: name, BaseURL: base}, kind.Params())
		if err != nil {
			t.Fatal(err)
		}
		found[name] = &providers.Provider{Name: name, Kind: "openai", Base: base, Adapter: a, Region: region, Keys: providers.NewKeyring(providers.Key{ID: "k", Secret: secret.New("sk-0")})}
	}
	e := &experiment.Experiment{Name: "copy", By: experiment.ByKey, Arms: []experiment.Arm{{Name: "live"}, {Name: "next"}}, Shadow: &experiment.Shadow{Share: share}}
	rt := &routing.Route{Name: "r", Models: []string{"smart"}, Targets: []routing.Target{{Provider: "here", Model: "gpt-5.1"}}}
	live, next := *rt, *rt
	next.Targets = []routing.Target{{Provider: "there", Model: "gpt-5.2"}}
	rt.Trial = &routing.Trial{Experiment: e, Routes: []*routing.Route{&live, &next}, Labels: []string{"copy/live", "copy/next"}}
	results := map[shadow.Result]int{}
	sender := shadow.New(shadow.Params{Passes: passes, Count: func(_ string, r shadow.Result) { results[r]++ }})
	return exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{rt}, nil), Providers: found, Registry: all.Kinds(), Servers: all.Servers(),
		Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}, exchange.Options{Shadows: sender, Passes: passes}), results
}

// asked sends a request with more in its header, and returns its ticket, or the status of its refusal.
func asked(t *testing.T, c *exchange.Core, body string, more ...providers.Header) (*ticket.Ticket, int) {
	t.Helper()
	x := c.Begin()
	r := x.Head(context.Background(), append(exchange.Header{
		{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"},
	}, more...), false)
	if r.Answer == nil {
		r = x.Body(context.Background(), []byte(body))
	}
	if r.Answer != nil {
		return nil, r.Answer.Status
	}
	tk, err := ticket.Read(r.Plan.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	return tk, 0
}

const hello = `{"model":"smart","messages":[{"role":"user","content":"Hello"}]}`

func TestACopyIsOnBehalfOfItsClient(t *testing.T) {
	passes := pass.New(secret.Value{})
	c, _ := copying(t, passes, 0)
	who := func(regions ...string) auth.Identity {
		k := &auth.Key{ID: "id", Name: "app", Role: auth.RoleMember, Owner: auth.Owner{Organization: "acme", Team: "core"}, Scope: auth.Scope{Regions: regions}}
		id, ok := auth.NewGate([]*auth.Key{k}, auth.Options{}).Assume("app")
		if !ok {
			t.Fatal("no identity")
		}
		return id.ForUser("u")
	}
	mark := func(p *pass.Issuer, id auth.Identity, about string) providers.Header {
		text, err := p.Issue(id, about, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return providers.Header{Name: pass.Header, Value: text}
	}
	about := shadow.About{Arm: "copy/next", Exchange: "acme/1"}.String()
	tk, status := asked(t, c, hello, mark(passes, who(), about))
	if tk == nil {
		t.Fatalf("refused: %d", status)
	}
	want := ticket.Charged{Organization: "signalbox.own", Team: "core", Key: "id", User: "u", Shadows: "acme/1"}
	if d := cmp.Diff(want, tk.By); d != "" || tk.Rules.Arm != "copy/next" || tk.Steps[0].Target() != "there/gpt-5.2" || tk.Who != "app" {
		t.Errorf("%+v\n%s", tk, d)
	}
	for name, c2 := range map[string]struct {
		mark   providers.Header
		status int
	}{
		"a forged mark":                         {providers.Header{Name: pass.Header, Value: "e30.e30"}, 403},
		"another process' mark":                 {mark(pass.New(secret.Value{}), who(), about), 403},
		"a mark about something else":           {mark(passes, who(), "a batch"), 403},
		"a key that may not go to its region":   {mark(passes, who("eu"), about), 403},
		"an arm that is gone":                   {mark(passes, who(), "copy/gone\nacme/1"), 404},
		"the control, which callers get anyway": {mark(passes, who(), "copy/live\nacme/1"), 404},
	} {
		if _, got := asked(t, c, hello, c2.mark); got != c2.status {
			t.Errorf("%s: %d, want %d", name, got, c2.status)
		}
	}
}

func TestRequestsAreCopied(t *testing.T) {
	c, results := copying(t, pass.New(secret.Value{}), 1)
	tk, _ := asked(t, c, hello)
	if tk == nil || tk.Rules.Arm != "copy/live" || tk.By.Shadows != "" || tk.Steps[0].Target() != "here/gpt-5.1" {
		t.Errorf("%+v", tk)
	}
	tk, _ = asked(t, c, `{"model":"smart","messages":[{"role":"user","content":"Hello"}],"background":true}`)
	if tk == nil || tk.Rules.Arm != "" {
		t.Errorf("%+v", tk)
	}
	if d := cmp.Diff(map[shadow.Result]int{shadow.Stateful: 1}, results); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	none, _ := copying(t, pass.New(secret.Value{}), 0)
	if tk, _ := asked(t, none, hello); tk == nil || tk.Rules.Arm != "" {
		t.Errorf("%+v", tk)
	}
}
