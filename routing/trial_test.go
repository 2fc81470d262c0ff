package routing_test

import (
	"fmt"
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// session answers nothing but what ties requests.
type session string

func (session) Header(string) string        { return "" }
func (session) Needs() ability.Set          { return 0 }
func (session) Tokens(_, _, _ string) int64 { return 0 }
func (s session) Session(by string) string  { return string(s) }

func tried(by string) *routing.Route {
	e := &experiment.Experiment{Name: "x", By: by, Arms: []experiment.Arm{{Name: "a", Weight: 1}, {Name: "b", Weight: 1}}}
	r := &routing.Route{Name: "r"}
	r.Trial = &routing.Trial{Experiment: e}
	for _, a := range e.Arms {
		r.Trial.Routes = append(r.Trial.Routes, &routing.Route{Name: "r", Targets: []routing.Target{{Provider: "p", Model: a.Name}}})
		r.Trial.Labels = append(r.Trial.Labels, "x/"+a.Name)
	}
	return r
}

// arms counts the arms of a hundred requests of one owner, each with a seed of its own.
func arms(r *routing.Route, of func(i int) *routing.View) int {
	seen := map[string]bool{}
	for i := range 100 {
		v := of(i)
		v.Seed = uint64(i)
		_, arm := r.Assigned(v, nil)
		seen[arm] = true
	}
	return len(seen)
}

func TestWhatKeepsItsArm(t *testing.T) {
	view := func(o match.Owner, s session) *routing.View {
		return &routing.View{Request: match.Request{Owner: o, More: s}}
	}
	for name, c := range map[string]struct {
		by   string
		of   func(i int) *routing.View
		want int
	}{
		"a key, whoever its users are": {"key", func(i int) *routing.View {
			return view(match.Owner{Key: "k", EndUser: fmt.Sprint(i)}, session(fmt.Sprint(i)))
		}, 1},
		"a user, whatever the session": {"user", func(i int) *routing.View {
			return view(match.Owner{Key: fmt.Sprint(i), EndUser: "u"}, session(fmt.Sprint(i)))
		}, 1},
		"users of one key differ":           {"user", func(i int) *routing.View { return view(match.Owner{Key: "k", EndUser: fmt.Sprint(i)}, "") }, 2},
		"a key, where no user is said":      {"user", func(int) *routing.View { return view(match.Owner{Key: "k"}, "") }, 1},
		"a session":                         {"session", func(i int) *routing.View { return view(match.Owner{Key: fmt.Sprint(i)}, "s") }, 1},
		"a user, where no session is said":  {"session", func(i int) *routing.View { return view(match.Owner{Key: fmt.Sprint(i), EndUser: "u"}, "") }, 1},
		"nothing, where a request is drawn": {"request", func(int) *routing.View { return view(match.Owner{Key: "k", EndUser: "u"}, "s") }, 2},
		"nothing, where nobody is known":    {"user", func(int) *routing.View { return view(match.Owner{}, "") }, 2},
		"nothing, where there are no keys":  {"user", func(int) *routing.View { return view(match.Owner{Organization: "default", Key: "anonymous"}, "") }, 2},
		"users of two organizations differ": {"user", func(i int) *routing.View { return view(match.Owner{Organization: fmt.Sprint(i), EndUser: "u"}, "") }, 2},
	} {
		if got := arms(tried(c.by), c.of); got != c.want {
			t.Errorf("%s: %d arms, want %d", name, got, c.want)
		}
	}
}

func TestTargetsOfArmsAreBound(t *testing.T) {
	about := &routing.About{Kind: "k"}
	table := routing.NewTable([]*routing.Route{tried("key")}, nil).Bind(func(*routing.Target) *routing.About { return about })
	for _, r := range table.Route("r").Trial.Routes {
		if r.Targets[0].About != about {
			t.Errorf("%s is not known", r.Targets[0])
		}
	}
}

func TestARouteWithoutAnExperimentIsItself(t *testing.T) {
	r := &routing.Route{Name: "r"}
	if got, arm := r.Assigned(&routing.View{}, nil); got != r || arm != "" {
		t.Error("it has an arm")
	}
}

// TestHowAnExperimentStandsDecides: what is stopped or promoted takes no part any more.
func TestHowAnExperimentStandsDecides(t *testing.T) {
	r := tried("key")
	v := &routing.View{Request: match.Request{Owner: match.Owner{Key: "k"}}}
	for name, c := range map[string]struct {
		phase experiment.Phase
		want  *routing.Route
	}{
		"stopped":                   {experiment.Phase{State: experiment.Stopped}, r},
		"promoted":                  {experiment.Phase{State: experiment.Promoted, Arm: "b"}, r.Trial.Routes[1]},
		"promoted to a removed arm": {experiment.Phase{State: experiment.Promoted, Arm: "gone"}, r},
	} {
		var b experiment.Board
		b.Set(map[string]experiment.Phase{"x": c.phase})
		if got, arm := r.Assigned(v, &b); got != c.want || arm != "" {
			t.Errorf("%s: %v of arm %q", name, got.Targets, arm)
		}
	}
	var b experiment.Board
	if _, arm := r.Assigned(v, &b); arm == "" {
		t.Error("one that was never changed does not run")
	}
}
