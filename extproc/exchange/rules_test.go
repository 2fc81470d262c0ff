package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// fault is a way in which an answer fails on the watched path.
type fault struct {
	class  failure.Class
	status int
	body   string
}

var faults = []fault{
	{failure.RateLimited, 429, `{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded"}}`},
	{failure.Overloaded, 503, `{"error":{"message":"busy","type":"server_error"}}`},
	{failure.Upstream, 500, `{"error":{"message":"oops","type":"server_error"}}`},
	{failure.ContextTooLong, 400, `{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}`},
	{failure.ContentFiltered, 400, `{"error":{"message":"no","type":"invalid_request_error","code":"content_filter"}}`},
	{failure.Refusal, 200, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"No."},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`},
}

// TestRulesLaws plays Envoy for any rules and any failures: each attempt goes to a step behind the last one, which suits the
// rule of how that failed; where none does, or the rule stops, nothing more is sent; and the exchange is closed once, at the
// last step that was tried.
func TestRulesLaws(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		r := &routing.Route{Name: "r", Models: []string{"*"}, Failover: routing.Failover{FirstToken: true, ErrorBodies: true, Budget: 100}}
		for _, f := range faults {
			r.Failover.On[f.class] = rapid.SampledFrom([]failure.Action{failure.Usual, failure.Next, failure.Stop, failure.Other}).Draw(t, "rule")
		}
		ps := map[string]*providers.Provider{}
		kinds := map[string]string{}
		for i := range rapid.IntRange(1, 6).Draw(t, "targets") {
			name, kind := fmt.Sprint("p", i), rapid.SampledFrom([]string{"openai", "groq", "mistral"}).Draw(t, "kind")
			k, ok := all.Kinds().Kind(kind)
			if !ok {
				t.Fatal(kind)
			}
			ps[name], kinds[name] = newProvider(outer, k, name, "", ""), kind
			r.Targets = append(r.Targets, routing.Target{Provider: name, Model: "m"})
		}
		seen := &counter{}
		core := exchange.New(&exchange.Snapshot{
			Version: "1", Table: routing.NewTable([]*routing.Route{r}, nil), Providers: ps, Registry: all.Kinds(), Servers: servers(), Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20,
		}, exchange.Options{Observer: seen})
		x := core.Begin()
		x.Head(context.Background(), exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: "content-type", Value: "application/json"}, {Name: "x-request-id", Value: "a-request"}}, false)
		body := []byte(`{"model":"any","messages":[{"role":"user","content":"hi"}]}`)
		plan := x.Body(context.Background(), body)
		if plan.Plan == nil {
			t.Fatalf("refused: %s", plan.Answer.Body)
		}
		tk, err := ticket.Read(plan.Plan.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		clusters, at := plan.Plan.Clusters, -1
		var n int
		var last *fault
		for n = 1; ; n++ {
			cluster := clusters[min(n, len(clusters))-1]
			if cluster == exchange.ServiceCluster {
				if a := core.Verdict(context.Background(), plan.Plan.Ticket, nil); a == nil || a.Err == nil {
					t.Fatal("no verdict")
				}
				break
			}
			step := slices.IndexFunc(tk.Steps, func(l ticket.Leg) bool { return l.Provider == cluster })
			if step <= at {
				t.Fatalf("attempt %d is at step %d, after %d", n, step, at)
			}
			if last != nil {
				switch does := r.Failover.On.On(last.class); {
				case does == failure.Stop, does == failure.Other && kinds[cluster] == kinds[tk.Steps[at].Provider]:
					t.Fatalf("after %v at %s comes %s", last.class, tk.Steps[at].Provider, cluster)
				}
			}
			at = step
			f := faults[rapid.IntRange(0, len(faults)-1).Draw(t, "fault")]
			a, answer := core.Try(plan.Plan.Ticket, n, cluster, nil)
			if answer != nil || a == nil {
				t.Fatalf("attempt %d at %s: %v", n, cluster, answer)
			}
			rs := a.AnswerHead(f.status, exchange.Header{{Name: "content-type", Value: "application/json"}}, false)
			if len(rs) == 0 {
				if rs, err = a.AnswerChunk([]byte(f.body), true); err != nil {
					t.Fatal(err)
				}
			}
			a.End()
			if len(rs) == 0 {
				t.Fatal("it is held for ever")
			}
			if again := len(rs[0].Set) > 0 && rs[0].Set[0].Name == "x-signalbox-retry"; !again {
				break
			}
			if rs[0].Steps != nil {
				clusters = rs[0].Steps
			}
			last = &f
		}
		core.RequestLogged(exchange.Outcome{Ticket: plan.Plan.Ticket, Status: 503, Tries: n, Usage: llm.Usage{}, Took: time.Second})
		if seen.closed != 1 {
			t.Fatalf("closed %d times", seen.closed)
		}
		if seen.last != tk.Steps[at].Provider {
			t.Fatalf("it ended at %s, and the last that was asked is %s", seen.last, tk.Steps[at].Provider)
		}
	})
}
