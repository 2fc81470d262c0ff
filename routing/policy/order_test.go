package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

func TestCheapest(t *testing.T) {
	one, two, ten, free := target("a/one", priced(100)), target("b/two", priced(105)), target("c/ten", priced(1000)), target("d/unknown", routing.About{})
	for _, c := range []struct {
		name   string
		policy policy.Cheapest
		want   string
	}{
		{"the cheapest first, the unknown last", policy.Cheapest{}, "a/one b/two c/ten d/unknown"},
		{"near ones keep their order", policy.Cheapest{Within: 5}, "b/two a/one c/ten d/unknown"},
		{"ten times as much is far", policy.Cheapest{Within: 899}, "b/two a/one c/ten d/unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, said, err := decide(t, &c.policy, view(match.Request{Bytes: 4000, Output: 100}), free, ten, two, one)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s", got, err, c.want)
			}
			if !strings.Contains(scores(said), "a/one: $0.11;") || !strings.Contains(scores(said), "d/unknown: no price is known") {
				t.Error(scores(said))
			}
		})
	}
	if got := plan(t, &policy.Cheapest{Within: 10}, view(request(nil)), free, target("e/unknown", routing.About{})); got != "d/unknown e/unknown" {
		t.Errorf("no price is known at all: %s", got)
	}
}

func TestFastest(t *testing.T) {
	quick, slow, cold := target("a/quick", tried(50, 0, 200*time.Millisecond, 9*time.Second)), target("b/slow", tried(50, 0, 300*time.Millisecond, 2*time.Second)), target("c/cold", routing.About{})
	for _, c := range []struct {
		name    string
		policy  policy.Fastest
		request match.Request
		want    string
	}{
		{"streams by the first token", policy.Fastest{By: "auto"}, match.Request{Stream: true}, "a/quick b/slow c/cold"},
		{"whole answers by their end", policy.Fastest{By: "auto"}, match.Request{}, "b/slow a/quick c/cold"},
		{"whole answers by the first token, if asked", policy.Fastest{By: "first_token", Quantile: "p95"}, match.Request{}, "a/quick b/slow c/cold"},
		{"streams by their end, if asked", policy.Fastest{By: "total", Quantile: "p95"}, match.Request{Stream: true}, "b/slow a/quick c/cold"},
		{"near ones keep their order", policy.Fastest{By: "auto", Within: 60}, match.Request{Stream: true}, "b/slow a/quick c/cold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := plan(t, &c.policy, view(c.request), cold, slow, quick); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := plan(t, &policy.Fastest{Within: 10}, view(request(nil)), cold, target("d/cold", routing.About{})); got != "c/cold d/cold" {
		t.Errorf("nothing is measured at all: %s", got)
	}
}

func TestAFewRequestsMeasureWhatIsCold(t *testing.T) {
	quick, cold, colder, bad := target("a/quick", tried(50, 0, time.Second, time.Second)), target("c/cold", routing.About{}), target("d/cold", routing.About{}), target("e/down", down())
	const draws = 5000
	for _, p := range []routing.Policy{&policy.Fastest{By: "auto", Explore: 10}, &policy.Balanced{Latency: 1, Explore: 10}} {
		first := map[string]int{}
		for n := range uint64(draws) {
			v := view(request(nil))
			v.Seed = n
			first[plan(t, p, v, quick, cold, colder, bad)[:1]]++
		}
		for name, want := range map[string]float64{"c": 0.05, "d": 0.05, "e": 0} {
			if share := float64(first[name]) / draws; share < want-0.015 || share > want+0.015 {
				t.Errorf("%T: %s is first in %.3f of requests, want %.3f", p, name, share, want)
			}
		}
	}
}

func TestReliable(t *testing.T) {
	good, poor, bad, open, cold := target("a/good", tried(60, 0, 0, 0)), target("b/fair", tried(60, 3, 0, 0)), target("c/bad", tried(60, 20, 0, 0)), target("d/open", down()), target("e/cold", routing.About{})
	for _, c := range []struct {
		name   string
		policy policy.Reliable
		want   string
	}{
		{"the best first; what was never tried is nearly as good", policy.Reliable{}, "a/good e/cold b/fair c/bad d/open"},
		{"near ones keep their order", policy.Reliable{Within: 10}, "e/cold b/fair a/good c/bad d/open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := plan(t, &c.policy, view(request(nil)), open, bad, cold, poor, good); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestBalanced(t *testing.T) {
	of := func(name string, dollars int64, failed int, took time.Duration) routing.Target {
		a := tried(60, failed, took, took)
		a.Card = priced(dollars).Card
		return target(name, a)
	}
	cheap, quick, sure := of("a/cheap", 1, 0, 4*time.Second), of("b/quick", 8, 0, time.Second), of("c/middle", 2, 0, time.Second)
	shaky, unknown := of("d/shaky", 2, 12, time.Second), target("e/unknown", routing.About{})
	for _, c := range []struct {
		name   string
		policy policy.Balanced
		want   string
	}{
		{"cost alone", policy.Balanced{Cost: 1}, "a/cheap c/middle d/shaky b/quick e/unknown"},
		{"time alone; an unknown one is in the middle", policy.Balanced{Latency: 1}, "b/quick c/middle d/shaky e/unknown a/cheap"},
		{"success alone", policy.Balanced{Success: 1}, "a/cheap b/quick c/middle e/unknown d/shaky"},
		{"all alike", policy.Balanced{Cost: 1, Latency: 1, Success: 1}, "c/middle a/cheap b/quick e/unknown d/shaky"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, said, err := decide(t, checked(t, &c.policy), view(match.Request{Bytes: 4000}), cheap, quick, sure, shaky, unknown)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v; want %s: %s", got, err, c.want, scores(said))
			}
		})
	}
	if err := (&policy.Balanced{}).Check(); err == nil {
		t.Error("a policy without weights passes")
	}
}

func TestBalancedOrdersTwoAlikeWhoeverElseIsThere(t *testing.T) {
	a, b := target("a/x", tried(60, 0, time.Second, time.Second)), target("b/x", tried(60, 6, 600*time.Millisecond, 600*time.Millisecond))
	a.About.Card, b.About.Card = priced(3).Card, priced(4).Card
	far := target("c/x", tried(60, 0, time.Hour, time.Hour))
	far.About.Card = priced(1e6).Card
	p := &policy.Balanced{Cost: 2, Latency: 1, Success: 1}
	two, three := plan(t, p, view(request(nil)), a, b), plan(t, p, view(request(nil)), far, a, b)
	if two+" c/x" != three {
		t.Errorf("%s, with another %s", two, three)
	}
}

func TestPriority(t *testing.T) {
	at := func(name string, priority int) routing.Target {
		k := target(name, routing.About{})
		k.Priority = priority
		return k
	}
	if got := plan(t, &policy.Priority{}, view(request(nil)), at("a/x", 2), at("b/x", 0), at("c/x", 1), at("d/x", 2)); got != "c/x a/x d/x b/x" {
		t.Error(got)
	}
	if got := plan(t, &policy.Priority{}, view(request(nil)), at("b/x", 0), at("a/x", 0)); got != "b/x a/x" {
		t.Error(got)
	}
	r := &routing.Route{Targets: []routing.Target{weighs(at("b/x", 0), 1), weighs(at("a/x", 0), 1000)}, Policies: []routing.Named{{Policy: &policy.Priority{}}, {Policy: &policy.Weighted{}}}}
	p, err := r.Plan(view(request(nil)))
	if err != nil || p.Steps[0].Target() != "b/x" {
		t.Errorf("the order that is written does not stand: %v, %v", p, err)
	}
}

func TestLeastBusy(t *testing.T) {
	with := func(name string, n int) routing.Target {
		h := health.NewTargets().Of("p", "m")
		for range n {
			h.Begin("k", now)
		}
		return target(name, routing.About{Health: h})
	}
	idle, some, full := with("a/idle", 0), with("b/some", 4), with("c/full", 9)
	if got := plan(t, &policy.LeastBusy{Choices: 64}, view(request(nil)), full, some, idle); got != "a/idle c/full b/some" {
		t.Errorf("the least busy of all: %s", got)
	}
	if got := plan(t, &policy.LeastBusy{Choices: 64}, view(request(nil)), weighs(full, 10), weighs(some, 2), weighs(idle, 1)); got != "c/full b/some a/idle" {
		t.Errorf("by weight: %s", got)
	}
	first := map[string]int{}
	const draws = 6000
	for n := range uint64(draws) {
		v := view(request(nil))
		v.Seed = n
		first[plan(t, made(t, "least-busy"), v, full, some, idle)[:1]]++
	}
	for name, want := range map[string]float64{"a": 2. / 3, "b": 1. / 3, "c": 0} { // the fewer of two drawn of three
		if share := float64(first[name]) / draws; share < want-0.03 || share > want+0.03 {
			t.Errorf("%s is first in %.2f of requests, want %.2f", name, share, want)
		}
	}
}

func TestSticky(t *testing.T) {
	var all []routing.Target
	for i := range 5 {
		all = append(all, target(fmt.Sprintf("%c/m", 'a'+i), routing.About{}))
	}
	p := made(t, "sticky")
	of := func(session string) match.Request {
		return request(&asked{ties: map[string]string{"session": session}})
	}
	first, moved := map[string]int{}, 0
	const sessions = 3000
	for n := range sessions {
		v := view(of(fmt.Sprint("s", n)))
		v.Seed = uint64(n)
		before := plan(t, p, v, all...)
		v.Seed++
		if again := plan(t, p, v, all...); again != before {
			t.Fatalf("another seed: %s, %s", before, again)
		}
		first[before[:1]]++
		after := plan(t, p, v, all[:4]...)
		if before[:1] != "e" && after[:3] != before[:3] {
			moved++
		}
	}
	if moved > 0 {
		t.Errorf("%d sessions moved that need not", moved)
	}
	for _, k := range all {
		if share := float64(first[k.Provider]) / sessions; share < 0.17 || share > 0.23 {
			t.Errorf("%s has %.2f of sessions", k.Provider, share)
		}
	}
	if got := plan(t, p, view(of("")), all...); got != "a/m b/m c/m d/m e/m" {
		t.Errorf("without a session: %s", got)
	}
}

func TestStickyByWeight(t *testing.T) {
	a, b, c := weighs(target("a/m", routing.About{}), 3), weighs(target("b/m", routing.About{}), 1), weighs(target("c/m", routing.About{}), 0)
	first := map[string]int{}
	const sessions = 4000
	for n := range sessions {
		got := plan(t, made(t, "sticky"), view(request(&asked{ties: map[string]string{"session": fmt.Sprint(n)}})), c, b, a)
		first[got[:1]]++
	}
	for name, want := range map[string]float64{"a": 0.75, "b": 0.25, "c": 0} {
		if share := float64(first[name]) / sessions; share < want-0.03 || share > want+0.03 {
			t.Errorf("%s has %.2f of sessions, want %.2f", name, share, want)
		}
	}
}

func TestWhatTiesRequestsTogether(t *testing.T) {
	r := match.Request{
		Owner: match.Owner{Organization: "o", Team: "t", Project: "p", Key: "k", EndUser: "u"}, Tags: map[string]string{"feature": "f"},
		More: &asked{header: map[string]string{"x-chat": "h"}, ties: map[string]string{"prefix": "b"}},
	}
	all := []routing.Target{target("a/m", routing.About{}), target("b/m", routing.About{}), target("c/m", routing.About{}), target("d/m", routing.About{})}
	for by, what := range map[string]string{
		"organization": "o", "team": "t", "project": "p", "key": "k", "user": "u", "tag:feature": "f", "header:X-Chat": "h", "prefix": "b",
	} {
		got := plan(t, checked(t, &policy.Sticky{By: []string{"tag:none", "session", by}}), view(r), all...)
		want := plan(t, checked(t, &policy.Sticky{By: []string{"user"}}), view(match.Request{Owner: match.Owner{EndUser: what}}), all...)
		if got != want {
			t.Errorf("%s: %s, want as by %s: %s", by, got, what, want)
		}
	}
	for _, by := range []string{"luck", "header:", "tag:", "user:x", "", "session prefix"} {
		if (&policy.Sticky{By: []string{by}}).Check() == nil {
			t.Errorf("%q passes", by)
		}
	}
}

func TestCEL(t *testing.T) {
	dear, cheap, strange := target("a/dear", priced(100)), target("b/cheap", priced(1)), target("c/strange", routing.About{})
	for _, c := range []struct {
		name   string
		policy policy.CEL
		want   string
		failed uint64
	}{
		{"kept; what is not known is not", policy.CEL{Keep: "target.cost < 0.05"}, "b/cheap", 1},
		{"kept where nothing is asked", policy.CEL{Keep: "!target.priced || target.cost < 0.05"}, "b/cheap c/strange", 0},
		{"ordered; what is not known comes last", policy.CEL{Order: "target.cost"}, "b/cheap a/dear c/strange", 1},
		{"ordered the other way", policy.CEL{Order: "-target.cost"}, "a/dear b/cheap c/strange", 1},
		{"both", policy.CEL{Keep: "target.priced", Order: "double(-target.number)"}, "b/cheap a/dear", 0},
		{"equal scores stay equal", policy.CEL{Order: "target.weight"}, "a/dear b/cheap c/strange", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := checked(t, &c.policy).(*policy.CEL)
			if got := plan(t, p, view(match.Request{Bytes: 4000, Output: 100}), dear, cheap, strange); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if n := p.Failed(); (n > 0) != (c.failed > 0) {
				t.Errorf("%d failed", n)
			}
		})
	}
	for _, p := range []policy.CEL{{}, {Keep: "target.cost"}, {Order: "target.region"}, {Keep: "target.cots < 1.0"}} {
		if p.Check() == nil {
			t.Errorf("%+v passes", &p)
		}
	}
}

func TestBudget(t *testing.T) {
	dear, fair, cheap := target("a/dear", priced(100)), target("b/fair", priced(10)), target("c/cheap", priced(1))
	for _, c := range []struct {
		name   string
		policy policy.Budget
		left   float64
		want   string
	}{
		{"there is enough", policy.Budget{Below: 20}, 0.2, "a/dear b/fair c/cheap"},
		{"money is low: by cost", policy.Budget{Below: 20}, 0.19, "c/cheap b/fair a/dear"},
		{"the cheaper tier first", policy.Budget{Below: 20, Use: []string{"b/*", "c/cheap"}}, 0.1, "b/fair c/cheap a/dear"},
		{"the cheaper tier alone", policy.Budget{Below: 20, Use: []string{"c/*"}, Only: true}, 0, "c/cheap"},
		{"no such tier is left", policy.Budget{Below: 20, Use: []string{"z/*"}, Only: true}, 0, "a/dear b/fair c/cheap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := view(match.Request{Bytes: 4000})
			v.Left = func() float64 { return c.left }
			if got := plan(t, &c.policy, v, dear, fair, cheap); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := plan(t, &policy.Budget{Below: 100}, view(request(nil)), dear, cheap); got != "a/dear c/cheap" {
		t.Errorf("where nobody knows: %s", got)
	}
}
