// Package guard stands before a store that may be away, and before the consequences of that.
//
//	Reserve ─ breaker ─ store ─┬─► grant or refusal
//	                           └─ away or unknown: every budget's policy: deny, local share, allow
//	Settle ── breaker ─ store ─┬─► outcome
//	                           └─ away: waits, and is settled when the store answers again
//	Run ───── probes, what waits, epochs: what is open is put back into a store that forgot it
//
// A request waits for a store that hangs as long as the store's own time-out, and not at all once the breaker is
// open. The guard counts nothing itself: what it admits without the store is counted in a second store, within the
// process. It does not survive the process (internal/quota/journal does).
package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Params are a guard's settings.
type Params struct {
	Store    quota.Store
	Local    quota.Store                                   // counts what is admitted while Store is away; also a quota.Rebuilder, as that of internal/quota/memory
	Replicas int                                           // processes that share the limits, at most; 1
	Timeout  time.Duration                                 // of putting back what is open while a request waits; 50 ms
	Debts    int                                           // settlements that may wait; 100,000
	Settled  func(*quota.Settlement, quota.Outcome, error) // told of each that waited; nil: nobody
	Alarm    func(organization, what string)               // nil: nobody
	Now      func() time.Time                              // time.Now
}

// Guard is a store that answers while the store behind it does not.
type Guard struct {
	p             Params
	organizations sync.Map // name → *organization
	debts         debts
}

var _ quota.Store = (*Guard)(nil)

// fenced is a store that may forget, and says so by a change of its epoch.
type fenced interface {
	Epoch(ctx context.Context, organization string) (string, error)
}

// New makes a guard. It does nothing by itself; Run does.
func New(p Params) *Guard {
	p.Replicas = max(p.Replicas, 1)
	if p.Timeout <= 0 {
		p.Timeout = 50 * time.Millisecond
	}
	if p.Debts <= 0 {
		p.Debts = 100_000
	}
	if p.Settled == nil {
		p.Settled = func(*quota.Settlement, quota.Outcome, error) {}
	}
	if p.Alarm == nil {
		p.Alarm = func(string, string) {}
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Guard{p: p, debts: debts{most: p.Debts}}
}

// organization is what the guard knows of one. In a cluster each has a node of its own, so each has a breaker.
type organization struct {
	name    string
	breaker breaker

	mu    sync.Mutex
	open  map[string]*held
	epoch string
	back  bool // open reservations are being put back
	known map[string]remaining
}

// reaped is how long after its time a reservation may still be there in the store. Put back later than that, it would be
// charged once more.
const reaped = 5 * time.Second

// held is an open reservation.
type held struct {
	claims []quota.Claim
	until  time.Time // without a touch
	absent bool      // admitted while the store was away: it does not know of it yet
	local  bool      // some of it is counted in the local store
	voided bool      // it ended, by nothing
}

func (g *Guard) of(name string) *organization {
	if v, ok := g.organizations.Load(name); ok {
		return v.(*organization)
	}
	v, _ := g.organizations.LoadOrStore(name, &organization{name: name, open: map[string]*held{}, known: map[string]remaining{}})
	return v.(*organization)
}

// Reserve admits all claims or none: by the store, or by the budgets' policies while it is away. Its error is then
// quota.ErrUnavailable or quota.ErrUnknown, and nothing stays reserved.
func (g *Guard) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if err := r.Check(); err != nil {
		return quota.Grant{}, nil, err
	}
	o := g.of(r.Organization)
	if r.Force {
		h, ok := g.expect(o, r)
		if !ok {
			return quota.Grant{State: quota.Settled, Again: true}, nil, nil
		}
		grant, refusal, err := g.reserve(ctx, o, r)
		if err != nil || refusal != nil || grant.State != quota.Pending {
			o.forget(r.ID, h)
		}
		return grant, refusal, err
	}
	return g.reserve(ctx, o, r)
}

// expect makes a reservation known that may be over already, before the store is told of it: an end that comes meanwhile
// finds it. It is false where the end waits for the store.
func (g *Guard) expect(o *organization, r *quota.Request) (*held, bool) {
	if g.debts.known(r.Organization, r.ID) {
		return nil, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.open[r.ID]
	if h == nil {
		h = &held{claims: slices.Clone(r.Claims), until: g.p.Now().Add(r.Hold + reaped)}
		o.open[r.ID] = h
	}
	return h, true
}

// forget drops an open reservation, unless another took its place.
func (o *organization) forget(id string, h *held) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[id] == h {
		delete(o.open, id)
	}
}

func (g *Guard) reserve(ctx context.Context, o *organization, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	// Nobody waits for it any more, and that says nothing of the store: clients that break off must not keep others from it.
	if err := ctx.Err(); err != nil {
		return quota.Grant{}, nil, fmt.Errorf("%w: %w", quota.ErrUnavailable, err)
	}
	if !o.breaker.allows(g.p.Now()) {
		return g.without(ctx, o, r, quota.ErrUnavailable)
	}
	grant, refusal, err := g.p.Store.Reserve(ctx, r)
	if errors.Is(err, quota.ErrUnknown) && g.putBackNow(ctx, o) == nil {
		grant, refusal, err = g.p.Store.Reserve(ctx, r)
	}
	g.judge(o, err)
	switch {
	case errors.Is(err, quota.ErrUnavailable) || errors.Is(err, quota.ErrUnknown):
		var without error
		if grant, refusal, without = g.without(ctx, o, r, err); without != nil || refusal != nil || grant.State != quota.Pending {
			// It may have been reserved all the same. What goes ahead must not be given back, not even for a moment.
			g.debts.add(&quota.Settlement{Organization: r.Organization, ID: r.ID, Born: g.p.Now(), Void: true, Claims: slices.Clone(r.Claims)}, true)
		}
		return grant, refusal, without
	case err != nil || refusal != nil:
		return grant, refusal, err
	}
	if grant.State == quota.Pending {
		o.keep(r, &held{}, grant.Levels, g.p.Now())
	}
	return grant, nil, nil
}

// putBackNow is putBack while a request waits for it.
func (g *Guard) putBackNow(ctx context.Context, o *organization) error {
	ctx, cancel := context.WithTimeout(ctx, g.p.Timeout)
	defer cancel()
	return g.putBack(ctx, o)
}

// keep remembers an open reservation, and what is left of its budgets.
func (o *organization) keep(r *quota.Request, h *held, levels []quota.Level, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch old := o.open[r.ID]; {
	case old != nil && r.Force:
		old.absent, old.local = old.absent || h.absent, old.local || h.local
	case old == nil && !r.Force: // of one that was expected the end was told meanwhile
		h.claims, h.until = slices.Clone(r.Claims), now.Add(r.Hold+reaped)
		o.open[r.ID] = h
	}
	for i := range levels {
		o.remember(r.Claims[i].Budget, levels[i].Left, now)
	}
}

// judge tells the breaker how a call went. A store that answers but does not know its counters is there.
func (g *Guard) judge(o *organization, err error) {
	now := g.p.Now()
	if !errors.Is(err, quota.ErrUnavailable) {
		if o.breaker.success(now) {
			o.mu.Lock()
			o.epoch = "" // what was admitted meanwhile is put in
			o.mu.Unlock()
			g.p.Alarm(o.name, "the store of quotas answers again")
		}
		return
	}
	if o.breaker.failure(now) {
		g.p.Alarm(o.name, "the store of quotas does not answer; limits follow their policies for that")
	}
}

// Settle ends a reservation, now or when the store answers again.
func (g *Guard) Settle(ctx context.Context, s *quota.Settlement) (quota.Outcome, error) {
	if err := s.Check(); err != nil {
		return quota.Outcome{}, err
	}
	o := g.of(s.Organization)
	o.mu.Lock()
	h := o.open[s.ID]
	delete(o.open, s.ID)
	local := h != nil && h.local
	if h != nil {
		h.voided = s.Void
	}
	o.mu.Unlock()
	if local {
		g.settleLocal(ctx, s)
	}
	g.debts.drop(s.Organization, s.ID) // what it was to be voided for is settled by this
	g.drawn(o, s)
	if !o.breaker.allows(g.p.Now()) {
		return g.later(s, quota.ErrUnavailable)
	}
	out, err := g.p.Store.Settle(ctx, s)
	g.judge(o, err)
	if errors.Is(err, quota.ErrUnavailable) || errors.Is(err, quota.ErrUnknown) {
		return g.later(s, err)
	}
	return out, err
}

// drawn takes what still runs of a lease that ends for a reservation of its own, as the store does: from then on it is put back
// where the store forgets it.
func (g *Guard) drawn(o *organization, s *quota.Settlement) {
	now := g.p.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range s.Draws {
		d := &s.Draws[i]
		if d.State != quota.Pending || o.open[d.ID] != nil {
			continue
		}
		h := &held{until: now.Add(d.Hold + reaped), claims: make([]quota.Claim, len(s.Claims))}
		for k := range h.claims {
			h.claims[k] = quota.Claim{Budget: s.Claims[k].Budget, Amount: d.Amounts[k]}
		}
		o.open[d.ID] = h
	}
}

// later lets a settlement wait.
func (g *Guard) later(s *quota.Settlement, err error) (quota.Outcome, error) {
	keep := *s
	if !g.debts.add(&keep, false) {
		g.p.Alarm(s.Organization, "more settlements wait for the store of quotas than can be kept: they are charged as reserved")
		return quota.Outcome{}, err
	}
	return quota.Outcome{From: quota.None, To: quota.None, Wait: true}, nil
}

// Touch lets open reservations live on.
func (g *Guard) Touch(ctx context.Context, name string, ids []string, hold time.Duration) ([]string, error) {
	o := g.of(name)
	now := g.p.Now()
	o.mu.Lock()
	for _, id := range ids {
		if h := o.open[id]; h != nil {
			h.until = now.Add(hold + reaped)
		}
	}
	o.mu.Unlock()
	if !o.breaker.allows(now) {
		return nil, quota.ErrUnavailable
	}
	lost, err := g.p.Store.Touch(ctx, name, ids, hold)
	g.judge(o, err)
	return lost, err
}

// Reap charges what has expired in the store.
func (g *Guard) Reap(ctx context.Context, name string, most int) ([]quota.Lapse, error) {
	o := g.of(name)
	if !o.breaker.allows(g.p.Now()) {
		return nil, quota.ErrUnavailable
	}
	out, err := g.p.Store.Reap(ctx, name, most)
	g.judge(o, err)
	return out, err
}

// Peek returns the store's counters.
func (g *Guard) Peek(ctx context.Context, name string, budgets []*quota.Budget) ([]quota.Counter, error) {
	o := g.of(name)
	if !o.breaker.allows(g.p.Now()) {
		return nil, quota.ErrUnavailable
	}
	out, err := g.p.Store.Peek(ctx, name, budgets)
	g.judge(o, err)
	return out, err
}
