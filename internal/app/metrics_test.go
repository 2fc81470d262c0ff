package app

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// value returns a metric's value on the page, of all labels together; ok is false where it is not there.
func (r *rig) value(name string) (sum float64, ok bool) {
	_, text := r.page("/metrics")
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			r.t.Fatal(err)
		}
		sum, ok = sum+n, true
	}
	return sum, ok
}

// TestARunFeedsWhatLimitsAndBooksKnow has exchanges begin and end in a process with limits, a journal and a ledger.
func TestARunFeedsWhatLimitsAndBooksKnow(t *testing.T) {
	r := newRig(t, sockets+fmt.Sprintf(`
providers: [ { name: p, kind: openai, key: "file:DIR/key", models: [ { name: gpt-4o, price: { input: 1, output: 10 } } ] } ]
ledger: { store: "sqlite:DIR/ledger.db" , spool: "DIR/spool" }
quota: { journal: "DIR/journal" }
teams: [ { name: core, budget: { month: 10 USD } } ]
keys: [ { name: ci, team: core, hash: "%s" } ]
`, auth.HashKey("sk-of-the-client")))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.build.accounts.Run(ctx, r.organizations); close(done) }()
	defer func() { stop(); <-done }()
	if err := r.build.accounts.Missing(ctx, r.organizations()); err != nil {
		t.Fatal(err)
	}
	ask := func(key string) exchange.Reply {
		x := r.core.Begin()
		reply := x.Head(ctx, exchange.Header{
			{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "gateway.example"},
			{Name: "authorization", Value: "Bearer " + key}, {Name: "content-type", Value: "application/json"},
		}, false)
		if reply.Done {
			return reply
		}
		return x.Body(ctx, []byte(`{"model":"p/gpt-4o","max_tokens":10,"messages":[{"role":"user","content":"Hello"}]}`))
	}
	until := func(what, name string, fits func(n float64) bool) {
		t.Helper()
		eventually(t, what, func() error {
			if n, ok := r.value(name); !ok || !fits(n) {
				return fmt.Errorf("%s is %v", name, n)
			}
			return nil
		})
	}
	some := func(n float64) bool { return n > 0 }
	none := func(n float64) bool { return n == 0 }

	if a := ask("sk-of-nobody").Answer; a == nil || a.Status != 401 {
		t.Fatalf("a wrong key is answered with %+v", a)
	}
	r.counts(`signalbox_auth_failures_total{reason="unknown"} 1`)
	reply := ask("sk-of-the-client")
	if reply.Plan == nil {
		t.Fatalf("no plan: %+v", reply.Answer)
	}
	until("the reservation to be seen", "signalbox_quota_reservations", func(n float64) bool { return n == 1 })
	until("its age to be seen", "signalbox_quota_oldest_reservation_seconds", some)
	until("its line to be needed", "signalbox_journal_pending", some)
	until("it to be on disk", "signalbox_journal_sync_duration_seconds_count", some)
	r.core.RequestLogged(exchange.Outcome{
		Ticket: reply.Plan.Ticket, Status: 200, Tries: 1, Began: time.Now(), Took: time.Second, First: time.Millisecond, Try: exchange.Timing{Took: time.Second, First: time.Millisecond},
		Usage: llm.Usage{Input: llm.Tokens(100), Output: llm.Tokens(50)},
	})
	until("the record to be written", "signalbox_ledger_write_duration_seconds_count", some)
	until("the reservation to end", "signalbox_quota_reservations", none)
	until("nothing to be needed of the journal", "signalbox_journal_pending", none)
	if n, _ := r.value("signalbox_cost_usd_total"); n <= 0 {
		t.Errorf("it cost %v", n)
	}
}
