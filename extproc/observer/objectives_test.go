package observer

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

func TestWhatEndsIsCountedForObjectives(t *testing.T) {
	k := &ticket.Ticket{Route: "r", Asked: ticket.Asked{Stream: true}, Steps: []ticket.Leg{{Provider: "eu", Model: "m"}}}
	closed := func(ending string, status int) func(o *Objectives) {
		return func(o *Objectives) {
			o.Closed(exchange.Closed{Ticket: k, Last: k.Steps[0], Ending: ending, Status: status, First: 2 * time.Second, Took: 3 * time.Second})
		}
	}
	for _, c := range []struct {
		what                  string
		do                    func(o *Objectives)
		good, bad, soon, slow int64 // of success, and of first tokens
	}{
		{"it went well", closed("ok", 200), 1, 0, 0, 1},
		{"the client erred", closed("error", 400), 0, 0, 0, 1},
		{"no provider could", closed("error", 503), 0, 1, 0, 1},
		{"every provider's limits are used up", closed("error", 429), 0, 1, 0, 1},
		{"the stream broke", closed("error", 200), 0, 1, 0, 1},
		{"a deadline passed", closed("timeout", 504), 0, 1, 0, 1},
		{"a reset", closed("reset", 200), 0, 1, 0, 1},
		{"the client went", closed("client_abort", 200), 0, 0, 0, 1},
		{"nobody saw the end", closed("swept", 0), 0, 0, 0, 0},
		{"a limit of ours", func(o *Objectives) { o.Refused(exchange.Refusal{Ticket: k, Code: llm.CodeOverQuota, Status: 429}) }, 0, 0, 0, 0},
		{"a fault of ours", func(o *Objectives) { o.Refused(exchange.Refusal{Ticket: k, Code: llm.CodeInternal, Status: 500}) }, 0, 1, 0, 0},
		{"another route", func(o *Objectives) {
			o.Closed(exchange.Closed{Ticket: &ticket.Ticket{Route: "q", Steps: k.Steps}, Ending: "ok", Status: 200})
		}, 0, 0, 0, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			now := time.Date(2026, 8, 3, 12, 0, 0, 0, time.UTC)
			var x slo.Tracker
			scope := slo.Scope{Routes: []string{"r"}}
			x.Set([]slo.Objective{{Name: "r", Kind: slo.Success, Allow: .1, Window: 72 * time.Hour, Scope: scope}, {Name: "r", Kind: slo.FirstToken, Within: time.Second, Allow: .1, Window: 72 * time.Hour, Scope: scope}}, now)
			c.do(&Objectives{Observer: New(Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{})}), Tracker: &x, Now: func() time.Time { return now }})
			s := x.Status(now)
			got := [4]int64{s[0].N - s[0].Bad, s[0].Bad, s[1].N - s[1].Bad, s[1].Bad}
			if d := cmp.Diff([4]int64{c.good, c.bad, c.soon, c.slow}, got); d != "" {
				t.Errorf("good, bad, soon, slow (-want +got):\n%s", d)
			}
		})
	}
}

func TestAttemptsAreCountedForTheirTargets(t *testing.T) {
	k := &ticket.Ticket{Route: "r", Steps: []ticket.Leg{{Provider: "eu", Model: "m"}, {Provider: "us", Model: "m"}}}
	now := time.Date(2026, 8, 3, 12, 0, 0, 0, time.UTC)
	var x slo.Tracker
	x.Set([]slo.Objective{{Name: "r", Kind: slo.Success, Allow: .5, Window: 72 * time.Hour}, {Name: "r", Kind: slo.Cost, Allow: 10, Window: 72 * time.Hour}}, now)
	o := &Objectives{Observer: New(Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{})}), Tracker: &x, Now: func() time.Time { return now }}
	for range 10 {
		o.Attempt(exchange.AttemptSeen{Ticket: k, N: 1, Provider: "eu", Code: llm.CodeOverloaded})
		o.Attempt(exchange.AttemptSeen{Ticket: k, N: 1, Provider: "eu", Left: true}) // nobody knows what would have come
		o.Attempt(exchange.AttemptSeen{Ticket: k, N: 2, Provider: "us"})
		o.Attempt(exchange.AttemptSeen{Ticket: k, N: 2, Provider: "us", Code: llm.CodeInvalid}) // the client's fault
		o.Attempt(exchange.AttemptSeen{Ticket: k, N: 1, Provider: "eu", Unmade: "breaker_open", Code: llm.CodeOverloaded})
		o.Attempt(exchange.AttemptSeen{Provider: "eu", Code: llm.CodeOverloaded}) // of nobody knows what
	}
	x.Refresh(now)
	if eu, us := x.Burn("r", nil, "eu", "m"), x.Burn("r", nil, "us", "m"); eu != 2 || us != 0 {
		t.Errorf("they burn %v and %v", eu, us)
	}
	if s := x.Status(now)[0]; s.N != 0 {
		t.Errorf("an attempt is no exchange: %+v", s)
	}
	a := NewAccounts(&telemetry.New(prometheus.NewRegistry(), telemetry.Options{}).Cost, nil, nil)
	a.Objectives = &x
	e := &metering.Ended{Began: now, Asked: metering.Asked{Route: "r"}, Attempts: []metering.Attempt{{Step: metering.Step{Provider: at(), Model: "m"}}}}
	for range 10 {
		var l metering.Line
		l.Units[price.Input], l.Units[price.Output], l.Bill.Nano = 60, 40, 5000
		a.Write(e, &metering.Charge{Prompt: 60, Answer: 40, Nano: 5000, Lines: []metering.Line{l, {Units: cost.Units{}}}})
	}
	x.Refresh(now)
	if s := x.Status(now)[1]; s.N != 10 || s.Attained != 50 || x.Burn("r", nil, "eu", "m") != 5 {
		t.Errorf("it cost %+v, and the target burns %v", s, x.Burn("r", nil, "eu", "m"))
	}
}
