// Package explain says why a request goes where it goes: which route takes it and why the others do not, what each policy
// made of the targets, what they are expected to cost, and what would be lost. The decision is the one of the running
// service, made by the same code; nothing is sent.
//
//	request ─► exchange.Core.Explain ─► Report ─► text, JSON
//	record of the ledger ─► Past ─► Report ─► answer of the admin API
//
// It decides nothing itself.
package explain

import (
	"context"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/decided"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
)

// Ask is a request to explain.
type Ask struct {
	Path   string            // of the request, with query
	Header map[string]string // of the client
	Body   []byte
	Who    auth.Identity // whose it is; nobody: the one that its headers prove
}

// Report is how a request is decided.
type Report struct {
	Request  Request   `json:"request"`
	Seed     uint64    `json:"seed,string"`
	Routes   []Route   `json:"routes"`
	Route    string    `json:"route,omitzero"`
	Arm      string    `json:"arm,omitzero"`       // of an experiment, as EXPERIMENT/ARM
	Unset    []Loss    `json:"unset,omitempty"`    // parameters of the arm that the client's dialect has no place for
	Targets  []Target  `json:"targets,omitempty"`  // of the route, in its order
	Policies []Policy  `json:"policies,omitempty"` // in the order in which they are applied
	Unusable []Dropped `json:"unusable,omitempty"`
	Plan     []Step    `json:"plan,omitempty"`
	LeastBad bool      `json:"least_bad,omitzero"` // no target is well: they are tried all the same
	Limits   []Limit   `json:"limits,omitempty"`
	Refused  *Fault    `json:"refused,omitzero"`
	Again    *Again    `json:"again,omitzero"` // of an exchange of the ledger
}

// Request is what decisions know of a request.
type Request struct {
	At           time.Time         `json:"at"`
	Dialect      string            `json:"dialect,omitzero"`
	Operation    string            `json:"operation,omitzero"`
	Stream       bool              `json:"stream"`
	Asked        string            `json:"model"`
	Resolved     string            `json:"resolved,omitzero"` // where the model is an alias
	Bytes        int64             `json:"bytes"`
	Output       int64             `json:"max_output,omitzero"` // tokens that the client allows
	Needs        []string          `json:"needs,omitempty"`
	Organization string            `json:"organization,omitzero"`
	Team         string            `json:"team,omitzero"`
	Project      string            `json:"project,omitzero"`
	Key          string            `json:"key,omitzero"`
	EndUser      string            `json:"end_user,omitzero"`
	Tags         map[string]string `json:"tags,omitempty"`
}

// Route is a route that was looked at.
type Route struct {
	Name  string `json:"name"`
	Takes bool   `json:"takes"`
	Why   string `json:"why,omitzero"` // it does not take the request
}

// Target is what is expected of a target.
type Target struct {
	Name    string       `json:"target"`
	Prompt  int64        `json:"prompt_tokens"`
	Answer  int64        `json:"answer_tokens"`
	Cost    *ledger.Nano `json:"cost"`             // null: no price is known
	First   int64        `json:"first_ms"`         // median time to the first byte; 0: not measured
	Takes   int64        `json:"took_ms"`          // to the end; 0: not measured
	Success float64      `json:"success"`          // share of attempts of late
	Weight  float64      `json:"attempts"`         // that the figures rest on
	Losses  []Loss       `json:"losses,omitempty"` // what it cannot carry of the request
	Cannot  string       `json:"cannot,omitzero"`  // why it cannot do the request at all
}

// Loss is what of a request is lost.
type Loss struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Policy is what one policy did.
type Policy struct {
	Name    string    `json:"policy"`
	In      []string  `json:"in"`
	Out     []string  `json:"out"`
	Dropped []Dropped `json:"dropped,omitempty"`
	Scores  []Score   `json:"scores,omitempty"`
}

// Dropped is a target that is left out or comes last, and why.
type Dropped struct {
	Target string `json:"target"`
	Why    string `json:"why"`
}

// Score is what a policy thinks of a target.
type Score struct {
	Target string `json:"target"`
	Score  string `json:"score"`
}

// Step is an attempt of the plan.
type Step struct {
	Target string `json:"target"`
	Key    string `json:"key,omitzero"`
	Speaks string `json:"dialect,omitzero"`
	Path   string `json:"path"`
	Forced string `json:"forced_by,omitzero"` // what keeps it off the direct path
}

// Limit is a budget that holds for the request.
type Limit struct {
	ID     string `json:"id"`
	Owner  string `json:"owner"`
	Unit   string `json:"unit"`
	Limit  int64  `json:"limit"` // of money: nano-USD
	Window string `json:"window"`
	Shadow bool   `json:"shadow,omitzero"` // it counts, and refuses nobody
}

// Fault says why the request is refused.
type Fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Param   string `json:"param,omitzero"`
}

// Of explains a request. seed is the one that the Core draws by.
func Of(ctx context.Context, c *exchange.Core, a Ask, seed uint64) *Report {
	h := exchange.Header{{Name: ":method", Value: "POST"}, {Name: ":path", Value: a.Path}}
	typed := false
	for n, v := range a.Header {
		n = strings.ToLower(n)
		typed = typed || n == "content-type"
		h = append(h, providers.Header{Name: n, Value: v})
	}
	if !typed {
		h = append(h, providers.Header{Name: "content-type", Value: "application/json"})
	}
	e := c.Explain(ctx, h, a.Body, a.Who)
	r := &Report{Seed: seed, Request: request(e), Routes: []Route{}, LeastBad: e.LeastBad}
	for _, t := range e.Routes {
		r.Routes = append(r.Routes, Route{t.Name, t.Why == "", t.Why})
	}
	if e.Route != nil {
		r.Route, r.Arm = e.Route.Name, e.Arm
		for _, l := range e.Unset {
			r.Unset = append(r.Unset, Loss{l.Path, l.Why})
		}
	}
	r.decided(&e.Why)
	r.losses(e.Losses)
	for _, l := range e.Legs {
		r.Plan = append(r.Plan, Step{l.Target(), l.Key, string(l.Speaks), l.Path.String(), l.Forced})
	}
	for _, b := range e.Budgets {
		r.Limits = append(r.Limits, limit(b))
	}
	if e.Refused != nil {
		r.Refused = fault(e.Refused)
	}
	return r
}

func request(e *decided.Decided) Request {
	v := &e.View
	r := Request{
		At: v.Now.UTC(), Dialect: v.Dialect, Stream: v.Stream, Asked: v.Asked, Bytes: v.Bytes, Output: v.Output, Needs: e.Needs.Names(),
		Organization: v.Owner.Organization, Team: v.Owner.Team, Project: v.Owner.Project, Key: e.Key, EndUser: v.Owner.EndUser, Tags: v.Tags,
	}
	if v.Op != llm.OpUnknown {
		r.Operation = v.Op.String()
	}
	if v.Model != v.Asked {
		r.Resolved = v.Model
	}
	return r
}

func (r *Report) decided(d *routing.Explained) {
	for i := range d.Targets {
		t := &d.Targets[i]
		out := Target{Name: t.Target.String(), Prompt: t.Prompt, Answer: t.Answer, First: t.Signals.First.P50.Milliseconds(), Takes: t.Takes.Milliseconds(), Success: t.Signals.Success, Weight: t.Signals.Weight}
		if t.Priced {
			cost := ledger.Nano(t.Cost)
			out.Cost = &cost
		}
		r.Targets = append(r.Targets, out)
	}
	for i := range d.Policies {
		p := &d.Policies[i]
		out := Policy{Name: p.Policy, In: p.In, Out: p.Out, Dropped: dropped(p.Dropped)}
		for _, s := range p.Scores {
			out.Scores = append(out.Scores, Score(s))
		}
		r.Policies = append(r.Policies, out)
	}
	r.Unusable = dropped(d.Unusable)
}

func dropped(in []routing.Dropped) (out []Dropped) {
	for _, d := range in {
		out = append(out, Dropped(d))
	}
	return out
}

func (r *Report) losses(all []decided.Loss) {
	for i := range min(len(all), len(r.Targets)) {
		t := &r.Targets[i]
		t.Cannot = all[i].Cannot
		for _, l := range all[i].Losses {
			t.Losses = append(t.Losses, Loss{l.Path, l.Why})
		}
	}
}

func limit(b *quota.Budget) Limit {
	return Limit{ID: b.ID, Owner: strings.TrimSpace(b.Owner.Level + " " + b.Owner.Name), Unit: b.Unit.String(), Limit: b.Limit, Window: span(b.Window), Shadow: b.Shadow}
}

// span words a window.
func span(w window.Window) string {
	if w.Length > 0 {
		return w.Kind.String() + " " + w.Length.String()
	}
	return w.Kind.String()
}

func fault(e *llm.Error) *Fault { return &Fault{e.Code.String(), e.Message, e.Param} }
