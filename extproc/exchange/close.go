package exchange

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/content"
	"github.com/signalbox-ai/signalbox/extproc/course"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/providers/dialect/kept"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// Ending is how Envoy says that a request or an attempt ended.
type Ending uint8

// Endings.
const (
	EndedWell       Ending = iota
	EndedConnect           // no connection: refused, DNS, TLS, no host
	EndedTimeout           // a deadline that Envoy keeps
	EndedReset             // the provider broke the connection
	EndedByClient          // the client left
	EndedInternally        // Envoy or the service failed
	EndedUnseen            // nobody said in time
)

var endings = [...]struct {
	name string
	code llm.Code
}{
	EndedWell:       {"ok", llm.CodeNone},
	EndedConnect:    {"connect", llm.CodeConnect},
	EndedTimeout:    {"timeout", llm.CodeTimeout},
	EndedReset:      {"reset", llm.CodeReset},
	EndedByClient:   {"client_abort", llm.CodeNone},
	EndedInternally: {"internal", llm.CodeInternal},
	EndedUnseen:     {"swept", llm.CodeNone},
}

// String returns the word used in logs and metrics.
func (e Ending) String() string { return endings[min(int(e), len(endings)-1)].name }

// AttemptEntry is Envoy's log entry of an attempt.
type AttemptEntry struct {
	Began   time.Time
	ID      string // x-request-id of the exchange
	Cluster string // where it went; the inner cluster's name
	Status  int    // of the answer; 0: none came
	Ending  Ending
	Why     string // Envoy's words, for the log
	Took    time.Duration
	First   time.Duration // to the first byte of the answer
	Header  Header        // of the answer, as far as it is logged
}

// Outcome is Envoy's log entry of a request, or the sweep's judgement that none will come.
type Outcome struct {
	Ticket  string
	Began   time.Time // zero: not known
	Status  int
	Ending  Ending
	Why     string
	Took    time.Duration
	First   time.Duration
	Sent    uint64    // bytes of the body toward the client
	Usage   llm.Usage // as Envoy extracted it
	Partial bool      // the extraction did not reach the end
	Model   string    // that answered, as Envoy extracted it; "": not known
	Tries   int
	Carried
	Try    Timing // of the last attempt
	Header Header // of the answer, as far as it is logged
}

// Carried is what Envoy kept for the service until the end.
type Carried struct {
	Kept  kept.Pieces
	Order []int // Reply.Order, where it took the place of the plan's; nil: it did not, or it is not known
}

// Source says who read the usage.
type Source string

// Timing is when an attempt was sent, from the request's beginning, how long it took, and its answer's first byte.
type Timing struct{ Sent, Took, First time.Duration }

// Sources of usage, best first.
const (
	FromService Source = "service"
	FromEnvoy   Source = "envoy"
	FromNobody  Source = "none"
)

// Observer learns what happens, for metrics and traces. Its methods are called on the hot path. A ticket that it is
// shown does not change any more, and may be kept.
type Observer interface {
	Refused(Refusal)
	Planned(Planned)
	Lost(from, to dialect.Name, n int)
	Attempt(AttemptSeen)
	Closed(Closed)
}

// Refusal is an exchange that ended in the plan stage.
type Refusal struct {
	Ticket *ticket.Ticket // as far as it was filled
	Code   llm.Code       // CodeNone: answered by us, not refused
	Status int            // of our answer
	Denied string         // why the credential was not accepted, as auth.Gate.Reason says; "": it was
	Began  time.Time
	Took   time.Duration
	Again  *idempotency.Answer // of another exchange, which was its answer; nil: it was our own
}

// Planned is an exchange that was sent on its way.
type Planned struct {
	Route   string
	Dialect dialect.Name
	Path    ticket.Path // of attempt 1
	Took    time.Duration
	Least   bool // no target was well
}

// AttemptSeen is an attempt that ended, or that was not made.
type AttemptSeen struct {
	Ticket   *ticket.Ticket      // of its exchange; nil: not known here
	N        int                 // from 1; 0: not known
	Provider string              // by name
	At       *providers.Provider // nil: not known here
	Path     ticket.Path
	Code     llm.Code
	Status   int       // of the answer; 0: none came
	Unmade   string    // why it was planned and not made; "": it was made
	Left     bool      // its client did not wait for the end
	Request  string    // the provider's own id of the request
	Began    time.Time // zero: not known
	Took     time.Duration
	First    time.Duration
}

// Closed is an exchange that ended.
type Closed struct {
	Ticket  *ticket.Ticket
	Last    ticket.Leg          // of the last attempt
	At      *providers.Provider // of the last attempt; nil: not configured any more
	Model   string              // that answered, by its own word; "": not known
	Ending  string              // a word of Ending, or error, or swept
	Why     string              // Envoy's words, for spans
	Status  int
	Began   time.Time
	Took    time.Duration
	First   time.Duration
	Usage   llm.Usage
	Source  Source
	Partial bool          // the usage is not that of the whole answer
	Said    *content.Said // nil: it is not kept
	Went
}

// Went is how an exchange went on until its last attempt.
type Went struct {
	Tries  int
	Rounds int    // that were begun behind the first
	Mended string // what was wrong with its answer, and was mended here; "": nothing, or it was not
}

type nobody struct{}

func (nobody) Refused(Refusal)               {}
func (nobody) Planned(Planned)               {}
func (nobody) Lost(_, _ dialect.Name, _ int) {}
func (nobody) Attempt(AttemptSeen)           {}
func (nobody) Closed(Closed)                 {}

// AttemptLogged takes the log entry of an attempt. Entries of one exchange come in order.
func (c *Core) AttemptLogged(e AttemptEntry) {
	provider := strings.TrimSuffix(strings.TrimSuffix(e.Cluster, innerSuffix), sessionSuffix)
	if provider == ServiceCluster {
		return
	}
	a := course.Attempted{Status: e.Status, Took: e.Took, First: e.First, Provider: providerID(e.Header)}
	if code := e.code(); code != llm.CodeNone {
		a.Err = &llm.Error{Code: code, After: retryAfter(e.Header, c.now())}
	}
	seen := AttemptSeen{Provider: provider, Status: e.Status, Request: a.Provider, Began: e.Began, Took: e.Took, First: e.First}
	x := c.live.Get(e.ID)
	if x == nil && c.live.Over(e.ID) {
		return // it is counted already
	}
	if x != nil {
		x.room(&e, provider)
		n, leg, known := x.logged(provider)
		if n == 0 {
			return // it is counted already
		}
		if n > 0 {
			seen.Ticket, seen.N = &x.Ticket, n
			seen.Provider, seen.Path, seen.At = leg.Provider, leg.Path, x.snap.Providers[leg.Provider]
			x.note(n, a)
			if known.Known && (known.Err != nil || e.Ending == EndedWell) {
				a.Err = known.Err // of an answer that began well, only the log knows how it ended
			} else if a.Err != nil && !known.Known {
				c.cool(leg, a.Err)
			}
			c.log.Debug("attempt ended", "exchange", x.ID, "trace_id", x.Trace.ID(), "attempt", n, "target", leg.Target(), "key", leg.Key, "path", leg.Path, "status", e.Status, "ending", e.Ending, "why", e.Why, "error", errText(a.Err), "took", e.Took, "first_byte", e.First, "provider_request_id", a.Provider)
		}
	}
	if a.Err != nil {
		seen.Code = a.Err.Code
	}
	switch {
	case x == nil:
	case a.Err == nil && e.Ending == EndedByClient:
		seen.Left = true
		x.gaveUp(seen.N, &e)
	default:
		x.learn(seen.N, health.Attempt{Code: harm(a.Err, seen.Code), First: e.First, Took: e.Took})
	}
	c.seen.Attempt(seen)
}

// harm is what the health of a target makes of an attempt: an answer that was not taken was an answer.
func harm(e *llm.Error, code llm.Code) llm.Code {
	if e != nil && e.Reason == failure.ReasonInvalidOutput {
		return llm.CodeNone
	}
	return code
}

// logged finds the attempt that the next log entry of a provider belongs to, as course.Log does; n is 0 where there is none.
func (x *Exchange) logged(provider string) (n int, leg ticket.Leg, known course.Attempted) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n = x.course.Log(provider, x.snap.Providers[provider] != nil); n > 0 {
		leg, known = x.Steps[n-1], x.course.At[n-1]
	}
	return n, leg, known
}

func (e *AttemptEntry) code() llm.Code {
	if c := endings[e.Ending].code; c != llm.CodeNone {
		return c
	}
	if e.Status >= 400 {
		code, _ := providers.JudgeStatus(e.Status)
		return code
	}
	return llm.CodeNone
}

// RequestLogged takes the log entry of a request, which ends its exchange.
func (c *Core) RequestLogged(o Outcome) {
	if o.Ticket == "" {
		return // answered in the plan stage, or never seen by it
	}
	if id, ok := jsonx.String(jsonx.Get([]byte(o.Ticket), "id")); ok { // of what is live, the id is enough
		if x := c.live.Get(id); x != nil {
			x.end(o)
			return
		}
		if c.live.Over(id) {
			return
		}
	}
	x, err := c.find(o.Ticket)
	if err != nil {
		c.log.Error("log entry with a bad ticket", "error", err)
		return
	}
	x.end(o)
}

// close ends the exchange, once.
func (x *Exchange) close(o Outcome) {
	x.mu.Lock()
	if !x.move(stClosed) {
		x.mu.Unlock()
		return
	}
	x.core.open.Add(-1)
	x.closed = x.core.now()
	x.first = nil
	usage, counted := x.usage, x.counted
	n := x.last(&o)
	last, came := x.Steps[n-1], x.course.At[n-1]
	broke := came.Err != nil
	x.mu.Unlock()
	source := FromService
	if !counted && (came.Err == nil || came.Status/100 == 2) { // or it is that of an attempt before
		source = FromEnvoy
		usage, o.Partial = x.stated(o, last)
	}
	if !usage.Known() {
		source = FromNobody
	}
	x.wentWell(o)
	x.forget(len(x.Steps))
	x.usedRoom(n, &usage)
	if o.Ending == EndedWell && !broke && usage.Known() && !x.By.Probes() { // which are like no client's request
		used := health.Used{Prompt: usage.Input.N, Cached: usage.Cached.N, Output: usage.Output.N}
		if x.Stream {
			used.Streaming = o.Try.Took - o.Try.First
		}
		x.core.heal.Of(last.Provider, last.Model).Learn(used, x.closed)
	}
	if x.sample != nil && o.Ending == EndedWell && o.Status == 200 && !broke && !o.Partial && usage.Input.Known {
		x.snap.Count.Measured(x.sample, x.snap.Providers[last.Provider], last.Model, last.Like, usage.Input.N)
	}
	x.sample = nil
	x.release()
	ending := o.Ending.String()
	if o.Ending == EndedWell && (o.Status >= 400 || broke) {
		ending = "error"
	}
	if m := x.snap.Meter; m != nil && x.Hold != "" {
		e := x.ended(&o, n)
		e.Usage, e.Source, e.Ending = usage, string(source), ending
		e.Whole = usage.Known() && !o.Partial && o.Ending == EndedWell && !broke
		m.Settle(e)
	}
	x.core.seen.Closed(Closed{
		Ticket: &x.Ticket, Last: last, At: x.snap.Providers[last.Provider], Model: o.Model, Went: Went{n, last.Round, came.Mended}, Ending: ending, Why: o.Why, Status: o.Status,
		Began: x.start(o), Took: o.Took, First: o.First, Usage: usage, Source: source, Partial: o.Partial, Said: x.said,
	})
	if n == 1 && o.Tries <= 1 && o.Ending == EndedWell && ending == "ok" && last.Path == ticket.Direct {
		x.core.live.End(x.ID, x.closed) // Envoy has no more to say of it, and the service has seen nothing
	}
	if x.core.debugs() {
		x.core.log.Debug("exchange ended", "exchange", x.ID, "trace_id", x.Trace.ID(), "route", x.Route, "model", x.Model, "key", x.Who, "target", last.Target(), "status", o.Status, "ending", ending, "why", o.Why,
			"attempts", o.Tries, "took", o.Took, "first_byte", o.First, "bytes", o.Sent, "usage_from", source, "input", usage.Input.N, "output", usage.Output.N, "cached", usage.Cached.N, "reasoning", usage.Reasoning.N, "queries", usage.Queries.N, "partial", o.Partial)
	}
}

// party is whom the exchange is charged to.
func (x *Exchange) party() metering.Party {
	o, key := x.Owner()
	return metering.Party{Organization: o.Organization, Team: o.Team, Project: o.Project, Key: key, EndUser: x.By.User}
}

// step is a target as the meter knows it. A provider that is not configured any more has no prices.
func (x *Exchange) step(l ticket.Leg) *metering.Step {
	p := x.snap.Providers[l.Provider]
	if p == nil {
		p = &providers.Provider{Name: l.Provider}
	}
	return &metering.Step{Provider: p, Model: l.Model, Like: l.Like}
}

// ended is what the meter is told of an exchange whose n-th attempt was the last.
func (x *Exchange) ended(o *Outcome, n int) *metering.Ended {
	e := &metering.Ended{
		ID: x.ID, Party: x.party(), KeyName: x.Who, Tags: x.Tags, Trace: x.Trace.ID(), Began: x.began(), Hold: x.Hold, Limits: x.snap.Limits,
		Asked:   metering.Asked{Route: x.Route, Model: x.Model, Dialect: string(x.Dialect), Op: x.Op, Stream: x.Stream, Arm: x.Rules.Arm, Shadows: x.By.Shadows, Config: x.Version, Least: x.Rules.Least},
		Outcome: metering.Outcome{Status: o.Status, Took: o.Took, First: o.First, Waited: x.Waited.D(), Sent: o.Sent},
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range n {
		l, a := x.Steps[i], &x.course.At[i]
		if a.None() {
			continue
		}
		t := metering.Attempt{Step: *x.step(l), Credential: l.Key, Path: l.Path.String(), Ended: a.Billed(i == n-1, o.Sent), Status: a.Status, Took: a.Took, First: a.First, RequestID: a.Provider, Flags: flags(&l, a)}
		if a.Used != nil {
			t.Used = *a.Used
		}
		if a.Err != nil {
			t.Code = a.Err.Code.String()
		}
		if i == n-1 && a.Err == nil {
			if t.Ended = o.billed(); o.Ending == EndedByClient && o.Tries == 0 && o.Sent == 0 && x.tried == 0 {
				t.Ended = billing.Unsent // the client left before anything was tried
			}
			t.Status, t.Took, t.First = o.Status, o.Try.Took, o.Try.First
		}
		e.Attempts = append(e.Attempts, t)
	}
	return e
}

// billed says how the last attempt ended, by the log entry of its request.
func (o *Outcome) billed() billing.Ended {
	switch {
	case o.Ending == EndedConnect:
		return billing.Unsent
	case o.Ending == EndedWell && o.Status < 300 && o.Status > 0:
		return billing.Completed
	case o.Ending == EndedWell:
		return billing.Refused
	case o.Sent > 0 || o.Ending == EndedUnseen:
		return billing.Aborted
	}
	return billing.CutEarly
}

// Flags of attempts in the ledger.
const (
	flagSame   ledger.Flag = "same"   // at the target that had failed just before
	flagRepair ledger.Flag = "repair" // it asked the target to repair the answer of the one before
	flagRound  ledger.Flag = "round"  // in a round behind the first
	flagMended ledger.Flag = "mended" // its answer was not of the form that was asked for, and was made so
)

// flags are what a reader of the ledger should know of how an attempt came to be, and of its answer.
func flags(l *ticket.Leg, a *course.Attempted) (all []ledger.Flag) {
	if l.Same {
		all = append(all, flagSame)
	}
	if l.Spare {
		all = append(all, flagRepair)
	}
	if l.Round > 0 {
		all = append(all, flagRound)
	}
	if a.Mended != "" {
		all = append(all, flagMended)
	}
	return all
}

// start returns when the request began: Envoy's clock has it finer than the ticket.
func (x *Exchange) start(o Outcome) time.Time {
	if o.Began.IsZero() {
		return x.began()
	}
	return o.Began
}

// stated returns the usage that a log entry brings, and whether it is that of an answer which did not reach its end.
func (x *Exchange) stated(o Outcome, last ticket.Leg) (u llm.Usage, partial bool) {
	if o.Kept == (kept.Pieces{}) {
		return o.Usage, o.Partial
	}
	if o.Kept.Tail == "" && o.Tries > 1 {
		return u, false // the beginning may be that of another attempt
	}
	c, ok := x.codec(last)
	if !ok {
		return u, false
	}
	u = kept.Usage(c, o.Kept)
	return u, u.Known() && o.Kept.Tail == "" && (x.Stream || o.Ending != EndedWell)
}

// debugs reports whether lines of level debug are written. What is given to one is made anew for each, even where it is not.
func (c *Core) debugs() bool { return c.log.Enabled(context.Background(), slog.LevelDebug) }

func errText(e *llm.Error) string {
	if e == nil {
		return ""
	}
	return e.Error()
}

// wentWell counts the last attempt where the request's entry says that it went well: Envoy logs attempts only
// when they did not.
func (x *Exchange) wentWell(o Outcome) {
	n := x.nth(o.Tries) + 1
	if o.Status == 0 || o.Status >= 300 || o.Tries < 1 || n > len(x.Steps) || o.Ending != EndedWell && o.Ending != EndedByClient {
		return
	}
	x.mu.Lock()
	a := x.course.At[n-1]
	x.course.At[n-1].Logged = true
	x.mu.Unlock()
	if a.Logged {
		return
	}
	leg := x.Steps[n-1]
	if a.Provider == "" {
		a.Provider = providerID(o.Header)
	}
	seen := AttemptSeen{
		Ticket: &x.Ticket, N: n, Provider: leg.Provider, At: x.snap.Providers[leg.Provider], Path: leg.Path,
		Status: o.Status, Request: a.Provider, Began: x.start(o).Add(o.Try.Sent), Took: o.Try.Took, First: o.Try.First, Left: o.Ending == EndedByClient,
	}
	if a.Err != nil {
		seen.Code = a.Err.Code
	}
	if o.Ending == EndedByClient { // what a client did not wait for says how long it took to begin, and nothing more
		o.Try.Took = 0
	}
	x.learn(n, health.Attempt{Code: seen.Code, First: o.Try.First, Took: o.Try.Took})
	x.core.seen.Attempt(seen)
	if x.core.debugs() {
		x.core.log.Debug("attempt ended", "exchange", x.ID, "trace_id", x.Trace.ID(), "attempt", n, "target", leg.Target(), "key", leg.Key, "path", leg.Path, "status", o.Status, "ending", o.Ending, "why", "", "error", errText(a.Err), "took", o.Try.Took, "first_byte", o.Try.First, "provider_request_id", a.Provider)
	}
}
