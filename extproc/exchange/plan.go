package exchange

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// ServiceCluster is the cluster of the service itself. It stands behind the targets of every plan: when
// all of them failed, Envoy's last attempt comes to us, and we say what each of them said.
const ServiceCluster = "signalbox"

// Body takes the whole request body: it reads, routes and plans, and makes attempt 1.
func (x *Exchange) Body(ctx context.Context, body []byte) Reply {
	if x.state != stReading {
		return x.refuse(&llm.Error{Code: llm.CodeInternal, Message: "internal error", Op: "exchange.body"})
	}
	if int64(len(body)) > x.snap.MaxBody {
		return x.refuse(tooLarge(x.snap.MaxBody))
	}
	in := x.inbound(body)
	head, err := x.in.server.Peek(in)
	if err != nil {
		return x.refuse(asError(err))
	}
	route, model, rerr := x.route(head.Model)
	if rerr != nil {
		return x.refuse(rerr)
	}
	if rerr = x.admit(head, route); rerr != nil {
		return x.refuse(rerr)
	}
	p := &planner{x: x, head: head, in: in}
	plan, err := route.Plan(routing.View{
		Model:  model,
		Keys:   x.snap.keys(x.core.rests, x.in.began),
		Draw:   x.core.draw,
		Usable: p.usable,
	})
	if err != nil {
		return x.refuse(p.noTarget(err))
	}
	return x.send(ctx, p, plan)
}

// route finds the route of a model name: the one that the client names, where that route allows it, else
// the first that matches.
func (x *Exchange) route(model string) (*routing.Route, string, *llm.Error) {
	t := x.snap.Table
	resolved := t.Resolve(model)
	if name := x.in.head.Get(headerRoute); name != "" {
		if r := t.Route(name); r != nil && r.Client.Route {
			if passesOn(r) && !plainName(resolved) {
				return nil, "", x.unknownModel(model)
			}
			return r, resolved, nil
		}
		return nil, "", llm.Invalid(headerRoute, "there is no route "+strconv.Quote(clip(name))+" that may be named")
	}
	if r := t.Match(resolved); r != nil && (plainName(resolved) || !passesOn(r)) {
		return r, resolved, nil
	}
	return nil, "", x.unknownModel(model)
}

// inbound is the client's request with a body, as the ticket knows it.
func (x *Exchange) inbound(body []byte) dialect.Inbound {
	path, query, _ := strings.Cut(x.Ticket.Path, "?")
	_, piece, _ := dialect.Find("POST", path, false)
	return dialect.Inbound{Op: x.Op, Path: path, Query: query, Model: piece, Type: x.Type, Body: body}
}

// passesOn reports whether a route hands the client's own name for the model to a provider.
func passesOn(r *routing.Route) bool {
	return slices.ContainsFunc(r.Targets, func(t routing.Target) bool { return t.Model == "*" })
}

// plainName reports whether a client's name for a model may go on to a provider, in a body or a path, where
// a route passes names on: printable ASCII without what steers a path (RELIABILITY §9).
func plainName(model string) bool {
	const longest = 256
	if model == "" || len(model) > longest || strings.Contains(model, "..") {
		return false
	}
	return !strings.ContainsFunc(model, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`?#%\@`, r) })
}

// admit writes the ticket but for its steps.
func (x *Exchange) admit(head *dialect.Head, r *routing.Route) *llm.Error {
	d := r.Deadlines
	if r.Client.Timeout {
		var err *llm.Error
		if d.Total, err = timeout(x.in.head, d.Total); err != nil {
			return err
		}
	}
	x.V = ticket.Version
	x.Model, x.Stream, x.Usage = head.Model, head.Stream, head.Usage
	x.Route, x.Began, x.Version = r.Name, x.in.began.UnixMilli(), x.snap.Version
	x.Keep = x.in.head.keep()
	x.Rules = ticket.Rules{First: ticket.Ms(d.FirstToken), Between: ticket.Ms(d.BetweenTokens), Total: ticket.Ms(d.Total), Lossy: r.Lossy, Mode: r.Usage, Show: r.Show, Hold: r.Failover.FirstToken, Judge: r.Failover.ErrorBodies}
	if !head.Stream {
		x.Rules.First = ticket.Ms(d.Answer)
	}
	return nil
}

// send finishes the ticket and prepares attempt 1.
func (x *Exchange) send(ctx context.Context, p *planner, plan *routing.Plan) Reply {
	clusters := make([]string, 0, len(plan.Steps)+1)
	for i, s := range plan.Steps {
		leg := ticket.Leg{Provider: s.Provider, Model: s.Model, Like: s.Like, Key: s.Key}
		leg.Path = x.path(leg, p.head, i+1 < len(plan.Steps))
		x.Steps = append(x.Steps, leg)
		clusters = append(clusters, s.Provider)
	}
	clusters = append(clusters, ServiceCluster)
	encoded, err := x.Encode()
	if err != nil {
		return x.refuse(&llm.Error{Code: llm.CodeInternal, Message: "internal error", Op: "exchange.ticket", Cause: err})
	}
	r := Reply{To: ToRequestBody, Done: true, Plan: &Routed{Clusters: clusters, Ticket: encoded, Dialect: x.Dialect}}
	leg := x.Steps[0]
	to := x.Dialect
	if leg.Path == ticket.Worked {
		if c, _ := x.codec(leg); c != nil {
			to = c.Name()
		}
	}
	r.Remove = append(x.in.head.stripped(to), x.snap.Registry.Sets()...)
	x.timers(&r, leg)
	if leg.Path != ticket.Worked {
		if err := x.first1(ctx, &r, p, leg); err != nil {
			return x.refuse(asError(err))
		}
	} else {
		x.first = p.written[leg.Target()]
	}
	x.attempts = make([]Attempted, len(x.Steps))
	x.attempts[0].Path = leg.Path
	x.move(stPlanned)
	x.in = nil
	x.core.live.add(x)
	x.core.seen.Planned(Planned{Route: x.Route, Dialect: x.Dialect, Path: leg.Path, Took: x.core.now().Sub(x.began())})
	x.core.log.Debug("exchange planned", "exchange", x.ID, "dialect", x.Dialect, "route", x.Route, "model", x.Model, "stream", x.Stream, "key", x.Who, "path", leg.Path, "steps", stepNames(x.Steps), "config", x.Version)
	return r
}

func stepNames(legs []ticket.Leg) string {
	var b strings.Builder
	for i, l := range legs {
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
	set("x-envoy-max-retries", strconv.Itoa(len(x.Steps)))
	ms := func(m ticket.Millis) string { return strconv.FormatInt(int64(m), 10) }
	if x.Rules.Total > 0 {
		set("x-envoy-upstream-rq-timeout-ms", ms(x.Rules.Total))
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
	out, err := x.outbound(ctx, leg, c.Name(), body, x.in.head)
	if err != nil {
		return err
	}
	r.Set = append(r.Set, x.requestHeaders(out)...)
	if string(body) != string(p.in.Body) {
		r.Body, r.Replace = body, true
		r.Set = append(r.Set, providers.Header{Name: "content-length", Value: strconv.Itoa(len(body))})
	}
	r.Attempt = &Prepared{Length: len(body), Target: x.shown(leg), Number: 1}
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

// planner answers routing's questions about one request.
type planner struct {
	x       *Exchange
	head    *dialect.Head
	in      dialect.Inbound
	req     *llm.Request // decoded once a target of another dialect asks
	readErr *llm.Error
	first   *llm.Error // why the first target that cannot do the request cannot
	written map[string]*written
}

// usable reports whether a target can do the request. A target of another dialect is asked by writing the
// request for it, which alone tells.
func (p *planner) usable(t routing.Target) (bool, string) {
	x := p.x
	leg := ticket.Leg{Provider: t.Provider, Model: t.Model, Like: t.Like}
	c, ok := x.codec(leg)
	if !ok {
		return p.cannot(&llm.Error{Code: llm.CodeUnsupported, Message: "the target has no endpoint for " + x.Op.String()})
	}
	if !x.translates(c) {
		return true, ""
	}
	if p.req == nil && p.readErr == nil {
		req, err := x.in.server.ReadRequest(p.in)
		if err != nil {
			p.readErr = asError(err)
		}
		p.req = req
	}
	if p.readErr != nil {
		return p.cannot(p.readErr)
	}
	if w := p.written[leg.Target()]; w != nil {
		return true, ""
	}
	body, losses, err := x.write(c, p.req, leg)
	if err != nil {
		return p.cannot(asError(err))
	}
	if len(losses) > 0 && x.Rules.Lossy == routing.LossyRefuse {
		return p.cannot(&llm.Error{Code: llm.CodeUnsupported, Param: losses[0].Path, Message: "the target cannot carry " + lossPaths(losses)})
	}
	if p.written == nil {
		p.written = map[string]*written{}
	}
	p.written[leg.Target()] = &written{body: body, losses: losses, req: p.req}
	return true, ""
}

// write makes the body for a leg whose answer is translated: written in the provider's dialect, or the client's
// own with the splices of a provider of the same dialect, in which case it is nil and made later.
func (x *Exchange) write(c dialect.Client, req *llm.Request, l ticket.Leg) ([]byte, []llm.Loss, error) {
	if c.Name() == x.Dialect {
		return nil, nil, nil
	}
	to := *req
	to.Op = x.op(x.snap.Providers[l.Provider], l.Model)
	return c.WriteRequest(nil, &to, x.target(l))
}

func (p *planner) cannot(e *llm.Error) (bool, string) {
	if p.first == nil {
		p.first = e
	}
	return false, e.Message
}

// noTarget turns a plan without steps into the client's error: its own fault where a target said so.
func (p *planner) noTarget(err error) *llm.Error {
	if p.first != nil {
		return p.first
	}
	if none, ok := errors.AsType[*routing.NoTarget](err); ok {
		return &llm.Error{Code: llm.CodeOverloaded, Message: none.Error(), After: time.Second}
	}
	return asError(err)
}

func lossPaths(losses []llm.Loss) string {
	var b strings.Builder
	for i, l := range losses {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len() > 900 {
			b.WriteString("…")
			break
		}
		b.WriteString(l.Path)
	}
	return b.String()
}

// asError makes any error one that may cross the edge.
func asError(err error) *llm.Error {
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e
	}
	return &llm.Error{Code: llm.CodeInternal, Message: "internal error", Cause: err}
}

// codec returns the codec toward a leg's provider.
func (x *Exchange) codec(l ticket.Leg) (dialect.Client, bool) {
	p := x.snap.Providers[l.Provider]
	if p == nil {
		return nil, false
	}
	return p.Adapter.Speaks(x.op(p, l.Model), l.Model, x.Dialect)
}

// op is the operation at a provider: a legacy completion is a chat of one turn where there is no such endpoint.
func (x *Exchange) op(p *providers.Provider, model string) llm.Op {
	if x.Op == llm.OpComplete {
		if _, ok := p.Adapter.Speaks(x.Op, model, x.Dialect); !ok {
			return llm.OpChat
		}
	}
	return x.Op
}

// target returns the model as a codec needs it.
func (x *Exchange) target(l ticket.Leg) dialect.Target {
	known := l.Like
	if known == "" {
		known = l.Model
	}
	return dialect.Target{Model: l.Model, Facts: x.snap.Providers[l.Provider].Adapter.Facts(known)}
}

// path chooses the cheapest path that the leg's features allow. more says that another target is left.
func (x *Exchange) path(l ticket.Leg, h *dialect.Head, more bool) ticket.Path {
	c, ok := x.codec(l)
	switch {
	case !ok || x.translates(c), x.filter(c) != nil, more && reshapes(c, h):
		return ticket.Worked
	case more && x.Stream && x.Rules.Hold, more && !x.Stream && x.Rules.Judge:
		return ticket.Watched
	}
	return ticket.Direct
}

// asksUsage reports whether usage has to be asked for in a stream whose client did not.
func (x *Exchange) asksUsage() bool {
	return x.Stream && !x.Usage && x.Rules.Mode != routing.UsageEstimate
}

// translates reports whether answers are read and written anew.
func (x *Exchange) translates(c dialect.Client) bool {
	if c.Name() != x.Dialect {
		return true
	}
	r, ok := c.(dialect.Rewriter)
	return ok && r.Rewrites()
}

// reshapes reports whether a request spliced for a provider may not be the one that a later attempt begins with.
func reshapes(c dialect.Client, h *dialect.Head) bool {
	r, ok := c.(dialect.Reshaper)
	return ok && r.Reshapes(h)
}

// filter makes what changes the bytes of a stream in the client's own dialect: frames are repacked, or the usage
// frame that we asked for is taken out again. It is nil where nothing has to be changed.
func (x *Exchange) filter(c dialect.Client) func() dialect.Strip {
	if c.Name() != x.Dialect || !x.Stream {
		return nil
	}
	if r, ok := c.(dialect.Reframer); ok {
		return r.NewReframe
	}
	if s, ok := c.(dialect.Stripper); ok && x.asksUsage() && x.Rules.Mode == routing.UsageExact {
		return s.NewStrip
	}
	return nil
}

// shown returns the target for x-signalbox-target, where the route shows it.
func (x *Exchange) shown(l ticket.Leg) string {
	if !x.Rules.Show {
		return ""
	}
	return l.Target()
}

// outbound addresses and signs a request for a leg. The key goes only into a request whose host is that of
// the key's own provider.
func (x *Exchange) outbound(ctx context.Context, l ticket.Leg, d dialect.Name, body []byte, h Header) (*providers.Outbound, error) {
	p := x.snap.Providers[l.Provider]
	call := providers.Call{Op: x.op(p, l.Model), Dialect: d, Model: l.Model, Stream: x.Stream}
	if d == x.Dialect {
		call.Query = passing(x.Ticket.Path)
	}
	path, err := p.Adapter.Address(call)
	if err != nil {
		return nil, err
	}
	key, ok := p.Keys.Find(l.Key)
	if !ok && p.Keys.Len() > 0 { // a reload took it away: any other of the provider's
		ids, _ := p.Keys.Pick(1, func(string) (time.Time, bool) { return time.Time{}, false })
		key, _ = p.Keys.Find(ids[0])
	}
	out := &providers.Outbound{
		Method: "POST", Host: p.Host(), Path: path, Dialect: d, Stream: x.Stream, Body: body, Key: key.Secret,
		Client: func(name string) string {
			if belongs(name, d) {
				return x.Keep[name]
			}
			return h.Get(name)
		},
	}
	for name, value := range x.Keep {
		if belongs(name, d) {
			out.Set(name, value)
		}
	}
	if err := p.Adapter.Sign(ctx, out); err != nil {
		return nil, &llm.Error{Code: llm.CodeCredential, Op: "providers.sign", Message: "the gateway could not sign the request to " + l.Provider, Cause: err}
	}
	if out.Host != p.Base.Host {
		return nil, &llm.Error{Code: llm.CodeInternal, Op: "providers.sign", Message: "internal error"}
	}
	return out, nil
}

// passing returns the query of a client's path that belongs to the dialect, as ?beta=true: all but what may
// be a credential.
func passing(path string) string {
	_, query, _ := strings.Cut(path, "?")
	if query == "" {
		return ""
	}
	var kept []string
	for q := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(strings.ToLower(q), "=")
		if !strings.Contains(name, "key") && !strings.Contains(name, "token") && !strings.Contains(name, "%") {
			kept = append(kept, q)
		}
	}
	return strings.Join(kept, "&")
}

// requestHeaders are the headers of a signed request, pseudo-headers included.
func (x *Exchange) requestHeaders(out *providers.Outbound) []providers.Header {
	ct := x.Type
	if ct == "" {
		ct = "application/json"
	}
	return append([]providers.Header{
		{Name: ":path", Value: out.Path},
		{Name: ":authority", Value: out.Host},
		{Name: "content-type", Value: ct},
	}, out.Header...)
}
