package guard

import (
	"context"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// remaining is what was left of a budget when the store was last asked.
type remaining struct {
	left int64
	at   time.Time
}

// mostKnown bounds what is remembered of budgets.
const mostKnown = 100_000

// remember notes what is left of a budget whose share may be needed. The caller holds the lock.
func (o *organization) remember(b *quota.Budget, left int64, now time.Time) {
	if b.Policy() != quota.Local || b.Shadow || !long(b) {
		return
	}
	if len(o.known) >= mostKnown {
		clear(o.known)
	}
	o.known[b.ID] = remaining{left, now}
}

// long reports whether a budget's window outlasts an outage, so that what was used before it counts.
func long(b *quota.Budget) bool {
	switch b.Window.Kind {
	case window.Day, window.Week, window.Month, window.Life:
		return true
	case window.Fixed, window.Sliding:
		return b.Window.Length >= time.Hour
	}
	return false
}

// share is the budget that this process keeps to by itself: its part of the limit, and no more than its part of
// what was left when the store was last asked.
func (g *Guard) share(o *organization, b *quota.Budget, now time.Time) *quota.Budget {
	part := *b
	n := int64(g.p.Replicas)
	part.Limit = b.Limit / n
	o.mu.Lock()
	last, ok := o.known[b.ID]
	o.mu.Unlock()
	if ok && long(b) && sameWindow(b, last.at, now) {
		part.Limit = min(part.Limit, last.left/n)
	}
	if b.Limit > 0 && b.Unit == quota.Parallel {
		part.Limit = max(part.Limit, 1) // less than one request at a time is none for ever
	}
	if part.Window.Kind == window.Pace {
		part.Window.Burst = max(1, b.Window.Burst/n)
		part.Limit = max(1, part.Limit)
	}
	return &part
}

// sameWindow reports whether what was left at one time still says something at another.
func sameWindow(b *quota.Budget, then, now time.Time) bool {
	switch b.Window.Kind {
	case window.Day, window.Week, window.Month:
		return b.Window.Bounds(then, b.Limit) == b.Window.Bounds(now, b.Limit)
	case window.Life:
		return true
	}
	return now.Sub(then) < b.Window.Length
}

// without decides for a store that is away, or does not know its counters. All claims or none.
func (g *Guard) without(ctx context.Context, o *organization, r *quota.Request, why error) (quota.Grant, *quota.Refusal, error) {
	now := g.p.Now()
	local := quota.Request{Organization: r.Organization, ID: r.ID, Hold: r.Hold, Force: r.Force}
	for i := range r.Claims {
		b := r.Claims[i].Budget
		switch {
		case b.Shadow || r.Force:
		case b.Policy() == quota.Deny:
			return quota.Grant{}, nil, why
		case b.Policy() == quota.Local:
			local.Claims = append(local.Claims, quota.Claim{Budget: g.share(o, b, now), Amount: r.Claims[i].Amount})
		}
	}
	if len(local.Claims) > 0 {
		grant, refusal, err := g.p.Local.Reserve(ctx, &local)
		if err != nil || refusal != nil {
			return quota.Grant{}, g.original(r, refusal), err
		}
		if grant.State != quota.Pending {
			return quota.Grant{State: grant.State, Again: true}, nil, nil
		}
	}
	o.keep(r, &held{absent: true, local: len(local.Claims) > 0}, nil, now)
	g.debts.drop(r.Organization, r.ID) // it goes ahead: its end will be settled
	return quota.Grant{State: quota.Pending, Away: true}, nil, nil
}

// original names the budget itself in a refusal of its share.
func (g *Guard) original(r *quota.Request, refusal *quota.Refusal) *quota.Refusal {
	if refusal == nil {
		return nil
	}
	for i := range r.Claims {
		if b := r.Claims[i].Budget; b.ID == refusal.Budget.ID {
			refusal.Index, refusal.Budget = i, b
		}
	}
	return refusal
}

// settleLocal gives back, in the local store, what an exchange did not use of its shares.
func (g *Guard) settleLocal(ctx context.Context, s *quota.Settlement) {
	part := *s
	part.Claims = nil
	for i := range s.Claims {
		if b := s.Claims[i].Budget; !b.Shadow && b.Policy() == quota.Local {
			part.Claims = append(part.Claims, s.Claims[i])
		}
	}
	// It cannot fail but by a change of policies in between, and then the share is given back by expiry.
	_, _ = g.p.Local.Settle(ctx, &part)
}
