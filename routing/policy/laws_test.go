package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/region"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
	"github.com/signalbox-ai/signalbox/routing/policy"
)

var codes = []llm.Code{llm.CodeNone, llm.CodeNone, llm.CodeUpstream, llm.CodeInvalid}

var places = []string{"", "eu-west-1", "eu-west-2", "westeurope", "us-east-1", "eu", "us", "de", "onprem"}

// genPolicy makes a policy with options.
func genPolicy(t *rapid.T) routing.Named {
	name := rapid.SampledFrom(policy.Names()).Draw(t, "policy")
	k, _ := policy.Find(name)
	p := k.New()
	n := rapid.IntRange(0, 60).Draw(t, "number")
	switch p := p.(type) {
	case *policy.Capable:
		p.Strict, p.Reserve = n%2 == 0, n*100
	case *policy.Region:
		p.In = []string{rapid.SampledFrom(places[1:]).Draw(t, "in")}
	case *policy.Residency:
		p.In = []string{rapid.SampledFrom(places[1:]).Draw(t, "in")}
	case *policy.Compliance:
		p.Retention = "limited"
	case *policy.Schedule:
		p.Days, p.Prefer, p.Never = []string{"fri"}, []string{"p1/*"}, []string{"p2/m"}
	case *policy.Healthy:
		p.Success = n
	case *policy.Cheapest:
		p.Within = n
	case *policy.Fastest:
		p.Within, p.Explore = n, min(n, 50)
	case *policy.Balanced:
		p.Explore = min(n, 50)
	case *policy.Sticky:
		p.By = []string{rapid.SampledFrom([]string{"session", "key", "prefix"}).Draw(t, "by")}
	}
	if c, ok := p.(policy.Checker); ok {
		if err := c.Check(); err != nil {
			t.Skip(name, err)
		}
	}
	return routing.Named{Name: name, Policy: p}
}

// genTarget makes a target with whatever may be known of one.
func genTarget(t *rapid.T, i int) routing.Target {
	a := routing.About{Region: rapid.SampledFrom(places).Draw(t, "region")}
	if rapid.Bool().Draw(t, "priced") {
		a.Card = priced(rapid.Int64Range(0, 50).Draw(t, "price")).Card
	}
	if rapid.Bool().Draw(t, "known") {
		a.Facts = catalog.Facts{Known: true, Can: ability.Set(rapid.Uint32Range(0, 1<<12).Draw(t, "can")), Context: rapid.Int64Range(0, 2000).Draw(t, "context"), MaxOutput: rapid.Int64Range(0, 500).Draw(t, "output")}
	}
	if rapid.Bool().Draw(t, "kept") {
		a.Traits = []string{"retention=" + rapid.SampledFrom([]string{"none", "stored"}).Draw(t, "retention"), "hosted=us"}
	}
	if rapid.Bool().Draw(t, "tried") {
		h := health.NewTargets().Of("p", "m")
		for range rapid.IntRange(0, 40).Draw(t, "attempts") {
			h.Begin("k", now)
			if rapid.IntRange(0, 3).Draw(t, "ends") > 0 {
				code := rapid.SampledFrom(codes).Draw(t, "code")
				h.End(health.Attempt{Key: "k", Code: code, First: time.Duration(rapid.Int64Range(0, 1e10).Draw(t, "first")), Took: time.Duration(rapid.Int64Range(0, 1e11).Draw(t, "took"))}, now)
			}
		}
		h.Limits(health.Room{Requests: rapid.Float64Range(-1, 1).Draw(t, "room"), Tokens: -1}, now)
		a.Health = h
	}
	k := target(fmt.Sprintf("p%d/m", i), a)
	k.Weight, k.Priority = rapid.IntRange(0, 4).Draw(t, "weight"), rapid.IntRange(0, 3).Draw(t, "priority")
	return k
}

// TestDecisionLaws holds for all policies in every order: a plan has targets of the route only, none twice; the same view
// gives the same plan, explained or not, from a new decision or a used one; what a policy leaves out is named, and does
// not come back; each policy begins with what the one before it left, and keeps the order of what was not equal; and never
// goes a request to a region that is not allowed.
func TestDecisionLaws(t *testing.T) {
	var used routing.Decision
	rapid.Check(t, func(t *rapid.T) {
		r := &routing.Route{Name: "r"}
		for range rapid.IntRange(0, 6).Draw(t, "policies") {
			r.Policies = append(r.Policies, genPolicy(t))
		}
		for i := range rapid.IntRange(1, 12).Draw(t, "targets") {
			r.Targets = append(r.Targets, genTarget(t, i))
		}
		v := routing.View{
			Request: match.Request{
				Model: "m", Bytes: rapid.Int64Range(0, 10_000).Draw(t, "bytes"), Output: rapid.Int64Range(0, 600).Draw(t, "output"), Stream: rapid.Bool().Draw(t, "stream"),
				More: &asked{needs: ability.Set(rapid.Uint32Range(0, 1<<12).Draw(t, "needs")), tokens: rapid.Int64Range(0, 3000).Draw(t, "tokens"), ties: map[string]string{"session": "s"}},
			},
			Now: now, Seed: rapid.Uint64().Draw(t, "seed"), Keys: pick,
		}
		before := slices.Clone(r.Targets)
		again, third := v, v
		var why routing.Explained
		p, err := new(routing.Decision).Plan(r, &v, nil)
		q, err2 := used.Plan(r, &again, &why)
		if (err == nil) != (err2 == nil) || err == nil && !slices.Equal(p.Steps, q.Steps) {
			t.Fatalf("explained, the decision is another: %v, %v", p, q)
		}
		if o, err3 := used.Plan(r, &third, nil); (err3 == nil) != (err == nil) || err == nil && !slices.Equal(o.Steps, p.Steps) {
			t.Fatalf("made again, the decision is another")
		}
		if !cmp.Equal(before, r.Targets, cmp.Comparer(func(a, b *routing.About) bool { return a == b })) {
			t.Fatal("deciding changed the route")
		}
		checkVerdicts(t, r, &why)
		if err == nil {
			checkPlan(t, r, p)
		}
	})
}

// checkPlan checks what a plan may hold.
func checkPlan(t *rapid.T, r *routing.Route, p *routing.Plan) {
	seen := map[string]bool{}
	for _, s := range p.Steps {
		i := slices.IndexFunc(r.Targets, func(k routing.Target) bool { return k.String() == s.Target() })
		if i < 0 || seen[s.Target()] {
			t.Fatalf("%s is of no target, or twice", s.Target())
		}
		seen[s.Target()] = true
		for _, n := range r.Policies {
			if in, ok := n.Policy.(*policy.Region); ok && !region.In(r.Targets[i].About.Region, in.In[0]) {
				t.Fatalf("%s is in %q, allowed is %s", s.Target(), r.Targets[i].About.Region, in.In[0])
			}
		}
	}
}

// checkVerdicts checks that what policies say of what they did is what they did.
func checkVerdicts(t *rapid.T, r *routing.Route, e *routing.Explained) {
	left := make([]string, len(r.Targets))
	for i := range r.Targets {
		left[i] = r.Targets[i].String()
	}
	for i, v := range e.Policies {
		if v.Policy != r.Policies[i].Name || !slices.Equal(v.In, left) {
			t.Fatalf("%s began with %v, left were %v", v.Policy, v.In, left)
		}
		for _, d := range v.Dropped {
			if strings.TrimSpace(d.Why) == "" {
				t.Fatalf("%s does not say why it left out %s", v.Policy, d.Target)
			}
		}
		if len(v.Out)+len(v.Dropped) != len(v.In) {
			t.Fatalf("%s left %v and dropped %v of %v", v.Policy, v.Out, v.Dropped, v.In)
		}
		for _, name := range v.Out {
			if !slices.Contains(v.In, name) {
				t.Fatalf("%s made up %s", v.Policy, name)
			}
		}
		left = v.Out
	}
}
