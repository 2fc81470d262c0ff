package exchange

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/listing"
	"github.com/signalbox-ai/signalbox/extproc/living"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/tagging"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// Snapshot is everything built from one version of the configuration. It does not change; an exchange
// keeps the one that it began with.
type Snapshot struct {
	Version   string
	Table     *routing.Table
	Providers map[string]*providers.Provider
	Registry  *providers.Registry
	Probe     *routing.Route // of probes, without its target; nil: none is let in
	Servers   map[dialect.Name]dialect.Server
	Keys      *auth.Gate
	MaxBody   int64 // bytes of a request
	MaxHeader int   // fields of a request's header; 0: any number
	MaxAnswer int64 // bytes of an answer that has to be collected

	reading
	Metered

	tagging.Marks // zero: exchanges have no tags, and are not traced

	derived
}

// derived is what a Core makes of a snapshot.
type derived struct {
	list  func() *listing.List // made when it is first asked for
	waits bool                 // signing for one of the providers may
	about *abouts
}

// reading is what else is known of what requests say.
type reading struct {
	Count     *counting.Counter // nil: no prompt is counted here
	Templates *template.Set     // bound; nil: requests name none
}

// Metered is what holds clients to limits, and lets what they repeat be done once.
type Metered struct {
	Meter  *metering.Meter   // nil: nothing is limited or charged
	Limits metering.Limits   // where there is a Meter
	Once   *idempotency.Desk // nil: idempotency keys mean nothing here
	// Feedback writes down what clients say of answers, and does not wait; nil: nobody keeps it.
	Feedback func(*ledger.Record)
	Line     *queue.Queue // where requests wait for room at providers; nil: none does
	Slow     bool         // reserving may wait, for a store that is not in this process or for a disk
}

// MayWait reports whether what makes a request, Head, Body, Request or Bare, may wait for a credential, or for the
// store of limits, or for another request with its idempotency key.
func (x *Exchange) MayWait() bool {
	return x.snap.waits || x.snap.Slow || x.in != nil && x.in.repeats
}

// MayWait reports whether Request or Bare may wait for a credential.
func (a *Attempt) MayWait() bool { return a.x.snap.waits }

// Core is what all exchanges of a process share. Its methods are safe for concurrent use.
type Core struct {
	snap atomic.Pointer[Snapshot]
	underWay
	rests *health.Cooldowns
	seen  Observer
	log   *slog.Logger
	now   func() time.Time
	seed  func() uint64
	draws bool // seed is of decisions, too, whatever their exchanges are
	burn  func(route string, tags map[string]string, provider, model string) float64
	heal  *health.Targets
	again health.Budgets
	plans sync.Pool     // of *routing.Decision
	hears time.Duration // how long is waited for what attempts came to; less than 0: the end of an exchange waits for nothing
	trials
	own
}

// underWay is what has begun, and what is known of who would tell of its end.
type underWay struct {
	live    *living.Table[Exchange, resting]
	open    atomic.Int64 // exchanges that are not closed
	entered atomic.Int64 // exchanges in the plan stage, for which Envoy waits
	died    atomic.Int64 // when the Envoy that this process runs ended last, in Unix nanoseconds; 0: it never did
	pass    atomic.Int64 // calls of Sweep that are passed over
	wakes   atomic.Int64 // when the first of what rests is given up, or before; Unix milliseconds
}

// own is what the gateway sends by itself.
type own struct {
	twice  *shadow.Sender
	passes *pass.Issuer
}

// trials are what a process knows of experiments beside their configuration.
type trials struct {
	board  *experiment.Board
	strays func(arm, template string)
}

// Options of a Core. Zero fields get what a running service uses.
type Options struct {
	Log      *slog.Logger
	Observer Observer
	Rests    *health.Cooldowns
	Now      func() time.Time
	Health   *health.Targets
	Seed     func() uint64                                                              // of what is drawn in a decision; nil: of the exchange
	Burn     func(route string, tags map[string]string, provider, model string) float64 // as routing.View's; nil: nothing is promised
	Board    *experiment.Board                                                          // how experiments stand; nil: all run
	Shadows  *shadow.Sender                                                             // nil: no request is copied
	Passes   *pass.Issuer                                                               // of what the gateway sends by itself; nil: nothing is let in as that
	Hear     time.Duration                                                              // how long is waited for log entries of attempts that the service did not see; 0: 300 ms, less: exchanges end without them
	Strays   func(arm, template string)                                                 // called where an arm's version of a template cannot be made for a request, which is answered without the arm; nil: nobody asks
}

// New makes a Core with its first snapshot.
func New(s *Snapshot, o Options) *Core {
	c := &Core{rests: o.Rests, seen: o.Observer, log: o.Log, now: o.Now, seed: o.Seed, draws: o.Seed != nil, heal: o.Health, burn: o.Burn, hears: cmp.Or(o.Hear, verdictWait), trials: trials{o.Board, o.Strays}, own: own{o.Shadows, o.Passes}}
	if c.rests == nil {
		c.rests = health.NewCooldowns()
	}
	if c.seen == nil {
		c.seen = nobody{}
	}
	if c.strays == nil {
		c.strays = func(string, string) {}
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.seed == nil {
		c.seed = mathrand.Uint64
	}
	if c.heal == nil {
		c.heal = health.NewTargets()
	}
	c.plans.New = func() any { return new(routing.Decision) }
	c.live = living.New(c.wake)
	c.Swap(s)
	return c
}

// Swap puts a new snapshot in place for exchanges that begin from now on. The snapshot is the Core's from then on.
func (c *Core) Swap(s *Snapshot) {
	if s.list == nil {
		s.list = sync.OnceValue(func() *listing.List { return listing.New(s.Table, s.Providers, c.now()) })
	}
	for _, p := range s.Providers {
		if _, local := p.Adapter.(*providers.Fixed); !local { // which has no more than the key to sign with
			s.waits = true
		}
	}
	if s.about == nil {
		s.about = &abouts{snap: s, health: c.heal}
		s.Table = s.Table.Bind(func(t *routing.Target) *routing.About { return s.about.of(t.Provider, t.Model, t.Like) })
	}
	c.snap.Store(s)
}

// Snapshot returns the current snapshot.
func (c *Core) Snapshot() *Snapshot { return c.snap.Load() }

// Live returns the number of exchanges that are not closed.
func (c *Core) Live() int { return int(c.open.Load()) }

// Planning returns the number of exchanges in the plan stage. Those that have just left it are Live, too.
func (c *Core) Planning() int { return int(c.entered.Load()) }

// newID mints an exchange's id where Envoy gave none that can be used.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// Ours reports whether a lane is that of a key that the configuration has, not of one that a team has brought.
func (c *Core) Ours(l queue.Lane) bool { return !strings.HasPrefix(l.Key, ownKey) }

// ownKey begins the id of a key that a team has brought.
const ownKey = "team:"

// keys appends a provider's keys for a plan: the team's own where it has brought one, and then no other, for
// what it asks for is not the gateway's to pay.
func (x *Exchange) keys(ids []string, provider, model string) ([]string, bool) {
	if s := x.in.probe; s != nil {
		return append(ids, s.Key), true
	}
	now := x.in.now()
	if _, own := x.snap.Keys.Own(x.By.Home(), provider); own {
		id := ownKey + x.By.Team
		until, cooling := x.core.rests.Cooling(health.Subject{Provider: provider, Key: id, Model: model}, now)
		_, full := x.full(queue.Lane{Provider: provider, Model: model, Key: id})
		return append(ids, id), !full && (!cooling || !until.After(now))
	}
	p := x.snap.Providers[provider]
	if p == nil {
		return ids, false
	}
	if p.Keys.Len() == 0 {
		_, full := x.full(queue.Lane{Provider: provider, Model: model})
		return append(ids, ""), !full
	}
	at := x.core.heal.Of(provider, model)
	return p.Keys.Pick(ids, routing.KeysPerTarget, func(id string) (time.Time, bool) {
		if until, rests := x.core.rests.Cooling(health.Subject{Provider: provider, Key: id, Model: model}, now); rests {
			return until, true
		}
		if until, rests := at.Rests(id, x.core.live.Hash(x.ID), now); rests {
			return until, true
		}
		return x.full(queue.Lane{Provider: provider, Model: model, Key: id})
	})
}

// full reports whether a lane has no room for a request that has none there yet.
func (x *Exchange) full(l queue.Lane) (until time.Time, full bool) {
	if x.in.pass.Of(l) {
		return time.Time{}, false
	}
	return x.snap.Line.Full(l)
}

func laneOf(s *routing.Step) queue.Lane {
	return queue.Lane{Provider: s.Provider, Model: s.Model, Key: s.Key}
}

// occupy takes room for attempt n, which is made in any case.
func (x *Exchange) occupy(n int) {
	if x.snap.Line == nil {
		return
	}
	l := &x.Steps[n-1]
	pass := x.snap.Line.Force(queue.Lane{Provider: l.Provider, Model: l.Model, Key: l.Key}, x.course.At[0].Pass.Tokens())
	x.mu.Lock()
	x.course.At[n-1].Pass = pass
	x.mu.Unlock()
}

// vacate gives up the place of attempt n, which has ended.
func (x *Exchange) vacate(n int) {
	if x.snap.Line == nil {
		return
	}
	x.mu.Lock()
	pass := x.course.At[n-1].Pass
	x.mu.Unlock()
	x.snap.Line.Leave(pass)
}

// usedRoom tells how many tokens attempt n has used.
func (x *Exchange) usedRoom(n int, u *llm.Usage) {
	if x.snap.Line == nil || !u.Known() {
		return
	}
	x.mu.Lock()
	pass := x.course.At[n-1].Pass
	x.mu.Unlock()
	x.snap.Line.Correct(pass, u.Input.N+u.Output.N)
}

// Times of the sweep.
const (
	sweepAtOnce = 1000             // of so many exchanges more, one more call of Sweep is passed over
	sweepSeldom = 9                // at most so many
	sweepSoon   = 10 * time.Second // after the end of an Envoy, none
	lateEntries = time.Second      // how long a closed exchange waits for its attempts' log entries, and all for those of an Envoy that has ended
	sweepGrace  = 30 * time.Second // beyond the total deadline
	sweepNoEnd  = 24 * time.Hour   // for exchanges without a total deadline
)

// Died says that the Envoy which this process runs has ended, whether or not it is started again: of what was under way in
// it, nobody tells any more. Another's Envoy that has lost its connection may only have lost that, and tells by the next.
func (c *Core) Died() { c.died.Store(c.now().UnixNano()) }

// orphaned reports whether the exchange was in the hands of an Envoy that has ended, and all that it sent has arrived.
func (x *Exchange) orphaned(now time.Time) bool {
	if !x.core.diedWith(x.by, x.began(), now) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.told
}

// diedWith reports whether what began at a time, and came by a connection, was in the hands of an Envoy that has ended, of which
// everything has arrived.
func (c *Core) diedWith(by <-chan struct{}, began, now time.Time) bool {
	ns := c.died.Load()
	died := time.Unix(0, ns)
	if ns == 0 || by == nil || began.After(died) || now.Sub(died) < lateEntries {
		return false
	}
	select {
	case <-by:
		return true
	default: // it is read still, or is another Envoy's
		return false
	}
}

// Sweep closes exchanges whose log entry never came, or cannot come any more, and forgets those that closed a moment ago. Somebody
// calls it about once a second. It returns how many it had to close. Where thousands are under way, it looks through them less
// often, unless an Envoy has just ended; through those that rest only then, and when the first is due.
func (c *Core) Sweep() int {
	now := c.now()
	c.live.Forget(now.Add(-lateEntries))
	soon := now.Sub(time.Unix(0, c.died.Load())) <= sweepSoon
	if soon || now.UnixMilli() >= c.wakes.Load() {
		c.wakeDue(now)
	}
	if c.pass.Add(-1) >= 0 && !soon {
		return 0
	}
	swept := 0
	for _, x := range c.live.Awake() {
		x.mu.Lock()
		state, closed := x.state, x.closed
		x.mu.Unlock()
		if state == stClosed {
			if now.Sub(closed) >= lateEntries {
				c.live.Remove(x.ID)
			}
			continue
		}
		if !now.Before(x.due()) || x.orphaned(now) {
			x.close(Outcome{Ending: EndedUnseen}) // and is there a while: an entry that comes now begins it anew otherwise
			swept++
		}
	}
	c.rest(now)
	n, _ := c.live.Len()
	c.pass.Store(min(int64(n/sweepAtOnce), sweepSeldom))
	return swept
}

// Hear waits until it is known how the attempts before attempt n ended, where what follows them depends on that and
// Envoy's log alone tells.
func (c *Core) Hear(ctx context.Context, held string, n int) {
	if x, err := c.find(held); err == nil {
		x.hear(ctx, x.nth(n))
	}
}

// Hears reports whether Hear may wait.
func (c *Core) Hears(held string, n int) bool {
	if n < 2 {
		return false
	}
	x, err := c.find(held)
	if err != nil {
		return false
	}
	if !x.failover().On.Waits() {
		return false
	}
	ok, _ := x.known(x.nth(n))
	return !ok
}

// hear waits for what the first n attempts came to.
func (x *Exchange) hear(ctx context.Context, n int) { x.await(ctx, n, x.known) }

// await waits for something of the first n attempts.
func (x *Exchange) await(ctx context.Context, n int, something func(n int) (ok bool, news <-chan struct{})) {
	late := time.NewTimer(x.core.hears)
	defer late.Stop()
	for {
		ok, news := something(n)
		if ok {
			return
		}
		select {
		case <-news:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// end closes the exchange when it is known what its attempts came to: Envoy tells of an attempt that the service did not see by another log, which
// may come behind the request's. Until then nobody can tell whether the provider bills it. Of one that the service sees, Envoy
// sends the request's entry before it ends the attempt's own stream, where the client has left; what was read of it is told then.
func (x *Exchange) end(o Outcome) {
	x.mu.Lock()
	before := x.last(&o) - 1
	x.told = true
	known := x.state == stClosed || x.core.hears < 0 || x.open == 0 && x.course.Known(before)
	x.mu.Unlock()
	if known {
		x.close(o)
		return
	}
	go x.closeLater(o, before)
}

// closeLater closes the exchange when its first n attempts are known, or nobody tells of them.
func (x *Exchange) closeLater(o Outcome, n int) {
	x.await(context.Background(), n, x.knownAndEnded)
	x.close(o)
}

// Left says that the client left before Envoy heard where the request goes: nothing is sent, and no log entry has the ticket. What
// was taken for it is given back.
func (x *Exchange) Left() { x.close(Outcome{Ending: EndedByClient}) }

// last is the last attempt that the log entry of the request tells of.
func (x *Exchange) last(o *Outcome) int {
	if o.Order != nil {
		x.course.Follow(o.Order, &x.failover().On)
	}
	return x.course.Last(max(x.course.Nth(o.Tries)+1, x.tried, 1))
}
