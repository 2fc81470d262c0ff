package exchange

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/signalbox-ai/signalbox/extproc/asking"
	"github.com/signalbox-ai/signalbox/extproc/decided"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/shadowing"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/override"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// sight is what a planner sees of its request.
type sight struct {
	view   routing.View
	needs  ability.Set // found once looked
	looked bool
	spends bool // the share of money that is left was asked for
	hosted bool // the provider may run tools of its own, which it bills
	charge string
	unset  []llm.Loss // parameters of the arm that the client's dialect has no place for
	copies []string   // arms of an experiment to which a copy of the request is sent
}

// see makes the view of a request for a model, aliases resolved.
func (p *planner) see(model string) {
	x := p.x
	o, key := x.Owner()
	if of, _, copied := strings.Cut(x.By.Shadows, "/"); copied { // it is decided as on behalf of its client
		o.Organization = of
	}
	p.view = routing.View{
		Request: match.Request{
			Asked: p.head.Model, Model: model, Op: x.Op, Dialect: string(x.Dialect), Stream: p.head.Stream, Bytes: int64(len(p.in.Body)), Output: p.head.MaxTokens,
			Owner: match.Owner{Organization: o.Organization, Team: o.Team, Project: o.Project, Key: key, EndUser: x.By.User},
			Tags:  x.Tags, More: p,
		},
		Now: x.in.began, Seed: p.draws(), About: x.snap.about.of, Keys: x.keys, Loses: p.loses, Burn: x.core.burn, Left: p.left,
	}
}

// draws returns the seed of the decision. It is made of the id that the exchange has in the ledger, where there is one: that alone
// tells any replica, at any time, what was drawn.
func (p *planner) draws() uint64 {
	if p.x.core.draws || p.x.snap.Meter == nil {
		return p.x.core.seed()
	}
	if p.charge == "" {
		p.charge = metering.NewID()
	}
	return routing.Hash(p.charge)
}

// Speaks reports whether a target has an endpoint for what clients of a dialect ask for.
func (s *Snapshot) Speaks(t *routing.Target, op llm.Op, client dialect.Name) bool {
	p := s.Providers[t.Provider]
	if p == nil {
		return false
	}
	_, ok := p.Adapter.Speaks(op, t.Model, client)
	if !ok && op == llm.OpComplete { // it is a chat of one turn where there is no such endpoint
		_, ok = p.Adapter.Speaks(llm.OpChat, t.Model, client)
	}
	return ok
}

// Header returns a header of the request.
func (p *planner) Header(name string) string { return p.x.in.head.Get(name) }

// Needs returns the abilities that the request asks for.
func (p *planner) Needs() ability.Set {
	if !p.looked {
		p.needs, p.looked = asking.Needs(p.head.Doc, p.in.Body), true
	}
	return p.needs
}

// Tokens counts the prompt for a target, where its vocabulary has been read.
func (p *planner) Tokens(provider, model, like string) int64 {
	if !p.x.countable() || p.x.snap.Providers[provider] == nil {
		return 0
	}
	e, _ := p.estimate(ticket.Leg{Provider: provider, Model: model, Like: like})
	return e.Input
}

// Session returns what ties the request to others.
func (p *planner) Session(by string) string { return asking.Session(by, p.head.Doc, p.x.in.head.Get) }

// left is the smallest share that is left of the limits of money that hold for the request.
func (p *planner) left() float64 {
	if p.x.snap.Meter == nil {
		return 1
	}
	p.spends = true
	return p.x.snap.Meter.Left(p.terms.Budgets)
}

// loses names what of the request a target cannot carry, "" where it can carry nothing: that is said elsewhere.
func (p *planner) loses(t *routing.Target) string {
	if ok, _ := p.usable(t); !ok {
		return ""
	}
	losses := p.trimmed[t.String()]
	if w := p.written[t.String()]; w != nil {
		losses = w.losses
	}
	return lossPaths(losses)
}

// ownTraffic lets in what the gateway sends by itself, a copy of a request or a probe: it is on behalf of the identity in its
// pass, and charged to nobody of them.
func (x *Exchange) ownTraffic(mark string) *llm.Error {
	who, about, err := x.core.passes.Check(mark, x.in.began)
	a, copied := shadow.ReadAbout(about)
	s, probes := probe.ReadAbout(about)
	if err != nil || !copied && !(probes && x.snap.Probe != nil) {
		x.in.denied = "forbidden"
		return &llm.Error{Code: llm.CodeForbidden, Op: "exchange.own", Param: pass.Header, Message: pass.Header + " is for what the gateway sends by itself, and this request is not its"}
	}
	x.in.who, x.Who, x.By, x.Rules.Arm = who, who.Name(), ticket.Charge(who), a.Arm
	x.By.Organization, x.By.Shadows = owner.OwnTraffic, a.Exchange
	if probes { // one that asks for the list of models asks the provider's
		x.in.probe, x.in.row.Bare = &s, x.in.row.Bare || x.Op == llm.OpModels
	}
	if err := who.Use(x.Op); err != nil {
		return asError(err)
	}
	return nil
}

// ownRoute is the route of the arm that a copy is for, or of the target that is probed.
func (x *Exchange) ownRoute() (*routing.Route, *llm.Error) {
	if s := x.in.probe; s != nil {
		own := *x.snap.Probe
		own.Targets = []routing.Target{{Provider: s.Provider, Model: s.Model, Like: x.snap.Table.Like(s.Provider, s.Model)}}
		return &own, nil
	}
	for _, r := range x.snap.Table.Routes() {
		if t := r.Trial; t != nil && t.Shadow != nil {
			if i := slices.Index(t.Labels, x.Rules.Arm); i > 0 {
				return t.Routes[i], nil
			}
		}
	}
	return nil, &llm.Error{Code: llm.CodeNotFound, Op: "exchange.own", Param: pass.Header, Message: "the arm that the copy is for does not exist any more"}
}

// assigned is the route that a request gets, and the arm of an experiment that this is.
func (x *Exchange) assigned(p *planner, r *routing.Route) (*routing.Route, string) {
	if x.By.Own() {
		return r, x.Rules.Arm
	}
	if t := r.Trial; t.Shadowed(x.ID, x.core.board) && x.takesPart(t) {
		p.copies = x.core.twice.Admitted(t.Labels[1:], len(p.came), x.Type == "" && shadowing.Repeatable(x.Op, p.head.Doc))
		if len(p.copies) == 0 {
			return r, ""
		}
		return r, t.Labels[0]
	}
	return p.arm(r)
}

// takesPart reports whether a request can have arms that differ in versions of a template.
func (x *Exchange) takesPart(t *routing.Trial) bool {
	return t.Template == "" || x.in.made != nil && x.in.made.Name == t.Template && !x.in.made.Chosen()
}

// arm is the route that a request gets, and the arm of an experiment that this is. The request is made of the arm's version of its
// template, where the arm has one; one for which that cannot be made gets the route as it is.
func (p *planner) arm(r *routing.Route) (*routing.Route, string) {
	x, t := p.x, r.Trial
	if t == nil || !x.takesPart(t) {
		return r, ""
	}
	route, arm := r.Assigned(&p.view, x.core.board)
	if c := route.Change; c != nil && c.Version != "" {
		if e := p.version(c.Version, route); e != nil {
			label, named := t.Labels[slices.Index(t.Routes, route)], t.Template+"@"+c.Version
			x.core.log.Debug("a request is answered without its arm", "exchange", x.ID, "trace_id", x.Trace.ID(), "arm", label, "template", named, "error", e.Error())
			x.core.strays(label, named)
			return r, ""
		}
	}
	return route, arm
}

// change puts what an arm says in place of what the client says of it.
func (p *planner) change(r *routing.Route) *llm.Error {
	x, c := p.x, r.Change
	if c != nil && c.Version != "" && x.By.Shadows != "" { // of others it was made when they got the arm
		if e := p.version(c.Version, r); e != nil {
			return e
		}
	}
	if c == nil || c.Parameters == nil || x.Op != llm.OpChat && x.Op != llm.OpComplete || p.head.Doc == nil {
		return nil
	}
	edits, losses := override.Apply(c.Parameters, override.Request{Dialect: x.Dialect, Doc: p.head.Doc, Facts: x.facts(r.Targets, p.view.Model)})
	p.unset = losses
	if len(losses) > 0 {
		x.core.seen.Lost(x.Dialect, x.Dialect, len(losses))
		x.core.log.Debug("an arm's parameters have no place in the dialect", "exchange", x.ID, "trace_id", x.Trace.ID(), "route", r.Name, "losses", lossPaths(losses))
	}
	if len(edits) == 0 {
		return nil
	}
	p.in.Body = jsonx.Splice(nil, p.in.Body, edits...)
	head, err := x.in.server.Peek(p.in)
	if err != nil {
		return asError(err)
	}
	p.takes(head)
	return nil
}

// takes puts the head of a body that is not the client's any more in place.
func (p *planner) takes(head *dialect.Head) {
	p.head, p.req, p.readErr, p.prompts, p.looked = head, nil, nil, nil, false
	p.view.Bytes, p.view.Output = int64(len(p.in.Body)), head.MaxTokens
}

// facts are what is known of the first of the targets that speaks the client's dialect; of another, a codec finds its words.
func (x *Exchange) facts(targets []routing.Target, model string) (f catalog.Facts) {
	for _, s := range x.steps(targets, model) {
		if c, ok := x.codec(ticket.Leg{Provider: s.Provider.Name, Model: s.Model, Like: s.Like}); ok && c.Name() == x.Dialect {
			return s.Provider.Facts(s.Model, s.Like)
		}
	}
	return f
}

// copy hands copies of a request that is on its way to those who send them, where it has any.
func (x *Exchange) copy(p *planner) {
	if len(p.copies) == 0 {
		return
	}
	o, _ := x.Owner()
	x.core.twice.Offer(shadowing.Copies(p.copies, &shadowing.Request{
		Method: x.method(), Path: x.Ticket.Path, Header: x.in.head, Body: p.came, Who: x.in.who, Exchange: o.Organization + "/" + cmp.Or(metering.ID(x.Hold), x.ID), Timeout: x.Rules.Total.D(),
	}, x.snap.Registry.Sets())...)
}

// abouts is what is known of targets, found once.
type abouts struct {
	snap   *Snapshot
	health *health.Targets
	found  sync.Map // of ticket.Leg
	n      int
	mu     sync.Mutex
}

// About returns what is known of a model at a provider, once the snapshot is a Core's; nil: there is no such provider.
func (s *Snapshot) About(provider, model, like string) *routing.About {
	return s.about.of(provider, model, like)
}

// mostAbouts bounds what is kept: names of models may come from clients.
const mostAbouts = 8192

func (a *abouts) of(provider, model, like string) *routing.About {
	at := ticket.Leg{Provider: provider, Model: model, Like: like}
	if k, ok := a.found.Load(at); ok {
		return k.(*routing.About)
	}
	p := a.snap.Providers[provider]
	if p == nil {
		return nil
	}
	m, _ := p.Models.Find(model)
	k := &routing.About{Kind: p.Kind, Region: p.Region, Traits: p.Traits, Facts: p.Facts(model, like), Card: m.Card, Contract: p.Contract, Health: a.health.Of(provider, model)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n < mostAbouts {
		a.found.Store(at, k)
		a.n++
	}
	return k
}

// Explain decides a request as Body does, and sends, reserves and learns nothing. who is whose it is, nobody: the one that
// it proves to be. It counts prompts even where vocabularies have to be read for it.
func (c *Core) Explain(ctx context.Context, h Header, body []byte, who auth.Identity) *decided.Decided {
	x := c.Begin()
	x.in.as = who
	e := &decided.Decided{}
	r := x.Head(ctx, h, false)
	e.Key = x.Who
	switch {
	case r.Answer != nil && r.Answer.Err != nil:
		e.Refused = r.Answer.Err
		return e
	case r.Answer != nil || x.state != stReading:
		e.Refused = &llm.Error{Code: llm.CodeUnsupported, Message: "there is nothing to decide about this request: it goes to no provider"}
		return e
	}
	if e.Refused = x.explain(e, body); e.Refused == nil && len(e.Legs) == 0 {
		e.Refused = &llm.Error{Code: llm.CodeInternal, Message: "no step is planned"}
	}
	return e
}

func (x *Exchange) explain(e *decided.Decided, body []byte) *llm.Error {
	p, rerr := x.read(body)
	if rerr != nil {
		return rerr
	}
	x.V, x.Stream = ticket.Version, p.head.Stream
	p.warm()
	route, rerr := p.route(p.whose)
	e.View, e.Needs = p.view, p.Needs()
	switch name := x.in.head.Get(headerRoute); {
	case x.Op.Objects():
	case (name != "" || x.in.made != nil && x.in.made.Route != "") && rerr == nil: // the client names it, or its template
		e.Routes = []decided.Route{{Name: route.Name}}
	default:
		for r, why := range x.snap.Table.Explain(&p.view, p.mayTake) {
			e.Routes = append(e.Routes, decided.Route{Name: r.Name, Why: why})
		}
	}
	if rerr != nil {
		return rerr
	}
	route, arm := p.arm(route)
	e.Route, e.Arm = route, arm
	if rerr = p.change(route); rerr != nil {
		return rerr
	}
	e.View, e.Unset = p.view, p.unset
	if rerr = x.admit(p.head, route, arm); rerr != nil {
		return rerr
	}
	if rerr = p.limit(route); rerr != nil {
		return rerr
	}
	e.Budgets = p.terms.Budgets
	p.view.Usable = p.usable
	plan, err := new(routing.Decision).Plan(route, &p.view, &e.Why)
	if err != nil {
		rerr = p.noTarget(err)
	} else {
		e.LeastBad = plan.Flags&routing.LeastBad != 0
		for i, s := range plan.Steps {
			e.Legs = append(e.Legs, p.explainLeg(route, s, plan.Steps[i+1:]))
		}
	}
	for i := range e.Why.Targets {
		t := e.Why.Targets[i].Target
		loss := decided.Loss{Target: t.String()}
		if ok, why := p.usable(&t); !ok {
			loss.Cannot = why
		} else if loss.Losses = p.trimmed[t.String()]; p.written[t.String()] != nil {
			loss.Losses = p.written[t.String()].losses
		}
		e.Losses = append(e.Losses, loss)
	}
	return rerr
}

// warm reads the vocabularies of all targets that the request may go to.
func (p *planner) warm() {
	x := p.x
	if x.Op.Objects() || !x.countable() {
		return
	}
	if p.read(); p.readErr != nil {
		return
	}
	model := x.snap.Table.Resolve(p.head.Model)
	for r := range x.snap.Table.Of(model) {
		for _, s := range x.steps(r.Targets, model) {
			x.snap.Count.Prompt(p.req, s.Provider, s.Model, s.Like)
		}
	}
}

func (p *planner) explainLeg(r *routing.Route, s routing.Step, rest []routing.Step) decided.Leg {
	x := p.x
	l := decided.Leg{Leg: ticket.Leg{Provider: s.Provider, Model: s.Model, Like: s.Like, Key: s.Key}}
	if c, ok := x.codec(l.Leg); ok {
		l.Speaks = c.Name()
	}
	repairs := !x.Stream && r.Failover.On.On(failure.InvalidOutput) == failure.Repair && p.form(r, 1+len(rest)) != nil
	free := x.path(l.Leg, p.head, repairs || len(rest) > 0)
	switch l.Path = p.path(l.Leg, rest, repairs); {
	case l.Path < ticket.Worked && r.Once && x.in.head.Get(idempotency.Header) != "":
		l.Path, l.Forced = ticket.Worked, "its answer is recorded for the idempotency key"
	case l.Path == ticket.Watched && free == ticket.Direct:
		l.Forced = "the prompt may be too long for the target, and fits one behind it"
	case l.Path != free:
		l.Forced = "calls of the provider's own tools are counted in the answer"
	default:
		if l.Forced = x.forces(l.Leg, p.head, l.Path); l.Path == ticket.Watched && l.Forced == "" {
			l.Forced = watches(&r.Failover, len(rest) > 0, repairs)
		}
	}
	return l
}

// watches says what of a route lets the service see an answer that it need not see otherwise.
func watches(f *routing.Failover, more, repairs bool) string {
	var why, rules []string
	if repairs {
		why = append(why, "an answer that is not of the form asked for is repaired (failover.on.invalid_output)")
	}
	if more && f.ErrorBodies {
		why = append(why, "error bodies are read while another target is left (failover.error_bodies)")
	}
	for _, c := range f.On.Judged() {
		if more && (!repairs || c != failure.InvalidOutput) {
			rules = append(rules, "failover.on."+c.String())
		}
	}
	if len(rules) > 0 {
		why = append(why, "answers are read for rules of the route while another target is left ("+strings.Join(rules, ", ")+")")
	}
	return strings.Join(why, "; ")
}

// forces says what keeps a leg off the direct path; "": nothing does, or what its route says of failures.
func (x *Exchange) forces(l ticket.Leg, h *dialect.Head, path ticket.Path) string {
	c, ok := x.codec(l)
	switch {
	case path == ticket.Direct || !ok:
		return ""
	case path == ticket.Listened:
		return "the target's answers are only listened to"
	case path == ticket.Watched && x.Stream && x.Rules.Hold:
		return "a stream is held until its first content while another target is left (failover.first_token)"
	case path == ticket.Watched:
		return ""
	case c.Name() != x.Dialect:
		return "the target speaks " + string(c.Name()) + " and the client " + string(x.Dialect)
	case x.translates(c, h):
		return "the target's answer to such a request is written anew"
	}
	if _, marks := c.(dialect.Marker); marks {
		return "ids in the answer get their provider's name"
	}
	if _, frames := c.(dialect.Reframer); frames && x.Stream {
		return "the target frames its streams in another way"
	}
	if x.filter(c, l) != nil {
		return "usage is asked for, and taken out of the stream again (usage: exact)"
	}
	return "the request is changed for the target, and a later attempt needs it as it came"
}
