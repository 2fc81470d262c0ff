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
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/limits"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/providers"
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
		a.x.note(a.n, Attempted{Path: a.leg.Path, Status: s.status, Err: e, Provider: providerID(s.header)})
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
	came := Attempted{Path: a.leg.Path, Status: s.status, Err: e, Provider: providerID(s.header)}
	if s.pipe.usage.Known() { // it is not the exchange's
		used := s.pipe.usage
		came.used, s.pipe.usage = &used, llm.Usage{}
	}
	x.note(a.n, came)
	x.core.cool(a.leg, e)
	s.phase = phPassed
	next := x.next(a.n, e)
	steps := x.pass(a.n, next)
	if all, _ := x.known(len(x.Steps)); next >= 0 || e.Code.Retryable() && !all { // the last attempt of all waits for what is not known
		status := s.status
		if status < 400 {
			status = http.StatusServiceUnavailable
		}
		rs := []Reply{{To: ToAnswerHead, Steps: steps, Status: status, Set: []providers.Header{{Name: headerRetry, Value: "1"}}}}
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
	if p.look == nil || p.sent || a.ans.phase == phWhole && !end {
		return false
	}
	e := p.look.Found(end)
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
	x.hear(ctx, x.made())
	return answer(x.snap.Servers[x.Dialect], x.verdict(), x.ID)
}

// verdict composes the error of an exchange of which every attempt failed. Its code is the last attempt's.
func (x *Exchange) verdict() *llm.Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := &llm.Error{Code: llm.CodeUpstream, Op: "exchange.verdict"}
	var said []string
	tried := 0
	for i := range x.attempts {
		a := &x.attempts[i]
		if a.none() {
			continue
		}
		if a.under == unmade {
			if a.Err != nil {
				return spared(a.Err, said)
			}
			break
		}
		tried++
		if !a.Known && a.Err == nil {
			said = append(said, x.Steps[i].Target()+": no answer")
			continue
		}
		if a.Err == nil {
			continue
		}
		e.Code, e.Reason, e.Param = a.Err.Code, a.Err.Reason, a.Err.Param
		if d := a.Err.After; d > 0 && (e.After == 0 || d < e.After) {
			e.After = d
		}
		what := x.Steps[i].Target() + ": " + strings.ReplaceAll(a.Err.Code.String(), "_", " ")
		if a.Status >= 300 {
			what += " (" + strconv.Itoa(a.Status) + ")"
		}
		if m := a.Err.Message; m != "" && a.Err.Code != llm.CodeCredential {
			what += ": " + m
		}
		said = append(said, what)
	}
	e.Message = strings.TrimSuffix("no target could answer. "+strings.Join(said, "; "), " ")
	if only := x.attempts[0].Err; tried == 1 && only != nil && only.Message != "" && only.Code != llm.CodeCredential {
		e.Message = only.Message // one target: its own words, which clients may look into
	}
	switch {
	case e.Code == llm.CodeCredential: // the gateway's own: a 401 would blame the client's key
		e.Code, e.Reason, e.Param = llm.CodeUpstream, "upstream_credential", ""
	case e.Code == llm.CodeOverQuota: // the gateway's account is empty; the client's quota is another matter
		e.Code, e.Reason = llm.CodeUpstream, ""
	case e.Code == llm.CodeRateLimited && e.After == 0:
		e.After = health.ForLimit
	}
	return e
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
		if x.Steps[i].Provider == provider && x.attempts[i].Err == nil { // entries of those that failed came before, by the same stream
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

// stopped reports whether the attempt at i, or the one that Envoy made before it, failed in a way after which none may follow.
func (x *Exchange) stopped(i int) bool {
	on := &x.failover().On
	if !on.Waits() {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i--; i >= 0; i-- {
		if a := &x.attempts[i]; !a.none() {
			if a.Err == nil {
				return false
			}
			c, ok := failure.Of(a.Err)
			return ok && on.On(c) == failure.Stop
		}
	}
	return false
}

// next returns the step, from 0, that follows attempt n, which failed with e; -1: none does.
func (x *Exchange) next(n int, e *llm.Error) int {
	class, ok := failure.Of(e)
	if !ok {
		return -1
	}
	does := x.failover().On.On(class)
	if does == failure.Stop {
		return -1
	}
	now := x.core.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := n; i < len(x.Steps); i++ {
		if i == n && does == failure.Repair && x.mayRepair(i) {
			return i
		}
		if x.follows(n-1, i, class, does, now) {
			return i
		}
		if !x.attempts[i].none() && x.Steps[i].Round == x.Steps[n-1].Round && x.suits(x.Steps[n-1], x.Steps[i], does) {
			return i
		}
	}
	return -1
}

// suits reports whether a step may follow one that failed.
func (x *Exchange) suits(failed, l ticket.Leg, does failure.Action) bool {
	a, b := x.snap.Providers[failed.Provider], x.snap.Providers[l.Provider]
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
func window(p *providers.Provider, l ticket.Leg) int64 {
	f := p.Facts(l.Model, l.Like)
	r := counting.RoomOf(&f, 0)
	return r.Window
}

// pass passes over the steps between attempt n and the step that follows it, or all where none does. It returns the
// clusters of all attempts where they are others since.
func (x *Exchange) pass(n, next int) (clusters []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	changed := next < 0
	if changed {
		next = len(x.Steps)
	} else if x.attempts[next].under == passed {
		x.repair(next)
		changed = true
	}
	for i := n; i < next; i++ {
		if a := &x.attempts[i]; a.under == notBegun || a.under == turn {
			a.skip()
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return x.clustersOf()
}

// clusters are those of Envoy's attempts, as it stands.
func (x *Exchange) clusters() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.clustersOf()
}

// clustersOf does what clusters does. The caller holds the lock.
func (x *Exchange) clustersOf() (all []string) {
	for i := range x.Steps {
		if x.attempts[i].under != passed {
			all = append(all, x.cluster(x.Steps[i].Provider))
		}
	}
	return append(all, ServiceCluster)
}

// nth returns the step, from 0, of Envoy's attempt n: those that were passed over do not count.
func (x *Exchange) nth(n int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.nthOf(n)
}

// nthOf does what nth does. The caller holds the lock.
func (x *Exchange) nthOf(n int) int {
	if n < 1 {
		return -1
	}
	for i := range x.attempts {
		if x.attempts[i].under != passed {
			if n--; n == 0 {
				return i
			}
		}
	}
	return len(x.attempts)
}

// lastOf returns the number of the last step that may have been tried, of those up to n. The caller holds the lock.
func (x *Exchange) lastOf(n int) int {
	for n = min(n, x.madeOf()); n > 1 && x.attempts[n-1].none(); n-- {
	}
	return n
}

// made returns how many steps of the plan may have been tried: all, or those before one that was not made.
func (x *Exchange) made() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.madeOf()
}

// madeOf does what made does. The caller holds the lock.
func (x *Exchange) madeOf() int {
	for i := range x.attempts {
		if x.attempts[i].under == unmade {
			return i
		}
	}
	return len(x.attempts)
}

// spared is the verdict where another attempt was not made, for the reason that e has.
func spared(e *llm.Error, said []string) *llm.Error {
	what := "too many requests had to be tried again of late, so that no other target was tried. "
	if e.Reason == "breaker_open" {
		what = "the other targets failed too often of late to be tried. "
	}
	return &llm.Error{Code: e.Code, Op: "exchange.verdict", Reason: e.Reason, After: e.After, Message: strings.TrimSuffix(what+strings.Join(said, "; "), " ")}
}
