package backtest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
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
			r.Policies = append(r.Policies, routing.Named{Name: "weighted", Policy: routing.Weights{}})
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

// live lets the world serve n exchanges under a configuration, after some under the one before. What clients ask is the same for the same seed, what comes of
// it for the same luck.
func live(tb testing.TB, n int, open func() (*Ways, error), seed, luck uint64) (out records) {
	tb.Helper()
	w, err := ways([3]int{60, 10, 30})()
	if err != nil {
		tb.Fatal(err)
	}
	clients, chance := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, luck))
	by := map[string]provider{}
	for _, p := range world() {
		by[p.name] = p
	}
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
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
			first := time.Duration(float64(p.first) * math.Exp(0.3*chance.NormFloat64()))
			took := first + time.Duration(answer)*p.each
			code := llm.CodeNone
			if chance.Float64() < p.fails {
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
		p.target(k.name, "m")
	}
	old := newSheet(p, p.old(), nil)
	return old.figures(nil), p
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

// figure is one to be estimated.
type figure struct {
	name string
	of   func(*Report) Interval
	true func(points, *past) float64
}

func all() []figure {
	at := func(i int) func(points, *past) float64 { return func(p points, _ *past) float64 { return p[i] } }
	out := []figure{
		{"failed", func(r *Report) Interval { return r.Failed }, at(failedOf)},
		{"attempts", func(r *Report) Interval { return r.Attempts }, at(attemptsOf)},
		{"median time", func(r *Report) Interval { return r.Took.P50 }, at(tookMedian)},
		{"high time", func(r *Report) Interval { return r.Took.P95 }, at(tookHigh)},
		{"median first token", func(r *Report) Interval { return r.First.P50 }, at(firstMedian)},
		{"cost", func(r *Report) Interval {
			n := float64(r.Exchanges)
			return Interval{Low: float64(r.Cost.Low-1) / n, High: float64(r.Cost.High+1) / n}
		}, at(costOf)},
	}
	for _, p := range world() {
		out = append(out, figure{"share of " + p.name, func(r *Report) Interval { return share(r, p.name) }, func(v points, past *past) float64 { return v[figures+int(past.target(p.name, "m"))] }})
	}
	return out
}

// TestEstimatesAreAsGoodAsTheySay replays ledgers of one configuration under another, and compares what is estimated with what
// the same clients get where the other one serves them.
func TestEstimatesAreAsGoodAsTheySay(t *testing.T) {
	cheapest, reliable := routing.Named{Name: "cheapest", Policy: &policy.Cheapest{}}, routing.Named{Name: "reliable", Policy: &policy.Reliable{Within: 1}}
	fastest := routing.Named{Name: "fastest", Policy: &policy.Fastest{By: "total", Quantile: "p50", Explore: 2}}
	before := ways([3]int{60, 10, 30})
	const n = 1500
	runs := *seeds
	for _, c := range []struct {
		name string
		then func() (*Ways, error)
	}{
		{"the same", before},
		{"other weights", ways([3]int{10, 60, 30})},
		{"the cheapest", ways([3]int{}, cheapest)},
		{"the fastest", ways([3]int{}, fastest)},
		{"the most reliable of the cheap", ways([3]int{}, reliable, cheapest)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			well := map[string]int{}
			for seed := range uint64(runs) {
				past := live(t, n, before, seed, 100)
				want, of := truth(t, live(t, n, c.then, seed, 200), c.then)
				rep, err := Run(t.Context(), past, book.Filter{}, Options{Open: c.then, Seed: seed})
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range all() {
					if i, v := f.of(rep), f.true(want, of); holds(i, v) {
						well[f.name]++
					} else {
						t.Logf("seed %d, %s: %f to %f, by %f, is %f", seed, f.name, i.Low, i.High, i.New, v)
					}
				}
			}
			for _, f := range all() {
				t.Logf("%s: %d of %d", f.name, well[f.name], runs)
				if well[f.name] < runs*9/10 {
					t.Errorf("%s lies in its interval in %d of %d runs, fewer than 90 %%", f.name, well[f.name], runs)
				}
			}
		})
	}
}

// TestIntervalsSaySomething guards against intervals that hold because they hold everything.
func TestIntervalsSaySomething(t *testing.T) {
	before, then := ways([3]int{60, 10, 30}), ways([3]int{10, 60, 30})
	rep, err := Run(t.Context(), live(t, 5000, before, 1, 100), book.Filter{}, Options{Open: then, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := share(rep, "b"); s.High-s.Low > 0.08 || s.Low < 0.5 {
		t.Errorf("the share of b is between %f and %f", s.Low, s.High)
	}
	c := rep.Cost
	if float64(c.High-c.Low) > 0.1*float64(c.New) || c.Low <= c.Old {
		t.Errorf("the cost is between %s and %s, it was %s", c.Low, c.High, c.Old)
	}
	if i := rep.Took.P50; i.High-i.Low > 0.15*i.New || i.High > i.Old {
		t.Errorf("the median time is between %f and %f, it was %f", i.Low, i.High, i.Old)
	}
}

func TestTheSameSeedSaysTheSame(t *testing.T) {
	s, then := live(t, 400, ways([3]int{1, 1, 1}), 3, 100), ways([3]int{1, 5, 1})
	var texts []string
	for _, seed := range []uint64{7, 7, 8} {
		rep, err := Run(t.Context(), s, book.Filter{}, Options{Open: then, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		rep.Seed = 0
		var b bytes.Buffer
		if err := rep.Write(&b); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, b.String())
	}
	if texts[0] != texts[1] || texts[0] == texts[2] {
		t.Errorf("got\n%s\n%s\n%s", texts[0], texts[1], texts[2])
	}
}

// TestWithoutWhatIsDrawnNothingChanges: what goes where it went comes to what it came to, to the last nano-dollar.
func TestWithoutWhatIsDrawnNothingChanges(t *testing.T) {
	open := ways([3]int{}, routing.Named{Name: "cheapest", Policy: &policy.Cheapest{}})
	rep, err := Run(t.Context(), live(t, 800, open, 5, 100), book.Filter{}, Options{Open: open, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if c := rep.Cost; c.New != c.Old || c.Low != c.Old || c.High != c.Old || c.Old == 0 || rep.Blind != (Blind{}) {
		t.Errorf("got %+v, %+v", c, rep.Blind)
	}
}

func TestWhatTheLedgerDoesNotKnowIsSaid(t *testing.T) {
	then := func() (*Ways, error) {
		w, err := ways([3]int{})()
		if err != nil {
			return nil, err
		}
		own := w.About
		fresh := &routing.About{Card: card(10), Health: health.NewTargets().Of("new", "m")}
		w.About = func(p, m, l string) *routing.About {
			if p == "new" {
				return fresh
			}
			return own(p, m, l)
		}
		w.Table = routing.NewTable([]*routing.Route{
			{Name: "tagged", Models: []string{"m"}, Match: match.Rule{Tags: []match.Pair{{Name: "t", Values: []string{"x"}}}}, Targets: []routing.Target{{Provider: "new", Model: "m"}}},
			{Name: "headers", Models: []string{"m"}, Match: match.Rule{Headers: []match.Pair{{Name: "x-kind", Values: []string{"fine"}}}}, Targets: []routing.Target{{Provider: "a", Model: "m"}}},
			{Name: "other", Models: []string{"n"}, Targets: []routing.Target{{Provider: "a", Model: "m"}}},
		}, nil)
		return w, nil
	}
	s := live(t, 100, ways([3]int{1, 0, 0}), 9, 100)
	for i, r := range s {
		if i < 40 {
			r.Tags = map[string]string{"t": "x"}
		}
		if i >= 90 {
			r.Asked.Model = "gone"
		}
	}
	refused := *s[99]
	refused.Key.ID, refused.Attempts, refused.Result.Status = "refused", nil, ledger.Refused
	correction := ledger.Record{Key: s[99].Key, At: s[99].At, Money: ledger.Money{Cost: 5}}
	correction.Sequence = 1
	s = append(s, &correction, &refused)
	rep, err := Run(t.Context(), s, book.Filter{}, Options{Open: then, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Exchanges != 100 || rep.Skipped != 1 || rep.Blind.Unseen != 40 {
		t.Errorf("got %+v", rep)
	}
	if diff := cmp.Diff([]Count{{"no route takes the request: the last asks for other headers: headers.x-kind", 50}, {"no route takes the model gone", 10}}, rep.Lost); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Count{{"the header x-kind", 50}}, rep.Vain); diff != "" {
		t.Error(diff)
	}
	if i := rep.Failed; i.New < 0.59 || i.Old > 0.1 {
		t.Errorf("failed: %+v", i)
	}
	var b bytes.Buffer
	if err := rep.Write(&b); err != nil || !strings.Contains(b.String(), "new/m") || !strings.Contains(b.String(), "  none\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
	var sum ledger.Nano
	for _, r := range s {
		sum += r.Money.Cost
	}
	if sum -= refused.Money.Cost; rep.Cost.Old != sum {
		t.Errorf("it cost %s, want %s", rep.Cost.Old, sum)
	}
}

// TestTheRoutesRulesSayWhatFollowsAFailure replays failures under a route that ends at each.
func TestTheRoutesRulesSayWhatFollowsAFailure(t *testing.T) {
	s := live(t, 2000, ways([3]int{1, 0, 0}), 4, 100)
	then := func() (*Ways, error) {
		w, err := ways([3]int{1, 0, 0})()
		if err == nil {
			w.Table.Routes()[0].Failover.On[failure.Overloaded] = failure.Stop
		}
		return w, err
	}
	rep, err := Run(t.Context(), s, book.Filter{}, Options{Open: then, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a := rep.Attempts; a.Old < 1.01 || a.New != 1 {
		t.Errorf("attempts: %+v", a)
	}
	if f := rep.Failed; f.Old > 0.005 || f.Low < 0.01 || f.High > 0.03 {
		t.Errorf("failed: %+v", f)
	}
}

func TestTooManyExchangesAreRefused(t *testing.T) {
	open := ways([3]int{1, 1, 1})
	if _, err := Run(t.Context(), live(t, 11, open, 1, 1), book.Filter{}, Options{Open: open, Most: 10}); err == nil || !strings.Contains(err.Error(), "more than 10 exchanges") {
		t.Error(err)
	}
}

func TestAnEmptyLedgerSaysSo(t *testing.T) {
	rep, err := Run(t.Context(), records{}, book.Filter{}, Options{Open: ways([3]int{1, 1, 1})})
	if err != nil || rep.Exchanges != 0 {
		t.Error(rep, err)
	}
}

func TestQuantiles(t *testing.T) {
	var h histogram
	for ms := int32(1); ms <= 10000; ms++ {
		h.add(bucket(ms), 1)
	}
	for _, q := range []float64{0.5, 0.95} {
		if got := h.quantile(q); math.Abs(got-q*10000) > 0.02*q*10000 {
			t.Errorf("%f: %f", q, got)
		}
	}
	if bucket(math.MaxInt32) != buckets-1 || bucket(0) != -1 {
		t.Error("the bounds of buckets")
	}
}

func TestEndsComeInTheirOrder(t *testing.T) {
	var h ends
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		h.push(end{at: r.Int64N(500)})
	}
	last := int64(-1)
	for len(h) > 0 {
		e := h.pop()
		if e.at < last {
			t.Fatalf("%d after %d", e.at, last)
		}
		last = e.at
	}
}
