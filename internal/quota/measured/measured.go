// Package measured counts what a store of quotas does: how long reservations and settlements take, and what limits
// refuse or come near to. It decides nothing, and passes everything on as it is.
package measured

import (
	"context"
	"errors"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// near is the share of a limit, in percent, from which on it counts as nearly reached.
const near = 80

// Store is a store that is measured. The methods that it does not have of its own are the store's.
type Store struct {
	quota.Store
	name    string
	count   *telemetry.QuotaMeters
	trouble *trouble.Log
}

var _ quota.Store = (*Store)(nil)

// New measures a store. name is the metrics' word for it, such as memory or redis. What must not happen goes into a log,
// which may be nil.
func New(s quota.Store, name string, count *telemetry.QuotaMeters, t *trouble.Log) *Store {
	return &Store{s, name, count, t}
}

// Reserve implements quota.Store.
func (s *Store) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	began := time.Now()
	g, no, err := s.Store.Reserve(ctx, r)
	result := "granted"
	switch {
	case err != nil:
		result = "error"
		if errors.Is(err, quota.ErrUnavailable) || errors.Is(err, quota.ErrUnknown) {
			s.degraded(r.Organization, "deny", "refused")
		}
	case no != nil:
		result = "refused"
		s.count.Refused(no.Budget.Owner.Level, no.Budget.Unit.String())
	case g.Away:
		s.degraded(r.Organization, policy(r.Claims), "admitted")
	}
	s.count.Reserved(s.name, result, time.Since(began))
	for i := range min(len(g.Levels), len(r.Claims)) {
		if b := r.Claims[i].Budget; err == nil && no == nil && b.Limit > 0 && g.Levels[i].Used*100 >= b.Limit*near {
			s.count.Near(b.Owner.Level, b.Unit.String())
		}
	}
	return g, no, err
}

// degraded counts an exchange that was decided without the store.
func (s *Store) degraded(organization, policy, result string) {
	s.count.Degraded(policy, result)
	s.trouble.Note(trouble.What{Kind: trouble.Degraded, Organization: organization, Subject: result + " by " + policy}, 1)
}

// policy is by which of their policies budgets admit while the store is away: the stricter one.
func policy(claims []quota.Claim) string {
	for i := range claims {
		if claims[i].Budget.Away != quota.Allow {
			return "local"
		}
	}
	return "allow"
}

// Settle implements quota.Store.
func (s *Store) Settle(ctx context.Context, x *quota.Settlement) (quota.Outcome, error) {
	began := time.Now()
	out, err := s.Store.Settle(ctx, x)
	result := "ok"
	if err != nil {
		result = "error"
	}
	s.count.Settled(s.name, result, time.Since(began))
	if err == nil && out.From == quota.Expired && out.Changed() {
		s.count.Late(1)
	}
	return out, err
}

// Reap implements quota.Store.
func (s *Store) Reap(ctx context.Context, organization string, most int) ([]quota.Lapse, error) {
	l, err := s.Store.Reap(ctx, organization, most)
	if n := len(l); n > 0 {
		s.count.Expired(n)
	}
	s.count.Up(s.name, !errors.Is(err, quota.ErrUnavailable))
	return l, err
}
