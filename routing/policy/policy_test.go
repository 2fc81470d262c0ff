package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// now is when the tests decide: a Friday, 12:30 in UTC.
var now = time.Date(2026, 11, 27, 12, 30, 0, 0, time.UTC)

// target makes a target that is written as PROVIDER/MODEL, with what is known of it.
func target(name string, about routing.About) routing.Target {
	p, m, _ := strings.Cut(name, "/")
	return routing.Target{Provider: p, Model: m, About: &about}
}

// weighs gives a target a weight.
func weighs(t routing.Target, weight int) routing.Target {
	t.Weight = weight
	return t
}

// asked is what a request is asked by the tests.
type asked struct {
	needs  ability.Set
	tokens int64
	header map[string]string
	ties   map[string]string
}

func (a *asked) Header(name string) string            { return a.header[name] }
func (a *asked) Needs() ability.Set                   { return a.needs }
func (a *asked) Tokens(_, _, _ string) int64          { return a.tokens }
func (a *asked) Session(by string) string             { return a.ties[by] }
func pick(dst []string, _, _ string) ([]string, bool) { return append(dst, "k"), true }
func request(more *asked) match.Request {
	if more == nil {
		return match.Request{Model: "m"}
	}
	return match.Request{Model: "m", More: more}
}
func view(r match.Request) *routing.View { return &routing.View{Request: r, Now: now, Keys: pick} }
func checked(t *testing.T, p routing.Policy) routing.Policy {
	t.Helper()
	if c, ok := p.(policy.Checker); ok {
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// made returns a policy as the configuration makes it where no options are given.
func made(t *testing.T, name string) routing.Policy {
	t.Helper()
	k, ok := policy.Find(name)
	if !ok {
		t.Fatalf("no policy %s", name)
	}
	return checked(t, k.New())
}

// decide plans a request for targets by one policy, and tells the plan and what the policy said.
func decide(t *testing.T, p routing.Policy, v *routing.View, targets ...routing.Target) (plan string, said *routing.Verdict, err error) {
	t.Helper()
	r := &routing.Route{Name: "r", Targets: targets, Policies: []routing.Named{{Name: "p", Policy: p}}}
	var e routing.Explained
	twin := *v
	got, err := new(routing.Decision).Plan(r, v, nil)
	again, err2 := new(routing.Decision).Plan(r, &twin, &e)
	if (err == nil) != (err2 == nil) || err == nil && !cmp.Equal(got.Steps, again.Steps) {
		t.Fatalf("explained, the decision is another: %v, %v", got, again)
	}
	var steps []string
	if err == nil {
		for i := range got.Steps {
			steps = append(steps, got.Steps[i].Target())
		}
	}
	return strings.Join(steps, " "), &e.Policies[0], err
}

// plan is decide for tests that look at the order alone.
func plan(t *testing.T, p routing.Policy, v *routing.View, targets ...routing.Target) string {
	t.Helper()
	s, _, err := decide(t, p, v, targets...)
	if err != nil {
		return "error: " + err.Error()
	}
	return s
}

// priced is what is known of a target that costs dollars for a million tokens, in and out.
func priced(dollars int64) routing.About {
	r := price.Rate(dollars * 1e9)
	return routing.About{Card: &price.Card{Rates: price.RatesOf(map[price.Item]price.Rate{price.Input: r, price.Output: r})}}
}

// tried is what is known of a target after attempts, of which some failed.
func tried(n, failed int, first, total time.Duration) routing.About {
	h := health.NewTargets().Of("p", "m")
	for i := range n {
		at := now.Add(-time.Duration(n-i) * 60 * time.Millisecond)
		code := llm.CodeNone
		if failed > 0 && i%(n/failed) == 0 {
			code = llm.CodeUpstream
		}
		h.Begin(fmt.Sprint("k", i%8), at)
		h.End(health.Attempt{Key: fmt.Sprint("k", i%8), Code: code, First: first, Took: total}, at)
	}
	h.Begin("k", now)
	h.End(health.Attempt{Key: "k", First: first, Took: total}, now)
	return routing.About{Health: h}
}

// down is what is known of a target whose breaker is open.
func down() routing.About {
	h := health.NewTargets().Of("p", "m")
	for range 100 {
		h.Begin("k", now)
		h.End(health.Attempt{Key: "k", Code: llm.CodeUpstream}, now)
	}
	return routing.About{Health: h}
}

func TestEveryPolicyIsFoundByItsName(t *testing.T) {
	for _, name := range policy.Names() {
		k, ok := policy.Find(name)
		if !ok || k.Name != name || k.New() == nil {
			t.Errorf("%s: %+v", name, k)
		}
	}
	if _, ok := policy.Find("luckiest"); ok {
		t.Error("luckiest is a policy")
	}
}

func facts(f catalog.Facts) routing.About { return routing.About{Facts: f} }
