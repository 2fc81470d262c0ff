package exchange_test

import (
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/health"
)

// TestAClientThatDoesNotWaitSaysNothingGoodOfATarget: that no answer came is no success, and an answer that was not waited for says
// how long it took to begin alone.
func TestAClientThatDoesNotWaitSaysNothingGoodOfATarget(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		first  time.Duration
		late   bool // its entry comes behind the request's
		none   bool // it has no entry
		weight float64
	}{
		{"before the answer", 0, 0, false, false, 0},
		{"before the answer, told late", 0, 0, true, false, 0},
		{"in the answer", 200, time.Second, false, false, 1},
		{"in the answer, as the request's entry says", 200, time.Second, false, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			targets, seen := health.NewTargets(), &endings{}
			core := tracedCore(t, exchange.Options{Health: targets, Hear: -1, Observer: seen}, nil)
			r := planOne(core, benchHead(chatPath, "request-1"), ask("own"))
			step := readTicket(t, r).Steps[0]
			told := []func(){
				func() {
					core.AttemptLogged(exchange.AttemptEntry{ID: "request-1", Cluster: r.Plan.Clusters[0], Status: c.status, Ending: exchange.EndedByClient, First: c.first, Took: time.Minute})
				},
				func() {
					core.RequestLogged(exchange.Outcome{Ticket: r.Plan.Ticket, Status: c.status, Ending: exchange.EndedByClient, Tries: 1, Try: exchange.Timing{First: c.first, Took: time.Minute}})
				},
			}
			if c.late {
				told[0], told[1] = told[1], told[0]
			}
			if c.none {
				told = told[1:]
			}
			for _, tell := range told {
				tell()
			}
			got := targets.Of(step.Provider, step.Model).Signals(time.Now())
			if got.Weight > c.weight || got.Weight < 0.9*c.weight || got.InFlight != 0 || got.Total.P50 != 0 || (got.First.P50 > 0) != (c.first > 0) {
				t.Errorf("got %+v", got)
			}
			if len(seen.attempts) != 1 || !seen.attempts[0].Left {
				t.Errorf("it is told %+v", seen.attempts)
			}
		})
	}
}
