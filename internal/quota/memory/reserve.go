package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Reserve admits all claims or none.
func (s *Store) Reserve(_ context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if err := r.CheckForm(); err != nil {
		return quota.Grant{}, nil, err
	}
	o := s.of(r.Organization)
	o.mu.Lock()
	defer o.mu.Unlock()
	if old := o.known(r.ID); old != 0 {
		return quota.Grant{State: old, Again: true, Seq: o.seq}, nil, nil
	}
	now := s.now()
	ms := now.UnixMilli()
	if err := o.find(r.Claims, now, ms); err != nil {
		return quota.Grant{}, nil, err
	}
	views := o.views
	for i := range views {
		if refusal, err := look(r, i, &views[i], ms); refusal != nil || err != nil {
			return quota.Grant{}, refusal, err
		}
	}
	rec := o.newRecord(r.ID, len(r.Claims))
	levels := r.Levels[:0]
	for i := range r.Claims {
		levels = append(levels, take(rec, &r.Claims[i], &views[i], r.Force, ms))
	}
	rec.due = ms + r.Hold.Milliseconds()
	o.opens(rec)
	o.seq++
	return quota.Grant{State: quota.Pending, Seq: o.seq, Levels: levels}, nil, nil
}

// find finds the counters of claims, of each one. All are looked for before the first is judged, so that the processor
// waits for several at once.
func (o *organization) find(claims []quota.Claim, now time.Time, ms int64) error {
	if cap(o.views) < len(claims) {
		o.views = make([]view, len(claims), 2*len(claims))
	}
	o.views = o.views[:len(claims)]
	for i := range claims {
		c := o.counter(claims[i].Budget, now, ms)
		for j := range i {
			if o.views[j].counter == c {
				return claims[i].Budget.Twice()
			}
		}
		o.views[i].counter = c
	}
	return nil
}

// look judges one claim and changes nothing.
func look(r *quota.Request, i int, v *view, ms int64) (*quota.Refusal, error) {
	claim, c := &r.Claims[i], v.counter
	if c.kind == 'P' {
		arrival, left, wait := c.pace(claim.Amount, ms)
		if wait > 0 && !r.Force && !c.shadow {
			return refuse(claim, i, left, wait), nil
		}
		*v = view{counter: c, start: arrival, reset: wait}
		return nil, nil
	}
	c.view(v, ms)
	if limit := c.ceiling(); !r.Force && v.full+claim.Amount > limit {
		return refuse(claim, i, max(0, limit-v.full), v.reset), nil
	}
	if c.Reserved+claim.Amount > quota.Max {
		return nil, fmt.Errorf("%w: more is reserved of budget %s than can be counted", quota.ErrMisuse, c.id)
	}
	return nil, nil
}

func refuse(c *quota.Claim, i int, left, wait int64) *quota.Refusal {
	return &quota.Refusal{Index: i, Budget: c.Budget, Amount: c.Amount, Left: left, Wait: time.Duration(wait) * time.Millisecond}
}

// take reserves what was judged, and returns how the budget stands then.
func take(rec *record, claim *quota.Claim, v *view, force bool, ms int64) quota.Level {
	c := v.counter
	if c.kind == 'P' {
		if !force {
			c.Known, c.Start = true, v.start
		}
		rec.parts = append(rec.parts, part{c, claim.Amount, 0})
		_, left, _ := c.pace(0, ms)
		return quota.Level{
			Used: max(0, c.burst-left), Left: left,
			Reset:   time.Duration(max(0, c.Start-ms*1000)) * time.Microsecond,
			Refused: v.reset > 0 && !force,
		}
	}
	c.Known, c.Start, c.Used, c.Previous = true, v.start, v.used, v.previous
	c.Reserved += claim.Amount
	rec.parts = append(rec.parts, part{c, claim.Amount, v.start})
	full := v.full + claim.Amount
	return quota.Level{
		Used: min(full, quota.Max), Left: max(0, c.limit-full), Reset: time.Duration(v.reset) * time.Millisecond,
		Refused: c.shadow && full > c.limit && !force,
	}
}
