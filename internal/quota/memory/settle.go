package memory

import (
	"context"
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Settle ends a reservation, once.
func (s *Store) Settle(_ context.Context, in *quota.Settlement) (quota.Outcome, error) {
	if err := in.CheckForm(); err != nil {
		return quota.Outcome{}, err
	}
	o := s.of(in.Organization)
	o.mu.Lock()
	defer o.mu.Unlock()
	now := s.now()
	ms := now.UnixMilli()
	rec := o.records[in.ID]
	state := o.known(in.ID)
	if state == 0 {
		if in.Draws != nil {
			return s.endLost(o, in, now, ms)
		}
		return s.debit(o, in)
	}
	if rec == nil || state == quota.Expired && in.Void {
		return quota.Outcome{From: state, To: state, Seq: o.seq}, nil
	}
	if len(rec.parts) != len(in.Claims) {
		return quota.Outcome{}, fmt.Errorf("%w: %d budgets were reserved, not %d", quota.ErrMisuse, len(rec.parts), len(in.Claims))
	}
	for i, p := range rec.parts {
		if b := in.Claims[i].Budget; p.counter.budget != b && (p.counter.id != b.ID || p.counter.kind != b.Window.Kind.Letter()) {
			return quota.Outcome{}, fmt.Errorf("%w: budget %s was not reserved at this place", quota.ErrMisuse, b.ID)
		}
	}
	out := quota.Outcome{From: state, To: quota.Settled}
	if in.Draws != nil {
		s.endLease(o, in, rec, &out, ms)
		out.Seq = o.seq
		return out, nil
	}
	if in.Void {
		out.To = quota.Voided
	}
	for i, p := range rec.parts {
		used := in.Claims[i].Amount
		if in.Void {
			used = 0
		}
		out.Over = p.settle(state, out.To, used) || out.Over
	}
	o.end(rec, out.To, ms+s.keep)
	o.seq++
	out.Seq = o.seq
	return out, nil
}

// settle replaces a part's reservation, or its charge at expiry, by what was used. over reports whether that
// was more than had been reserved.
func (p part) settle(from, to quota.State, used int64) (over bool) {
	c := p.counter
	if c.kind == 'P' {
		return false
	}
	base := int64(0)
	switch from {
	case quota.Pending:
		c.Reserved = max(0, c.Reserved-p.amount)
	case quota.Expired:
		base = p.amount // a late truth replaces the charge
	}
	if c.kind == 'G' {
		return false
	}
	c.charge(p.start, used-base)
	if from == quota.Pending && to == quota.Settled && used > p.amount {
		c.Over += used - p.amount
		return true
	}
	return false
}

// debit charges a truth that has no reservation: it was admitted while the store could not be asked.
func (s *Store) debit(o *organization, in *quota.Settlement) (quota.Outcome, error) {
	now := s.now()
	ms := now.UnixMilli()
	out := quota.Outcome{From: quota.None, To: quota.None, Seq: o.seq}
	if in.Void {
		return out, nil
	}
	if in.Born.UnixMilli() < ms-s.keep {
		out.Old = true
		return out, nil
	}
	if err := o.find(in.Claims, now, ms); err != nil {
		return quota.Outcome{}, err
	}
	for i := range in.Claims {
		claim, c := &in.Claims[i], o.views[i].counter
		if c.kind != 'P' && c.kind != 'G' {
			c.charge(c.window(ms), claim.Amount)
		}
	}
	o.past.add(in.ID, quota.Settled, ms+s.keep)
	o.seq++
	out.To, out.Seq = quota.Settled, o.seq
	return out, nil
}
