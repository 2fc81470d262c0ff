package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Reserve admits all claims or none.
func (s *Store) Reserve(_ context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if err := r.Check(); err != nil {
		return quota.Grant{}, nil, err
	}
	o := s.of(r.Organization)
	o.mu.Lock()
	defer o.mu.Unlock()
	if old := o.records[r.ID]; old != nil {
		return quota.Grant{State: old.state, Again: true, Seq: o.seq}, nil, nil
	}
	now := s.now()
	ms := now.UnixMilli()
	var room [16]view
	views := room[:0]
	for i := range r.Claims {
		v, refusal, err := o.look(r, i, now, ms)
		if refusal != nil || err != nil {
			return quota.Grant{}, refusal, err
		}
		views = append(views, v)
	}
	rec := o.newRecord(r.ID, len(r.Claims))
	levels := r.Levels[:0]
	for i := range r.Claims {
		levels = append(levels, take(rec, &r.Claims[i], &views[i], r.Force, ms))
	}
	rec.due = ms + r.Hold.Milliseconds()
	o.records[r.ID] = rec
	o.open.add(rec)
	o.seq++
	return quota.Grant{State: quota.Pending, Seq: o.seq, Levels: levels}, nil, nil
}

// counter returns a budget's counter with the bounds of the time.
func (o *organization) counter(b *quota.Budget, now time.Time, ms int64) *counter {
	c := o.counters[b.ID]
	if c == nil {
		c = &counter{id: b.ID}
		o.counters[b.ID] = c
	}
	c.at(b, now, ms)
	return c
}

// look judges one claim and changes nothing.
func (o *organization) look(r *quota.Request, i int, now time.Time, ms int64) (view, *quota.Refusal, error) {
	claim := &r.Claims[i]
	b := claim.Budget
	c := o.counter(b, now, ms)
	if c.kind == 'P' {
		arrival, left, wait := c.pace(claim.Amount, ms)
		if wait > 0 && !r.Force && !b.Shadow {
			return view{}, refuse(claim, i, left, wait), nil
		}
		return view{counter: c, start: arrival, reset: wait}, nil, nil
	}
	v := c.view(ms)
	if limit := b.Ceiling(); !r.Force && v.full+claim.Amount > limit {
		return v, refuse(claim, i, max(0, limit-v.full), v.reset), nil
	}
	if c.Reserved+claim.Amount > quota.Max {
		return v, nil, fmt.Errorf("%w: more is reserved of budget %s than can be counted", quota.ErrMisuse, b.ID)
	}
	return v, nil, nil
}

func refuse(c *quota.Claim, i int, left, wait int64) *quota.Refusal {
	return &quota.Refusal{Index: i, Budget: c.Budget, Amount: c.Amount, Left: left, Wait: time.Duration(wait) * time.Millisecond}
}

// take reserves what was judged, and returns how the budget stands then.
func take(rec *record, claim *quota.Claim, v *view, force bool, ms int64) quota.Level {
	b, c := claim.Budget, v.counter
	if c.kind == 'P' {
		if !force {
			c.Known, c.Start = true, v.start
		}
		rec.parts = append(rec.parts, part{c, claim.Amount, 0})
		_, left, _ := c.pace(0, ms)
		return quota.Level{
			Used: max(0, b.Window.Burst-left), Left: left,
			Reset:   time.Duration(max(0, c.Start-ms*1000)) * time.Microsecond,
			Refused: v.reset > 0 && !force,
		}
	}
	c.Known, c.Start, c.Used, c.Previous = true, v.start, v.used, v.previous
	c.Reserved += claim.Amount
	rec.parts = append(rec.parts, part{c, claim.Amount, v.start})
	full := v.full + claim.Amount
	return quota.Level{
		Used: min(full, quota.Max), Left: max(0, b.Limit-full), Reset: time.Duration(v.reset) * time.Millisecond,
		Refused: b.Shadow && full > b.Limit && !force,
	}
}
