package exchange

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/limits"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
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
	if !e.Code.Retryable() && a.client.Name() == a.x.Dialect {
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
	x.note(a.n, Attempted{Path: a.leg.Path, Status: s.status, Err: e, Provider: providerID(s.header)})
	x.core.cool(a.leg, e)
	s.phase = phPassed
	if all, _ := x.known(len(x.Steps)); e.Code.Retryable() && (a.n < len(x.Steps) || !all) { // the last attempt of all waits for what is not known
		status := s.status
		if status < 400 {
			status = http.StatusServiceUnavailable
		}
		rs := []Reply{{To: ToAnswerHead, Status: status, Set: []providers.Header{{Name: headerRetry, Value: "1"}}}}
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

// cool lets a key rest that the provider refused, or asked us to spare.
func (c *Core) cool(l ticket.Leg, e *llm.Error) {
	s := health.Subject{Provider: l.Provider, Key: l.Key, Model: l.Model}
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
	case llm.CodeOverloaded:
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
	late := time.NewTimer(verdictWait)
	defer late.Stop()
	for {
		ok, news := x.known(x.made())
		if ok {
			break
		}
		select {
		case <-news:
			continue
		case <-late.C:
		case <-ctx.Done():
		}
		break
	}
	return answer(x.snap.Servers[x.Dialect], x.verdict(), x.ID)
}

// verdict composes the error of an exchange of which every attempt failed. Its code is the last attempt's.
func (x *Exchange) verdict() *llm.Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := &llm.Error{Code: llm.CodeUpstream, Op: "exchange.verdict"}
	var said []string
	for i := range x.attempts {
		a := &x.attempts[i]
		if a.under == unmade {
			return spared(a.Err, said)
		}
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
	if only := x.attempts[0].Err; len(x.attempts) == 1 && only != nil && only.Message != "" && only.Code != llm.CodeCredential {
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

// mayTry reports whether attempt n may be made: a first one always, a further one within the retry budget of its provider,
// and while its breaker is not open, unless there are better ones behind it, which Envoy comes to by this one alone.
func (x *Exchange) mayTry(n int) bool {
	if n == 1 {
		return true
	}
	now := x.core.now()
	why := "breaker_open"
	if x.ready(n-1, now) {
		share := health.BudgetShare
		if r := x.snap.Table.Route(x.Route); r != nil {
			share = float64(r.Failover.Budget) / 100
		}
		if x.core.again.Take(x.Steps[n-1].Provider, share, now) {
			return true
		}
		why = "retry_budget"
	}
	l := x.Steps[n-1]
	x.core.seen.Attempt(AttemptSeen{Ticket: &x.Ticket, N: n, Provider: l.Provider, At: x.snap.Providers[l.Provider], Path: l.Path, Code: llm.CodeOverloaded, Unmade: why})
	x.core.log.Debug("attempt not made", "exchange", x.ID, "trace_id", x.Trace.ID(), "attempt", n, "target", l.Target(), "why", why)
	x.mu.Lock()
	defer x.mu.Unlock()
	a := &x.attempts[n-1]
	a.Known, a.Logged, a.under = true, true, unmade
	a.Err = &llm.Error{Code: llm.CodeOverloaded, Reason: why, After: time.Second + time.Duration(x.core.seed()%uint64(4*time.Second))}
	return false
}

// ready reports whether the step at i, or one behind it, has a breaker that is not open.
func (x *Exchange) ready(i int, now time.Time) bool {
	for ; i < len(x.Steps); i++ {
		l := &x.Steps[i]
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
