package routing_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// rig is providers with keys, some of which rest.
type rig struct {
	keys    map[string]int  // ready keys
	resting map[string]bool // providers of which every key rests
}

func (r rig) pick(ids []string, provider, _ string) ([]string, bool) {
	if r.resting[provider] {
		return append(ids, "k0"), false
	}
	for i := range max(1, r.keys[provider]) {
		ids = append(ids, fmt.Sprint("k", i))
	}
	return ids, true
}

// weighted orders a route by weight.
func weighted(r *routing.Route) *routing.Route {
	r.Policies = []routing.Named{{Name: "weighted", Policy: routing.Weights{}}}
	return r
}

// text writes a plan as one line.
func text(p *routing.Plan) string {
	var steps []string
	for _, s := range p.Steps {
		steps = append(steps, s.Target()+":"+s.Key)
	}
	return strings.Join(steps, " ")
}

func route(targets ...string) *routing.Route {
	r := &routing.Route{Name: "r"}
	for _, t := range targets {
		p, m, _ := strings.Cut(t, "/")
		r.Targets = append(r.Targets, routing.Target{Provider: p, Model: m})
	}
	return r
}

func TestPlan(t *testing.T) {
	two := rig{keys: map[string]int{"a": 3, "b": 1, "c": 2}}
	for _, c := range []struct {
		name     string
		targets  string
		attempts int
		rig      rig
		model    string
		want     string
	}{
		{"targets in the order written, up to two keys of each", "a/x b/y c/z", 0, two, "m", "a/x:k0 a/x:k1 b/y:k0 c/z:k0 c/z:k1"},
		{"attempts bound the plan", "a/x b/y c/z", 3, two, "m", "a/x:k0 a/x:k1 b/y:k0"},
		{"one attempt", "a/x b/y", 1, two, "m", "a/x:k0"},
		{"never more than eight steps", "a/1 a/2 a/3 a/4 a/5 a/6", 0, two, "m", "a/1:k0 a/1:k1 a/2:k0 a/2:k1 a/3:k0 a/3:k1 a/4:k0 a/4:k1"},
		{"attempts do not raise the bound of eight", "a/1 a/2 a/3 a/4 a/5 a/6", 20, two, "m", "a/1:k0 a/1:k1 a/2:k0 a/2:k1 a/3:k0 a/3:k1 a/4:k0 a/4:k1"},
		{"a resting target comes last", "a/x b/y c/z", 0, rig{resting: map[string]bool{"a": true}}, "m", "b/y:k0 c/z:k0 a/x:k0"},
		{"a resting target is used when it is the only one", "a/x", 0, rig{resting: map[string]bool{"a": true}}, "m", "a/x:k0"},
		{"all rest: the first alone", "a/x b/y", 0, rig{resting: map[string]bool{"a": true, "b": true}}, "m", "a/x:k0"},
		{"attempts go to ready targets first", "a/x b/y", 1, rig{resting: map[string]bool{"a": true}}, "m", "b/y:k0"},
		{"the model * is the client's name", "b/*", 0, two, "gpt-5.1", "b/gpt-5.1:k0"},
		{"a client may name the provider too", "b/*", 0, two, "b/gpt-5.1", "b/gpt-5.1:k0"},
		{"another provider's name stays part of the model's", "b/*", 0, two, "a/gpt-5.1", "b/a/gpt-5.1:k0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := route(strings.Fields(c.targets)...)
			r.Failover.Attempts = c.attempts
			p, err := r.Plan(&routing.View{Request: match.Request{Model: c.model}, Keys: c.rig.pick})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(text(p), c.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if p.Route != r {
				t.Error("the plan is not of its route")
			}
		})
	}
}

func TestATargetThatCannotDoTheRequestIsLeftOutAndNamed(t *testing.T) {
	r := route("a/x", "b/y")
	p, err := r.Plan(&routing.View{Keys: rig{}.pick, Usable: func(t *routing.Target) (bool, string) { return t.Provider != "a", "no images" }})
	if err != nil || text(p) != "b/y:k0" {
		t.Fatalf("got %v, %v", p, err)
	}
	var e routing.Explained
	if _, err := new(routing.Decision).Plan(r, &routing.View{Keys: rig{}.pick, Usable: func(t *routing.Target) (bool, string) { return t.Provider != "a", "no images" }}, &e); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a/x", "b/y"} { // nothing is known of them but what is usual
		if k := e.Targets[i]; k.Target.String() != want || k.Priced || k.Answer != 400 || k.Signals.Success != 1 {
			t.Errorf("of %s is expected %+v", want, k)
		}
	}
	e.Targets = nil
	if diff := cmp.Diff(e, routing.Explained{Unusable: []routing.Dropped{{Target: "a/x", Why: "no images"}}, Plan: []string{"b/y"}}); diff != "" {
		t.Error(diff)
	}
	_, err = r.Plan(&routing.View{Keys: rig{}.pick, Usable: func(*routing.Target) (bool, string) { return false, "no images" }})
	var no *routing.NoTarget
	if !errors.As(err, &no) || len(no.Trace) != 2 {
		t.Fatalf("got %v", err)
	}
	if want := "route r has no usable target; a/x: no images; b/y: no images"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestUsableSeesTheModelThatWillBeSent(t *testing.T) {
	var seen []string
	_, err := route("b/*").Plan(&routing.View{Request: match.Request{Model: "b/gpt"}, Keys: rig{}.pick, Usable: func(t *routing.Target) (bool, string) {
		seen = append(seen, t.String())
		return true, ""
	}})
	if err != nil || !slices.Equal(seen, []string{"b/gpt"}) {
		t.Errorf("got %v, %v", seen, err)
	}
}

// TestWeightedOrder draws many plans from a fixed seed and compares how often each target comes first, and
// second after a given first, with what the weights promise.
func TestWeightedOrder(t *testing.T) {
	const draws = 20000
	r := route("a/x", "b/x", "c/x", "d/x")
	weighted(r)
	for i, w := range []int{60, 30, 10, 0} {
		r.Targets[i].Weight = w
	}
	first, second := map[string]int{}, map[string]int{}
	for n := range uint64(draws) {
		p, err := r.Plan(&routing.View{Keys: rig{}.pick, Seed: n})
		if err != nil || len(p.Steps) != 4 {
			t.Fatalf("got %v, %v", p, err)
		}
		first[p.Steps[0].Provider]++
		if p.Steps[0].Provider == "a" {
			second[p.Steps[1].Provider]++
		}
		if p.Steps[3].Provider != "d" {
			t.Fatalf("a target of weight 0 comes before others: %s", text(p))
		}
	}
	near := func(what string, got, of int, want float64) {
		t.Helper()
		if share := float64(got) / float64(of); share < want-0.02 || share > want+0.02 {
			t.Errorf("%s: a share of %.3f, want %.3f", what, share, want)
		}
	}
	near("a first", first["a"], draws, 0.6)
	near("b first", first["b"], draws, 0.3)
	near("c first", first["c"], draws, 0.1)
	near("b after a", second["b"], first["a"], 0.75)
	near("c after a", second["c"], first["a"], 0.25)
}

func TestWeightsOfZeroKeepTheOrderWritten(t *testing.T) {
	r := route("a/x", "b/x", "c/x")
	p, err := weighted(r).Plan(&routing.View{Keys: rig{}.pick})
	if err != nil || text(p) != "a/x:k0 b/x:k0 c/x:k0" {
		t.Errorf("got %v, %v", p, err)
	}
}

// TestPlanLaws holds for every route and view: steps are of the route's usable targets and their keys, none
// twice, none too many; ready ones come first; every target is a step or is explained, unless the bound cut
// it off; and planning changes nothing.
func TestPlanLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &routing.Route{Name: "r"}
		if rapid.Bool().Draw(t, "weighted") {
			weighted(r)
		}
		r.Failover.Attempts = rapid.IntRange(0, 10).Draw(t, "attempts")
		g := rig{keys: map[string]int{}, resting: map[string]bool{}}
		usable := map[string]bool{}
		for i := range rapid.IntRange(0, 10).Draw(t, "targets") {
			p := fmt.Sprint("p", i)
			r.Targets = append(r.Targets, routing.Target{Provider: p, Model: "m", Like: "l" + p, Weight: rapid.IntRange(0, 3).Draw(t, "weight")})
			g.keys[p] = rapid.IntRange(0, 3).Draw(t, "keys")
			g.resting[p] = rapid.Bool().Draw(t, "resting")
			usable[p] = rapid.Bool().Draw(t, "usable")
		}
		before := slices.Clone(r.Targets)
		var why routing.Explained
		v := routing.View{
			Request: match.Request{Model: "m"},
			Seed:    rapid.Uint64().Draw(t, "seed"),
			Keys:    g.pick,
			Usable:  func(t *routing.Target) (bool, string) { return usable[t.Provider], "no" },
		}
		again := v
		p, err := r.Plan(&v)
		q, _ := new(routing.Decision).Plan(r, &again, &why)
		if err == nil && !slices.Equal(p.Steps, q.Steps) {
			t.Fatalf("explained, the plan is another: %s, %s", text(p), text(q))
		}
		if !slices.Equal(before, r.Targets) {
			t.Fatal("planning changed the route")
		}
		some := slices.ContainsFunc(r.Targets, func(t routing.Target) bool { return usable[t.Provider] })
		if (err == nil) != some {
			t.Fatalf("error %v, though a usable target is there: %v", err, some)
		}
		if err != nil {
			return
		}
		most := routing.MaxSteps
		if r.Failover.Attempts > 0 {
			most = min(most, r.Failover.Attempts)
		}
		if len(p.Steps) == 0 || len(p.Steps) > most {
			t.Fatalf("%d steps, the most is %d", len(p.Steps), most)
		}
		checkSteps(t, p, g, usable)
		if all := p.Flags&routing.LeastBad != 0; all && len(p.Steps) != 1 {
			t.Fatalf("all rest, and %d are tried", len(p.Steps))
		} else if len(p.Steps) < most && !all {
			checkExplained(t, p, &why, usable)
		}
	})
}

// checkSteps checks what each step is, and that ready ones come first.
func checkSteps(t *rapid.T, p *routing.Plan, g rig, usable map[string]bool) {
	seen := map[routing.Step]bool{}
	rested := false
	for _, s := range p.Steps {
		ids, _ := g.pick(nil, s.Provider, s.Model)
		switch {
		case seen[s]:
			t.Fatalf("step %v twice", s)
		case !usable[s.Provider]:
			t.Fatalf("step %v cannot do the request", s)
		case !slices.Contains(ids[:min(2, len(ids))], s.Key) || s.Model != "m" || s.Like != "l"+s.Provider:
			t.Fatalf("step %v is of no target", s)
		case rested && !g.resting[s.Provider]:
			t.Fatalf("ready step %v after a resting one", s)
		}
		seen[s] = true
		rested = rested || g.resting[s.Provider]
	}
}

// checkExplained checks a plan that no bound has cut: a target is a step, or the trace says why not.
func checkExplained(t *rapid.T, p *routing.Plan, why *routing.Explained, usable map[string]bool) {
	for _, target := range p.Route.Targets {
		step := slices.ContainsFunc(p.Steps, func(s routing.Step) bool { return s.Provider == target.Provider })
		told := slices.ContainsFunc(why.Unusable, func(w routing.Dropped) bool { return w.Target == target.String() })
		if step != usable[target.Provider] || !step && !told {
			t.Fatalf("target %v: step %v, told %v", target, step, told)
		}
	}
}
