package lease

import (
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// mostDraws bounds the exchanges of a lease, as stores do.
const mostDraws = 500

// lease is a reservation for exchanges to come.
type lease struct {
	id     string
	path   *path
	sent   time.Time
	stop   time.Time // from which on nothing is drawn from it
	of     []int64   // reserved, by budget
	free   []int64   // of it neither drawn nor used; below 0 where more was used than had been drawn
	levels []quota.Level
	draws  []*draw
	open   int // of the draws, that run
	ending bool
}

// draw is an exchange that reserved of a lease.
type draw struct {
	lease  *lease
	id     string
	state  quota.State
	until  time.Time // when it expires, unless it is touched
	born   time.Time
	claims []quota.Claim     // as they were reserved
	used   []quota.Claim     // nil: it runs, or was given back
	over   []int64           // of what was used, more than was reserved
	after  *quota.Settlement // its end, that came when the store was being told that it runs
}

func newLease(r *quota.Request, p *path, sent time.Time, term time.Duration, levels []quota.Level) *lease {
	l := &lease{id: r.ID, path: p, sent: sent, stop: sent.Add(term - term/5), levels: append([]quota.Level(nil), levels...)}
	for i := range r.Claims {
		l.of, l.free = append(l.of, r.Claims[i].Amount), append(l.free, r.Claims[i].Amount)
		// A draw counts in the window that the lease was reserved in. The store's answer came after it was sent.
		if i < len(levels) && levels[i].Reset > 0 && sent.Add(levels[i].Reset).Before(l.stop) {
			l.stop = sent.Add(levels[i].Reset)
		}
	}
	return l
}

// gives reports whether a lease may still be drawn from. A clock that steps back ends it.
func (l *lease) gives(now time.Time) bool {
	return !l.ending && now.Before(l.stop) && !now.Before(l.sent) && len(l.draws) < mostDraws
}

// index returns the place of a budget, or -1. Another configuration has made its budgets anew.
func (l *lease) index(b *quota.Budget) int {
	for i, own := range l.path.budgets {
		if own == b || own.ID == b.ID {
			return i
		}
	}
	return -1
}

// has reports whether enough is free for claims.
func (l *lease) has(claims []quota.Claim) bool {
	for i := range claims {
		if claims[i].Amount > l.free[i] {
			return false
		}
	}
	return true
}

// draw takes claims from the path's lease, or from the next. The caller holds the lock.
func (p *path) draw(o *organization, r *quota.Request, now time.Time) (quota.Grant, bool) {
	for range 2 {
		if l := p.lease; l != nil && l.gives(now) && l.has(r.Claims) {
			return l.draw(o, r, now), true
		}
		if p.next == nil || p.lease != nil && p.lease.gives(now) && !p.low() {
			break // it is this exchange that is too large
		}
		p.lease, p.next = p.next, nil // what the old one has left goes back when its exchanges have ended
	}
	return quota.Grant{}, false
}

func (l *lease) draw(o *organization, r *quota.Request, now time.Time) quota.Grant {
	d := &draw{lease: l, id: r.ID, state: quota.Pending, until: now.Add(r.Hold), born: now, claims: append([]quota.Claim(nil), r.Claims...)}
	g := quota.Grant{State: quota.Pending, Levels: r.Levels[:0]}
	for i := range r.Claims {
		l.free[i] -= r.Claims[i].Amount
		g.Levels = append(g.Levels, l.level(i, now))
	}
	l.draws = append(l.draws, d)
	l.open++
	o.draws[r.ID] = d
	return g
}

// level is how a budget stands: as the store said, without what the lease has free.
func (l *lease) level(i int, now time.Time) quota.Level {
	b, v := l.path.budgets[i], l.levels[i]
	v.Used = min(max(0, v.Used-l.free[i]), quota.Max)
	v.Left = max(0, v.Left+l.free[i])
	v.Reset = max(0, v.Reset-now.Sub(l.sent))
	v.Refused = b.Shadow && v.Used > b.Limit
	return v
}

// settle notes the end of an exchange that was drawn. known is false where the store has to be told.
func (o *organization) settle(in *quota.Settlement) (out quota.Outcome, known bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.draws[in.ID]
	if d == nil {
		return out, false, nil
	}
	wait := quota.Outcome{From: quota.None, To: quota.None, Wait: true}
	switch {
	case d.state == quota.Voided:
		return quota.Outcome{From: quota.Voided, To: quota.Voided}, true, nil
	case d.state == quota.Settled || d.after != nil && !d.after.Void:
		return wait, true, nil
	case d.after != nil:
		return quota.Outcome{From: quota.Voided, To: quota.Voided}, true, nil
	}
	if len(in.Claims) != len(d.claims) {
		return out, true, fmt.Errorf("%w: %d budgets were reserved, not %d", quota.ErrMisuse, len(d.claims), len(in.Claims))
	}
	for i := range in.Claims {
		if b := in.Claims[i].Budget; b.ID != d.claims[i].Budget.ID || b.Window.Kind.Letter() != d.claims[i].Budget.Window.Kind.Letter() {
			return out, true, fmt.Errorf("%w: budget %s was not reserved at this place", quota.ErrMisuse, b.ID)
		}
	}
	if d.lease.ending {
		keep := *in
		d.after = &keep
	} else {
		d.end(in)
	}
	if in.Void {
		return quota.Outcome{From: quota.Pending, To: quota.Voided}, true, nil
	}
	return wait, true, nil
}

// end gives back to the lease what an exchange did not use.
func (d *draw) end(in *quota.Settlement) {
	l := d.lease
	l.open--
	d.born = in.Born
	if d.state = quota.Voided; !in.Void {
		d.state, d.used = quota.Settled, append([]quota.Claim(nil), in.Claims...)
	}
	for i := range d.claims {
		used := int64(0)
		if !in.Void && d.claims[i].Budget.Window.Kind != window.Gauge {
			used = in.Claims[i].Amount
		}
		l.free[i] += d.claims[i].Amount - used
		if more := used - d.claims[i].Amount; more > 0 {
			if d.over == nil {
				d.over = make([]int64, len(d.claims))
			}
			d.over[i] = more
		}
	}
}

// tale is what the store is told of an exchange when its lease ends.
func (d *draw) tale(now time.Time) quota.Draw {
	out := quota.Draw{ID: d.id, State: d.state, Amounts: make([]int64, len(d.claims)), Over: d.over}
	claims := d.used
	if d.state == quota.Pending {
		claims, out.Hold = d.claims, d.until.Sub(now).Truncate(time.Millisecond)
	}
	for i := range claims {
		out.Amounts[i] = claims[i].Amount
	}
	return out
}
