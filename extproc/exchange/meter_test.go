package exchange_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// everybody is under the same budgets.
type everybody []*quota.Budget

func (l everybody) Find(dst []*quota.Budget, _ *metering.Party, _, _ string, _ []string) []*quota.Budget {
	return append(dst, l...)
}

func (l everybody) Budget(id string) *quota.Budget {
	for _, b := range l {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// limited is a rig whose clients are under budgets.
func limited(t *testing.T, budgets ...*quota.Budget) (*rig, *memory.Store) {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"claude", "anthropic", "k2=sk-ant-1"})
	r.route([]string{"chat", "gpt-4o", "->", "gpt/gpt-4o", "claude/claude-sonnet-4-5"})
	r.route([]string{"odd", "odd", "->", "gpt/nobody-knows-this"})
	for _, p := range r.config.providers {
		p.Models = catalog.NewDeployment(p.Kind, nil)
	}
	store := memory.New(memory.Params{})
	r.config.meter, r.config.limits = metering.New(metering.Params{Store: store}), everybody(budgets)
	r.start()
	return r, store
}

func (r *rig) ask(id, body string) (*exchange.Exchange, exchange.Reply) {
	x := r.core.Begin()
	h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: id}}
	if reply := x.Head(context.Background(), h, false); reply.Answer != nil {
		r.t.Fatalf("refused at once: %s", reply.Answer.Body)
	}
	return x, x.Body(context.Background(), []byte(body))
}

func life() window.Window { return window.Window{Kind: window.Life} }

func counters(t *testing.T, s *memory.Store, b *quota.Budget) quota.Counter {
	t.Helper()
	c, err := s.Peek(context.Background(), "default", []*quota.Budget{b})
	if err != nil {
		t.Fatal(err)
	}
	return c[0]
}

func TestAnAnswerThatMayCostAnythingGetsABound(t *testing.T) {
	money := &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1_000_000_000, Window: life()}
	r, store := limited(t, money)
	const text = `"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]`
	x, reply := r.ask("request-1", `{`+text+`}`)
	if reply.Answer != nil {
		t.Fatalf("refused: %s", reply.Answer.Body)
	}
	if got := string(reply.Body); !strings.Contains(got, `"max_completion_tokens":16384`) { // gpt-4o can answer no more
		t.Errorf("the provider gets %s", got)
	}
	if c := counters(t, store, money); c.Reserved < 163_840_000 || c.Reserved > 250_000_000 { // 16,384 tokens at $10 a million, after a prompt
		t.Errorf("%d nano-USD are reserved", c.Reserved)
	}
	r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 1, Sent: 100, Usage: llm.Usage{Input: llm.Tokens(8), Output: llm.Tokens(2)}})
	if c := counters(t, store, money); c.Reserved != 0 || c.Used != 8*2500+2*10_000 {
		t.Errorf("after the end %+v", c)
	}
	if _, reply := r.ask("request-2", `{"max_tokens":5,`+text+`}`); reply.Answer != nil || strings.Contains(string(reply.Body), "16384") {
		t.Errorf("a bound of the client's own: %s", reply.Body)
	}
	_ = x
}

func TestRequestsOfOneIDAreCountedApart(t *testing.T) {
	n := &quota.Budget{ID: "n", Owner: quota.Owner{Level: "key", Name: "k"}, Unit: quota.Requests, Limit: 2, Window: life()}
	r, store := limited(t, n)
	const body = `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`
	one, first := r.ask("same-request", body)
	two, second := r.ask("same-request", body)
	if first.Answer != nil || second.Answer != nil || one.ID == two.ID {
		t.Fatalf("%s and %s", one.ID, two.ID)
	}
	_, third := r.ask("same-request", body)
	if third.Answer == nil || third.Answer.Status != 429 || !strings.Contains(string(third.Answer.Body), `key \"k\"`) {
		t.Errorf("the third: %+v", third.Answer)
	}
	for _, reply := range []exchange.Reply{second, first} {
		r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 1, Sent: 100, Usage: llm.Usage{Input: llm.Tokens(8), Output: llm.Tokens(2)}})
	}
	if c := counters(t, store, n); c.Used != 2 || c.Reserved != 0 {
		t.Errorf("got %+v", c)
	}
}

// TestAModelWithoutAPriceIsLeftOut where a limit of money holds, and named where none is left.
func TestAModelWithoutAPriceIsLeftOut(t *testing.T) {
	r, _ := limited(t, &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1 << 50, Window: life()})
	_, reply := r.ask("request-1", `{"model":"odd","messages":[{"role":"user","content":"hi"}]}`)
	if reply.Answer == nil || !strings.Contains(string(reply.Answer.Body), "no price is known for nobody-knows-this at gpt") {
		t.Errorf("got %+v", reply)
	}
}

func TestAnExchangeThatIsNeverLoggedIsChargedWhole(t *testing.T) {
	now := time.Now()
	money := &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1 << 50, Window: life()}
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.route([]string{"chat", "gpt-4o", "->", "gpt/gpt-4o"})
	r.config.providers["gpt"].Models = catalog.NewDeployment("openai", nil)
	store := memory.New(memory.Params{Now: func() time.Time { return now }})
	r.config.meter, r.config.limits = metering.New(metering.Params{Store: store, Now: func() time.Time { return now }}), everybody{money}
	r.start()
	_, reply := r.ask("request-1", `{"model":"gpt-4o","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}`)
	reserved := counters(t, store, money).Reserved
	r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Ending: exchange.EndedUnseen, Tries: 1})
	if c := counters(t, store, money); c.Used < 10*10_000 || c.Used > reserved || c.Reserved != 0 {
		t.Errorf("%d were reserved, and after the end %+v", reserved, c)
	}
}

// TestSearchesOfTheWebAreBoundedOrRefused under a limit of money.
func TestSearchesOfTheWebAreBoundedOrRefused(t *testing.T) {
	r, _ := limited(t, &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1 << 50, Window: life()})
	const text = `"model":"gpt-4o","max_tokens":5,"messages":[{"role":"user","content":"say web_search_options and google_search"}]`
	for more, admitted := range map[string]bool{
		``: true,
		`,"tools":[{"type":"function","function":{"name":"web_search","parameters":{"type":"object"}}}]`: true,
		`,"web_search_options":{}`:                 false,
		`,"web_search_options":null`:               true,
		`,"search_parameters":{"mode":"auto"}`:     false,
		`,"tools":[{"type":"web_search_preview"}]`: false,
	} {
		_, reply := r.ask("request-1", `{`+text+more+`}`)
		if (reply.Answer == nil) != admitted {
			t.Errorf("%s: %+v", more, reply.Answer)
		}
		if reply.Answer != nil && !strings.Contains(string(reply.Answer.Body), "cannot be bounded, and a limit of money holds") {
			t.Errorf("%s: %s", more, reply.Answer.Body)
		}
	}
}

// TestAPromptIsBoundedByItsWindowWhereItNamesWhatItDoesNotHold: an address, not a word of the text or a tool's call. Each target of a
// route may bill the prompt.
func TestAPromptIsBoundedByItsWindowWhereItNamesWhatItDoesNotHold(t *testing.T) {
	const (
		itself       = 0  // as long as the request
		never        = -1 // the target is not asked
		gptWindow    = 128_000
		claudeWindow = 200_000
	)
	in := &quota.Budget{ID: "in", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.TokensIn, Limit: 1 << 50, Away: quota.Deny, Window: life()}
	for messages, most := range map[string][2]int64{ // tokens at gpt and at claude
		`[{"role":"user","content":"see http://example.com and file_id"}]`: {itself, itself},
		`[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"b"}]`: {itself, itself},
		`[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}}]}]`:                                                                                                  {itself, itself},
		`[{"role":"user","content":[{"type":"image_url","image_url":{"url": "https://example.com/a.png"}}]}]`:                                                                                                  {gptWindow, claudeWindow},
		`[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]`:                                                                                                                            {gptWindow, never},
	} {
		for model, targets := range map[string][]int{"gpt": {0}, "claude": {1}, "both": {0, 1}} {
			r, store := limited(t, in)
			to := []string{"gpt/gpt-4o", "claude/claude-sonnet-4-5"}
			route := []string{"by-itself", model, "->"}
			body := `{"model":"` + model + `","max_tokens":5,"messages":` + messages + `}`
			var want int64
			for _, n := range targets {
				route = append(route, to[n])
				switch most[n] {
				case never:
				case itself:
					want += int64(len(body))
				default:
					want += most[n]
				}
			}
			r.route(route)
			r.stale = true
			r.start()
			_, reply := r.ask("request-1", body)
			if refused := reply.Answer != nil; refused != (want == 0) {
				t.Fatalf("%s at %s: %+v", messages, model, reply.Answer)
			}
			if got := counters(t, store, in).Reserved; got != want {
				t.Errorf("%s at %s: %d tokens are reserved, want %d", messages, model, got, want)
			}
		}
	}
}

// TestAnAnswerThatIsNotTakenIsPaidFor: the provider bills what it made, though the client gets another's.
func TestAnAnswerThatIsNotTakenIsPaidFor(t *testing.T) {
	money := &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1 << 50, Window: life()}
	r, store := limited(t, money)
	r.provider([]string{"two", "openai", "base=https://two.example.com", "k3=sk-two-1"})
	r.config.providers["two"].Models = catalog.NewDeployment("openai", nil)
	r.route([]string{"checked", "checked", "->", "gpt/gpt-4o", "two/gpt-4o", "on=invalid_output:next"})
	r.stale = true
	r.start()
	_, reply := r.ask("request-1", `{"model":"checked","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"}}`)
	if reply.Answer != nil {
		t.Fatalf("refused: %s", reply.Answer.Body)
	}
	a, answer := r.core.Try(reply.Plan.Ticket, 1, "gpt", nil)
	if answer != nil {
		t.Fatalf("%s", answer.Body)
	}
	if rs := a.AnswerHead(200, exchange.Header{{Name: "content-type", Value: "application/json"}}, false); len(rs) > 0 {
		t.Fatalf("the head is not held: %+v", rs)
	}
	rs, err := a.AnswerChunk([]byte(`{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"no JSON"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}}`), true)
	if err != nil || len(rs) == 0 || rs[0].Status != 503 {
		t.Fatalf("it is taken: %+v, %v", rs, err)
	}
	a.End()
	r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 2, Sent: 100, Usage: llm.Usage{Input: llm.Tokens(8), Output: llm.Tokens(2)}})
	if c := counters(t, store, money); c.Reserved != 0 || c.Used != (20+8)*2500+(7+2)*10_000 {
		t.Errorf("after the end %+v", c)
	}
}

// TestARepairIsPaidFor: what was not of the form, and what the model was asked to make of it.
func TestARepairIsPaidFor(t *testing.T) {
	money := &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1 << 50, Window: life()}
	r, store := limited(t, money)
	r.route([]string{"repaired", "repaired", "->", "gpt/gpt-4o", "on=invalid_output:repair"})
	r.stale = true
	r.start()
	_, reply := r.ask("request-1", `{"model":"repaired","max_tokens":50,"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"}}`)
	if reply.Answer != nil {
		t.Fatalf("refused: %s", reply.Answer.Body)
	}
	for n, text := range []string{`no JSON`, `{\"n\":1}`} {
		a, answer := r.core.Try(reply.Plan.Ticket, n+1, "gpt", nil)
		if answer != nil {
			t.Fatalf("%s", answer.Body)
		}
		a.AnswerHead(200, exchange.Header{{Name: "content-type", Value: "application/json"}}, false)
		rs, err := a.AnswerChunk([]byte(`{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"`+text+`"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}}`), true)
		if err != nil || len(rs) == 0 || (rs[0].Status == 503) != (n == 0) {
			t.Fatalf("attempt %d: %+v, %v", n+1, rs, err)
		}
		a.End()
	}
	r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 2, Sent: 100, Usage: llm.Usage{Input: llm.Tokens(45), Output: llm.Tokens(9)}})
	if c := counters(t, store, money); c.Reserved != 0 || c.Used != (20+45)*2500+(7+9)*10_000 {
		t.Errorf("after the end %+v", c)
	}
}
