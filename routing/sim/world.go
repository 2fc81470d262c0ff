package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// Scenario is traffic and providers.
type Scenario struct {
	Providers []Provider // as many targets, in this order
	Policies  []routing.Named
	Attempts  int     // the most of an exchange; 0: routing's own bound
	Rate      float64 // exchanges a second, at random moments
	For       time.Duration
	Gateways  int // that learn each for itself; 0: one
	Stream    bool
	Only      int // from 1: nothing but this provider is tried, whatever policies say; 0: as decided
}

// Result is what came of a scenario.
type Result struct {
	Exchanges, Well int
	Attempts        int
	Refused         int // exchanges of which no target was left
	Retries         int
	Latency         time.Duration // sum, of all exchanges, over all attempts
	First           time.Duration // sum of times to the first token of those that went well, over all attempts
	Cost            float64       // USD
	By              []Share       // a second each
	To              map[string]int
}

// Share is what happened in one second: how many exchanges first went to each provider.
type Share struct {
	First       map[string]int
	Well, Total int
}

// origin is when every scenario begins.
var origin = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// answerTokens is how long every answer is.
const answerTokens = 200

// gateway is one process: what it has learnt is its own.
type gateway struct {
	targets *health.Targets
	rests   *health.Cooldowns
	budgets health.Budgets
	route   *routing.Route
	decide  routing.Decision
}

// world is a scenario under way.
type world struct {
	s      *Scenario
	now    time.Time
	events events
	r      *rand.Rand
	gates  []*gateway
	out    Result
	byName map[string]*Provider
	n      uint64
}

// exchange is one request under way.
type exchange struct {
	at    *gateway
	steps []routing.Step
	n     int // attempts so far
	began time.Time
	sec   int
}

// event is something that happens at a time.
type event struct {
	at  time.Time
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e *events) Push(v any) { *e = append(*e, v.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// Run plays a scenario from a seed.
func Run(s Scenario, seed uint64) Result {
	w := &world{s: &s, now: origin, r: rand.New(rand.NewPCG(seed, 7)), byName: map[string]*Provider{}, out: Result{To: map[string]int{}}}
	providers := make([]Provider, len(s.Providers))
	copy(providers, s.Providers)
	for i := range providers {
		w.byName[providers[i].Name] = &providers[i]
	}
	for range max(1, s.Gateways) {
		g := &gateway{targets: health.NewTargets(), rests: health.NewCooldowns()}
		g.route = &routing.Route{Name: "r", Policies: s.Policies, Failover: routing.Failover{Attempts: s.Attempts}}
		for i := range providers {
			if s.Only == 0 || s.Only == i+1 {
				p := &providers[i]
				g.route.Targets = append(g.route.Targets, routing.Target{Provider: p.Name, Model: "m", About: &routing.About{Kind: p.Name, Region: p.Region, Card: p.Card, Health: g.targets.Of(p.Name, "m")}})
			}
		}
		w.gates = append(w.gates, g)
	}
	w.arrive()
	for len(w.events) > 0 {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	return w.out
}

func (w *world) after(d time.Duration, do func()) {
	w.n++
	heap.Push(&w.events, event{w.now.Add(d), w.n, do})
}

// arrive plans an exchange, and the next arrival.
func (w *world) arrive() {
	w.after(time.Duration(w.r.ExpFloat64()/w.s.Rate*float64(time.Second)), func() {
		if w.now.Sub(origin) >= w.s.For {
			return
		}
		w.begin()
		w.arrive()
	})
}

// second returns what happened in the present second.
func (w *world) second() (int, *Share) {
	sec := int(w.now.Sub(origin) / time.Second)
	for len(w.out.By) <= sec {
		w.out.By = append(w.out.By, Share{First: map[string]int{}})
	}
	return sec, &w.out.By[sec]
}

func (w *world) begin() {
	g := w.gates[w.r.IntN(len(w.gates))]
	seed := w.r.Uint64()
	v := routing.View{
		Request: match.Request{Model: "m", Op: llm.OpChat, Stream: w.s.Stream, Bytes: 4000, Output: answerTokens},
		Now:     w.now, Seed: seed,
		Keys: func(ids []string, provider, model string) ([]string, bool) {
			_, cooling := g.rests.Cooling(health.Subject{Provider: provider, Key: "k", Model: model}, w.now)
			_, rests := g.targets.Of(provider, model).Rests("k", seed, w.now)
			return append(ids, "k"), !cooling && !rests
		},
	}
	w.out.Exchanges++
	sec, share := w.second()
	share.Total++
	plan, err := g.decide.Plan(g.route, &v, nil)
	if err != nil {
		w.out.Refused++
		return
	}
	x := &exchange{at: g, steps: append([]routing.Step(nil), plan.Steps...), began: w.now, sec: sec}
	if plan.Flags&routing.LeastBad != 0 {
		x.steps = x.steps[:1]
	}
	share.First[x.steps[0].Provider]++
	w.try(x)
}

// try begins the next attempt of an exchange.
func (w *world) try(x *exchange) {
	s := x.steps[x.n]
	if x.n == 0 {
		x.at.budgets.Sent(s.Provider, w.now)
	} else {
		if !x.at.budgets.Take(s.Provider, health.BudgetShare, w.now) {
			w.end(x, End{Code: llm.CodeOverloaded})
			return
		}
		w.out.Retries++
	}
	x.n++
	w.out.Attempts++
	w.out.To[s.Provider]++
	h := x.at.targets.Of(s.Provider, s.Model)
	h.Begin(s.Key, w.now)
	began := w.now
	e := w.byName[s.Provider].answer(origin, w.now, answerTokens, w.r)
	w.after(e.Took, func() { w.ended(x, s, h, e, began) })
}

// ended learns from an attempt, and tries the next target where it failed.
func (w *world) ended(x *exchange, s routing.Step, h *health.Target, e End, _ time.Time) {
	h.End(health.Attempt{Key: s.Key, Code: e.Code, First: e.First, Took: e.Took}, w.now)
	if e.Code == llm.CodeNone {
		h.Learn(health.Used{Prompt: 1000, Output: answerTokens, Streaming: e.Took - e.First}, w.now)
		w.out.Cost += w.byName[s.Provider].cost(w.now)
	}
	if e.Code == llm.CodeRateLimited {
		x.at.rests.Cool(health.Subject{Provider: s.Provider, Key: s.Key, Model: s.Model}, w.now, e.Retry)
	}
	if e.Code != llm.CodeNone && x.n < len(x.steps) {
		w.try(x)
		return
	}
	w.end(x, e)
}

func (w *world) end(x *exchange, e End) {
	took := w.now.Sub(x.began)
	w.out.Latency += took
	if e.Code == llm.CodeNone {
		w.out.Well++
		w.out.By[x.sec].Well++
		w.out.First += took - e.Took + e.First
	}
}

// String is a line of a table.
func (r Result) String() string {
	return fmt.Sprintf("%d exchanges, %.2f %% well, %.3f attempts each, mean %v, $%.4f per 1000", r.Exchanges, 100*r.Success(), r.PerExchange(), (r.Latency / time.Duration(max(r.Exchanges, 1))).Round(time.Millisecond), r.Cost/float64(max(r.Well, 1))*1000)
}

// Success is the share of exchanges that went well.
func (r Result) Success() float64 { return float64(r.Well) / float64(max(r.Exchanges, 1)) }

// PerExchange is how many attempts an exchange took.
func (r Result) PerExchange() float64 { return float64(r.Attempts) / float64(max(r.Exchanges, 1)) }
