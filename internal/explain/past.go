package explain

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// Again is what deciding an exchange of the ledger again came to, beside what happened.
type Again struct {
	Then        string   `json:"config_then,omitzero"` // version of the configuration that decided it
	Now         string   `json:"config_now"`
	Unknown     []string `json:"unknown,omitempty"`     // what decided it, and is not known any more
	Differences []string `json:"differences,omitempty"` // where what happened is not what is decided again
}

// recent is how long the health of targets is taken to be what it was.
const recent = 10 * time.Minute

// bytesPerToken is what a prompt is taken to have: the ledger has its tokens alone.
const bytesPerToken = 4

// Past decides an exchange again, from what its record tells, by the configuration in use: with the seed that it was decided
// with, for that is made of its id. Where it is recent, the health of targets is the one that this process knows now, else
// all count as not tried. now is the time of asking.
func Past(s *exchange.Snapshot, rec *ledger.Record, now time.Time) *Report {
	p := &past{snap: s, rec: rec, fresh: now.Sub(rec.At) < recent, seed: routing.Hash(rec.ID)}
	r := &Report{Seed: p.seed, Routes: []Route{}, Again: &Again{Then: rec.Asked.Config, Now: metering.ConfigOf(s.Version)}}
	op, known := auth.ParseOperation(rec.Asked.Op)
	if !known || op.Objects() {
		r.Refused = &Fault{Code: llm.CodeUnsupported.String(), Message: "there is nothing to decide about such an exchange: its operation is " + cmp.Or(rec.Asked.Op, "not known")}
		return r
	}
	p.see(op)
	r.Request = p.request()
	if pinned := s.Templates.Route(rec.Tags[template.Tag]); pinned != "" {
		p.pinned(r, pinned)
		p.compare(r)
		return r
	}
	for route, why := range s.Table.Explain(&p.view, p.may) {
		r.Routes = append(r.Routes, Route{route.Name, why == "", why})
	}
	if route, lacks := s.Table.Find(&p.view, p.may); route == nil {
		why := "no route takes the model " + rec.Asked.Model
		if rec.Asked.Model == "" {
			why = "its record names no model: the request was refused before one was read"
		}
		if lacks != "" {
			why = "no route takes the request: the last that takes the model asks for other " + lacks
		}
		r.Refused = &Fault{Code: llm.CodeNotFound.String(), Message: why, Param: "model"}
	} else {
		p.plan(r, route)
	}
	p.compare(r)
	return r
}

// pinned decides with the route that the template of the exchange names.
func (p *past) pinned(r *Report, name string) {
	route := p.snap.Table.Route(name)
	if route == nil || p.may != nil && !p.may(route) {
		r.Refused = &Fault{Code: llm.CodeNotFound.String(), Message: "the route " + name + " of its template does not exist, or its key may not use it", Param: "model"}
		return
	}
	r.Routes = append(r.Routes, Route{Name: name, Takes: true})
	p.plan(r, route)
}

// past is what a record tells a decision.
type past struct {
	snap  *exchange.Snapshot
	rec   *ledger.Record
	fresh bool
	seed  uint64
	view  routing.View
	asked []string // what is not recorded
	may   func(*routing.Route) bool
}

// see makes the view.
func (p *past) see(op llm.Op) {
	r := p.rec
	p.view = routing.View{
		Request: match.Request{
			Asked: r.Asked.Model, Model: p.snap.Table.Resolve(r.Asked.Model), Op: op, Dialect: r.Asked.Dialect, Stream: r.Asked.Stream, Bytes: p.Tokens("", "", "") * bytesPerToken,
			Owner: match.Owner{Organization: r.Organization, Team: r.Who.Team, Project: r.Who.Project, Key: cmp.Or(r.Who.KeyID, r.Who.Key), EndUser: r.Who.User},
			Tags:  r.Tags, More: p,
		},
		Now: r.At.UTC(), Seed: p.seed, About: p.about, Keys: p.keys,
		Usable: func(t *routing.Target) (bool, string) {
			if !p.snap.Speaks(t, op, dialect.Name(r.Asked.Dialect)) {
				return false, "the target has no endpoint for " + op.String()
			}
			return true, ""
		},
	}
	if len(r.Attempts) == 0 {
		p.lacks("the tokens of its prompt: it was not sent")
	}
	if r.Who.Key == "" {
		return
	}
	if who, ok := p.snap.Keys.Assume(cmp.Or(r.Who.KeyID, r.Who.Key)); ok {
		p.may = func(to *routing.Route) bool { return who.Scope().Route(to.Name) }
	} else {
		p.lacks("the scope of its key, which is not there any more")
	}
}

func (p *past) request() Request {
	v := &p.view
	r := Request{
		At: v.Now, Dialect: v.Dialect, Operation: v.Op.String(), Stream: v.Stream, Asked: v.Asked, Bytes: v.Bytes,
		Organization: p.rec.Organization, Team: v.Owner.Team, Project: v.Owner.Project, Key: p.rec.Who.Key, EndUser: v.Owner.EndUser, Tags: v.Tags,
	}
	if v.Model != v.Asked {
		r.Resolved = v.Model
	}
	return r
}

// plan decides with the route and, of an experiment, the arm that the exchange had.
func (p *past) plan(r *Report, route *routing.Route) {
	r.Route = route.Name
	if arm := p.rec.Asked.Arm; arm != "" {
		n := -1
		if route.Trial != nil {
			n = slices.Index(route.Trial.Labels, arm)
		}
		if n >= 0 {
			route, r.Arm = route.Trial.Routes[n], arm
		} else {
			p.lacks("the arm " + arm + " of its experiment: the route has none of that name now")
		}
	}
	var why routing.Explained
	plan, err := new(routing.Decision).Plan(route, &p.view, &why)
	r.decided(&why)
	if err != nil {
		text := "no target"
		if e, ok := errors.AsType[*routing.NoTarget](err); ok {
			text = "route " + e.Route + " has no usable target"
		}
		r.Refused = &Fault{Code: llm.CodeOverloaded.String(), Message: text}
		return
	}
	r.LeastBad = plan.Flags&routing.LeastBad != 0
	for _, s := range plan.Steps {
		r.Plan = append(r.Plan, Step{Target: s.Target()})
	}
}

// about leaves out a health that is not the one of then.
func (p *past) about(provider, model, like string) *routing.About {
	a := p.snap.About(provider, model, like)
	if a == nil || p.fresh {
		return a
	}
	b := *a
	b.Health = nil
	return &b
}

// keys takes every provider to have one key: which ones rested is not recorded.
func (p *past) keys(dst []string, provider, model string) ([]string, bool) {
	if p.snap.Providers[provider] == nil {
		return dst, false
	}
	_, rests := p.about(provider, model, "").Health.Rests("", p.seed, p.view.Now)
	return append(dst, ""), !rests
}

func (p *past) lacks(what string) {
	if !slices.Contains(p.asked, what) {
		p.asked = append(p.asked, what)
	}
}

// Header implements match.Inquiry.
func (p *past) Header(name string) string {
	p.lacks("the header " + name)
	return ""
}

// Needs implements match.Inquiry.
func (p *past) Needs() ability.Set {
	p.lacks("the abilities that it needed: bodies are not recorded")
	return 0
}

// Session implements match.Inquiry.
func (p *past) Session(by string) string {
	p.lacks("its " + by)
	return ""
}

// Tokens implements match.Inquiry: those that were billed last, whatever the target.
func (p *past) Tokens(_, _, _ string) (n int64) {
	for i := range p.rec.Attempts {
		n = cmp.Or(p.rec.Attempts[i].Units.Prompt(), n)
	}
	return n
}

// compare says what is not as it was.
func (p *past) compare(r *Report) {
	a, rec := r.Again, p.rec
	switch {
	case a.Then == "":
		p.lacks("the configuration of then: the record does not name it")
	case a.Then != a.Now:
		p.lacks(fmt.Sprintf("the configuration of then, %s: this one is %s", a.Then, a.Now))
	}
	if p.fresh {
		p.lacks("the health of targets at that moment: it is the one that this replica knows now")
	} else {
		p.lacks("the health of targets at that time: all count as not tried")
	}
	a.Unknown = p.asked
	if rec.Asked.Route != "" && rec.Asked.Route != r.Route {
		a.Differences = append(a.Differences, fmt.Sprintf("it took the route %s, and takes %s here", rec.Asked.Route, cmp.Or(r.Route, "none")))
	}
	if rec.Result.Status == ledger.Refused || rec.Result.Status == ledger.Cached || rec.Result.Status == ledger.Replayed {
		a.Differences = append(a.Differences, "it was not sent: "+string(rec.Result.Status)+" "+rec.Result.Why)
	}
	for i := range rec.Attempts {
		went, next := rec.Attempts[i].Provider+"/"+rec.Attempts[i].Model, "none"
		if i < len(r.Plan) {
			next = r.Plan[i].Target
		}
		if went != next {
			a.Differences = append(a.Differences, fmt.Sprintf("attempt %d went to %s, and goes to %s here", rec.Attempts[i].Number, went, next))
			break // those behind it follow from it
		}
	}
}
