package lease

import (
	"context"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// organization is what one lock guards.
type organization struct {
	name string

	mu       sync.Mutex
	paths    map[uint64]*path
	leases   map[*lease]struct{}  // that were not ended
	ended    map[string]*lease    // whose end the store was not told yet, by id
	draws    map[string]*draw     // of both, by id
	alone    map[string]time.Time // when those were reserved that are in the store by themselves, as far as they may be open
	refusals map[*quota.Budget]refusal
}

func newOrganization(name string) *organization {
	return &organization{name: name, paths: map[uint64]*path{}, leases: map[*lease]struct{}{}, ended: map[string]*lease{}, draws: map[string]*draw{}, alone: map[string]time.Time{}, refusals: map[*quota.Budget]refusal{}}
}

// path is budgets that exchanges claim together, and how often they do.
type path struct {
	budgets []*quota.Budget
	second  time.Time // since which is counted
	now     count     // since then
	before  count     // in the second before
	left    []int64   // of the budgets, when the store was last asked; nil: it was not
	lease   *lease    // that is drawn from
	next    *lease    // that takes its place
	asking  bool
	paced   bool      // one of them is a pace: what that let through is not given back, so that it is not leased
	pause   time.Time // not before which a lease is asked for
}

// count is what was asked for: how often, and how much of each budget.
type count struct {
	n       int64
	amounts []int64
}

// mostPaths bounds what is remembered of an organization's budgets; idle ones are dropped after a while.
const (
	mostPaths = 20_000
	idle      = 30 * time.Second
)

// path returns that of claims, or nil where they are not leased.
func (s *Store) path(o *organization, claims []quota.Claim, now time.Time) *path {
	var h uint64
	for i := range claims {
		h = h*1099511628211 ^ maphash.Comparable(s.seed, claims[i].Budget)
	}
	p := o.paths[h]
	if p == nil {
		if len(claims) == 0 || len(o.paths) >= mostPaths {
			return nil
		}
		p = &path{second: now}
		for i := range claims {
			b := claims[i].Budget
			p.budgets = append(p.budgets, b)
			p.paced = p.paced || b.Window.Kind == window.Pace
		}
		p.now.amounts, p.before.amounts = make([]int64, len(claims)), make([]int64, len(claims))
		o.paths[h] = p
	}
	if p.paced || len(p.budgets) != len(claims) { // or two share a number
		return nil
	}
	for i := range claims {
		if p.budgets[i] != claims[i].Budget {
			return nil
		}
	}
	return p
}

// saw counts a reservation.
func (p *path) saw(claims []quota.Claim, now time.Time) {
	if past := now.Sub(p.second); past >= time.Second {
		p.now, p.before = p.before, p.now
		if past >= 2*time.Second {
			p.before.n = 0
			clear(p.before.amounts)
		}
		p.second, p.now.n = now, 0
		clear(p.now.amounts)
	}
	p.now.n++
	for i := range claims {
		p.now.amounts[i] = min(p.now.amounts[i]+claims[i].Amount, quota.Max)
	}
}

// want is what a lease should be of, or nil: the budgets are not asked for often enough, or too little is left of one.
// It is what a second takes, or as many exchanges as a lease can have.
func (p *path) want(from, replicas int) []int64 {
	rate := p.now
	if p.before.n > rate.n {
		rate = p.before
	}
	if rate.n < int64(from) || p.left == nil {
		return nil
	}
	n := int64(replicas)
	out := make([]int64, len(p.budgets))
	for i, sum := range rate.amounts {
		if rate.n > mostDraws {
			sum = sum/rate.n*mostDraws + sum%rate.n*mostDraws/rate.n
		}
		out[i] = min(sum, p.left[i]/(4*n))
		if sum > p.left[i]/(8*n) {
			return nil
		}
	}
	return out
}

// eager is what a lease of tests is of.
func (s *Store) eager(r *quota.Request) []int64 {
	out := make([]int64, len(r.Claims))
	for i := range r.Claims {
		if out[i] = r.Claims[i].Amount; out[i] <= quota.Max/int64(s.p.Eager) {
			out[i] *= int64(s.p.Eager)
		}
	}
	return out
}

// low reports whether the lease will soon be used up.
func (p *path) low() bool {
	l := p.lease
	if len(l.draws) > mostDraws/2 {
		return true
	}
	for i, f := range l.free {
		if f < l.of[i]/2 {
			return true
		}
	}
	return false
}

// learn notes what is left of budgets.
func (p *path) learn(levels []quota.Level) {
	if len(levels) != len(p.budgets) {
		return
	}
	if p.left == nil {
		p.left = make([]int64, len(levels))
	}
	for i := range levels {
		p.left[i] = levels[i].Left
		if p.budgets[i].Shadow {
			p.left[i] = quota.Max // it refuses nobody
		}
	}
}

// askLater asks for the next lease in the background, where one is worth it. The caller holds the lock.
func (s *Store) askLater(o *organization, p *path, now time.Time) {
	if s.p.Eager > 0 || s.closed.Load() || p.asking || p.next != nil || now.Before(p.pause) {
		return
	}
	want := p.want(s.p.From, s.p.Replicas)
	if want == nil {
		return
	}
	p.asking = true
	s.asks.Go(func() { s.ask(context.Background(), o, p, want) })
}

// ask asks the store for a lease. What it refuses, or cannot say, is tried again a second later.
func (s *Store) ask(ctx context.Context, o *organization, p *path, want []int64) {
	r := &quota.Request{Organization: o.name, ID: prefix + s.name + ":" + strconv.FormatUint(s.count.Add(1), 36), Hold: s.p.Term}
	for i, b := range p.budgets {
		r.Claims = append(r.Claims, quota.Claim{Budget: b, Amount: want[i]})
	}
	sent := s.p.Now()
	g, no, err := s.p.Store.Reserve(ctx, r)
	ok := err == nil && no == nil && g.State == quota.Pending && !g.Again && !g.Away && len(g.Levels) == len(p.budgets)
	l := newLease(r, p, sent, s.p.Term, g.Levels)
	if ok && s.p.Journal != nil {
		ok = s.p.Journal.Leased(r, l.lapse()) == nil
	}
	if !ok {
		if err == nil && no == nil && g.State == quota.Pending {
			_, _ = s.p.Store.Settle(ctx, &quota.Settlement{Organization: o.name, ID: r.ID, Born: sent, Void: true, Claims: r.Claims})
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		p.asking, p.left = false, nil
		if s.p.Eager == 0 {
			p.pause = s.p.Now().Add(time.Second)
		}
		return
	}
	s.held.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	p.asking = false
	p.learn(g.Levels)
	o.leases[l] = struct{}{}
	if p.lease == nil {
		p.lease = l
	} else {
		p.next = l
	}
}
