package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
)

// kept are books that keep of each exchange what its attempts were: the target, how they ended, and their flags.
type kept struct {
	mu    sync.Mutex
	ended []string
}

// all returns what was kept so far.
func (k *kept) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.ended)
}

func (k *kept) Write(e *metering.Ended, _ *metering.Charge) *ledger.Record {
	var all []string
	for i := range e.Attempts {
		a := &e.Attempts[i]
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %v", a.Provider.Name, a.Code, a.Flags)))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = append(k.ended, strings.Join(all, ", "))
	return nil
}
func (k *kept) Keep(*ledger.Record, *metering.Charge)     {}
func (k *kept) Lapsed(string, quota.Lapse) *ledger.Record { return nil }

// TestTheLedgerSaysHowAttemptsCameToBe: by a repair, by the same target's being tried again, in a further round, and what was
// mended of their answers.
func TestTheLedgerSaysHowAttemptsCameToBe(t *testing.T) {
	r := newRig(t)
	r.provider([]string{"gpt", "openai", "k1=sk-openai-1"})
	r.provider([]string{"two", "openai", "base=https://two.example", "k2=sk-two-1"})
	r.route([]string{"repaired", "repaired", "->", "gpt/gpt-4o", "on=invalid_output:repair", "budget=100"})
	r.route([]string{"same", "same", "->", "gpt/gpt-4o", "two/gpt-4o", "on=connect:same", "budget=100"})
	r.route([]string{"rounds", "rounds", "->", "gpt/gpt-4o", "rounds=2", "budget=100"})
	books := &kept{}
	n := &quota.Budget{ID: "n", Owner: quota.Owner{Level: "key", Name: "k"}, Unit: quota.Requests, Limit: 100, Window: life()}
	r.config.meter, r.config.limits = metering.New(metering.Params{Store: memory.New(memory.Params{}), Books: books}), everybody{n}
	r.start()
	ctx := context.Background()

	_, reply := r.ask("request-1", `{"model":"repaired","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_object"}}`)
	for n, text := range []string{"no JSON", "```json\\n{}\\n```"} {
		a, answer := r.core.Try(reply.Plan.Ticket, n+1, "gpt", nil)
		if answer != nil {
			t.Fatalf("%s", answer.Body)
		}
		a.AnswerHead(200, exchange.Header{{Name: "content-type", Value: "application/json"}}, false)
		if _, err := a.AnswerChunk([]byte(`{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"`+text+`"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}}`), true); err != nil {
			t.Fatal(err)
		}
		a.End()
	}
	r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 2, Usage: llm.Usage{Input: llm.Tokens(45), Output: llm.Tokens(9)}})

	x, reply := r.ask("request-2", `{"model":"same","messages":[{"role":"user","content":"hi"}]}`)
	for _, n := range []int{1, 3} { // each is the target, and fails; Envoy comes to the turn in between
		if n == 3 {
			if a, answer := r.core.Turn(ctx, reply.Plan.Ticket, 2, nil); a == nil {
				t.Fatalf("the turn says %s", answer.Body)
			}
			a, answer := r.core.Try(reply.Plan.Ticket, n, "gpt", nil)
			if a == nil {
				t.Fatalf("attempt %d: %+v", n, answer)
			}
			a.End()
		}
		r.core.AttemptLogged(exchange.AttemptEntry{ID: x.ID, Cluster: "gpt", Ending: exchange.EndedConnect})
	}
	a, answer := r.core.Try(reply.Plan.Ticket, 4, "two", nil)
	if a == nil {
		t.Fatalf("%+v", answer)
	}
	a.End()
	r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 4})

	x, reply = r.ask("request-3", `{"model":"rounds","messages":[{"role":"user","content":"hi"}]}`)
	r.core.AttemptLogged(exchange.AttemptEntry{ID: x.ID, Cluster: "gpt", Status: 503})
	late, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if a, answer := r.core.Turn(late, reply.Plan.Ticket, 2, nil); a == nil {
		t.Fatalf("the turn says %s", answer.Body)
	}
	if a, answer = r.core.Try(reply.Plan.Ticket, 3, "gpt", nil); a == nil {
		t.Fatalf("%+v", answer)
	}
	a.End()
	r.core.RequestLogged(exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 3})

	want := []string{"gpt upstream [], gpt  [repair mended]", "gpt connect [], gpt connect [same], two  []", "gpt overloaded [], gpt  [round]"}
	if d := cmp.Diff(want, books.all()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestTheSameOnceMoreIsChargedOnceAcrossARestart has the process end while the second attempt at a target is under way: the
// next one charges that target, and what the connection that failed did not use.
func TestTheSameOnceMoreIsChargedOnceAcrossARestart(t *testing.T) {
	money := &quota.Budget{ID: "money", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.Money, Limit: 1 << 50, Window: life()}
	r, store := limited(t, money)
	r.route([]string{"same", "same", "->", "gpt/gpt-4o", "claude/claude-sonnet-4-5", "on=connect:same", "budget=100"})
	r.stale = true
	r.start()
	ctx := context.Background()
	x, reply := r.ask("request-1", `{"model":"same","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}`)
	if reply.Answer != nil {
		t.Fatalf("refused: %s", reply.Answer.Body)
	}
	r.core.AttemptLogged(exchange.AttemptEntry{ID: x.ID, Cluster: "gpt", Ending: exchange.EndedConnect})
	turn, _ := r.core.Turn(ctx, reply.Plan.Ticket, 2, nil)
	if turn == nil {
		t.Fatal("nothing follows")
	}
	rs := turn.AnswerHead(415, nil, true)
	if a, answer := r.core.Try(reply.Plan.Ticket, 3, "gpt", nil); a == nil {
		t.Fatalf("%+v", answer)
	}

	books := &kept{}
	r.config.meter = metering.New(metering.Params{Store: store, Books: books})
	next := exchange.New(r.snapshot(), exchange.Options{})
	ended := exchange.Outcome{Ticket: reply.Plan.Ticket, Status: 200, Tries: 3, Sent: 100, Usage: llm.Usage{Input: llm.Tokens(8), Output: llm.Tokens(2)}}
	ended.Order = rs[0].Order
	for range 2 { // Envoy may say it again
		next.RequestLogged(ended)
		if c := counters(t, store, money); c.Reserved != 0 || c.Used != 8*2500+2*10_000 {
			t.Errorf("after the end %+v", c)
		}
	}
	if d := cmp.Diff([]string{"gpt connect [], gpt  [same]"}, books.all()); d != "" {
		t.Errorf("the ledger (-want +got):\n%s", d)
	}
}
