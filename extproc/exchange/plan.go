package exchange

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox-ai/signalbox/extproc/content"
	"github.com/signalbox-ai/signalbox/extproc/course"
	"github.com/signalbox-ai/signalbox/extproc/feedback"
	"github.com/signalbox-ai/signalbox/extproc/headers"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// ServiceCluster is the cluster of the service itself. It stands behind the targets of every plan: when
// all of them failed, Envoy's last attempt comes to us, and we say what each of them said.
const ServiceCluster = "signalbox"

// Body takes the whole request body: it reads, routes and plans, and makes attempt 1.
func (x *Exchange) Body(ctx context.Context, body []byte) Reply {
	if x.state != stReading {
		return x.refuse(&llm.Error{Code: llm.CodeInternal, Message: "internal error", Op: "exchange.body"})
	}
	if x.in.row.Path == feedback.Path && int64(len(body)) <= x.snap.MaxBody {
		return x.feedback(body)
	}
	p, rerr := x.read(body)
	if rerr != nil {
		return x.refuse(rerr)
	}
	route, rerr := p.route(p.whose)
	if rerr != nil {
		return x.refuse(rerr)
	}
	route, arm := x.assigned(p, route)
	if rerr = p.change(route); rerr != nil {
		return x.refuse(rerr)
	}
	if rerr = x.admit(p.head, route, arm); rerr != nil {
		return x.refuse(rerr)
	}
	if r, done := x.count(p, route); done {
		return r
	}
	if r, done := x.once(ctx, p, route); done {
		return r
	}
	if rerr = p.limit(route); rerr != nil {
		return x.refuse(rerr)
	}
	if rerr = x.rank(route); rerr != nil {
		return x.refuse(rerr)
	}
	return x.plan(ctx, p, route)
}

// plan decides where the request goes, takes what it may use at most, and makes attempt 1. Where no target has room, what
// it returns is no reply yet: nothing is reserved while a request waits.
func (x *Exchange) plan(ctx context.Context, p *planner, route *routing.Route) Reply {
	p.view.Usable = p.usable
	d := x.core.plans.Get().(*routing.Decision)
	defer x.core.plans.Put(d) // and with it the plan, of which nothing is kept
	plan, err := d.Plan(route, &p.view, nil)
	if err != nil {
		x.giveBack()
		return x.refuse(p.noTarget(err))
	}
	if want, full := p.crowded(d, plan); full {
		return x.later(want, p, route)
	}
	x.form = p.form(plan.Route, len(plan.Steps))
	if err := p.reserve(ctx, plan); err != nil {
		x.giveBack()
		r := x.refuse(asError(err))
		r.Limits = metering.Headers(x.Dialect, &p.granted, x.core.now())
		return r
	}
	r, err := x.send(ctx, p, plan)
	if err != nil {
		x.core.live.Remove(x.ID)
		p.void(ctx)
		x.giveBack()
		return x.refuse(asError(err))
	}
	return r
}

// read reads of a body what planning needs.
func (x *Exchange) read(body []byte) (*planner, *llm.Error) {
	if int64(len(body)) > x.snap.MaxBody {
		return nil, tooLarge(x.snap.MaxBody)
	}
	in, whose, e := x.inbound(body)
	if e != nil {
		return nil, e
	}
	head, e := x.peek(&in)
	if e != nil {
		return nil, e
	}
	return &planner{x: x, head: head, in: in, came: body, whose: whose}, nil
}

// spoken is the dialect in which Envoy words its own failures.
func spoken(d dialect.Name) dialect.Name {
	if d == dialect.AnthropicFiles {
		return dialect.AnthropicMessages
	}
	return d
}

// route finds the route of a request: the one that the client names, where that route allows it, else the first that
// takes it. It makes the view that everything is decided with.
func (p *planner) route(whose string) (*routing.Route, *llm.Error) {
	x, asked := p.x, p.head.Model
	if x.Op.Objects() {
		p.see("")
		return x.keeper(whose)
	}
	t := x.snap.Table
	resolved := t.Resolve(asked)
	p.see(resolved)
	scope := x.in.who.Scope()
	if !scope.Model(asked, resolved) && !x.in.named(scope) {
		return nil, x.unknownModel(asked)
	}
	if x.By.Own() {
		return x.ownRoute()
	}
	if name := x.in.head.Get(headerRoute); name != "" {
		if r := t.Route(name); r != nil && r.Client.Route && scope.Route(name) {
			if passesOn(r) && !plainName(resolved) {
				return nil, x.unknownModel(asked)
			}
			return r, nil
		}
		return nil, llm.Invalid(headerRoute, "there is no route "+strconv.Quote(clip(name))+" that may be named")
	}
	if m := x.in.made; m != nil && m.Route != "" {
		if r := t.Route(m.Route); r != nil && scope.Route(r.Name) {
			return r, nil
		}
		return nil, &llm.Error{Code: llm.CodeNotFound, Reason: "no_route", Param: "model", Message: "the route of the template " + m.String() + " does not exist here, or you may not use it"}
	}
	r, lacks := t.Find(&p.view, p.mayTake)
	switch {
	case r != nil:
		return r, nil
	case lacks != "":
		return nil, &llm.Error{Code: llm.CodeNotFound, Reason: "no_route", Param: "model", Message: noRoute(asked, lacks)}
	}
	return nil, x.unknownModel(asked)
}

// noRoute says that no route of a model takes a request; lacks is what Table.Find returned.
func noRoute(asked, lacks string) string {
	route, condition, _ := strings.Cut(lacks, ": ")
	return "no route takes this request for the model " + strconv.Quote(clip(asked)) + ": it does not meet the condition " + condition + " of the route " + route + ", the last that takes the model"
}

// mayTake reports whether a route may take the request, whatever it asks for.
func (p *planner) mayTake(r *routing.Route) bool {
	return p.x.in.who.Scope().Route(r.Name) && (plainName(p.view.Model) || !passesOn(r))
}

// inbound is the client's request with a body, as the ticket knows it. Ids of objects are their provider's again;
// whose is the provider that they named, "" where none did.
func (x *Exchange) inbound(body []byte) (in dialect.Inbound, whose string, e *llm.Error) {
	path, query, _ := strings.Cut(x.Ticket.Path, "?")
	_, piece, _ := dialect.Find(x.method(), path, "")
	if x.Op.Objects() && piece != "" {
		id, by := owner.Split(piece)
		if !owner.Plain(id) {
			return in, "", &llm.Error{Code: llm.CodeNotFound, Param: "id", Message: "there is no object with this id"}
		}
		path, piece, whose = strings.Replace(path, piece, id, 1), "", by
	}
	known := func(p string) bool { return x.snap.Providers[p] != nil }
	if x.Op.Objects() {
		var by string
		if query, by = owner.UnmarkQuery(query, known); whose == "" {
			whose = by
		}
	}
	body, by, err := owner.Unmark(body, known)
	switch {
	case err != nil:
		return in, "", llm.Invalid("file_id", err.Error())
	case by != "":
		whose = by
	}
	return dialect.Inbound{Op: x.Op, Path: path, Query: query, Model: piece, Type: x.Type, Body: body}, whose, nil
}

// method is that of the client's request.
func (x *Exchange) method() string { return cmp.Or(x.Method, "POST") }

// keeper makes the route of an operation on objects that live at a provider: the one that an id names or, where none
// does, the one that the client names, or the first of all routes' targets that has such objects. It tries once:
// whether a file or a batch was made is not known after a failure.
func (x *Exchange) keeper(whose string) (*routing.Route, *llm.Error) {
	if whose == "" {
		whose = x.in.head.Get(headerProvider)
	}
	for _, r := range x.snap.Table.Routes() {
		if !x.in.who.Scope().Route(r.Name) {
			continue
		}
		for _, t := range r.Targets {
			if whose != "" && t.Provider != whose || !x.mayGo(t) {
				continue
			}
			if c, ok := x.codec(ticket.Leg{Provider: t.Provider}); !ok || c.Name() != x.Dialect {
				continue
			}
			own := *r
			own.Targets = []routing.Target{{Provider: t.Provider, Model: x.Op.String()}}
			own.Policies, own.Trial, own.Failover = nil, nil, routing.Failover{Attempts: 1}
			return &own, nil
		}
	}
	if whose != "" {
		return nil, &llm.Error{Code: llm.CodeNotFound, Param: "id", Message: "the provider " + strconv.Quote(clip(whose)) + " keeps no " + strings.ReplaceAll(x.Op.String(), "_", " ") + " here"}
	}
	return nil, &llm.Error{Code: llm.CodeUnsupported, Message: "no provider here keeps " + x.Op.String()}
}

// passesOn reports whether a route hands the client's own name for the model to a provider.
func passesOn(r *routing.Route) bool {
	if r.Trial != nil && slices.ContainsFunc(r.Trial.Routes, passesOn) {
		return true
	}
	return slices.ContainsFunc(r.Targets, func(t routing.Target) bool { return t.Model == "*" })
}

// plainName reports whether a client's name for a model may go on to a provider, in a body or a path, where
// a route passes names on: printable ASCII without what steers a path (RELIABILITY §9).
func plainName(model string) bool {
	const longest = 256
	if model == "" || len(model) > longest || strings.Contains(model, "..") {
		return false
	}
	return !strings.ContainsFunc(model, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`?#%\`, r) })
}

// Suffixes of a provider's clusters: of the one within, and of the one for WebSockets.
const (
	innerSuffix   = ".dns"
	sessionSuffix = ".ws"
)

// cluster is where an attempt at a provider goes.
func (x *Exchange) cluster(provider string) string {
	if x.Op == llm.OpRealtime {
		return provider + sessionSuffix
	}
	return provider
}

// admit writes the ticket but for its steps.
func (x *Exchange) admit(head *dialect.Head, r *routing.Route, arm string) *llm.Error {
	d := r.Deadlines
	x.Route = r.Name
	if r.Client.Timeout {
		var err *llm.Error
		if d.Total, err = timeout(x.in.head, d.Total); err != nil {
			return err
		}
	}
	x.V = ticket.Version
	x.Model, x.Stream, x.Usage = head.Model, head.Stream, head.Usage
	x.Began = x.in.began.UnixMilli()
	x.Keep = x.in.head.Keep()
	x.Rules = ticket.Rules{First: ticket.Ms(d.FirstToken), Between: ticket.Ms(d.BetweenTokens), Total: ticket.Ms(d.Total), Lossy: r.Lossy, Mode: r.Usage, Show: r.Show, Hold: r.Failover.FirstToken, Judge: r.Failover.ErrorBodies || r.Failover.On.Judges(), Arm: arm}
	if !head.Stream {
		x.Rules.First = ticket.Ms(d.Answer)
	}
	return nil
}

// send finishes the ticket and prepares attempt 1.
func (x *Exchange) send(ctx context.Context, p *planner, plan *routing.Plan) (Reply, error) {
	for !x.core.live.Claim(x.ID) { // the client's id is that of another exchange, too
		x.ID = newID()
	}
	x.enter(plan)
	clusters := x.legs(p, plan)
	x.course = course.New(x.Steps)
	r := Reply{To: ToRequestBody, Done: true, Plan: &Routed{Clusters: clusters, Ticket: x.Encode(), Dialect: spoken(x.Dialect), Waited: x.shownWait(), Health: x.least()}}
	if len(p.granted.Levels) > 0 {
		r.Limits = metering.Headers(x.Dialect, &p.granted, x.core.now())
	}
	leg := x.Steps[0]
	to := x.Dialect
	if c, _ := x.codec(leg); c != nil {
		to = headers.Of(c)
	}
	r.Remove = append(x.in.head.Stripped(to), x.snap.Registry.Sets()...)
	if g := x.snap.Keys; g != nil && g.UserHeader != "" && x.in.head.Get(g.UserHeader) != "" { // whom the client serves is no provider's business
		r.Remove = append(r.Remove, g.UserHeader)
	}
	if x.Lease != "" { // to a provider all our clients are one: their keys could meet there
		r.Remove = append(r.Remove, idempotency.Header)
	}
	x.timers(&r, leg)
	if leg.Path < ticket.Worked {
		if err := x.first1(ctx, &r, p, leg); err != nil {
			x.core.heal.Of(leg.Provider, leg.Model).Drop(leg.Key, x.core.now())
			return Reply{}, err
		}
	} else {
		x.first = p.written[leg.Target()]
		p.replace(&r, p.in.Body)
	}
	r.Set, r.Remove = x.in.head.Changes(r.Set, r.Remove)
	x.keep(p)
	x.course.At[0].Path, x.course.At[0].Under, x.course.At[0].Pass = leg.Path, course.UnderWay, x.passFor(plan.Steps[0])
	x.copy(p)
	waited := x.in.waited
	x.move(stPlanned)
	x.in = nil
	x.core.enlist(x)
	x.core.seen.Planned(Planned{Route: x.Route, Dialect: x.Dialect, Path: leg.Path, Took: x.core.now().Sub(x.began()) - waited, Least: x.Rules.Least})
	if x.core.debugs() {
		x.core.log.Debug("exchange planned", "exchange", x.ID, "trace_id", x.Trace.ID(), "dialect", x.Dialect, "route", x.Route, "model", x.Model, "stream", x.Stream, "key", x.Who, "path", leg.Path, "steps", stepNames(x.Steps), "least_bad", x.Rules.Least, "queued", x.Waited.D(), "config", x.Version)
	}
	return r, nil
}

// legs makes the steps of the ticket, and returns their clusters.
func (x *Exchange) legs(p *planner, plan *routing.Plan) []string {
	t := x.tries(plan.Route)
	repairs, rounds, again := t.Repairs, t.Rounds, plan.Route.Failover.On.Again() && x.Op != llm.OpRealtime
	clusters := make([]string, 0, len(plan.Steps)+1)
	add := func(l ticket.Leg) {
		x.Steps = append(x.Steps, l)
		if !l.Spare && !l.Same {
			clusters = append(clusters, x.cluster(l.Provider))
		}
	}
	for round := range rounds {
		if round > 0 && len(x.Steps)+1+len(plan.Steps) <= ticket.MaxLegs {
			add(ticket.Leg{Provider: ServiceCluster, Turn: true, Round: round})
		}
		for i, s := range plan.Steps {
			if round > 0 && x.Steps[len(x.Steps)-1].Round < round {
				break // there is no room for it
			}
			leg := ticket.Leg{Provider: s.Provider, Model: s.Model, Like: s.Like, Key: s.Key, Round: round}
			leg.Path = p.path(leg, plan.Steps[i+1:], repairs || round+1 < rounds)
			if leg.Taped = x.Lease != "" && leg.Path < ticket.Worked; leg.Taped {
				leg.Path = ticket.Worked
			}
			add(leg)
			if spare := leg; repairs && round == 0 {
				spare.Spare = true
				add(spare)
			}
			if same := leg; again && round == 0 {
				same.Same = true
				add(ticket.Leg{Provider: ServiceCluster, Turn: true})
				add(same)
			}
		}
	}
	return append(clusters, ServiceCluster)
}

// tries is what may be made of a plan on a route. What fails of a session is over before it begins, and nothing but a session goes
// by its clusters.
func (x *Exchange) tries(r *routing.Route) metering.Tries {
	f := &r.Failover
	t := metering.Tries{Rounds: 1, Repairs: x.repairs()}
	t.Unwanted = t.Repairs || x.form != nil || f.On.On(failure.Refusal) != failure.Stop || f.On.On(failure.ContentFiltered) != failure.Stop
	if x.Op != llm.OpRealtime {
		t.Rounds, t.Again = max(f.Rounds.N, 1), f.On.On(failure.Reset) == failure.Same
	}
	return t
}

// keep keeps of the request what is needed when it is answered.
func (x *Exchange) keep(p *planner) {
	leg := x.Steps[0]
	if x.snap.Count != nil && x.Op == llm.OpChat && !x.By.Probes() {
		x.sample = x.snap.Count.Sample(x.in.server, p.in, x.snap.Providers[leg.Provider], leg.Model, leg.Like)
	}
	if t := x.snap.Trace; t != nil && t.Say && x.Trace.Sampled() {
		x.said = content.Keep(x.in.server, p.in)
	}
}

func stepNames(legs []ticket.Leg) string {
	var b strings.Builder
	for i, l := range legs {
		if l.Spare || l.Same || l.Turn || l.Round > 0 {
			continue
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l.Target())
	}
	return b.String()
}

// timers sets the headers by which Envoy keeps deadlines and retries.
func (x *Exchange) timers(r *Reply, leg ticket.Leg) {
	set := func(name, value string) { r.Set = append(r.Set, providers.Header{Name: name, Value: value}) }
	set("x-request-id", x.ID)
	set(headerWatch, strconv.Itoa(int(leg.Path)))
	if m := x.meter(leg); m != "" {
		set(headerUsage, m)
	}
	set("x-envoy-max-retries", strconv.Itoa(x.course.Most()))
	ms := func(m ticket.Millis) string { return strconv.FormatInt(int64(m), 10) }
	if x.Rules.Total > 0 && x.Op != llm.OpRealtime { // a session lasts as long as its client stays
		set("x-envoy-upstream-rq-timeout-ms", ms(max(x.Rules.Total-ticket.Ms(x.in.waited), 1)))
	}
	if x.Rules.First > 0 {
		set("x-envoy-upstream-rq-per-try-timeout-ms", ms(x.Rules.First))
	}
	if x.Rules.Between > 0 && x.Stream {
		set(headerIdle, ms(x.Rules.Between))
	}
}

// first1 makes attempt 1 on the diagonal: the client's own bytes with the splices made.
func (x *Exchange) first1(ctx context.Context, r *Reply, p *planner, leg ticket.Leg) error {
	c, _ := x.codec(leg)
	body, err := c.Splice(nil, p.head, x.edits(leg))
	if err != nil {
		return err
	}
	x.lost(1, leg, c.Name(), p.trimmed[leg.Target()])
	out, err := x.outbound(ctx, leg, c, body, x.in.head)
	if err != nil {
		return err
	}
	r.Set = append(r.Set, x.requestHeaders(out)...)
	x.handOn(r, leg, 1)
	p.replace(r, body)
	r.Attempt = &Prepared{Length: len(body), Target: x.shown(leg), Number: 1, Losses: x.warns(p.trimmed[leg.Target()]), Tokens: p.tokens(leg)}
	return nil
}

// edits are the changes to the client's body for a provider of its own dialect.
func (x *Exchange) edits(l ticket.Leg) dialect.Edits {
	e := dialect.Edits{Model: l.Model, AskUsage: x.asksUsage()}
	if betas := x.Keep["anthropic-beta"]; betas != "" {
		for b := range strings.SplitSeq(betas, ",") {
			if b = strings.TrimSpace(b); b != "" {
				e.Betas = append(e.Betas, b)
			}
		}
	}
	return e
}
