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
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/checks"
	"github.com/signalbox-ai/signalbox/extproc/content"
	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/course"
	"github.com/signalbox-ai/signalbox/extproc/headers"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
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

// attempts are those of an exchange that reached the service.
type attempts struct {
	tried int // the highest
	open  int // how many are under way
}

// Exchange is one client request and its answer.
type Exchange struct {
	core *Core
	snap *Snapshot
	in   *intake // only in the plan stage

	ticket.Ticket // set once, by the plan stage or from Envoy

	mu      sync.Mutex
	state   state
	course  course.Course // what each attempt came to, as far as known
	news    chan struct{} // closed and replaced whenever more of that is known
	usage   llm.Usage
	counted bool // usage was read by the service
	attempts
	closed time.Time
	first  *written // attempt 1's body, until it is taken
	watched
	link
}

// link is what joins the exchange with its Envoy.
type link struct {
	by   <-chan struct{} // closed when the connection that it came by has ended; nil: it is not known by which it came
	told bool            // its log entry came
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
	path   string // with query
	began  time.Time
	asker

	made    *template.Use // what it is made of; nil: of no template
	repeats bool          // it has an idempotency key
	waited  time.Duration // for another request with that, and for room at a provider
	queueing
}

// asker is who asks.
type asker struct {
	proof  auth.Proof // of the client's token
	who    auth.Identity
	as     auth.Identity   // whose it is taken to be, whatever it proves; zero: nobody's
	denied string          // why nobody was let in; "": somebody was
	probe  *health.Subject // what the gateway itself asks, to learn whether it answers; nil: it is no probe
}

// written is a body that was translated while planning.
type written struct {
	body   []byte
	losses []llm.Loss
	req    *llm.Request
}

// Begin starts the plan stage of an exchange.
func (c *Core) Begin() *Exchange {
	return &Exchange{core: c, snap: c.snap.Load(), news: make(chan struct{}), in: &intake{began: c.now()}}
}

// CameBy says, before Head, which connection the exchange comes by: gone is closed when that has ended.
func (x *Exchange) CameBy(gone <-chan struct{}) { x.by = gone }

// Enter says that Envoy waits for the plan stage, until Leave is called.
func (x *Exchange) Enter() { x.core.entered.Add(1) }

// Leave says that Envoy has what it waited for, or waits no more.
func (x *Exchange) Leave() { x.core.entered.Add(-1) }

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
	x := c.planned(t, c.snap.Load())
	return c.enlist(x)
}

// planned is an exchange in Envoy's hands, of which nothing is known but its ticket.
func (c *Core) planned(t *ticket.Ticket, s *Snapshot) *Exchange {
	x := &Exchange{core: c, snap: s, Ticket: *t, state: stPlanned, news: make(chan struct{})}
	x.course = course.New(x.Steps)
	return x
}

// enlist puts an exchange that was planned into the table, or returns the one that is there by its id.
func (c *Core) enlist(x *Exchange) *Exchange {
	c.open.Add(1)
	in := c.live.Add(x.ID, x)
	if in != x {
		c.open.Add(-1)
	}
	return in
}

// resting is an exchange in Envoy's hands of which the service sees nothing until its end. Of ten thousand open streams, nearly all are
// that: they are no work for the collector, and take no more room than what makes them again.
type resting struct {
	ticket ticket.Folded
	snap   *Snapshot
	by     <-chan struct{}
	due    int64 // when it is given up, Unix milliseconds
}

// restAfter is how old an exchange is before it rests: most end sooner, and would be folded for nothing.
const restAfter = 2 * time.Second

// rests returns what to keep of the exchange while it rests; ok is false for one of which more is known than its ticket tells.
func (x *Exchange) rests(now time.Time) (id string, r resting, ok bool) {
	if now.Sub(x.began()) < restAfter || !now.Before(x.due()) || x.Steps[0].Path != ticket.Direct || x.Lease != "" {
		return "", r, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	first := &x.course.At[0]
	if x.state != stPlanned || x.told || x.counted || x.attempts != (attempts{}) || x.first != nil || x.watched != (watched{}) || first.Known || first.Logged || first.Pass != (queue.Pass{}) {
		return "", r, false
	}
	f, ok := x.Fold()
	if !ok {
		return "", r, false
	}
	return f.ID(), resting{f, x.snap, x.by, x.due().UnixMilli()}, true
}

// wake makes the exchange again.
func (c *Core) wake(r resting) *Exchange {
	t, err := r.ticket.Ticket()
	if err != nil { // Envoy has the ticket, too, and sends it with the log entry
		c.log.Error("an exchange cannot be continued before its end", "error", err)
		c.open.Add(-1)
		return nil
	}
	x := c.planned(t, r.snap)
	x.by = r.by
	x.course.At[0].Path, x.course.At[0].Under = x.Steps[0].Path, course.UnderWay
	return x
}

// rest has those rest that may.
func (c *Core) rest(now time.Time) {
	c.live.Rest(func(x *Exchange) (string, resting, bool) {
		id, r, ok := x.rests(now)
		if ok && r.due < c.wakes.Load() {
			c.wakes.Store(r.due)
		}
		return id, r, ok
	})
}

// wakeDue wakes those that are to be given up.
func (c *Core) wakeDue(now time.Time) {
	first := int64(math.MaxInt64)
	c.live.Wake(func(r resting) bool {
		over := r.over(c, now)
		if !over {
			first = min(first, r.due)
		}
		return over
	})
	c.wakes.Store(first)
}

// over reports whether it is to be given up.
func (r *resting) over(c *Core, now time.Time) bool {
	return now.UnixMilli() >= r.due || c.diedWith(r.by, time.UnixMilli(r.ticket.Began()), now)
}

// due is when the exchange is given up.
func (x *Exchange) due() time.Time {
	if x.Rules.Total > 0 {
		return x.began().Add(x.Rules.Total.D() + sweepGrace)
	}
	return x.began().Add(sweepNoEnd)
}

// began returns when the exchange was admitted.
func (x *Exchange) began() time.Time { return time.UnixMilli(x.Began) }

// note records what attempt n (from 1) came to. What the service itself saw stands against the log.
func (x *Exchange) note(n int, a course.Attempted) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.course.Note(n, a) {
		x.wake()
	}
}

// wake has who waits for news of the attempts look again. The caller holds the lock.
func (x *Exchange) wake() {
	close(x.news)
	x.news = make(chan struct{})
}

// known reports whether attempts 1 to n are all known; if not, wait is closed when something is learnt.
func (x *Exchange) known(n int) (ok bool, wait <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Known(n), x.news
}

// knownAndEnded reports the same, and that none that reached the service is under way.
func (x *Exchange) knownAndEnded(n int) (ok bool, wait <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.open == 0 && x.course.Known(n), x.news
}

// nth returns the step of Envoy's attempt n, as course.Nth does.
func (x *Exchange) nth(n int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Nth(n)
}

// number is which of the attempts that are made attempt n is, from 1.
func (x *Exchange) number(n int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Number(n)
}

// left reports whether an attempt behind attempt n is left.
func (x *Exchange) left(n int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Left(n)
}

// exhausted reports whether the attempts that the route allows were made before the step at i.
func (x *Exchange) exhausted(i int) bool {
	most := x.failover().Attempts
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Exhausted(i, most)
}

// next returns the step that follows attempt n, which failed with e; -1: none does.
func (x *Exchange) next(n int, e *llm.Error) int {
	w := x.around()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Next(n, e, w)
}

// onward returns the step that follows the last attempt before the turn at i; -1: none does.
func (x *Exchange) onward(i int) int {
	w := x.around()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Onward(i, w)
}

// worth returns the first step of the round that begins at i that may do better than before; -1: none.
func (x *Exchange) worth(i int) int {
	w := x.around()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Worth(i, w)
}

// verdict is the error of an exchange of which every attempt failed.
func (x *Exchange) verdict() *llm.Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Verdict()
}

// hops are Envoy's attempts as they are from now on: their clusters, and which steps of the plan they are.
type hops struct {
	clusters []string
	order    []int
}

// pass passes over the steps between attempt n and the step that follows it, or all where none does. It returns Envoy's
// attempts where they are others since.
func (x *Exchange) pass(n, next int) (h hops) {
	most := x.failover().Attempts
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.course.Pass(n, next, most) {
		return h
	}
	return x.hopsOf()
}

// hops are Envoy's attempts, as it stands.
func (x *Exchange) hops() hops {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.hopsOf()
}

// hopsOf does what hops does. The caller holds the lock.
func (x *Exchange) hopsOf() (h hops) {
	for i := range x.Steps {
		if x.course.At[i].Under != course.Passed {
			h.clusters, h.order = append(h.clusters, x.cluster(x.Steps[i].Provider)), append(h.order, i)
		}
	}
	return hops{append(h.clusters, ServiceCluster), append(h.order, len(x.Steps))}
}

// come returns the step of Envoy's attempt n, which goes to a cluster, as course.Come does.
func (x *Exchange) come(n int, cluster string) int {
	f := x.failover()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.course.Come(n, f, func(provider string) bool { return x.cluster(provider) == cluster })
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
	Order   []int    // which steps of the plan they are; Envoy's log says so again
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
