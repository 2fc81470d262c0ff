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
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// probed makes a core of one target with two keys, which lets probes in or not.
func probed(t *testing.T, passes *pass.Issuer, in bool) (*exchange.Core, *health.Targets) {
	t.Helper()
	kind, _ := all.Kinds().Kind("openai")
	base, err := url.Parse("https://here.example/v1")
	if err != nil {
		t.Fatal(err)
	}
	a, err := kind.New(providers.Env{Name: "here", BaseURL: base}, kind.Params())
	if err != nil {
		t.Fatal(err)
	}
	p := &providers.Provider{Name: "here", Kind: "openai", Base: base, Adapter: a, Keys: providers.NewKeyring(providers.Key{ID: "one", Secret: secret.New("sk-1")}, providers.Key{ID: "two", Secret: secret.New("sk-2")})}
	s := &exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{{Name: "r", Models: []string{"smart"}, Targets: []routing.Target{{Provider: "here", Model: "gpt-5.1"}}}}, nil),
		Providers: map[string]*providers.Provider{"here": p}, Registry: all.Kinds(), Servers: all.Servers(), Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
	}
	if in {
		s.Probe = &routing.Route{Name: probe.Route, Deadlines: routing.Deadlines{Answer: time.Second, Total: time.Second}}
	}
	h := health.NewTargets()
	return exchange.New(s, exchange.Options{Passes: passes, Health: h}), h
}

func showing(t *testing.T, passes *pass.Issuer, who auth.Identity, about string) providers.Header {
	t.Helper()
	text, err := passes.Issue(who, about, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return providers.Header{Name: pass.Header, Value: text}
}

const ping = `{"model":"here/gpt-5.1","messages":[{"role":"user","content":"ping"}],"max_completion_tokens":1}`

// TestAProbeIsTheTrialOfAKey has a target one of whose keys rests, its trials kept: a client gets the other, and a probe
// the one that it is for. What comes of it closes the breaker in the end.
func TestAProbeIsTheTrialOfAKey(t *testing.T) {
	passes := pass.New(secret.Value{})
	c, targets := probed(t, passes, true)
	h := targets.Of("here", "gpt-5.1")
	began := time.Now().Add(-6 * time.Second) // its first rest is over
	for range 5 {
		h.Begin("two", began)
		h.End(health.Attempt{Key: "two", Code: llm.CodeReset}, began)
	}
	h.Keep("two", time.Now().Add(time.Minute), time.Now())
	for range 4 {
		if tk, _ := asked(t, c, hello); tk == nil || tk.Steps[0].Key != "one" {
			t.Fatalf("a client gets %+v", tk)
		}
	}
	mark := func() providers.Header {
		return showing(t, passes, probe.Who(), probe.About(health.Subject{Provider: "here", Model: "gpt-5.1", Key: "two"}))
	}
	for i := range 3 {
		tk, status := asked(t, c, ping, mark())
		if tk == nil {
			t.Fatalf("refused: %d", status)
		}
		want := ticket.Charged{Organization: "signalbox.own"}
		if d := cmp.Diff(want, tk.By); d != "" || tk.Who != "probe" || tk.Route != probe.Route || tk.Steps[0].Key != "two" || len(tk.Steps) != 1 || tk.Rules.Least || tk.Steps[0].Path != ticket.Direct || tk.Rules.Total.D() != time.Second {
			t.Fatalf("%+v\n%s", tk, d)
		}
		c.RequestLogged(exchange.Outcome{Ticket: tk.Encode(), Status: 200, Tries: 1, Took: time.Second, Usage: llm.Usage{Output: llm.Count{N: 1, Known: true}}, Try: exchange.Timing{Took: time.Second, First: time.Second}})
		if s := h.Stand("two", time.Now()); (s.State == health.Closing) != (i == 2) {
			t.Errorf("after %d probes it is %v", i+1, s.State)
		}
	}
	if s := h.Signals(time.Now()); s.Total.P50 != 0 || s.Output != 0 || s.Weight < 2 {
		t.Errorf("of probes was learnt %+v", s)
	}
	if _, last := h.Quiet(); last.Key != "two" || last.What != "" {
		t.Errorf("the last probe is %+v", last)
	}
}

// TestAProbeAsksForTheProvidersList of models: clients get the gateway's own.
func TestAProbeAsksForTheProvidersList(t *testing.T) {
	passes := pass.New(secret.Value{})
	c, _ := probed(t, passes, true)
	x := c.Begin()
	r := x.Head(context.Background(), exchange.Header{
		{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/v1/models/here/gpt-5.1"},
		showing(t, passes, probe.Who(), probe.About(health.Subject{Provider: "here", Model: "gpt-5.1", Key: "one"})),
	}, true)
	if r.Plan == nil {
		t.Fatalf("refused: %+v", r.Answer)
	}
	set := map[string]string{}
	for _, h := range r.Set {
		set[h.Name] = h.Value
	}
	if set[":path"] != "/v1/models" || set["authorization"] != "Bearer sk-1" || set[":authority"] != "here.example" {
		t.Errorf("the provider is asked %v", set)
	}
	x = c.Begin()
	if r := x.Head(context.Background(), exchange.Header{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/v1/models"}}, true); r.Answer == nil || r.Answer.Status != 200 {
		t.Errorf("a client's list: %+v", r)
	}
}

// TestAProbeWaitsForNobody has a provider at its limit, once as its key is well and once as it rests.
func TestAProbeWaitsForNobody(t *testing.T) {
	for name, rests := range map[string]bool{"a key that is well": false, "a key that rests": true} {
		passes := pass.New(secret.Value{})
		c, targets := probed(t, passes, true)
		s := *c.Snapshot()
		s.Line = queue.New(nil, nil)
		s.Line.Configure(queue.Settings{Most: 9, Bytes: 1 << 20, Waits: queue.Waits(time.Minute, time.Minute, time.Minute, time.Minute), Limits: map[string]queue.Limits{"here": {Parallel: 1}}})
		c.Swap(&s)
		began, h := time.Now().Add(-6*time.Second), targets.Of("here", "gpt-5.1")
		for range 5 {
			if rests {
				h.Begin("two", began)
				h.End(health.Attempt{Key: "two", Code: llm.CodeReset}, began)
			}
		}
		h.Keep("two", time.Now().Add(time.Minute), time.Now())
		client, status := asked(t, c, hello)
		if client == nil {
			t.Fatalf("%s: a client is refused: %d", name, status)
		}
		mark := showing(t, passes, probe.Who(), probe.About(health.Subject{Provider: "here", Model: "gpt-5.1", Key: "two"}))
		if _, status := asked(t, c, ping, mark); status != 503 {
			t.Errorf("%s: a probe of a provider at its limit: %d", name, status)
		}
		c.RequestLogged(exchange.Outcome{Ticket: client.Encode(), Status: 200, Tries: 1})
		tk, status := asked(t, c, ping, mark)
		if tk == nil {
			t.Fatalf("%s: a probe of a provider with room is refused: %d", name, status)
		}
		x := c.Begin() // it has taken the room
		x.Head(t.Context(), exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}}, false)
		if r := x.Body(t.Context(), []byte(hello)); !rests && r.Wait == 0 {
			t.Errorf("%s: a client does not wait for a probe: %+v", name, r)
		}
	}
}

func TestProbesThatAreNotLetIn(t *testing.T) {
	passes := pass.New(secret.Value{})
	at := func(provider, model string) string {
		return probe.About(health.Subject{Provider: provider, Model: model, Key: "one"})
	}
	for name, tc := range map[string]struct {
		in     bool
		mark   func() providers.Header
		status int
	}{
		"where nothing is probed": {false, func() providers.Header { return showing(t, passes, probe.Who(), at("here", "gpt-5.1")) }, 403},
		"of another process": {true, func() providers.Header {
			return showing(t, pass.New(secret.Value{}), probe.Who(), at("here", "gpt-5.1"))
		}, 403},
		"of a provider that is no": {true, func() providers.Header { return showing(t, passes, probe.Who(), at("gone", "gpt-5.1")) }, 400},
		"about something else":     {true, func() providers.Header { return showing(t, passes, probe.Who(), "probe\nhere") }, 403},
	} {
		c, _ := probed(t, passes, tc.in)
		if _, got := asked(t, c, ping, tc.mark()); got != tc.status {
			t.Errorf("one %s: %d, want %d", name, got, tc.status)
		}
	}
}
