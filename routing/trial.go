package routing

import (
	"cmp"
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// tried is what experiments have to do with a route.
type tried struct {
	Trial  *Trial           // of the route; nil: there is none
	Change *override.Change // of a route that is an arm's: of the requests that it gets; nil: nothing is changed
}

// Trial is an experiment at a route.
type Trial struct {
	*experiment.Experiment
	Routes []*Route // of the arms: the route with what the arm has in its place
	Labels []string // of the arms: EXPERIMENT/ARM
	// Template is the name of the prompt template of which arms have versions of their own. Requests that do not name it, or choose a
	// version themselves, take no part. "": there is none.
	Template string
}

// Assigned returns the route that a request gets and the arm that this is, as EXPERIMENT/ARM: r itself and "" where it takes
// part in no experiment. board is how experiments stand.
func (r *Route) Assigned(v *View, board *experiment.Board) (route *Route, arm string) {
	t := r.Trial
	if t == nil {
		return r, ""
	}
	phase := board.Of(t.Name)
	switch phase.State {
	case experiment.Stopped:
		return r, ""
	case experiment.Promoted:
		for i := range t.Arms {
			if t.Arms[i].Name == phase.Arm {
				return t.Routes[i], ""
			}
		}
		return r, ""
	}
	if t.Shadow != nil {
		return r, ""
	}
	i := t.Assign(t.unit(v), t.Weights(phase))
	return t.Routes[i], t.Labels[i]
}

// Shadowed reports whether a request is sent to the arms behind the first, too.
func (t *Trial) Shadowed(exchange string, board *experiment.Board) bool {
	if t == nil || t.Shadow == nil {
		return false
	}
	if s := board.Of(t.Name).State; s == experiment.Stopped || s == experiment.Promoted {
		return false
	}
	return t.Shadows(exchange)
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
	if id == "" && o.Key != match.Anonymous {
		kind, id = "key", o.Key
	}
	if id == "" {
		return strconv.FormatUint(v.Seed, 36)
	}
	return cmp.Or(o.Organization, "-") + "\n" + kind + "\n" + id
}

// trial returns the trial with routes whose targets are bound.
func (b *binder) trial(t *Trial) *Trial {
	if t == nil {
		return nil
	}
	own := *t
	own.Routes = make([]*Route, len(t.Routes))
	for i, r := range t.Routes {
		arm := b.route(r)
		own.Routes[i] = &arm
	}
	return &own
}
