package exchange

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/checks"
	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/course"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/limits"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// failed judges an answer with an error status, whose body is complete.
func (a *Attempt) failed() []Reply {
	s := &a.ans
	e := a.client.ReadError(s.status, s.header, s.body)
	if e.Code == llm.CodeForbidden { // what a provider forbids, it forbids the gateway's account
		e.Code = llm.CodeCredential
	}
	if e.After == 0 {
		e.After = retryAfter(s.header, a.x.core.now())
	}
	if !e.Code.Retryable() && a.client.Name() == a.x.Dialect && a.x.next(a.n, e) < 0 {
		// The client's own fault, said in its own dialect: the provider's words pass as they are.
		a.x.note(a.n, course.Attempted{Path: a.leg.Path, Status: s.status, Err: e, Provider: providerID(s.header)})
		s.phase = phPassed
		rs := []Reply{a.passHead()}
		for range s.owed {
			rs = append(rs, Reply{To: ToAnswerChunk})
		}
		s.owed = 0
		rs[len(rs)-1].Done = true
		return rs
	}
	return a.fail(e)
}

// fail ends the attempt before the client saw a byte of it: the next target is tried where one is left and
// may do better; otherwise the client gets the error.
func (a *Attempt) fail(e *llm.Error) []Reply {
	s, x := &a.ans, a.x
	came := course.Attempted{Path: a.leg.Path, Status: s.status, Err: e, Provider: providerID(s.header)}
	if s.pipe.Usage.Known() { // it is not the exchange's
		used := s.pipe.Usage
		came.Used, s.pipe.Usage = &used, llm.Usage{}
	}
	x.note(a.n, came)
	x.core.cool(a.leg, e)
	s.phase = phPassed
	next := x.next(a.n, e)
	to := x.pass(a.n, next)
	if all, _ := x.known(len(x.Steps)); next >= 0 || e.Code.Retryable() && !all { // the last attempt of all waits for what is not known
		status := s.status
		if status < 400 {
			status = http.StatusServiceUnavailable
		}
		rs := []Reply{{To: ToAnswerHead, Steps: to.clusters, Order: to.order, Status: status, Set: []providers.Header{{Name: headerRetry, Value: "1"}}}}
		for range s.owed {
			rs = append(rs, Reply{To: ToAnswerChunk})
		}
		s.owed = 0
		rs[len(rs)-1].Done = true
		return rs
	}
	s.owed = 0
	if e.Code.Retryable() {
		e = x.verdict()
	}
	own := answer(a.server, e, x.ID)
	if id := providerID(s.header); id != "" {
		own.Header = append(own.Header, providers.Header{Name: headerUpstreamID, Value: id})
	}
	return []Reply{{To: ToAnswerHead, Done: true, Answer: own}}
}

// look begins to look at an answer, where another target may give a better one.
func (a *Attempt) look() *checks.Look {
	x := a.x
	if x.Op != llm.OpChat && x.Op != llm.OpComplete || !x.left(a.n) && !x.repairs() {
		return nil
	}
	return checks.New(&x.failover().On, x.form)
}

// unwanted reports whether an answer, of which nothing has gone out, is one that the route would have from another target,
// and there is one.
func (a *Attempt) unwanted(end bool) bool {
	p := &a.ans.pipe
	if p.Look == nil || p.Sent || a.ans.phase == phWhole && !end {
		return false
	}
	e := p.Look.Found(end)
	return e != nil && a.x.next(a.n, e) >= 0
}

// cool lets a key rest that the provider refused, or asked us to spare.
func (c *Core) cool(l ticket.Leg, e *llm.Error) {
	s := health.Subject{Provider: l.Provider, Key: l.Key, Model: l.Model}
	line := c.snap.Load().Line
	switch e.Code {
	case llm.CodeCredential:
		s.Model = ""
		c.rests.Cool(s, c.now(), health.ForRefused)
	case llm.CodeOverQuota:
		s.Model = ""
		c.rests.Cool(s, c.now(), health.ForQuota)
	case llm.CodeRateLimited:
		d := e.After
		if d == 0 {
			d = health.ForLimit
		}
		c.rests.Cool(s, c.now(), d)
		line.Refused(queue.Lane{Provider: l.Provider, Model: l.Model, Key: l.Key}, d)
	case llm.CodeOverloaded:
		if e.After > 0 {
			line.Refused(queue.Lane{Provider: l.Provider, Model: l.Model, Key: l.Key}, e.After)
		}
		c.rests.Cool(s, c.now(), e.After)
	}
}

// verdictWait is how long the last answer waits for the log entries of attempts that the service did not
// see. Envoy sends them within a tenth of a second.
const verdictWait = 300 * time.Millisecond

// Verdict is the answer when every target has failed: what each of them said.
func (c *Core) Verdict(ctx context.Context, held string, h Header) *Answer {
	x, err := c.find(held)
	if err != nil {
		return c.fault(nil, h, err.Error())
	}
	x.mu.Lock()
	made := x.course.Made()
	x.mu.Unlock()
	x.hear(ctx, made)
	return answer(x.snap.Servers[x.Dialect], x.verdict(), x.ID)
}

// providerID returns the provider's own id of a request.
func providerID(h Header) string {
	for _, n := range [...]string{headerUpstreamID, "x-request-id", "request-id", "x-amzn-requestid"} {
		if v := h.Get(n); v != "" {
			return strings.Clone(clip(v))
		}
	}
	return ""
}

// limitsOf reads what an answer's headers say of the provider's rate limits.
func limitsOf(h Header, now time.Time) limits.Limits {
	return limits.Read(func(yield func(string, string) bool) {
		for i := range h {
			if !yield(h[i].Name, h[i].Value) {
				return
			}
		}
	}, now)
}

// retryAfter reads when a provider wants to be asked again, or how long until a rate limit is filled up again.
func retryAfter(h Header, now time.Time) time.Duration {
	l := limitsOf(h, now)
	return min(l.After(), health.Longest)
}

// roomOf is what is left of a provider's rate limits, of the nearest to its end.
func roomOf(said *limits.Limits) health.Room {
	r := health.Room{Requests: -1, Tokens: -1}
	share := func(into *float64, b *limits.Budget) {
		if !b.Limit.Known || !b.Remaining.Known || b.Limit.N <= 0 {
			return
		}
		if s := min(1, float64(b.Remaining.N)/float64(b.Limit.N)); *into < 0 || s < *into {
			*into = s
		}
		r.Reset = max(r.Reset, b.Reset)
	}
	share(&r.Requests, &said.Requests)
	for _, b := range [...]*limits.Budget{&said.Tokens, &said.Input, &said.Output} {
		share(&r.Tokens, b)
	}
	return r
}

// spare lets a key rest whose budget the answer used up: the next request would be refused.
func (c *Core) spare(l ticket.Leg, h Header) {
	now := c.now()
	said := limitsOf(h, now)
	d := said.Wait()
	if c.snap.Load().Line.Told(queue.Lane{Provider: l.Provider, Model: l.Model, Key: l.Key}, said.Requests.Limit.N, said.Requests.Remaining.N, said.Requests.Reset) && said.Requests.Spent() && d == said.Requests.Reset {
		d = 0 // what comes back until then is given out evenly
	}
	if d > 0 {
		c.rests.Cool(health.Subject{Provider: l.Provider, Key: l.Key, Model: l.Model}, now, min(d, health.Longest))
	}
	if said.Known() {
		c.heal.Of(l.Provider, l.Model).Limits(roomOf(&said), now)
	}
	if said.Known() && c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("rate limits", "target", l.Target(), "key", l.Key, "requests", said.Requests, "tokens", said.Tokens, "input", said.Input, "output", said.Output, "rests", d)
	}
}

// room takes what the log entry of an attempt that went well says of the provider's rate limits.
func (x *Exchange) room(e *AttemptEntry, provider string) {
	if e.Ending != EndedWell || e.Status < 200 || e.Status >= 300 {
		return
	}
	var leg *ticket.Leg
	x.mu.Lock()
	for i := range x.Steps {
		if x.Steps[i].Provider == provider && x.course.At[i].Err == nil { // entries of those that failed came before, by the same stream
			leg = &x.Steps[i]
			break
		}
	}
	x.mu.Unlock()
	if leg != nil {
		x.core.spare(*leg, e.Header)
	}
}

// failover is what the exchange's route says of failures, as far as its ticket does not.
func (x *Exchange) failover() *routing.Failover {
	if r := x.snap.Table.Route(x.Route); r != nil {
		return &r.Failover
	}
	return &routing.Failover{Budget: int(100 * health.BudgetShare)} // it is not configured any more
}

// around is what the way of an exchange through its plan depends on, at a time.
type around struct {
	x   *Exchange
	now time.Time
}

var _ course.Around = around{}

func (x *Exchange) around() around { return around{x, x.core.now()} }

func (w around) Failover() *routing.Failover { return w.x.failover() }

func (w around) Spent(provider string) bool { return w.x.core.again.Spent(provider, w.now) }

func (w around) Rests(l *ticket.Leg) (d time.Duration) {
	for _, model := range [...]string{"", l.Model} {
		if until, cooling := w.x.core.rests.Cooling(health.Subject{Provider: l.Provider, Key: l.Key, Model: model}, w.now); cooling {
			d = max(d, until.Sub(w.now))
		}
	}
	if until, rests := w.x.core.heal.Of(l.Provider, l.Model).Rests(l.Key, 0, w.now); rests {
		d = max(d, until.Sub(w.now))
	}
	return d
}

func (w around) Suits(failed, l *ticket.Leg, does failure.Action) bool {
	a, b := w.x.snap.Providers[failed.Provider], w.x.snap.Providers[l.Provider]
	if a == nil || b == nil {
		return true
	}
	switch does {
	case failure.Other:
		return a.Kind != b.Kind
	case failure.Bigger:
		was, is := window(a, failed), window(b, l)
		if was == 0 || is == 0 {
			return failed.Target() != l.Target()
		}
		return is > was
	}
	return true
}

// window is how many tokens a prompt may have; 0: nobody says.
func window(p *providers.Provider, l *ticket.Leg) int64 {
	f := p.Facts(l.Model, l.Like)
	r := counting.RoomOf(&f, 0)
	return r.Window
}

// Turns reports whether Envoy's attempt n comes to the service to be told how to go on.
func (c *Core) Turns(held string, n int) bool {
	x, err := c.find(held)
	if err != nil {
		return false
	}
	i := x.nth(n)
	return i >= 0 && i < len(x.Steps) && x.Steps[i].Turn
}

// Turn says how to go on after what failed: by an attempt whose request goes to the service, and whose answer is that
// there is another to try, or by a verdict. It waits until it is known what failed, and before another round.
func (c *Core) Turn(ctx context.Context, held string, n int, h Header) (*Attempt, *Answer) {
	x, err := c.find(held)
	if err != nil {
		return nil, c.fault(nil, h, err.Error())
	}
	i := x.nth(n)
	x.hear(ctx, i)
	next := -1
	if x.Steps[i].Round == 0 {
		next = x.onward(i)
	} else if x.rest(ctx, i) {
		next = x.worth(i)
	}
	if next < 0 {
		x.pass(i+1, -1)
		return nil, answer(x.snap.Servers[x.Dialect], x.verdict(), x.ID)
	}
	x.pass(i+1, next)
	return &Attempt{x: x, n: i + 1, head: h, sent: c.now(), turns: &turned{x.hops()}}, nil
}

// rest waits before the round that begins at i. It reports whether the round may begin: not where all its targets rest for
// longer than the route waits, or no time is left.
func (x *Exchange) rest(ctx context.Context, i int) bool {
	if x.exhausted(i) {
		return false
	}
	w, first := x.around(), x.Rules.First.D()
	x.mu.Lock()
	wait, soon := x.course.Pause(i, w, x.core.seed(), first/2) // by first Envoy bounds this attempt, too
	x.mu.Unlock()
	if total := x.Rules.Total.D(); !soon || total > 0 && w.now.Add(wait).Sub(x.began()) >= total {
		return false
	}
	x.core.log.Debug("another round", "exchange", x.ID, "trace_id", x.Trace.ID(), "round", x.Steps[i].Round+1, "after", wait)
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-late.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// turned is what the service says of how to go on, at a step that is no target.
type turned struct{ hops }

// ask makes the request of an attempt that is none at a target: without a body and without credentials.
func (t *turned) ask(x *Exchange) Reply {
	return Reply{
		To: ToRequestBody, Replace: true, Attempt: &Prepared{}, Remove: x.snap.Registry.Sets(),
		Set: []providers.Header{{Name: ":path", Value: "/signalbox.turn"}, {Name: "content-length", Value: "0"}},
	}
}

// answer is that another attempt is to be made.
func (t *turned) answer() []Reply {
	return []Reply{{To: ToAnswerHead, Done: true, Steps: t.clusters, Order: t.order, Status: http.StatusServiceUnavailable, Set: []providers.Header{{Name: headerRetry, Value: "1"}}}}
}

// answer writes an error in the client's dialect.
func answer(s dialect.Server, e *llm.Error, id string) *Answer {
	status, body := s.WriteError(e, id)
	a := &Answer{Status: status, Body: body, Err: e, Header: []providers.Header{{Name: "content-type", Value: "application/json"}}}
	if h, ok := s.(dialect.Headed); ok {
		h.AnswerHeader(e, id, func(name, value string) { a.Header = append(a.Header, providers.Header{Name: name, Value: value}) })
	}
	if e.After > 0 {
		a.Header = append(a.Header, providers.Header{Name: "retry-after", Value: strconv.Itoa(int((e.After + time.Second - 1) / time.Second))})
	}
	switch e.Code {
	case llm.CodeUnauthenticated:
		a.Header = append(a.Header, providers.Header{Name: "www-authenticate", Value: "Bearer"})
	case llm.CodeOverQuota, llm.CodeInvalid, llm.CodeUnsupported, llm.CodeContextTooLong:
		a.Header = append(a.Header, providers.Header{Name: "x-should-retry", Value: "false"})
	}
	return a
}
