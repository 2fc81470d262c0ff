package backtest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// provider is what one is like in the tests' world.
type provider struct {
	name   string
	dollar int64         // per million tokens
	fails  float64       // share of attempts
	first  time.Duration // in the middle
	each   time.Duration // token
}

func world() []provider {
	return []provider{
		{"a", 2, 0.02, 300 * time.Millisecond, 8 * time.Millisecond},
		{"b", 6, 0.005, 150 * time.Millisecond, 4 * time.Millisecond},
		{"c", 4, 0.10, 500 * time.Millisecond, 12 * time.Millisecond},
	}
}

// climate is what changes a provider with time: the share of its attempts that fails, and how much longer it takes. It is the same
// for the same seed, whoever asks.
type climate func(seed uint64) func(p *provider, at time.Duration) (fails, slow float64)

// steady providers are always as they are.
func steady(uint64) func(p *provider, at time.Duration) (fails, slow float64) {
	return func(p *provider, _ time.Duration) (fails, slow float64) { return p.fails, 1 }
}

// outages let a provider fail for some minutes now and then.
func outages(seed uint64) func(p *provider, at time.Duration) (fails, slow float64) {
	const every, shortest, longest = 30 * time.Minute, 30 * time.Second, 4 * time.Minute
	type span struct{ from, until time.Duration }
	of := map[string][]span{}
	for i, p := range world() {
		r := rand.New(rand.NewPCG(seed, 1000+uint64(i)))
		for at := time.Duration(0); at < 24*time.Hour; {
			at += time.Duration(r.ExpFloat64() * float64(every))
			long := shortest + time.Duration(r.Float64()*float64(longest-shortest))
			of[p.name] = append(of[p.name], span{at, at + long})
			at += long
		}
	}
	return func(p *provider, at time.Duration) (fails, slow float64) {
		for _, s := range of[p.name] {
			if s.from <= at && at < s.until {
				return 0.9, 1
			}
		}
		return p.fails, 1
	}
}

// drift lets a provider become better and worse within the hour, each in its own time.
func drift(seed uint64) func(p *provider, at time.Duration) (fails, slow float64) {
	phase := map[string]float64{}
	for i, p := range world() {
		phase[p.name] = 2 * math.Pi * rand.New(rand.NewPCG(seed, 2000+uint64(i))).Float64()
	}
	return func(p *provider, at time.Duration) (fails, slow float64) {
		w := math.Sin(2*math.Pi*at.Minutes()/40 + phase[p.name])
		return p.fails * (1 + 0.9*w), math.Exp(0.4 * w)
	}
}

func card(dollar int64) *price.Card {
	r := price.Rate(dollar * 1e9) // dollars for a million tokens
	return &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: r, price.CacheRead: r, price.Output: r})}
}

// ways make a configuration over the world: one route, with weights and policies.
func ways(weights [3]int, policies ...routing.Named) func() (*Ways, error) {
	return func() (*Ways, error) {
		all := health.NewTargets()
		abouts := map[string]*routing.About{}
		r := &routing.Route{Name: "r", Models: []string{"m"}, Policies: policies}
		for i, p := range world() {
			abouts[p.name] = &routing.About{Card: card(p.dollar), Health: all.Of(p.name, "m")}
			r.Targets = append(r.Targets, routing.Target{Provider: p.name, Model: "m", Weight: weights[i]})
		}
		weighted := weights != [3]int{}
		if weighted {
			r.Policies = append(slices.Clip(r.Policies), routing.Named{Name: "weighted", Policy: routing.Weights{}})
		}
		return &Ways{Table: routing.NewTable([]*routing.Route{r}, nil), About: func(p, _, _ string) *routing.About { return abouts[p] }}, nil
	}
}

// records are a ledger in memory.
type records []*ledger.Record

func (s records) Records(_ context.Context, _ book.Filter, f func(*ledger.Record) error) error {
	for _, r := range s {
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// begin is when the world's clients begin to ask.
var begin = time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)

// live lets a steady world serve n exchanges under a configuration: see serve.
func live(tb testing.TB, n int, open func() (*Ways, error), seed, luck uint64) records {
	tb.Helper()
	return serve(tb, steady, n, open, seed, luck)
}

// serve lets the world serve n exchanges under a configuration, after some under the one before. What clients ask is the same for the
// same seed, what comes of it for the same luck.
func serve(tb testing.TB, weather climate, n int, open func() (*Ways, error), seed, luck uint64) (out records) {
	tb.Helper()
	w, err := ways([3]int{60, 10, 30})()
	if err != nil {
		tb.Fatal(err)
	}
	clients, chance, now := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, luck)), weather(seed)
	by := map[string]provider{}
	for _, p := range world() {
		by[p.name] = p
	}
	at := begin
	var ends ends
	const before = 300
	for i := range n + before {
		if i == before { // what was learnt of targets stays
			then, err := open()
			if err != nil {
				tb.Fatal(err)
			}
			w.Table = then.Table
		}
		at = at.Add(time.Duration(clients.ExpFloat64() * float64(2*time.Second)))
		prompt, answer := 200+clients.Int64N(1800), 50+clients.Int64N(450)
		ends.until(at.UnixMilli())
		v := &routing.View{
			Request: match.Request{Asked: "m", Model: "m", Op: llm.OpChat, Stream: true, Bytes: prompt * 4}, Now: at, Seed: chance.Uint64(), About: w.About,
			Keys: func(dst []string, p, m string) ([]string, bool) {
				_, rests := w.About(p, m, "").Health.Rests(key, 0, at)
				return append(dst, key), !rests
			},
		}
		route, _ := w.Table.Find(v, nil)
		plan, err := route.Plan(v)
		if err != nil {
			tb.Fatal(err)
		}
		r := &ledger.Record{Key: ledger.Key{Organization: "o", ID: fmt.Sprintf("x%08d", i)}, At: at.Truncate(time.Millisecond), Asked: ledger.Asked{Op: "chat", Model: "m", Dialect: "openai-chat", Stream: true}}
		r.Result.Status = ledger.UpstreamError
		var elapsed time.Duration
		for k, s := range plan.Steps {
			p, a := by[s.Provider], ledger.Attempt{Number: k + 1, Target: ledger.Target{Provider: s.Provider, Model: "m"}, Began: ledger.Ms(elapsed)}
			fails, slow := now(&p, at.Add(elapsed).Sub(begin))
			first := time.Duration(float64(p.first) * slow * math.Exp(0.3*chance.NormFloat64()))
			took := first + time.Duration(float64(answer*int64(p.each))*slow)
			code := llm.CodeNone
			if chance.Float64() < fails {
				code, took, first = llm.CodeOverloaded, 50*time.Millisecond, 0
				a.Code, a.HTTP = code.String(), 529
			} else {
				a.Units = ledger.Units{price.Input: prompt, price.Output: answer}
				nano, _ := cost.Total(card(p.dollar), cost.Units(a.Units), &cost.Terms{At: at})
				a.Bill.Cost, a.First = ledger.Nano(nano), ledger.Ms(first)
				r.Result.Status = ledger.OK
			}
			a.Took = ledger.Ms(took)
			elapsed += took
			r.Money.Cost += a.Bill.Cost
			r.Attempts = append(r.Attempts, a)
			h := w.About(s.Provider, "m", "").Health
			h.Begin(key, at)
			ends.push(end{at.UnixMilli() + elapsed.Milliseconds(), h, attempt{took: short(took.Milliseconds()), first: short(first.Milliseconds()), prompt: short(prompt), answer: short(answer), code: code}})
			if code == llm.CodeNone {
				break
			}
		}
		if i >= before {
			out = append(out, r)
		}
	}
	return out
}

// truth is what a ledger says of the figures.
func truth(tb testing.TB, s records, open func() (*Ways, error)) (points, *past) {
	tb.Helper()
	w, err := open()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := load(tb.Context(), s, book.Filter{}, w, usualMost)
	if err != nil {
		tb.Fatal(err)
	}
	for _, k := range world() {
		p.target(named{k.name, "m"})
	}
	return p.figuresOf(p.old(), len(p.targets)), p
}

func holds(i Interval, v float64) bool { return i.Low <= v*(1+1e-9) && v <= i.High*(1+1e-9)+1e-12 }

// share returns the share of a target in a report.
func share(r *Report, name string) Interval {
	for _, t := range r.Targets {
		if t.Name == name+"/m" {
			return t.Share
		}
	}
	return Interval{}
}
