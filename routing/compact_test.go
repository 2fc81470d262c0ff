package routing_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

// cel is a policy that counts for its route.
func cel(tb testing.TB) *policy.CEL {
	p := &policy.CEL{Keep: "true"}
	if err := p.Check(); err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestCompactRoutesAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "a", "b", "ab", "a*"})
		words := rapid.SliceOfN(word, 0, 3)
		routes := []*routing.Route{}
		for range rapid.IntRange(0, 8).Draw(t, "routes") {
			r := &routing.Route{Name: word.Draw(t, "name"), Models: words.Draw(t, "models"), Deadlines: routing.Deadlines{Total: time.Second}}
			for _, model := range words.Draw(t, "targets") {
				r.Targets = append(r.Targets, routing.Target{Provider: word.Draw(t, "provider"), Model: model, Weight: rapid.IntRange(0, 1).Draw(t, "weight"), Like: word.Draw(t, "like")})
			}
			for _, region := range words.Draw(t, "policies") {
				r.Policies = append(r.Policies, routing.Named{Name: "region", Policy: &policy.Region{In: []string{region}}})
			}
			if teams := words.Draw(t, "teams"); len(teams) > 0 {
				r.Match = &match.Rule{Owners: match.Owners{Teams: teams}}
			}
			routes = append(routes, r)
		}
		if got := routing.NewTable(routes, nil).Compact().Routes(); !reflect.DeepEqual(got, routes) {
			t.Fatalf("got %+v, want %+v", got, routes)
		}
	})
}

func TestCompactRoutesShareWhatIsEqual(t *testing.T) {
	made := func(name, team string, policies ...routing.Policy) *routing.Route {
		r := &routing.Route{
			Name: name, Models: []string{name}, Targets: []routing.Target{{Provider: "p", Model: "m"}, {Provider: "q", Model: "m"}},
			Match: &match.Rule{Owners: match.Owners{Teams: []string{team}}},
		}
		for _, p := range policies {
			r.Policies = append(r.Policies, routing.Named{Name: "p", Policy: p})
		}
		return r
	}
	region := func(name string) routing.Policy { return &policy.Region{In: []string{name}} }
	table := routing.NewTable([]*routing.Route{made("a", "x", region("eu")), made("b", "x", region("eu")), made("c", "y", region("us")), made("d", "x", cel(t)), made("e", "x", cel(t))}, nil).Compact()
	all := table.Routes()
	for _, c := range []struct {
		what string
		a, b any
		same bool
	}{
		{"targets that are equal", &all[0].Targets[0], &all[2].Targets[0], true},
		{"policies that are equal", &all[0].Policies[0], &all[1].Policies[0], true},
		{"policies with other options", &all[0].Policies[0], &all[2].Policies[0], false},
		{"policies that count for their route", all[3].Policies[0].Policy, all[4].Policies[0].Policy, false},
		{"rules that are equal", all[0].Match, all[1].Match, true},
		{"rules of other teams", all[0].Match, all[2].Match, false},
	} {
		if (c.a == c.b) != c.same {
			t.Errorf("%s: shared is %v, want %v", c.what, c.a == c.b, c.same)
		}
	}
	about := &routing.About{Kind: "p"}
	bound := table.Bind(func(*routing.Target) *routing.About { return about }).Routes()
	if &bound[0].Targets[0] != &bound[2].Targets[0] || bound[0].Targets[1].About != about {
		t.Error("targets that were shared are not when they are bound")
	}
	if all[0].Targets[0].About != nil {
		t.Error("binding changed the routes that it was asked of")
	}
}
