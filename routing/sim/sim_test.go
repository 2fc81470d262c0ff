package sim

import (
	"flag"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// seeds is how often each scenario is played, each time with other chances.
var seeds = flag.Uint64("seeds", 5, "how often each scenario is played")

// with are policies of these names, with their defaults.
func with(t testing.TB, names ...string) []routing.Named {
	t.Helper()
	var out []routing.Named
	for _, n := range names {
		k, ok := policy.Find(n)
		if !ok {
			t.Fatalf("no policy %s", n)
		}
		out = append(out, routing.Named{Name: n, Policy: k.New()})
	}
	return out
}

// Three providers: the less one costs, the longer it takes.
const (
	cheap = iota
	middle
	dear
)

func three(change func(p []Provider)) []Provider {
	p := []Provider{
		{Name: "cheap", Region: "us-east-1", Card: Priced(1), Phases: []Phase{{First: 400 * time.Millisecond, Each: 10 * time.Millisecond, Wide: 0.3}}},
		{Name: "middle", Region: "eu-west-1", Card: Priced(2), Phases: []Phase{{First: 300 * time.Millisecond, Each: 8 * time.Millisecond, Wide: 0.3}}},
		{Name: "dear", Region: "eu-central-1", Card: Priced(5), Phases: []Phase{{First: 200 * time.Millisecond, Each: 5 * time.Millisecond, Wide: 0.3}}},
	}
	if change != nil {
		change(p)
	}
	return p
}

// during lets a provider behave otherwise from the second minute to the fourth.
func during(p *Provider, f Phase) {
	well := p.Phases[0]
	f.From, well.From = 2*time.Minute, 4*time.Minute
	p.Phases = append(p.Phases, f, well)
}

// The losses that a route is there to keep small, per exchange.
var losses = map[string]func(Result) float64{
	// USD, and five cents for each exchange that failed.
	"money": func(r Result) float64 {
		return (r.Cost + 0.05*float64(r.Exchanges-r.Well)) / float64(r.Exchanges)
	},
	// Seconds to the first token, and thirty for each exchange that failed.
	"first token": func(r Result) float64 {
		return (r.First.Seconds() + 30*float64(r.Exchanges-r.Well)) / float64(r.Exchanges)
	},
	// Seconds to the end, likewise.
	"time": func(r Result) float64 {
		return (r.Latency.Seconds() + 30*float64(r.Exchanges-r.Well)) / float64(r.Exchanges)
	},
}

// TestRegret plays each scenario and compares what the policies lose with what the best fixed choice would have lost, which
// is known in hindsight only. A choice that does not learn, which is played too, must miss the bound, or the bound says
// nothing. The bounds are those of docs/simulation.md.
func TestRegret(t *testing.T) {
	outage := Phase{Fails: 1, After: 100 * time.Millisecond}
	for _, c := range []struct {
		name     string
		loss     string
		policies []string
		s        Scenario
		bound    float64 // times the loss of the best fixed choice
		fixed    int     // the choice that must miss it
		well     float64 // least share of exchanges that go well
	}{
		{"an outage of the cheapest", "money", []string{"healthy", "cheapest"},
			Scenario{Providers: three(func(p []Provider) { during(&p[cheap], outage) })}, 0.85, cheap, 0.999},
		{"an outage of the fastest", "time", []string{"healthy", "fastest"},
			Scenario{Providers: three(func(p []Provider) { during(&p[dear], outage) })}, 0.9, dear, 0.999},
		{"a brown-out of the fastest", "time", []string{"healthy", "fastest"},
			Scenario{Providers: three(func(p []Provider) {
				during(&p[dear], Phase{First: 3 * time.Second, Each: 30 * time.Millisecond, Fails: 0.3, Code: llm.CodeTimeout, After: 3 * time.Second})
			})}, 1, dear, 0.999},
		{"a brown-out of the cheapest, where success counts", "money", []string{"healthy", "reliable", "cheapest"},
			Scenario{Providers: three(func(p []Provider) { during(&p[cheap], Phase{First: time.Second, Fails: 0.3, After: time.Second}) })}, 0.9, cheap, 0.999},
		{"a rate-limit storm at the cheapest", "money", []string{"healthy", "cheapest"},
			Scenario{Providers: three(func(p []Provider) { p[cheap].Phases[0].Rate = 20 })}, 0.9, cheap, 0.995},
		{"a slow first token of the fastest", "first token", []string{"healthy", "fastest"},
			Scenario{Stream: true, Providers: three(func(p []Provider) { during(&p[dear], Phase{First: 5 * time.Second, Each: 5 * time.Millisecond}) })}, 1.4, dear, 1},
		{"a price that rises", "money", []string{"cheapest"},
			Scenario{Providers: three(func(p []Provider) { p[cheap].Card = Priced(1, Later{2 * time.Minute, 10}) })}, 0.9, cheap, 1},
		{"a target that becomes the fastest", "time", []string{"fastest"},
			Scenario{Providers: three(func(p []Provider) {
				p[cheap].Phases = append(p[cheap].Phases, Phase{From: 2 * time.Minute, First: 100 * time.Millisecond, Each: time.Millisecond})
			})}, 1.1, dear, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			loss := losses[c.loss]
			c.s.Policies, c.s.Rate, c.s.For = with(t, c.policies...), 40, 6*time.Minute
			worst, missed := 0.0, math.Inf(1)
			for seed := range *seeds {
				best, fixed := math.Inf(1), 0.0
				for i := range c.s.Providers {
					only := c.s
					only.Only = i + 1
					l := loss(Run(only, seed))
					best = min(best, l)
					if i == c.fixed {
						fixed = l
					}
				}
				r := Run(c.s, seed)
				worst, missed = max(worst, loss(r)/best), min(missed, fixed/best)
				if r.Success() < c.well {
					t.Errorf("seed %d: %v, of which less than %.1f %% went well", seed, r, 100*c.well)
				}
				if r.PerExchange() > 1.1 {
					t.Errorf("seed %d: %v", seed, r)
				}
			}
			t.Logf("%s: %.3f times the loss of the best fixed choice at worst, bound %.2f; the choice that does not learn: %.3f", c.loss, worst, c.bound, missed)
			if worst > c.bound {
				t.Errorf("%s: %.3f times the loss of the best fixed choice, the bound is %.2f", c.loss, worst, c.bound)
			}
			if missed <= c.bound {
				t.Errorf("a choice that does not learn loses %.3f times as much: the bound proves nothing", missed)
			}
		})
	}
}

// TestNoRequestLeavesItsRegions plays an outage of all that is allowed.
func TestNoRequestLeavesItsRegions(t *testing.T) {
	for seed := range *seeds {
		s := Scenario{Rate: 50, For: 6 * time.Minute, Providers: three(func(p []Provider) {
			during(&p[middle], Phase{Fails: 1})
			during(&p[dear], Phase{Fails: 1})
		}), Policies: append([]routing.Named{{Name: "region", Policy: &policy.Region{In: []string{"eu"}}}}, with(t, "healthy", "fastest")...)}
		r := Run(s, seed)
		if n := r.To["cheap"]; n > 0 {
			t.Fatalf("seed %d: %d attempts left the region", seed, n)
		}
		if w := r.Success(); w < 0.6 || w > 0.7 {
			t.Errorf("seed %d: %v", seed, r)
		}
		s.Policies = s.Policies[1:]
		if Run(s, seed).To["cheap"] == 0 {
			t.Fatal("without the policy nothing leaves the region either: the scenario proves nothing")
		}
	}
}

// TestAnOutageOfEverything must not double the attempts, and must be over when the providers are back.
func TestAnOutageOfEverything(t *testing.T) {
	for seed := range *seeds {
		r := Run(Scenario{Rate: 200, For: 6 * time.Minute, Policies: with(t, "healthy", "cheapest"), Providers: three(func(p []Provider) {
			for i := range p {
				during(&p[i], Phase{Fails: 1, After: 50 * time.Millisecond})
			}
		})}, seed)
		if r.PerExchange() > 1.05 {
			t.Errorf("seed %d: %v", seed, r)
		}
		const back = 4 * 60
		for sec := back + 3; sec < back+60; sec++ {
			if s := r.By[sec]; s.Well < s.Total {
				t.Errorf("seed %d: %d of %d exchanges failed %d s after all were back", seed, s.Total-s.Well, s.Total, sec-back)
			}
		}
	}
}

// TestRetriesStayWithinTheirBudget plays a brown-out in which every other attempt fails, at a rate at which the floor of the
// budget does not matter.
func TestRetriesStayWithinTheirBudget(t *testing.T) {
	for seed := range *seeds {
		s := Scenario{Rate: 1000, For: 40 * time.Second, Providers: three(func(p []Provider) {
			for i := range p {
				p[i].Phases[0] = Phase{Fails: 0.45, First: 50 * time.Millisecond, After: 20 * time.Millisecond}
			}
		})}
		r := Run(s, seed)
		if got := float64(r.Retries) / float64(r.Exchanges); got > 0.2+0.03*3 { // each provider's floor of 10/s beside
			t.Errorf("seed %d: retries are %.3f of the exchanges", seed, got)
		}
		if r.Retries == 0 {
			t.Fatal("nothing was tried again: the scenario proves nothing")
		}
	}
}

// TestNobodyFallsOnATargetThatComesBack looks at the first seconds after a breaker's trials went well, with four processes
// that know nothing of each other.
func TestNobodyFallsOnATargetThatComesBack(t *testing.T) {
	for seed := range *seeds {
		r := Run(Scenario{Rate: 400, For: 7 * time.Minute, Gateways: 4, Policies: with(t, "healthy", "cheapest"), Providers: three(func(p []Provider) {
			during(&p[cheap], Phase{Fails: 1, After: 50 * time.Millisecond})
		})}, seed)
		jump := 0.0
		for sec := 4*60 + 1; sec < len(r.By)-1; sec++ {
			a, b := &r.By[sec-1], &r.By[sec]
			if a.Total > 0 && b.Total > 0 {
				jump = max(jump, float64(b.First["cheap"])/float64(b.Total)-float64(a.First["cheap"])/float64(a.Total))
			}
		}
		if jump > 0.35 {
			t.Errorf("seed %d: within a second %.0f %% of the traffic went to the target that came back", seed, 100*jump)
		}
		last := r.By[len(r.By)-2]
		if share := float64(last.First["cheap"]) / float64(max(last.Total, 1)); share < 0.9 {
			t.Errorf("seed %d: three minutes later it has %.0f %%", seed, 100*share)
		}
	}
}

// TestEqualTargetsShareTheLoad looks at every ten seconds.
func TestEqualTargetsShareTheLoad(t *testing.T) {
	for seed := range *seeds {
		p := three(nil)
		p[middle].Phases, p[dear].Phases = p[cheap].Phases, p[cheap].Phases
		r := Run(Scenario{Rate: 100, For: 2 * time.Minute, Gateways: 3, Policies: with(t, "least-busy"), Providers: p}, seed)
		for from := 10; from+10 <= 120; from += 10 {
			n, all := 0, 0
			for _, s := range r.By[from : from+10] {
				n += s.First["cheap"]
				all += s.Total
			}
			if share := float64(n) / float64(all); share < 0.26 || share > 0.41 {
				t.Errorf("seed %d: one of three has %.2f of the load", seed, share)
			}
		}
	}
}

// TestARunIsRepeatable plays a scenario twice.
func TestARunIsRepeatable(t *testing.T) {
	s := Scenario{Rate: 50, For: time.Minute, Policies: with(t, "healthy", "fastest"), Providers: three(nil)}
	a, b := fmt.Sprint(Run(s, 3)), fmt.Sprint(Run(s, 3))
	if a != b {
		t.Errorf("%s\n%s", a, b)
	}
}
