package policy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// Size of the configuration that decisions are timed with.
const (
	manyModels  = 1000
	manyTargets = 20
)

// crowd is a table of many routes, each of a model, with many targets and eight policies.
func crowd(tb testing.TB) *routing.Table {
	tb.Helper()
	var policies []routing.Named
	for _, name := range []string{"capable", "healthy", "limits", "sticky", "cheapest", "fastest", "reliable", "least-busy"} {
		k, _ := policy.Find(name)
		p := k.New()
		if c, ok := p.(policy.Checker); ok && c.Check() != nil {
			tb.Fatal(name)
		}
		switch p := p.(type) {
		case *policy.Cheapest: // so that there is something left to decide for those behind it
			p.Within = 20
		case *policy.Fastest:
			p.Within = 20
		case *policy.Sticky:
			p.By = []string{"session"}
		}
		policies = append(policies, routing.Named{Name: name, Policy: p})
	}
	var abouts []*routing.About
	for i := range manyTargets {
		a := tried(50, i%4, time.Duration(100+10*i)*time.Millisecond, time.Second)
		a.Card, a.Region, a.Facts = priced(int64(1+i%7)).Card, "eu-west-1", catalog.Facts{Known: true, Can: ability.Tools | ability.Vision, Context: 128_000, MaxOutput: 16_000}
		abouts = append(abouts, &a)
	}
	var routes []*routing.Route
	for m := range manyModels {
		r := &routing.Route{Name: fmt.Sprint("route-", m), Models: []string{fmt.Sprint("model-", m)}, Policies: policies}
		for i := range manyTargets {
			r.Targets = append(r.Targets, routing.Target{Provider: fmt.Sprint("provider-", i), Model: fmt.Sprint("model-", m), About: abouts[i], Weight: 1 + i%3})
		}
		routes = append(routes, r)
	}
	return routing.NewTable(routes, nil)
}

func crowdView() *routing.View {
	return view(match.Request{Model: "model-617", Bytes: 4000, Stream: true, More: &asked{needs: ability.Tools, tokens: 1000}})
}

func BenchmarkDecision(b *testing.B) {
	t, v, d := crowd(b), crowdView(), new(routing.Decision)
	b.ReportAllocs()
	for b.Loop() {
		v.Seed++
		r, _ := t.Find(v, nil)
		if _, err := d.Plan(r, v, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPolicy times each policy alone, over as many targets.
func BenchmarkPolicy(b *testing.B) {
	t, d := crowd(b), new(routing.Decision)
	for _, name := range append(policy.Names(), "none") {
		b.Run(name, func(b *testing.B) {
			v := crowdView()
			r, _ := t.Find(v, nil)
			own := *r
			own.Policies = nil
			if k, ok := policy.Find(name); ok {
				own.Policies = []routing.Named{{Name: name, Policy: k.New()}}
			}
			for _, p := range own.Policies {
				if c, ok := p.Policy.(policy.Checker); ok && c.Check() != nil {
					b.Skip("it has options that must be given")
				}
			}
			for b.Loop() {
				v.Seed++
				_, _ = d.Plan(&own, v, nil)
			}
		})
	}
}

func TestADecisionAllocatesNothing(t *testing.T) {
	table, v, d := crowd(t), crowdView(), new(routing.Decision)
	if n := testing.AllocsPerRun(100, func() {
		v.Seed++
		r, _ := table.Find(v, nil)
		if _, err := d.Plan(r, v, nil); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
