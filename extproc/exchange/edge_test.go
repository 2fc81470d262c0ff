package exchange_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
)

// signer is an adapter whose Sign is the test's.
type signer struct {
	providers.Adapter
	sign func(*providers.Outbound) error
}

func (s signer) Sign(_ context.Context, out *providers.Outbound) error { return s.sign(out) }

// TestAKeyGoesOnlyToItsOwnHost has a provider that signs for another host, and one that cannot sign: nothing
// is sent, and neither client nor log learns the key.
func TestAKeyGoesOnlyToItsOwnHost(t *testing.T) {
	for _, c := range []struct {
		name   string
		sign   func(*providers.Outbound) error
		status int
		code   llm.Code
	}{
		{"another host", func(out *providers.Outbound) error {
			out.Host = "evil.example"
			out.Set("authorization", out.Key.Reveal())
			return nil
		}, 500, llm.CodeInternal},
		{"no signature", func(out *providers.Outbound) error {
			return errors.New("the token endpoint is away")
		}, 502, llm.CodeCredential},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
			r.provider([]string{"claude", "anthropic", "k2=sk-ant-1"})
			r.route([]string{"direct", "direct", "->", "gpt/gpt-5.1"})
			r.route([]string{"worked", "worked", "->", "claude/claude-sonnet-4-5"})
			for _, p := range r.config.providers {
				p.Adapter = signer{p.Adapter, c.sign}
			}
			r.start()
			h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}}
			x := r.core.Begin()
			x.Head(context.Background(), h, false)
			refused(t, x.Body(t.Context(), []byte(strings.Replace(goodChat, "fast", "direct", 1))), c.status, c.code)

			x = r.core.Begin()
			x.Head(context.Background(), h, false)
			body := []byte(strings.Replace(goodChat, "fast", "worked", 1))
			reply := x.Body(t.Context(), body)
			a, answer := r.core.Try(reply.Plan.Ticket, 1, "claude", mutate(h, &reply))
			if answer != nil {
				t.Fatal(answer.Err)
			}
			refused(t, a.Request(t.Context(), body), c.status, c.code)
			r.finish()
		})
	}
}

func refused(t *testing.T, r exchange.Reply, status int, code llm.Code) {
	t.Helper()
	if r.Answer == nil || r.Answer.Status != status || r.Answer.Err.Code != code || !r.Done || r.Plan != nil || r.Attempt != nil || len(r.Set) > 0 {
		t.Fatalf("got %+v, want %d %v", r, status, code)
	}
	if body := string(r.Answer.Body); strings.Contains(body, "sk-") || strings.Contains(body, "token endpoint") || strings.Contains(body, "evil") {
		t.Errorf("the answer says what is not the client's: %s", body)
	}
}

// TestTheVerdictWaitsNoLongerThanItMust has log entries come while the last attempt waits for them, the
// client leave meanwhile, and nothing come at all.
func TestTheVerdictWaitsNoLongerThanItMust(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(log func(string), leave context.CancelFunc)
		took time.Duration
		says string
	}{
		{"entries that come one after another", func(log func(string), _ context.CancelFunc) {
			time.Sleep(50 * time.Millisecond)
			log("gpt")
			time.Sleep(50 * time.Millisecond)
			log("claude")
		}, 100 * time.Millisecond, "gpt/gpt-5.1: overloaded (503); claude/claude-sonnet-4-5: overloaded (503)"},
		{"one entry alone", func(log func(string), _ context.CancelFunc) {
			time.Sleep(50 * time.Millisecond)
			log("gpt")
		}, 300 * time.Millisecond, "gpt/gpt-5.1: overloaded (503); claude/claude-sonnet-4-5: no answer"},
		{"a client that leaves", func(_ func(string), leave context.CancelFunc) {
			time.Sleep(20 * time.Millisecond)
			leave()
		}, 20 * time.Millisecond, "no answer"},
		{"nothing", func(func(string), context.CancelFunc) {}, 300 * time.Millisecond, "no answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
				r.provider([]string{"claude", "anthropic", "k2=sk-ant-1"})
				r.route([]string{"chat", "fast", "->", "gpt/gpt-5.1", "claude/claude-sonnet-4-5"})
				core := exchange.New(r.snapshot(), exchange.Options{})
				h := benchHead("/v1/chat/completions", "request-1")
				plan := planOne(core, h, []byte(goodChat))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go c.play(func(cluster string) {
					core.AttemptLogged(exchange.AttemptEntry{ID: "request-1", Cluster: cluster, Status: 503})
				}, cancel)
				began := time.Now()
				a := core.Verdict(ctx, plan.Plan.Ticket, mutate(h, plan))
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if !strings.Contains(a.Err.Message, c.says) {
					t.Errorf("it says %q, want something of %q", a.Err.Message, c.says)
				}
			})
		})
	}
}

// TestAnExchangeKeepsTheConfigurationItBeganWith swaps the snapshot between plan and attempt.
func TestAnExchangeKeepsTheConfigurationItBeganWith(t *testing.T) {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"claude", "anthropic", "k2=sk-ant-1"})
	r.route([]string{"chat", "fast", "->", "gpt/gpt-5.1", "claude/claude-sonnet-4-5"})
	core := exchange.New(r.snapshot(), exchange.Options{})
	h := benchHead("/v1/chat/completions", "request-1")
	plan := planOne(core, h, []byte(goodChat))
	r.provider([]string{"claude", "anthropic", "base=https://elsewhere.example", "k9=sk-ant-9"})
	core.Swap(r.snapshot())
	if v := core.Snapshot().Version; v != "config-2" {
		t.Errorf("the snapshot is %s", v)
	}
	a, answer := core.Try(plan.Plan.Ticket, 2, "claude", mutate(h, plan))
	if answer != nil {
		t.Fatal(answer.Err)
	}
	reply := a.Request(t.Context(), []byte(goodChat))
	sent := mutate(nil, &reply)
	if sent.Get(":authority") != "api.anthropic.com" || sent.Get("x-api-key") != "sk-ant-1" {
		t.Errorf("it is sent to %s with %s", sent.Get(":authority"), sent.Get("x-api-key"))
	}
	if len(a.Losses()) != 0 {
		t.Errorf("losses: %v", a.Losses())
	}
}
