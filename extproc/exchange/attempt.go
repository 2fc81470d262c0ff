package exchange

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/course"
	"github.com/signalbox-ai/signalbox/extproc/headers"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// Attempt is one try at one target, as the attempt filter sees it.
type Attempt struct {
	x      *Exchange
	n      int // from 1
	leg    ticket.Leg
	client dialect.Client
	server dialect.Server
	head   Header // of the request, as the filter got it
	sent   time.Time
	req    *llm.Request // decoded; nil where the answer is not translated
	losses []llm.Loss
	ans    answering
	turns  *turned // nil: it is one at a target
}

// Try begins attempt n, at the target whose cluster Envoy chose. Where the attempt cannot be, it returns
// the answer to give instead; where it must not be made, neither: Verdict has the answer. work says that the request's body comes to be rewritten; otherwise it goes
// out as the plan made it.
func (c *Core) Try(held string, n int, cluster string, h Header) (*Attempt, *Answer) {
	x, err := c.find(held)
	if err != nil {
		return nil, c.fault(nil, h, err.Error())
	}
	i := x.come(n, cluster)
	if i >= len(x.Steps) {
		return nil, c.fault(x, h, "attempt "+strconv.Itoa(n)+" at "+cluster+" is not in the plan")
	}
	a := &Attempt{x: x, n: i + 1, leg: x.Steps[i], head: h, sent: c.now()}
	var ok bool
	if a.client, ok = x.codec(a.leg); !ok {
		return nil, c.fault(x, h, "provider "+cluster+" is not configured any more")
	}
	a.server = x.snap.Servers[x.Dialect]
	if !x.mayTry(a.n) {
		return nil, nil
	}
	x.mu.Lock()
	x.tried = max(x.tried, a.n)
	x.open++
	x.course.At[i].Path = a.leg.Path
	x.mu.Unlock()
	x.begin(a.n)
	return a, nil
}

// mayTry reports whether attempt n may be made: a first one always, a further one within the retry budget of its provider,
// and while its breaker is not open, unless there are better ones behind it, which Envoy comes to by this one alone.
func (x *Exchange) mayTry(n int) bool {
	if n == 1 {
		return true
	}
	if x.stopped(n-1) || x.exhausted(n-1) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.course.At[n-1].Unmake(nil)
		return false
	}
	now := x.core.now()
	why := "breaker_open"
	if x.ready(n-1, now) {
		if x.core.again.Take(x.Steps[n-1].Provider, float64(x.failover().Budget)/100, now) {
			return true
		}
		why = "retry_budget"
	}
	l := x.Steps[n-1]
	x.core.seen.Attempt(AttemptSeen{Ticket: &x.Ticket, N: n, Provider: l.Provider, At: x.snap.Providers[l.Provider], Path: l.Path, Code: llm.CodeOverloaded, Unmade: why})
	x.core.log.Debug("attempt not made", "exchange", x.ID, "trace_id", x.Trace.ID(), "attempt", n, "target", l.Target(), "why", why)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.course.At[n-1].Unmake(&llm.Error{Code: llm.CodeOverloaded, Reason: why, After: time.Second + time.Duration(x.core.seed()%uint64(4*time.Second))})
	return false
}

// stopped reports whether the attempt that Envoy made before the step at i failed in a way after which none may follow.
func (x *Exchange) stopped(i int) bool {
	on := &x.failover().On
	if !on.Waits() {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Stopped(i, on)
}

// ready reports whether the step at i, or one behind it, has a breaker that is not open.
func (x *Exchange) ready(i int, now time.Time) bool {
	for ; i < len(x.Steps); i++ {
		l := &x.Steps[i]
		if l.Turn {
			continue
		}
		if _, rests := x.core.heal.Of(l.Provider, l.Model).Rests(l.Key, 0, now); !rests {
			return true
		}
	}
	return false
}

// promising leaves out of a plan further attempts that would not be made: at providers whose retry budget is spent, and
// where the breaker is open.
func (x *Exchange) promising(steps []routing.Step, now time.Time) []routing.Step {
	kept := steps[:1]
	for _, s := range steps[1:] {
		if x.core.again.Spent(s.Provider, now) {
			continue
		}
		if _, rests := x.core.heal.Of(s.Provider, s.Model).Rests(s.Key, 0, now); !rests {
			kept = append(kept, s)
		}
	}
	return kept
}

// begin tells the health of its target that attempt n is sent.
func (x *Exchange) begin(n int) {
	x.mu.Lock()
	first := x.course.At[n-1].Under == course.NotBegun
	if first {
		x.course.At[n-1].Under = course.UnderWay
	}
	x.mu.Unlock()
	if l := &x.Steps[n-1]; first {
		x.core.heal.Of(l.Provider, l.Model).Begin(l.Key, x.core.now())
		x.occupy(n)
	}
}

// enter begins the first attempt at the first step whose breaker lets it in, and puts that in front: where many are planned
// at once, a target that is tried again gets a few of them. Where none lets it in, it begins at the best all the same.
//
// Of the steps behind it, those that would not be tried are left out.
func (x *Exchange) enter(plan *routing.Plan) {
	x.Rules.Least = plan.Flags&routing.LeastBad != 0 && !x.By.Probes() // which are for what is not well
	steps, now, in := plan.Steps, x.core.now(), false
	for i := range steps {
		s := steps[i]
		if in = x.core.heal.Of(s.Provider, s.Model).Enter(s.Key, now); in {
			copy(steps[1:i+1], steps[:i])
			steps[0] = s
			break
		}
	}
	if !in {
		x.core.heal.Of(steps[0].Provider, steps[0].Model).Begin(steps[0].Key, now)
	}
	x.core.again.Sent(steps[0].Provider, now)
	plan.Steps = x.promising(steps, now)
}

// least is what the client is shown where no target was well.
func (x *Exchange) least() string {
	if x.Rules.Least && x.Rules.Show {
		return "least_bad"
	}
	return ""
}

// learn tells the health of its target how attempt n ended, once.
func (x *Exchange) learn(n int, a health.Attempt) {
	x.mu.Lock()
	under := x.course.At[n-1].Under
	x.course.At[n-1].Under = course.Learnt
	x.mu.Unlock()
	if under >= course.Learnt {
		return
	}
	l, now := &x.Steps[n-1], x.core.now()
	at := x.core.heal.Of(l.Provider, l.Model)
	if under != course.UnderWay {
		at.Begin(l.Key, now)
	}
	a.Key, a.Probe = l.Key, x.By.Probes()
	at.End(a, now)
	x.vacate(n)
}

// gaveUp tells the health of its target of attempt n, whose client did not wait for the end: how long the answer took to begin,
// where it did, and otherwise nothing.
func (x *Exchange) gaveUp(n int, e *AttemptEntry) {
	if e.Status > 0 {
		x.learn(n, health.Attempt{First: e.First})
		return
	}
	x.mu.Lock()
	a := &x.course.At[n-1]
	under := a.Under
	if under < course.Learnt {
		a.Under = course.Learnt
	}
	x.mu.Unlock()
	if under == course.UnderWay {
		x.vacate(n)
		x.core.heal.Of(x.Steps[n-1].Provider, x.Steps[n-1].Model).Drop(x.Steps[n-1].Key, x.core.now())
	}
}

// forget takes back what began and of which no log entry said how it ended, up to attempt n. Envoy's threads send entries of
// attempts by another stream than that of the request: some come later, and are learnt from then.
func (x *Exchange) forget(n int) {
	for i := range n {
		x.mu.Lock()
		a := x.course.At[i]
		lost := a.Under == course.UnderWay && a.Err == nil
		if lost {
			x.course.At[i].Under = course.Dropped
		}
		x.mu.Unlock()
		switch {
		case lost:
			x.vacate(i + 1)
			x.core.heal.Of(x.Steps[i].Provider, x.Steps[i].Model).Drop(x.Steps[i].Key, x.core.now())
		case a.Under == course.UnderWay:
			x.learn(i+1, health.Attempt{Code: harm(a.Err, a.Err.Code), First: a.First, Took: a.Took})
		}
	}
}

// fault is the answer to a message that fits no exchange.
func (c *Core) fault(x *Exchange, h Header, why string) *Answer {
	s, id := c.snap.Load().Servers[dialect.OpenAIChat], h.Get("x-request-id")
	if x != nil {
		s, id = x.snap.Servers[x.Dialect], x.ID
	}
	c.log.Error("attempt refused", "exchange", id, "why", why)
	return answer(s, &llm.Error{Code: llm.CodeInternal, Message: "internal error"}, id)
}

// Request makes the attempt's request from the body that Envoy stored, which is always in the client's
// dialect: the plan stage changes single members of it and never translates it.
func (a *Attempt) Request(ctx context.Context, body []byte) Reply {
	if a.turns != nil {
		return a.turns.ask(a.x)
	}
	out, err := a.rewrite(ctx, body)
	if err != nil {
		e := asError(err)
		a.x.core.log.Warn("attempt cannot be made", "exchange", a.x.ID, "trace_id", a.x.Trace.ID(), "attempt", a.n, "target", a.leg.Target(), "error", e.Error())
		a.x.note(a.n, course.Attempted{Path: a.leg.Path, Err: e})
		return Reply{To: ToRequestBody, Done: true, Answer: answer(a.server, e, a.x.ID)}
	}
	a.sent = a.x.core.now()
	a.x.lost(a.n, a.leg, out.Dialect, a.losses)
	r := Reply{To: ToRequestBody, Body: out.Body, Replace: true, Attempt: &Prepared{Length: len(out.Body), Target: a.x.shown(a.leg), Number: a.x.number(a.n), Losses: a.x.warns(a.losses), Tokens: a.tokens(body)}}
	r.Remove = append(a.head.Stripped(headers.Of(a.client)), a.x.snap.Registry.Sets()...)
	r.Set = append(a.x.requestHeaders(out), providers.Header{Name: "content-length", Value: strconv.Itoa(len(out.Body))})
	a.x.handOn(&r, a.leg, a.n)
	if m := a.x.meter(a.leg); m != "" {
		r.Set = append(r.Set, providers.Header{Name: headerUsage, Value: m})
	}
	return r
}

// tokens is the count of the prompt that is shown to the client; "": none is.
func (a *Attempt) tokens(body []byte) string {
	if !a.x.counts() {
		return ""
	}
	req := a.req
	if req == nil {
		in, _, bad := a.x.inbound(body)
		if bad != nil {
			return ""
		}
		var err error
		if req, err = a.server.ReadRequest(in); err != nil {
			return "" // it may pass all the same
		}
	}
	e, ok := a.x.snap.Count.Quick(req, a.x.snap.Providers[a.leg.Provider], a.leg.Model, a.leg.Like)
	if !ok {
		return ""
	}
	return counting.Header(&e)
}

// Bodyless reports whether the request may be one without a body.
func (a *Attempt) Bodyless() bool { return a.x.Op.Objects() || a.x.Op == llm.OpRealtime }

// Socket reports whether the connection becomes a WebSocket.
func (a *Attempt) Socket() bool { return a.x.Op == llm.OpRealtime }

// Bare makes the attempt's request where there is no body.
func (a *Attempt) Bare(ctx context.Context) Reply {
	r := a.Request(ctx, nil)
	if r.Answer == nil {
		r.To, r.Body, r.Replace = ToRequestHead, nil, false
		r.Set = slices.DeleteFunc(r.Set, func(h providers.Header) bool { return h.Name == "content-length" })
	}
	return r
}

func (a *Attempt) rewrite(ctx context.Context, body []byte) (*providers.Outbound, error) {
	x := a.x
	if w := x.takeFirst(a.n); w != nil && w.body != nil {
		a.req, a.losses = w.req, w.losses
		return x.outbound(ctx, a.leg, a.client, w.body, a.head)
	}
	in, _, bad := x.inbound(body)
	if bad != nil {
		return nil, bad
	}
	if a.leg.Spare {
		in.Body = x.askAgain(in.Body)
	}
	if a.client.Name() == x.Dialect {
		h, err := a.server.Peek(in)
		if err != nil {
			return nil, err
		}
		b, err := a.client.Splice(nil, h, x.edits(a.leg))
		if err != nil {
			return nil, err
		}
		if a.losses, err = x.trims(a.client, h, a.leg); err != nil {
			return nil, err
		}
		if x.translates(a.client, h) {
			if a.req, err = a.server.ReadRequest(in); err != nil {
				return nil, err
			}
			a.req.Model, a.req.Usage = x.Model, x.Usage
		}
		return x.outbound(ctx, a.leg, a.client, b, a.head)
	}
	req, err := a.server.ReadRequest(in)
	if err != nil {
		return nil, err
	}
	req.Model, req.Usage = x.Model, x.Usage
	b, losses, err := x.write(a.client, req, a.leg)
	if err != nil {
		return nil, err
	}
	a.req, a.losses = req, losses
	return x.outbound(ctx, a.leg, a.client, b, a.head)
}

// takeFirst returns the body that the plan stage wrote for attempt 1, once.
func (x *Exchange) takeFirst(n int) *written {
	if n != 1 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	w := x.first
	x.first = nil
	return w
}

// Codec returns the codec toward the attempt's provider.
func (a *Attempt) Codec() dialect.Client { return a.client }

// Losses returns what the request lost on its way into the target's dialect.
func (a *Attempt) Losses() []llm.Loss { return a.losses }

// End tells the attempt that its stream is over, for whatever reason. It keeps the usage that was read.
func (a *Attempt) End() {
	if a.turns != nil {
		return
	}
	defer a.x.endAttempt()
	if a.ans.inflate != nil {
		a.ans.inflate.Close()
	}
	u := a.ans.pipe.Usage
	if a.ans.pipe.Writer == nil && a.ans.phase != phListen && !a.listens() && a.ans.pipe.Mended == "" { // only judged: what follows was not read
		u = llm.Usage{}
	}
	if s := a.ans.pipe.Strip; s != nil {
		u.Merge(s.Usage())
	}
	if !u.Known() {
		return
	}
	a.x.mu.Lock()
	defer a.x.mu.Unlock()
	a.x.usage, a.x.counted = u, true
}

// endAttempt notes that an attempt is under way no more. Only an exchange whose log entry has come waits for that.
func (x *Exchange) endAttempt() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.open--; x.told {
		x.wake()
	}
}
