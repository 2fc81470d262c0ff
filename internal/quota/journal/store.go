package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Store is a quota.Store with a journal before it.
type Store struct {
	store   quota.Store
	journal *Journal
	local   bool // the store ends with the process
}

var _ quota.Store = (*Store)(nil)

// Wrap puts a journal before a store. local says that the store ends with the process: then reservations of hard
// limits are on disk before they are granted.
func Wrap(store quota.Store, j *Journal, local bool) *Store {
	return &Store{store: store, journal: j, local: local}
}

// hard reports whether a claim is of a hard limit.
func hard(claims []quota.Claim) bool {
	return slices.ContainsFunc(claims, func(c quota.Claim) bool { return c.Budget.Hard() })
}

// Reserve admits all claims or none. What was admitted is noted before the answer, and nothing else is: a line of what the
// store refused, or did not answer to, would be reserved and in the end charged by a restart that finds it alone. Where
// the disk fails, hard limits admit nothing: what they admitted would be forgotten by a crash.
func (s *Store) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if err := r.Check(); err != nil {
		return quota.Grant{}, nil, err
	}
	strict := hard(r.Claims)
	if failed := s.journal.Failed(); failed != nil && strict {
		return quota.Grant{}, nil, fmt.Errorf("%w: the journal's disk fails: %w", quota.ErrUnavailable, failed)
	}
	g, refusal, err := s.store.Reserve(ctx, r)
	if err != nil || refusal != nil || g.State != quota.Pending {
		return g, refusal, err
	}
	until := Queued
	switch {
	case strict && s.local:
		until = Synced
	case strict:
		until = Written // of what the store forgets, it and this process may be the only ones that knew
	}
	if err := s.journal.Reserved(r, nil, until); err != nil && strict {
		_ = s.journal.Settled(r.Organization, r.ID)
		if !g.Again {
			void := quota.Settlement{Organization: r.Organization, ID: r.ID, Born: s.journal.p.Now(), Void: true, Claims: r.Claims}
			_, _ = s.store.Settle(context.WithoutCancel(ctx), &void) // what is not voided expires
		}
		return quota.Grant{}, nil, fmt.Errorf("%w: the journal's disk fails: %w", quota.ErrUnavailable, err)
	}
	return g, nil, nil
}

// Settle ends a reservation. Of hard limits it is on disk before the store is told; a disk that fails does not keep the
// store from being told.
func (s *Store) Settle(ctx context.Context, in *quota.Settlement) (quota.Outcome, error) {
	return s.Use(ctx, in, nil)
}

// Use is Settle with a note that is handed out after a crash until the ledger has it.
func (s *Store) Use(ctx context.Context, in *quota.Settlement, note []byte) (quota.Outcome, error) {
	if err := in.Check(); err != nil {
		return quota.Outcome{}, err
	}
	if hard(in.Claims) {
		_ = s.journal.Used(in, note) // Params.Alarm has been told
	} else {
		_ = s.journal.Noted(in, note)
	}
	return s.settle(ctx, in)
}

// settle tells the store, and notes that it knows. What it cannot take it never will.
func (s *Store) settle(ctx context.Context, in *quota.Settlement) (quota.Outcome, error) {
	out, err := s.store.Settle(ctx, in)
	if err == nil && !out.Wait || errors.Is(err, quota.ErrMisuse) {
		_ = s.journal.Settled(in.Organization, in.ID)
	}
	return out, err
}

// Touch lets open reservations live on.
func (s *Store) Touch(ctx context.Context, organization string, ids []string, hold time.Duration) ([]string, error) {
	return s.store.Touch(ctx, organization, ids, hold)
}

// Reap charges what has expired.
func (s *Store) Reap(ctx context.Context, organization string, most int) ([]quota.Lapse, error) {
	out, err := s.store.Reap(ctx, organization, most)
	for i := range out {
		_ = s.journal.Settled(organization, out[i].ID)
	}
	return out, err
}

// Peek returns the store's counters.
func (s *Store) Peek(ctx context.Context, organization string, budgets []*quota.Budget) ([]quota.Counter, error) {
	return s.store.Peek(ctx, organization, budgets)
}

// Resume brings a store up to what a process before this one left: it settles what was used, and reserves again what
// was reserved, to expire unless its end is told yet. What cannot be done now stays in the journal.
//
// A store that ends with the process has been set to what the ledger has, with Left.Unwritten written into it: there
// what has a note for the ledger is counted already.
func (s *Store) Resume(ctx context.Context, left *Left) error {
	var errs error
	for i := range left.Unsettled {
		in := &left.Unsettled[i].Settlement
		if s.local && s.journal.p.Ledger && len(left.Unsettled[i].Note) > 0 {
			_ = s.journal.Settled(in.Organization, in.ID)
			continue
		}
		_, err := s.settle(ctx, in)
		errs = errors.Join(errs, err)
	}
	for i := range left.Open {
		r := left.Open[i].Request
		r.Force = true
		g, _, err := s.store.Reserve(ctx, &r)
		if err == nil && g.Again && g.State != quota.Pending || errors.Is(err, quota.ErrMisuse) {
			_ = s.journal.Settled(r.Organization, r.ID) // it ended, and the store knows how
		}
		errs = errors.Join(errs, err)
	}
	return errs
}
