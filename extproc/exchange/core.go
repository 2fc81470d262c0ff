package exchange

import (
	"crypto/rand"
	"encoding/hex"
	"hash/maphash"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/listing"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/tagging"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/ledger"
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
	Servers   map[dialect.Name]dialect.Server
	Keys      *auth.Gate
	MaxBody   int64 // bytes of a request
	MaxHeader int   // fields of a request's header; 0: any number
	MaxAnswer int64 // bytes of an answer that has to be collected

	reading
	Metered

	tagging.Marks // zero: exchanges have no tags, and are not traced

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
	Slow     bool // reserving may wait, for a store that is not in this process or for a disk
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
	snap  atomic.Pointer[Snapshot]
	live  live
	rests *health.Cooldowns
	seen  Observer
	log   *slog.Logger
	now   func() time.Time
	seed  func() uint64
	burn  func(route string, tags map[string]string, provider, model string) float64
	heal  *health.Targets
	again health.Budgets
	plans sync.Pool // of *routing.Decision
	board *experiment.Board
}

// Options of a Core. Zero fields get what a running service uses.
type Options struct {
	Log      *slog.Logger
	Observer Observer
	Rests    *health.Cooldowns
	Now      func() time.Time
	Health   *health.Targets
	Seed     func() uint64                                                              // of what is drawn in a decision
	Burn     func(route string, tags map[string]string, provider, model string) float64 // as routing.View's; nil: nothing is promised
	Board    *experiment.Board                                                          // how experiments stand; nil: all run
}

// New makes a Core with its first snapshot.
func New(s *Snapshot, o Options) *Core {
	c := &Core{rests: o.Rests, seen: o.Observer, log: o.Log, now: o.Now, seed: o.Seed, heal: o.Health, burn: o.Burn, board: o.Board}
	if c.rests == nil {
		c.rests = health.NewCooldowns()
	}
	if c.seen == nil {
		c.seen = nobody{}
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
	c.live.init()
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
func (c *Core) Live() int {
	n := 0
	for _, x := range c.live.all() {
		x.mu.Lock()
		if x.state != stClosed {
			n++
		}
		x.mu.Unlock()
	}
	return n
}

// newID mints an exchange's id where Envoy gave none that can be used.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// ownKey begins the id of a key that a team has brought.
const ownKey = "team:"

// keys appends a provider's keys for a plan: the team's own where it has brought one, and then no other, for
// what it asks for is not the gateway's to pay.
func (x *Exchange) keys(ids []string, provider, model string) ([]string, bool) {
	team, now := x.By.Team, x.in.began
	if team != "" {
		if _, own := x.snap.Keys.Own(team, provider); own {
			until, cooling := x.core.rests.Cooling(health.Subject{Provider: provider, Key: ownKey + team, Model: model}, now)
			return append(ids, ownKey+team), !cooling || !until.After(now)
		}
	}
	p := x.snap.Providers[provider]
	if p == nil {
		return ids, false
	}
	at := x.core.heal.Of(provider, model)
	return p.Keys.Pick(ids, routing.KeysPerTarget, func(id string) (time.Time, bool) {
		if until, rests := x.core.rests.Cooling(health.Subject{Provider: provider, Key: id, Model: model}, now); rests {
			return until, true
		}
		return at.Rests(id, maphash.String(x.core.live.seed, x.ID), now)
	})
}

// shards is the number of parts of the table, so that streams do not wait for each other.
const shards = 32

// live is the table of exchanges between their plan and their end, and a moment beyond, for log entries
// that come late.
type live struct {
	seed  maphash.Seed
	parts [shards]struct {
		mu sync.Mutex
		m  map[string]*Exchange
	}
}

func (l *live) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.parts {
		l.parts[i].m = map[string]*Exchange{}
	}
}

// add puts x into the table, or returns the exchange that is there under its id.
func (l *live) add(x *Exchange) *Exchange {
	p := &l.parts[maphash.String(l.seed, x.ID)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.m[x.ID]; old != nil {
		return old
	}
	p.m[x.ID] = x
	return x
}

// claim keeps an id free for an exchange that is about to be added, and reports whether it was.
func (l *live) claim(id string) bool {
	p := &l.parts[maphash.String(l.seed, id)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.m[id]; taken {
		return false
	}
	p.m[id] = nil
	return true
}

func (l *live) get(id string) *Exchange {
	p := &l.parts[maphash.String(l.seed, id)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.m[id]
}

func (l *live) remove(id string) {
	p := &l.parts[maphash.String(l.seed, id)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, id)
}

// all returns the exchanges of the table as they are now.
func (l *live) all() []*Exchange {
	var all []*Exchange
	for i := range l.parts {
		l.parts[i].mu.Lock()
		for _, x := range l.parts[i].m {
			if x != nil { // nil: claimed
				all = append(all, x)
			}
		}
		l.parts[i].mu.Unlock()
	}
	return all
}

// Times of the sweep.
const (
	lateEntries = time.Second      // how long a closed exchange waits for its attempts' log entries
	sweepGrace  = 30 * time.Second // beyond the total deadline
	sweepNoEnd  = 24 * time.Hour   // for exchanges without a total deadline
)

// Sweep closes exchanges whose log entry never came, and forgets those that closed a moment ago. Somebody
// calls it about once a second. It returns how many it had to close.
func (c *Core) Sweep() int {
	now := c.now()
	swept := 0
	for _, x := range c.live.all() {
		x.mu.Lock()
		state, closed := x.state, x.closed
		x.mu.Unlock()
		if state == stClosed {
			if now.Sub(closed) >= lateEntries {
				c.live.remove(x.ID)
			}
			continue
		}
		due := sweepNoEnd
		if x.Rules.Total > 0 {
			due = x.Rules.Total.D() + sweepGrace
		}
		if now.Sub(x.began()) >= due {
			x.close(Outcome{Ending: EndedUnseen})
			c.live.remove(x.ID)
			swept++
		}
	}
	return swept
}
