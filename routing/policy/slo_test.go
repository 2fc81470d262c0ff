package policy_test

import (
	"strings"
	"testing"

	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

func TestSLOPassesOverWhatBurnsTheBudget(t *testing.T) {
	a, b := target("a/m", routing.About{}), target("b/m", routing.About{})
	const draws = 4000
	for _, c := range []struct {
		name        string
		policy      policy.SLO
		burnA, want float64 // share of requests that go to a first
	}{
		{"within the budget", policy.SLO{Above: 1, Explore: 2}, 1, 1},
		{"half way", policy.SLO{Above: 1, Explore: 2}, 1.5, .5},
		{"far above", policy.SLO{Above: 1, Explore: 2}, 20, .02},
		{"a higher bound", policy.SLO{Above: 10, Explore: 2}, 12, .8},
		{"more exploration", policy.SLO{Above: 1, Explore: 20}, 20, .2},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := 0
			for n := range uint64(draws) {
				v := view(match.Request{Model: "m", Tags: map[string]string{"feature": "f"}})
				v.Seed = n
				v.Burn = func(route string, tags map[string]string, provider, model string) float64 {
					if route == "r" && tags["feature"] == "f" && provider == "a" && model == "m" {
						return c.burnA
					}
					return 0
				}
				if strings.HasPrefix(plan(t, &c.policy, v, a, b), "a/m") {
					first++
				}
			}
			if got := float64(first) / draws; got < c.want-.03 || got > c.want+.03 {
				t.Errorf("%.3f of requests go to it, want %.3f", got, c.want)
			}
		})
	}
	v := view(request(nil))
	if got, said, err := decide(t, &policy.SLO{Above: 1, Explore: 2}, v, a, b); err != nil || got != "a/m b/m" || !strings.Contains(scores(said), "a/m: it burns the budget at 0.0 times the even pace") {
		t.Errorf("where nothing is promised: %s, %v: %s", got, err, scores(said))
	}
}
