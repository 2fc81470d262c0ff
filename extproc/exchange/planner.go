package exchange

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/asking"
	"github.com/signalbox-ai/signalbox/extproc/checks"
	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// planner answers routing's questions about one request.
type planner struct {
	x       *Exchange
	head    *dialect.Head
	in      dialect.Inbound
	came    []byte       // the body as it came
	whose   string       // the provider that ids in the request name; "": none
	abroad  bool         // a target was left out for its region
	req     *llm.Request // decoded once a target of another dialect asks
	readErr *llm.Error
	first   *llm.Error // why the first target that cannot do the request cannot
	written map[string]*written
	prompts map[string]tokenizer.Estimate // counted, by target
	trimmed map[string][]llm.Loss         // by target: what a provider of the client's dialect does not take
	terms   metering.Terms
	granted metering.Granted
	sight
}

// usable reports whether a target can do the request. A target of another dialect is asked by writing the
// request for it, which alone tells.
func (p *planner) usable(t *routing.Target) (bool, string) {
	x := p.x
	leg := ticket.Leg{Provider: t.Provider, Model: t.Model, Like: t.Like}
	if !x.mayGo(*t) {
		p.abroad = true
		return false, "its region is not one of the key's" // or, of a copy, its team pays for the provider itself
	}
	if p.whose != "" && p.whose != t.Provider {
		return p.cannot(llm.Invalid("file_id", "the request's files are at "+p.whose+", and the model is not"))
	}
	c, ok := x.codec(leg)
	if !ok {
		return p.cannot(&llm.Error{Code: llm.CodeUnsupported, Message: "the target has no endpoint for " + x.Op.String()})
	}
	if losses, err := x.trims(c, p.head, leg); err != nil {
		return p.cannot(asError(err))
	} else if len(losses) > 0 {
		if x.Rules.Lossy == routing.LossyRefuse {
			return p.cannot(&llm.Error{Code: llm.CodeUnsupported, Param: losses[0].Path, Message: "the target cannot carry " + lossPaths(losses)})
		}
		if p.trimmed == nil {
			p.trimmed = map[string][]llm.Loss{}
		}
		p.trimmed[leg.Target()] = losses
	}
	if e := p.fits(leg); e != nil {
		return p.cannot(e)
	}
	if p.terms.Money {
		if e := x.snap.Meter.Priced(x.Op, x.step(leg), x.in.began); e != nil {
			return p.cannot(e)
		}
	}
	if !x.translates(c, p.head) {
		return true, ""
	}
	if p.read(); p.readErr != nil {
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

// read decodes the request, once.
func (p *planner) read() {
	if p.req == nil && p.readErr == nil {
		req, err := p.x.in.server.ReadRequest(p.in)
		if err != nil {
			p.readErr = asError(err)
		}
		p.req = req
	}
}

// fits returns why the prompt, with what is reserved for the answer, is too long for a target; nil: it is not, or
// nobody knows. A token has at least a byte, so that most requests need no counting. No request waits for a vocabulary:
// until it is read, the provider finds out whether a prompt fits.
func (p *planner) fits(l ticket.Leg) *llm.Error {
	x := p.x
	if !x.countable() || strings.Contains(x.Keep["anthropic-beta"], "context-1m") {
		return nil
	}
	facts := x.snap.Providers[l.Provider].Facts(l.Model, l.Like)
	room := counting.RoomOf(&facts, p.head.MaxTokens)
	if room.Bytes(int64(len(p.in.Body))) {
		return nil
	}
	p.read()
	if p.readErr != nil || slices.ContainsFunc(p.req.Extra.Members, func(m llm.Member) bool { return m.Name == "truncation" }) {
		return nil // a request that cannot be read may still pass; one that may be cut fits
	}
	e, ok := p.estimate(l)
	if !ok {
		return nil
	}
	return room.Fits(&e)
}

// countable reports whether the exchange has a prompt that can be counted.
func (x *Exchange) countable() bool {
	return x.snap.Count != nil && (x.Op == llm.OpChat || x.Op == llm.OpComplete)
}

// counts reports whether the client is shown the prompt's tokens.
func (x *Exchange) counts() bool { return x.Rules.Show && x.countable() }

// estimate counts the prompt for a target, once, where its vocabulary has been read.
func (p *planner) estimate(l ticket.Leg) (tokenizer.Estimate, bool) {
	if e, ok := p.prompts[l.Target()]; ok {
		return e, true
	}
	if p.read(); p.readErr != nil {
		return tokenizer.Estimate{}, false
	}
	e, ok := p.x.snap.Count.Quick(p.req, p.x.snap.Providers[l.Provider], l.Model, l.Like)
	if ok {
		if p.prompts == nil {
			p.prompts = map[string]tokenizer.Estimate{}
		}
		p.prompts[l.Target()] = e
	}
	return e, ok
}

// tokens is the count of the prompt that is shown to the client; "": none is.
func (p *planner) tokens(l ticket.Leg) string {
	if !p.x.counts() {
		return ""
	}
	e, ok := p.estimate(l)
	if !ok {
		return ""
	}
	return counting.Header(&e)
}

// count answers a client that asks how many tokens its prompt has, where the route leaves that to us and the count for
// its first target can be trusted, or nobody else could give one.
func (x *Exchange) count(p *planner, route *routing.Route) (Reply, bool) {
	if x.Op != llm.OpCount || x.snap.Count == nil || route.Forward {
		return Reply{}, false
	}
	p.view.Usable = func(t *routing.Target) (bool, string) { return x.snap.Providers[t.Provider] != nil && x.mayGo(*t), "" }
	plan, err := route.Plan(&p.view)
	if err != nil {
		return Reply{}, false // planning says why
	}
	if p.read(); p.readErr != nil {
		return x.refuse(p.readErr), true
	}
	s := plan.Steps[0]
	e := x.snap.Count.Prompt(p.req, x.snap.Providers[s.Provider], s.Model, s.Like)
	if e.Class == tokenizer.Estimated {
		if _, asks := x.codec(ticket.Leg{Provider: s.Provider, Model: s.Model, Like: s.Like}); asks {
			return Reply{}, false
		}
	}
	body, err := counting.Write(x.in.server, p.req, e.Input)
	if err != nil {
		return x.refuse(asError(err)), true
	}
	own := &Answer{Status: 200, Body: body, Header: []providers.Header{{Name: "content-type", Value: "application/json"}}}
	if h, ok := x.in.server.(dialect.Headed); ok {
		h.AnswerHeader(nil, x.ID, func(name, value string) { own.Header = append(own.Header, providers.Header{Name: name, Value: value}) })
	}
	if route.Show {
		own.Header = append(own.Header, providers.Header{Name: headerTokens, Value: counting.Header(&e)})
	}
	x.answered(llm.CodeNone, own.Status)
	x.move(stRefused)
	return Reply{To: ToRequestBody, Done: true, Answer: own}, true
}

// write makes the body for a leg whose answer is translated: written in the provider's dialect, or the client's
// own with the splices of a provider of the same dialect, in which case it is nil and made later.
func (x *Exchange) write(c dialect.Client, req *llm.Request, l ticket.Leg) ([]byte, []llm.Loss, error) {
	if c.Name() == x.Dialect {
		return nil, nil, nil
	}
	if req.Bound != "" {
		return nil, nil, &llm.Error{
			Code: llm.CodeUnsupported, Op: "exchange.write", Param: req.Bound, Reason: "unsupported_parameter",
			Message: "'" + req.Bound + "', as it is here, needs a provider that speaks " + string(x.Dialect) + " itself; the target does not.",
		}
	}
	to := *req
	to.Op = x.op(x.snap.Providers[l.Provider], l.Model)
	return c.WriteRequest(nil, &to, x.target(l))
}

// trims returns what a provider of the client's own dialect does not take of its body, or why it takes none of it.
func (x *Exchange) trims(c dialect.Client, h *dialect.Head, l ticket.Leg) ([]llm.Loss, error) {
	if t, ok := c.(dialect.Trimmer); ok && c.Name() == x.Dialect {
		return t.Trims(h, l.Model)
	}
	return nil, nil
}

// lost reports what an attempt's request loses.
func (x *Exchange) lost(n int, l ticket.Leg, to dialect.Name, losses []llm.Loss) {
	if len(losses) > 0 {
		x.core.seen.Lost(x.Dialect, to, len(losses))
		x.core.log.Debug("request loses something", "exchange", x.ID, "trace_id", x.Trace.ID(), "attempt", n, "target", l.Target(), "losses", lossPaths(losses))
	}
}

func (p *planner) cannot(e *llm.Error) (bool, string) {
	if p.first == nil {
		p.first = e
	}
	return false, e.Message
}

// limit finds the limits of an exchange. Where one holds of what an answer may cost, the answer gets a bound.
func (p *planner) limit(r *routing.Route) *llm.Error {
	x := p.x
	if x.snap.Limits == nil {
		return nil
	}
	at := make([]string, 0, len(r.Targets))
	for _, t := range r.Targets {
		at = append(at, t.Provider)
	}
	slices.Sort(at)
	party := x.party()
	p.terms = x.snap.Meter.Terms(x.snap.Limits, &party, x.Model, r.Name, slices.Compact(at))
	c, ok := x.in.server.(dialect.Capper)
	if !ok || !p.terms.Caps || x.Op != llm.OpChat && x.Op != llm.OpComplete {
		return nil
	}
	most := metering.Cap(x.steps(r.Targets, p.view.Model))
	if p.head.MaxTokens > 0 && p.head.MaxTokens <= most {
		return nil
	}
	edit, ok := c.Cap(p.head, most)
	if !ok {
		return nil
	}
	p.in.Body = jsonx.Splice(nil, p.in.Body, edit)
	head, err := x.in.server.Peek(p.in)
	if err != nil {
		return asError(err)
	}
	p.head = head
	return nil
}

// steps are the targets of a route as the meter knows them; model is what the client's name stands for.
func (x *Exchange) steps(targets []routing.Target, model string) (all []metering.Step) {
	for _, t := range targets {
		if x.snap.Providers[t.Provider] == nil {
			continue
		}
		if t.Model == "*" {
			t.Model = strings.TrimPrefix(model, t.Provider+"/")
		}
		all = append(all, *x.step(ticket.Leg{Provider: t.Provider, Model: t.Model, Like: t.Like}))
	}
	return all
}

// reserve takes what the plan can use at most.
func (p *planner) reserve(ctx context.Context, plan *routing.Plan) error {
	x := p.x
	if x.snap.Meter == nil {
		return nil
	}
	w := metering.Want{
		ID: x.ID, Charge: p.charge, Party: x.party(), Route: x.Route, Model: x.Model, Op: x.Op, Output: p.head.MaxTokens, N: p.head.N, Began: x.in.began, Hold: x.Rules.Total.D(),
		Prompt: metering.Prompt{Bytes: int64(len(p.in.Body))}, Wish: asking.Wish(x.Op, p.head, p.terms.Strict || x.tooled(plan)),
	}
	p.hosted = w.Wish.Hosted
	if len(p.terms.Budgets) > 0 {
		w.Tries = x.tries(plan.Route)
		for _, s := range plan.Steps {
			w.Steps = append(w.Steps, *x.step(ticket.Leg{Provider: s.Provider, Model: s.Model, Like: s.Like}))
		}
		if x.countable() {
			w.Prompt.Count = p.counted
		}
	}
	if p.terms.Strict { // what must hold whatever comes needs to know all of what may come
		w.Prompt.Refers = asking.Refers(p.in.Body)
	}
	var err error
	p.granted, err = x.snap.Meter.Reserve(ctx, &w, p.terms)
	x.Hold = p.granted.Hold
	if p.spends { // what decisions go by is known from what they led to
		x.snap.Meter.Saw(&p.granted)
	}
	return err
}

// counted counts the prompt for a step, with what the count may be wrong by.
func (p *planner) counted(s *metering.Step) (int64, bool) {
	e, ok := p.estimate(ticket.Leg{Provider: s.Provider.Name, Model: s.Model, Like: s.Like})
	if !ok || e.Class == tokenizer.Estimated {
		return 0, false
	}
	return e.Input + max(e.Error, e.Input/10), true
}

// tooled reports whether calls of a provider's own tools have a price at a step of the plan, and stand in the content of
// its answer.
func (x *Exchange) tooled(plan *routing.Plan) bool {
	if x.Op != llm.OpChat || x.Dialect != dialect.OpenAIResponses && x.Dialect != dialect.Gemini {
		return false
	}
	return slices.ContainsFunc(plan.Steps, func(s routing.Step) bool {
		return metering.ChargesTools(x.step(ticket.Leg{Provider: s.Provider, Model: s.Model, Like: s.Like}))
	})
}

// path is the cheapest path of a leg on which the calls of the provider's own tools are counted, and an answer that may
// have to be repaired is seen.
func (p *planner) path(l ticket.Leg, rest []routing.Step, repairs bool) ticket.Path {
	path := p.x.path(l, p.head, repairs || len(rest) > 0)
	if path == ticket.Direct && p.overflows(l, rest) {
		path = ticket.Watched // to be told from any other 400
	}
	if p.hosted && path < ticket.Worked && p.x.hides(l) {
		return ticket.Worked
	}
	return path
}

// form is the form that the request asks its answer to have, where the route goes by it and another target is left, or
// the answer may be repaired.
func (p *planner) form(r *routing.Route, steps int) *checks.Form {
	does := r.Failover.On.On(failure.InvalidOutput)
	if does == failure.Stop || p.x.Op != llm.OpChat || steps < 2 && (does != failure.Repair || p.x.Stream) {
		return nil
	}
	if p.read(); p.readErr != nil {
		return nil
	}
	c, ok := p.req.Body.(*llm.Chat)
	if !ok {
		return nil
	}
	return checks.FormOf(c)
}

// overflows reports whether the prompt may be too long for a leg, whose window is known, as nobody counted it exactly, and fit
// one behind it. Of a window that nobody knows nothing is feared: it would take every longer prompt off the direct path.
func (p *planner) overflows(l ticket.Leg, rest []routing.Step) bool {
	if len(rest) == 0 || p.x.Op != llm.OpChat && p.x.Op != llm.OpComplete && p.x.Op != llm.OpEmbed {
		return false
	}
	facts := p.x.snap.Providers[l.Provider].Facts(l.Model, l.Like)
	room := counting.RoomOf(&facts, p.head.MaxTokens)
	if room.Bytes(int64(len(p.in.Body))) {
		return false
	}
	if e, ok := p.prompts[l.Target()]; ok && e.Class == tokenizer.Exact && room.Fits(&e) == nil {
		return false
	}
	w := p.x.around()
	does := w.Failover().On.On(failure.ContextTooLong)
	return does != failure.Stop && slices.ContainsFunc(rest, func(s routing.Step) bool {
		return w.Suits(&l, &ticket.Leg{Provider: s.Provider, Model: s.Model, Like: s.Like}, does)
	})
}

// void gives back what was reserved.
func (p *planner) void(ctx context.Context) {
	if p.x.snap.Meter != nil {
		p.x.snap.Meter.Void(ctx, p.granted)
	}
}

// replace puts a body in place of the one that came, where it is another.
func (p *planner) replace(r *Reply, body []byte) {
	if string(body) != string(p.came) {
		r.Body, r.Replace = body, true
		r.Set = append(r.Set, providers.Header{Name: "content-length", Value: strconv.Itoa(len(body))})
	}
}

// noTarget turns a plan without steps into the client's error: its own fault where a target said so.
func (p *planner) noTarget(err error) *llm.Error {
	if p.first != nil {
		return p.first
	}
	if p.abroad {
		return &llm.Error{Code: llm.CodeForbidden, Message: "this key may use providers in " + strings.Join(p.x.in.who.Scope().Regions, ", ") + " only, and the model has none there"}
	}
	if none, ok := errors.AsType[*routing.NoTarget](err); ok {
		if none.Lasting {
			return &llm.Error{Code: llm.CodeUnsupported, Reason: "no_target", Param: "model", Message: none.Error()}
		}
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
