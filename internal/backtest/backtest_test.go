package backtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// TestIntervalsSaySomething guards against intervals that hold because they hold everything.
func TestIntervalsSaySomething(t *testing.T) {
	before, then := ways([3]int{60, 10, 30}), ways([3]int{10, 60, 30})
	rep, err := Run(t.Context(), live(t, 5000, before, 1, 100), book.Filter{}, Options{Open: then, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := share(rep, "b"); s.High-s.Low > 0.05 || s.Low < 0.5 {
		t.Errorf("the share of b is between %f and %f", s.Low, s.High)
	}
	c := rep.Cost
	if float64(c.High-c.Low) > 0.05*float64(c.New) || c.Low <= c.Old {
		t.Errorf("the cost is between %s and %s, it was %s", c.Low, c.High, c.Old)
	}
	if i := rep.Took.P50; i.High-i.Low > 0.05*i.New || i.High > i.Old {
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

// TestAnyNumberOfProcessorsSaysTheSame also where runs ask targets that the ledger does not know.
func TestAnyNumberOfProcessorsSaysTheSame(t *testing.T) {
	s := live(t, 300, ways([3]int{1, 1, 1}), 3, 100)
	then := func() (*Ways, error) {
		w, err := ways([3]int{3, 1, 1}, routing.Named{Name: "fastest", Policy: &policy.Fastest{By: "total", Quantile: "p50", Explore: 10}})()
		if err != nil {
			return nil, err
		}
		own, r := w.About, w.Table.Routes()[0]
		unknown := map[string]*routing.About{}
		for i := range 6 {
			name := fmt.Sprint("new", i)
			unknown[name] = &routing.About{Card: card(1), Health: health.NewTargets().Of(name, "m")}
			r.Targets = append(r.Targets, routing.Target{Provider: name, Model: "m", Weight: 1})
		}
		w.About = func(p, m, l string) *routing.About {
			if k := unknown[p]; k != nil {
				return k
			}
			return own(p, m, l)
		}
		return w, nil
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first *Report
	for _, n := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(n)
		rep, err := Run(t.Context(), s, book.Filter{}, Options{Open: then, Seed: 5})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = rep
		}
		if diff := cmp.Diff(rep, first); diff != "" {
			t.Errorf("%d processors (-got, +with one):\n%s", n, diff)
		}
	}
	if len(first.Targets) != 9 {
		t.Errorf("%d targets have a share, want 9", len(first.Targets))
	}
}

// TestARunThatCannotBeOpenedIsAnError and one that is given up, too.
func TestARunThatCannotBeOpenedIsAnError(t *testing.T) {
	opened, open := 0, ways([3]int{1, 2, 3})
	s := live(t, 50, open, 1, 1)
	_, err := Run(t.Context(), s, book.Filter{}, Options{Open: func() (*Ways, error) {
		if opened++; opened > 5 {
			return nil, errors.New("the file is gone")
		}
		return open()
	}})
	if err == nil || err.Error() != "the file is gone" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, s, book.Filter{}, Options{Open: open}); !errors.Is(err, context.Canceled) {
		t.Error(err)
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
		w.Pinned = func(tags map[string]string) string { return tags["pinned"] }
		w.Table = routing.NewTable([]*routing.Route{
			{Name: "tagged", Models: []string{"m"}, Match: &match.Rule{Tags: []match.Pair{{Name: "t", Values: []string{"x"}}}}, Targets: []routing.Target{{Provider: "new", Model: "m"}}},
			{Name: "headers", Models: []string{"m"}, Match: &match.Rule{Headers: []match.Pair{{Name: "x-kind", Values: []string{"fine"}}}}, Targets: []routing.Target{{Provider: "a", Model: "m"}}},
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
		switch { // a template names the route
		case i >= 80 && i < 85:
			r.Tags = map[string]string{"pinned": "other"}
		case i >= 85 && i < 88:
			r.Tags = map[string]string{"pinned": "away"}
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
	if diff := cmp.Diff([]Count{{"no route takes the request: the last asks for other headers: headers.x-kind", 42}, {"no route takes the model gone", 10}, {"there is no route away, which a template names", 3}}, rep.Lost); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Count{{"the header x-kind", 42}}, rep.Vain); diff != "" {
		t.Error(diff)
	}
	if i := rep.Failed; i.New < 0.54 || i.Old > 0.1 {
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
		h.add(ms)
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

// TestWhatNobodySaidOfAServiceTierIsTheAccounts as it is where exchanges are charged.
func TestWhatNobodySaidOfAServiceTierIsTheAccounts(t *testing.T) {
	c := card(10)
	c.Services = []price.Service{{Name: "flex", Rates: card(5).Rates}}
	p := &past{byName: map[named]int32{}, ways: &Ways{About: func(string, string, string) *routing.About {
		return &routing.About{Card: c, Contract: &billing.Contract{Service: "flex"}}
	}}}
	for service, want := range map[string]int64{"": 5_000, "default": 10_000, "flex": 5_000} {
		a := &ledger.Attempt{Target: ledger.Target{Provider: "a", Model: "m", Service: service}, Units: ledger.Units{price.Input: 1}, Bill: ledger.Bill{Cost: 1}}
		if got := p.attempt(&ledger.Record{}, a).cost; got != want {
			t.Errorf("at the service tier %q: %d, want %d", service, got, want)
		}
	}
}
