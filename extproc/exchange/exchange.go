// Package exchange is the state machine of an exchange: one client request and its answer, over all
// attempts. It plans, prepares each attempt, judges and translates answers, and closes the exchange when
// its log entry comes. It knows no Envoy type, opens no connection and starts no goroutine; extproc feeds
// it and carries its replies.
//
//	plan stage      Exchange.Head, Exchange.Body ─► targets, ticket, attempt 1 ready to send
//	attempt stage   Core.Try ─► Attempt.Request ─► Attempt.AnswerHead, AnswerChunk, Expire
//	log service     Core.AttemptLogged, Core.RequestLogged ─► closed
//
// What the later stages need travels in the Ticket, so that any process can serve them; the table of live
// exchanges only saves work and joins what belongs together.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/checks"
	"github.com/signalbox-ai/signalbox/extproc/content"
	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/headers"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// state is where an exchange stands. moves says what may follow what; everything else is a fault.
type state uint8

const (
	stNew     state = iota // nothing seen
	stReading              // head accepted, body due
	stRefused              // answered by us in the plan stage
	stPlanned              // in Envoy's hands
	stClosed               // its log entry came, or the sweep gave it up
)

var moves = [...][]state{
	stNew:     {stReading, stRefused, stPlanned},
	stReading: {stRefused, stPlanned},
	stRefused: {},
	stPlanned: {stClosed},
	stClosed:  {},
}

// Exchange is one client request and its answer.
type Exchange struct {
	core *Core
	snap *Snapshot
	in   *intake // only in the plan stage

	ticket.Ticket // set once, by the plan stage or from Envoy

	mu       sync.Mutex
	state    state
	attempts []Attempted   // what each attempt came to, as far as known; index 0 is attempt 1
	news     chan struct{} // closed and replaced whenever attempts changes
	usage    llm.Usage
	counted  bool // usage was read by the service
	tried    int  // the highest attempt that reached the service
	closed   time.Time
	first    *written // attempt 1's body, until it is taken
	watched
}

// watched is what is kept to be told of the answer.
type watched struct {
	sample *counting.Sample // nil: nothing is learnt from its usage
	said   *content.Said    // nil: what is said is not kept
	form   *checks.Form     // nil: nobody asks for one, or no route
	wrong  *wrong           // nil: no answer was to be repaired
}

// intake is what the plan stage knows before there is a plan.
type intake struct {
	row    dialect.Path
	bare   bool   // there is no body
	piece  string // what the path holds for {model} or {id}
	server dialect.Server
	head   Header
	path   string     // with query
	proof  auth.Proof // of the client's token
	who    auth.Identity
	as     auth.Identity // whose it is taken to be, whatever it proves; zero: nobody's
	denied string        // why nobody was let in; "": somebody was
	began  time.Time

	made    *template.Version // what it is made of; nil: of no template
	repeats bool              // it has an idempotency key
	waited  time.Duration     // for another request with that, and for room at a provider
	queueing
}

// written is a body that was translated while planning.
type written struct {
	body   []byte
	losses []llm.Loss
	req    *llm.Request
}

// Attempted is what an attempt came to.
type Attempted struct {
	Known    bool
	Logged   bool // its end was counted
	Path     ticket.Path
	Status   int // of the provider's answer; 0: none came
	Err      *llm.Error
	Provider string // the provider's own request id
	Took     time.Duration
	First    time.Duration // to the first byte; 0: none came
	under    stage
	used     *llm.Usage // of an answer that came and was not wanted
	pass     queue.Pass // its room at the provider
}

// stage is how far an attempt is, for the health of its target.
type stage uint8

const (
	notBegun stage = iota
	underWay
	dropped // its exchange ended, and nobody had said how it did: its entry may still come
	learnt
	unmade // it was not made
	passed // it was passed over: it is no attempt of Envoy's
	turn   // it is none at a target: the service says how to go on
)

// Begin starts the plan stage of an exchange.
func (c *Core) Begin() *Exchange {
	return &Exchange{core: c, snap: c.snap.Load(), news: make(chan struct{}), in: &intake{began: c.now()}}
}

// Keeps reports, after Body, whether the exchange still refers to the body's bytes: a request that was decoded
// does until its attempt is made.
func (x *Exchange) Keeps() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.first != nil
}

// move changes the state and reports whether the table of moves allows it.
func (x *Exchange) move(to state) bool {
	if slices.Contains(moves[x.state], to) {
		x.state = to
		return true
	}
	return false
}

// find returns the exchange of a ticket. One that this process cannot serve is refused.
func (c *Core) find(held string) (*Exchange, error) {
	t, err := ticket.Read(held)
	if err != nil {
		return nil, err
	}
	if x := c.live.Get(t.ID); x != nil {
		return x, nil
	}
	if c.live.Over(t.ID) {
		return nil, errors.New("ticket of an exchange that is over")
	}
	if c.snap.Load().Servers[t.Dialect] == nil {
		return nil, fmt.Errorf("ticket of an unknown dialect %q", clip(string(t.Dialect)))
	}
	return c.adopt(t), nil
}

// adopt makes an exchange of another process, or of an earlier life of this one, from its ticket.
func (c *Core) adopt(t *ticket.Ticket) *Exchange {
	x := &Exchange{core: c, snap: c.snap.Load(), Ticket: *t, state: stPlanned, news: make(chan struct{})}
	x.attempts = x.blank()
	return c.live.Add(x.ID, x)
}

// began returns when the exchange was admitted.
func (x *Exchange) began() time.Time { return time.UnixMilli(x.Began) }

// note records what attempt n (from 1) came to. What the service itself saw stands against the log.
func (x *Exchange) note(n int, a Attempted) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n < 1 || n > len(x.attempts) {
		return
	}
	old := &x.attempts[n-1]
	if old.Known {
		if old.Took == 0 {
			old.Took, old.First = a.Took, a.First
		}
		if old.Provider == "" {
			old.Provider = a.Provider
		}
		return
	}
	a.Known, a.Logged, a.under, a.pass = true, old.Logged, old.under, old.pass
	*old = a
	close(x.news)
	x.news = make(chan struct{})
}

// known reports whether attempts 1 to n are all known; if not, wait is closed when something is learnt.
func (x *Exchange) known(n int) (ok bool, wait <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range min(n, len(x.attempts)) {
		if !x.attempts[i].Known {
			return false, x.news
		}
	}
	return true, nil
}

// Header is the header of a request or an answer.
type Header = headers.Header

// Names of headers between the filters. Clients' own are removed before anything is read from them but
// the two that a route may allow.
const (
	headerPrefix   = headers.Prefix
	headerWatch    = headerPrefix + "watch"      // toward Envoy: the path of attempt 1
	headerUsage    = headerPrefix + "usage"      // toward Envoy: who reads an attempt's usage
	headerIdle     = headerPrefix + "idle"       // toward Envoy: which idle timer
	headerRetry    = headerPrefix + "retry"      // toward Envoy, on an answer: try the next target
	headerRoute    = headerPrefix + "route"      // from clients
	headerProvider = headerPrefix + "provider"   // from clients: whose objects are meant
	headerTimeout  = headerPrefix + "timeout-ms" // from clients

	headerMended = headerPrefix + "mended" // toward clients: how an answer was made what the request asks for
	headerTokens = headerPrefix + "tokens" // toward clients: a count that we made

	headerTrace      = "traceparent" // from clients and toward providers, with its tracestate (W3C Trace Context)
	headerTraceState = "tracestate"

	headerUpstreamID = headerPrefix + "upstream-request-id" // toward clients: the provider's own id
)

// To says which message of Envoy a reply answers.
type To uint8

// What a reply answers.
const (
	ToRequestHead To = iota
	ToRequestBody
	ToAnswerHead
	ToAnswerChunk
)

// Reply answers one message. The zero value lets everything pass as it is.
type Reply struct {
	To      To
	Answer  *Answer // ends the exchange with an answer of our own
	Set     []providers.Header
	Remove  []string
	Status  int    // answer head: the status in place of the provider's; 0: as it is
	Body    []byte // with Replace: the body, or the chunk, in place of what came
	Replace bool
	Plan    *Routed  // request body of the plan stage
	Steps   []string // answer head, to be tried again: the clusters of all attempts, in place of the plan's
	Attempt *Prepared
	Limits  []providers.Header // that the client is told of its limits, whoever answers
	Done    bool               // nothing more is wanted: the stream may be closed
	Wait    time.Duration      // not 0: this is no reply yet; Resume waits for it, up to so long
}

// Routed is what the plan stage hands to Envoy.
type Routed struct {
	Clusters []string // one for each attempt, in order
	Ticket   string
	Dialect  dialect.Name
	Waited   string // for room at a provider, in milliseconds, shown to the client; "": not, or it is not shown
	Health   string // shown to the client: least_bad; "": a target is well, or nothing is shown
}

// Prepared describes the attempt whose request is sent: what Envoy needs to finish it.
type Prepared struct {
	Length int    // of the body
	Target string // shown to the client with Number; "": not shown
	Number int    // of the attempt, from 1
	Losses string // shown to the client, as their paths; "": none
	Tokens string // of the prompt, shown to the client with Target; "": not counted
}

// Answer is an answer of our own.
type Answer struct {
	Status int
	Header []providers.Header
	Body   []byte
	Err    *llm.Error // what Body says, when it is an error
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

// turned is what the service says of how to go on, at a step that is no target.
type turned struct{ clusters []string }

// follows reports whether the step at i comes after the one at failed for how that failed: the same target again where the
// route says so, or the turn before another round where the failure may be over by then. The caller holds the lock.
func (x *Exchange) follows(failed, i int, class failure.Class, does failure.Action, now time.Time) bool {
	was, l := &x.Steps[failed], &x.Steps[i]
	switch {
	case l.Same:
		again := does == failure.Same && !was.Same && was.Round == l.Round && was.Target() == l.Target() && was.Key == l.Key
		return again && x.attempts[i].under == passed && !x.core.again.Spent(l.Provider, now)
	case l.Turn && l.Round > was.Round:
		return class.Passes() && x.attempts[i].under == turn
	}
	return false
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
	if l := &x.Steps[i]; l.Round == 0 {
		next = x.onward(i)
	} else if x.rest(ctx, i) {
		next = x.worth(i)
	}
	if next < 0 {
		x.pass(i+1, -1)
		return nil, answer(x.snap.Servers[x.Dialect], x.verdict(), x.ID)
	}
	x.pass(i+1, next)
	return &Attempt{x: x, n: i + 1, head: h, sent: c.now(), turns: &turned{x.clusters()}}, nil
}

// ask makes the request of an attempt that is none at a target: without a body and without credentials.
func (t *turned) ask(x *Exchange) Reply {
	return Reply{
		To: ToRequestBody, Replace: true, Attempt: &Prepared{}, Remove: x.snap.Registry.Sets(),
		Set: []providers.Header{{Name: ":path", Value: "/signalbox.turn"}, {Name: "content-length", Value: "0"}},
	}
}

// answer is that another attempt is to be made.
func (t *turned) answer() []Reply {
	return []Reply{{To: ToAnswerHead, Done: true, Steps: t.clusters, Status: http.StatusServiceUnavailable, Set: []providers.Header{{Name: headerRetry, Value: "1"}}}}
}

// onward returns the step that follows the one before the turn at i: the same target once more, or the next; -1: none does.
func (x *Exchange) onward(i int) int {
	x.mu.Lock()
	was := i - 1
	for was > 0 && x.attempts[was].none() {
		was--
	}
	e := x.attempts[was].Err
	x.mu.Unlock()
	if e == nil { // nobody said
		e = &llm.Error{Code: llm.CodeUpstream}
	}
	return x.next(was+1, e)
}

// worth returns the first step of the round that begins at i that may do better than before; -1: none.
func (x *Exchange) worth(i int) int {
	now := x.core.now()
	x.mu.Lock()
	defer x.mu.Unlock()
	for j := i + 1; j < len(x.Steps) && x.Steps[j].Round == x.Steps[i].Round; j++ {
		if x.vain(j, now) {
			x.attempts[j].skip()
		}
	}
	for j := i + 1; j < len(x.Steps) && x.Steps[j].Round == x.Steps[i].Round; j++ {
		if !x.attempts[j].none() {
			return j
		}
	}
	return -1
}

// vain reports whether there is no point in the step at i, whose target failed in a round before. The caller holds the lock.
func (x *Exchange) vain(i int, now time.Time) bool {
	l, on := &x.Steps[i], &x.failover().On
	if x.restsFor(l, now) > 0 {
		return true
	}
	for j := i - 1; j >= 0; j-- {
		a, was := &x.attempts[j], &x.Steps[j]
		if a.none() || was.Provider != l.Provider || was.Model != l.Model || was.Key != l.Key {
			continue
		}
		if a.Err == nil {
			return false
		}
		class, ok := failure.Of(a.Err)
		return !ok || !class.Passes() || on.On(class) == failure.Stop
	}
	return false
}

// restsFor is how long a step's key or its breaker keeps it from being tried.
func (x *Exchange) restsFor(l *ticket.Leg, now time.Time) (d time.Duration) {
	for _, model := range [...]string{"", l.Model} {
		if until, cooling := x.core.rests.Cooling(health.Subject{Provider: l.Provider, Key: l.Key, Model: model}, now); cooling {
			d = max(d, until.Sub(now))
		}
	}
	if until, rests := x.core.heal.Of(l.Provider, l.Model).Rests(l.Key, 0, now); rests {
		d = max(d, until.Sub(now))
	}
	return d
}

// rest waits before the round that begins at i: for its back-off, or until the first of its targets may be asked again. It
// reports whether the round may begin: not where all rest for longer than the route waits, or no time is left.
func (x *Exchange) rest(ctx context.Context, i int) bool {
	now, on := x.core.now(), x.failover()
	if x.spent(i) {
		return false
	}
	soonest := time.Duration(-1)
	x.mu.Lock()
	for j := i + 1; j < len(x.Steps) && x.Steps[j].Round == x.Steps[i].Round; j++ {
		if d := x.restsFor(&x.Steps[j], now); soonest < 0 || d < soonest {
			soonest = d
		}
	}
	x.mu.Unlock()
	longest := on.Rounds.Max
	if first := x.Rules.First.D(); first > 0 { // by which Envoy bounds this attempt, too
		longest = min(longest, first/2)
	}
	wait := max(min(on.Rounds.Wait(x.Steps[i].Round+1, x.core.seed()), longest), soonest)
	if total := x.Rules.Total.D(); wait > longest || total > 0 && now.Add(wait).Sub(x.began()) >= total {
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
