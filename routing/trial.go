package routing

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/experiment"
)

// Trial is an experiment at a route.
type Trial struct {
	*experiment.Experiment
	Routes []*Route // of the arms: the route with what the arm has in its place
	Arm    string   // of a route that is an arm's: EXPERIMENT/ARM
}

// Assigned returns the route of the arm that a request has, r itself where it has no experiment. weights are those of the
// arms at the moment; nil: as they are configured.
func (r *Route) Assigned(v *View, weights []int) *Route {
	t := r.Trial
	if t == nil || len(t.Routes) == 0 {
		return r
	}
	return t.Routes[t.Assign(t.unit(v), weights)]
}

// Arm returns the arm that the route is of, as EXPERIMENT/ARM; "": it is of none.
func (r *Route) Arm() string {
	if r.Trial == nil {
		return ""
	}
	return r.Trial.Arm
}

// unit is what keeps its arm. Where a request does not say, what is next wider counts; a request of nobody is by itself.
func (t *Trial) unit(v *View) string {
	o := &v.Owner
	kind, id := "", ""
	switch t.By {
	case experiment.BySession:
		if v.More != nil {
			kind, id = "session", v.More.Session("session")
		}
	case experiment.ByRequest:
		return strconv.FormatUint(v.Seed, 36)
	}
	if id == "" && t.By != experiment.ByKey {
		kind, id = "user", o.EndUser
	}
	if id == "" {
		kind, id = "key", o.Key
	}
	if id == "" {
		return strconv.FormatUint(v.Seed, 36)
	}
	return cmp.Or(o.Organization, "-") + "\n" + kind + "\n" + id
}

// bound returns the trial with routes whose targets know what about says of them.
func (t *Trial) bound(about func(*Target) *About) *Trial {
	if t == nil {
		return nil
	}
	own := *t
	own.Routes = slices.Clone(t.Routes)
	for i, r := range own.Routes {
		own.Routes[i] = r.bound(about)
	}
	return &own
}
