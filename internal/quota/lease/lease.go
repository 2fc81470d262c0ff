// Package lease reserves ahead for owners that ask often, so that most exchanges need not ask the store.
//
//	Reserve ─ lease of these budgets? ─┬─ draw: within the process
//	                                   └─ no ─► store, one by one
//	Settle ── drawn ─► noted; told with all others of the lease when that ends
//	Run ───── ends leases in time, and asks for the next ones
//
// A lease is a reservation under an id of its own, of all budgets of an exchange together: what is drawn from it was
// reserved before, by one atomic step, and is charged if this process dies, since what expires is. It is asked for in the
// background, for about a second of what these budgets were asked for lately, and only where that is little of what is
// left: by what is reserved and not used, replicas keep at most an eighth from each other.
//
// A lease gives until shortly before it would expire, by this process's monotonic clock, and no longer than the first of its
// windows lasts. Then it ends: the store is told what each exchange used, and exchanges that still run become reservations
// of their own, as if they had never been part of it.
//
// The package counts no budget and has no policy for a store that is away: internal/quota/guard, below it, does. What is
// leased can be used up meanwhile.
package lease

import (
	"context"
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Params are a store's settings.
type Params struct {
	Store    quota.Store
	From     int           // reservations of the same budgets in a second from which on they are leased
	Replicas int           // processes that share the limits, at most; 1
	Term     time.Duration // after which a lease expires; 5 s
	Timeout  time.Duration // that a request waits at most for leases that are in its way to be given back; 50 ms
	// Settled is told of each exchange whose settlement waited for the end of its lease, and of those that waited for the
	// store otherwise (see Store.Settled); nil: nobody is.
	Settled func(*quota.Settlement, quota.Outcome, error)
	// Undone is told of a lease that had expired and been charged whole before its exchanges were told; nil: nobody is.
	Undone  func(organization string, l quota.Lapse)
	Journal Journal          // nil: there is none
	Now     func() time.Time // time.Now
	Eager   int              // for tests: every reservation is made by a lease, of room for so many like it, at once
}

// Journal keeps that a lease was taken, so that one that a crash left is given back by the next process.
type Journal interface {
	// Leased returns when the end of the process cannot undo it. as is how it is charged if it expires.
	Leased(r *quota.Request, as quota.Lapse) error
	Settled(organization, id string) error
}

// Store is a quota.Store that leases.
type Store struct {
	p             Params
	name          string // of this process, in ids of leases
	seed          maphash.Seed
	count         atomic.Uint64
	held          atomic.Int64
	closed        atomic.Bool
	asks          sync.WaitGroup
	organizations sync.Map // name → *organization
}

var _ quota.Store = (*Store)(nil)

// prefix begins the ids of leases. Those of exchanges are of letters and digits alone.
const prefix = "l:"

// Is reports whether an id is a lease's.
func Is(id string) bool { return strings.HasPrefix(id, prefix) }

// New makes a store. It ends leases in time only while Run runs.
func New(p Params) *Store {
	p.From, p.Replicas = max(p.From, 1), max(p.Replicas, 1)
	if p.Term <= 0 {
		p.Term = 5 * time.Second
	}
	if p.Timeout <= 0 {
		p.Timeout = 50 * time.Millisecond
	}
	if p.Settled == nil {
		p.Settled = func(*quota.Settlement, quota.Outcome, error) {}
	}
	if p.Undone == nil {
		p.Undone = func(string, quota.Lapse) {}
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Store{p: p, name: strconv.FormatUint(rand.Uint64(), 36), seed: maphash.MakeSeed()}
}

// Held returns how many leases this process has.
func (s *Store) Held() int { return int(s.held.Load()) }

func (s *Store) of(name string) *organization {
	if v, ok := s.organizations.Load(name); ok {
		return v.(*organization)
	}
	v, _ := s.organizations.LoadOrStore(name, newOrganization(name))
	return v.(*organization)
}

// Reserve admits all claims or none: from a lease of their budgets, or by the store.
func (s *Store) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if err := r.Check(); err != nil {
		return quota.Grant{}, nil, err
	}
	o, now := s.of(r.Organization), s.p.Now()
	p, g, no := s.try(o, r, now)
	if g.State != 0 || no != nil {
		return g, no, nil
	}
	if s.p.Eager > 0 && p != nil {
		s.ask(ctx, o, p, s.eager(r))
		if _, g, _ := s.try(o, r, now); g.State != 0 {
			return g, nil, nil
		}
		o.mu.Lock()
		o.alone[r.ID] = now
		o.mu.Unlock()
	}
	g, no, err := s.p.Store.Reserve(ctx, r)
	if err == nil && no != nil && s.giveBack(ctx, o, no) {
		g, no, err = s.p.Store.Reserve(ctx, r)
	}
	o.answered(p, r, g, no, err, s.p.Now())
	return g, no, err
}

// answered notes what the store said of a request. After an error it may have reserved.
func (o *organization) answered(p *path, r *quota.Request, g quota.Grant, no *quota.Refusal, err error, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case no != nil || err == nil && g.State != quota.Pending:
		delete(o.alone, r.ID)
	case err != nil: // nobody goes ahead with it: it is kept in mind for a call that is repeated, while a store that is away refuses very many
		o.alone[r.ID] = now.Add(repeated - forgotten)
	}
	if err == nil && no != nil {
		o.refuse(no, now)
	}
	if err == nil && no == nil && g.State == quota.Pending && !g.Away && p != nil {
		p.learn(g.Levels)
	}
}

// try answers what can be answered within the process. The grant has no state where the store must be asked. The path is
// nil where the budgets cannot be leased.
func (s *Store) try(o *organization, r *quota.Request, now time.Time) (*path, quota.Grant, *quota.Refusal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if d := o.draws[r.ID]; d != nil {
		return nil, quota.Grant{State: d.state, Again: true}, nil
	}
	if _, again := o.alone[r.ID]; again || r.Force {
		o.alone[r.ID] = now
		return nil, quota.Grant{}, nil
	}
	p := s.path(o, r.Claims, now)
	if p == nil {
		no := o.refused(r, now)
		if no == nil {
			o.alone[r.ID] = now
		}
		return nil, quota.Grant{}, no
	}
	if s.p.Eager == 0 {
		p.saw(r.Claims, now)
	}
	if g, ok := p.draw(o, r, now); ok {
		if p.low() {
			s.askLater(o, p, now)
		}
		return p, g, nil
	}
	if no := o.refused(r, now); no != nil {
		return p, quota.Grant{}, no
	}
	s.askLater(o, p, now)
	if s.p.Eager == 0 {
		o.alone[r.ID] = now
	}
	return p, quota.Grant{}, nil
}

// giveBack ends the leases that keep back what a refused claim wants of a budget, and reports whether that can be enough.
func (s *Store) giveBack(ctx context.Context, o *organization, no *quota.Refusal) bool {
	o.mu.Lock()
	var all []*lease
	free := int64(0)
	for l := range o.leases {
		if i := l.index(no.Budget); i >= 0 && !l.ending {
			free += max(0, l.free[i])
			all = append(all, l)
		}
	}
	enough := free > 0 && no.Left+free >= no.Amount
	o.mu.Unlock()
	if !enough {
		no.Left += free // it is this process's own
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.p.Timeout) // what a store that hangs is not told in time waits for it
	defer cancel()
	for _, l := range all {
		s.end(ctx, o, l)
	}
	return true
}

// Settle ends a reservation. Of one that was drawn from a lease the store is told when that ends.
func (s *Store) Settle(ctx context.Context, in *quota.Settlement) (quota.Outcome, error) {
	if err := in.Check(); err != nil {
		return quota.Outcome{}, err
	}
	o := s.of(in.Organization)
	out, known, err := o.settle(in)
	if known || err != nil {
		return out, err
	}
	out, err = s.p.Store.Settle(ctx, in)
	if err == nil {
		o.eased(in)
	}
	return out, err
}

// Settled passes on what became of a settlement that waited for the store: that of a lease to its exchanges.
func (s *Store) Settled(in *quota.Settlement, out quota.Outcome, err error) {
	if in.Draws == nil {
		s.p.Settled(in, out, err)
		return
	}
	o := s.of(in.Organization)
	o.mu.Lock()
	l := o.ended[in.ID]
	o.mu.Unlock()
	if l != nil {
		s.told(context.Background(), o, l, out, err)
	}
}

// Touch lets open reservations live on. Those of a lease do anyway until it ends.
func (s *Store) Touch(ctx context.Context, name string, ids []string, hold time.Duration) ([]string, error) {
	o, until := s.of(name), s.p.Now().Add(hold)
	rest := ids
	o.mu.Lock()
	if len(o.draws) > 0 {
		rest = make([]string, 0, len(ids))
		for _, id := range ids {
			if d := o.draws[id]; d != nil && d.state == quota.Pending && d.after == nil {
				if until.After(d.until) {
					d.until = until
				}
			} else {
				rest = append(rest, id)
			}
		}
	}
	o.mu.Unlock()
	if len(rest) == 0 && len(ids) > 0 {
		return nil, nil
	}
	return s.p.Store.Touch(ctx, name, rest, hold)
}

// Reap charges what has expired in the store.
//
// An exchange that is over is known by the store and not here: its id must not be reserved again, which ids that are made
// at random for one exchange are not.
func (s *Store) Reap(ctx context.Context, name string, most int) ([]quota.Lapse, error) {
	o := s.of(name)
	s.upkeep(ctx, o, false)
	out, err := s.p.Store.Reap(ctx, name, most)
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range out {
		delete(o.alone, out[i].ID)
	}
	return out, err
}

// Peek returns the store's counters, in which a lease is reserved whole.
func (s *Store) Peek(ctx context.Context, name string, budgets []*quota.Budget) ([]quota.Counter, error) {
	return s.p.Store.Peek(ctx, name, budgets)
}
