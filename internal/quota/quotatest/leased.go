package quotatest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Leasing is a store that reserves ahead, as that of internal/quota/lease.
type Leasing interface {
	quota.Store
	Flush(ctx context.Context, organization string) // ends all leases
}

// Leased makes subjects of a store that leases before those of another. What it does must be the same, but for levels, for
// counters while a lease is open, and for the time at which an end is told; so counters are read after a Flush.
func Leased(subject func(testing.TB) Subject, lease func(store quota.Store, now func() time.Time, told func(*quota.Settlement, quota.Outcome, error)) Leasing) func(testing.TB) Subject {
	return func(t testing.TB) Subject {
		in := subject(t)
		l := &leased{inner: in.Store, organization: in.Organization, told: map[string]quota.Outcome{}, open: map[string][]quota.Claim{}, over: map[string]bool{}}
		l.Leasing = lease(in.Store, l.now, func(s *quota.Settlement, out quota.Outcome, _ error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.told[s.ID] = out
		})
		clock := in.Clock
		in.Store, in.leased = l, l
		in.Clock = func(at time.Time) {
			l.mu.Lock()
			ended := l.ended
			l.mu.Unlock()
			if ended { // what ended is remembered from now on
				l.Flush(context.Background(), in.Organization)
			}
			l.mu.Lock()
			l.clock, l.ended = at, false
			l.mu.Unlock()
			clock(at)
		}
		return in
	}
}

// leased is a store that leases, with leases ended wherever another store would answer otherwise: after what counts more
// than was reserved, leases that were taken before may still be drawn from.
type leased struct {
	Leasing
	inner        quota.Store
	organization string

	mu    sync.Mutex
	clock time.Time
	ended bool // since the clock was set
	told  map[string]quota.Outcome
	open  map[string][]quota.Claim
	over  map[string]bool // ids of what ended
}

func (l *leased) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock
}

func (l *leased) flush() { l.Flush(context.Background(), l.organization) }

// Reserve implements quota.Store.
func (l *leased) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	l.mu.Lock()
	over := l.over[r.ID]
	l.mu.Unlock()
	if over { // only the store knows
		l.flush()
		return l.inner.Reserve(ctx, r)
	}
	if r.Force {
		l.flush()
	}
	g, no, err := l.Leasing.Reserve(ctx, r)
	if no != nil || err != nil {
		l.flush()
		g, no, err = l.Leasing.Reserve(ctx, r)
	}
	if r.Force {
		l.flush()
	}
	if no == nil && err == nil && !g.Again {
		l.mu.Lock()
		l.open[r.ID] = slices.Clone(r.Claims)
		l.mu.Unlock()
	}
	return g, no, err
}

// Settle implements quota.Store.
func (l *leased) Settle(ctx context.Context, s *quota.Settlement) (quota.Outcome, error) {
	out, err := l.Leasing.Settle(ctx, s)
	l.mu.Lock()
	over := false
	for i, c := range l.open[s.ID] {
		over = over || i < len(s.Claims) && !s.Void && s.Claims[i].Amount > c.Amount
	}
	l.ended = true
	l.over[s.ID] = l.over[s.ID] || err == nil && out.To != quota.None || out.Wait
	l.mu.Unlock()
	if over || err == nil && !out.Wait && out.From != quota.Pending {
		l.flush()
	}
	return out, err
}

// Reap implements quota.Store.
func (l *leased) Reap(ctx context.Context, organization string, most int) ([]quota.Lapse, error) {
	out, err := l.Leasing.Reap(ctx, organization, most)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range out {
		l.over[out[i].ID] = true
	}
	return out, err
}

// Peek implements quota.Store.
func (l *leased) Peek(ctx context.Context, organization string, budgets []*quota.Budget) ([]quota.Counter, error) {
	l.flush()
	return l.inner.Peek(ctx, organization, budgets)
}

// Rebuild implements quota.Rebuilder.
func (l *leased) Rebuild(ctx context.Context, organization string, balances []quota.Balance) error {
	l.flush()
	return l.inner.(quota.Rebuilder).Rebuild(ctx, organization, balances)
}

// outcome is what became of a settlement that waited.
func (l *leased) outcome(id string) quota.Outcome {
	l.flush()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told[id]
}
