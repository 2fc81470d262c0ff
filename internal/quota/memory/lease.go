package memory

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// endLease ends a lease by what its exchanges used. Those that still run become reservations of their own, and one that is
// known already was told otherwise, and changes nothing.
func (s *Store) endLease(o *organization, in *quota.Settlement, rec *record, out *quota.Outcome, ms int64) {
	used, over := make([]int64, len(in.Claims)), make([]int64, len(in.Claims))
	out.Draws = make([]quota.State, len(in.Draws))
	for k := range in.Draws {
		d := &in.Draws[k]
		for i, n := range d.Over {
			over[i] = within(over[i] + n)
		}
		if known := o.known(d.ID); known != 0 {
			out.Draws[k] = known
			continue
		}
		out.Draws[k] = quota.None
		out.Over = out.Over || d.Over != nil
		s.tell(o, rec, d, used, ms)
	}
	for i, p := range rec.parts {
		c := p.counter
		base := int64(0)
		switch rec.state {
		case quota.Pending:
			c.Reserved = max(0, c.Reserved-p.amount)
		case quota.Expired:
			base = p.amount
		}
		if c.kind != 'P' && c.kind != 'G' {
			c.charge(p.start, used[i]-base)
			c.Over += over[i]
		}
	}
	o.end(rec, quota.Settled, ms+s.keep)
	o.seq++
}

// tell remembers an exchange of a lease, and adds what it used.
func (s *Store) tell(o *organization, lease *record, d *quota.Draw, used []int64, ms int64) {
	switch d.State {
	case quota.Pending:
		r := o.newRecord(d.ID, len(lease.parts))
		r.due = ms + d.Hold.Milliseconds()
		for i, p := range lease.parts {
			r.parts = append(r.parts, part{p.counter, d.Amounts[i], p.start})
			if p.counter.kind != 'P' {
				p.counter.Reserved += d.Amounts[i]
			}
		}
		o.opens(r)
		return
	case quota.Settled:
		for i, n := range d.Amounts {
			used[i] += n
		}
	}
	o.past.add(d.ID, d.State, ms+s.keep)
}

// endLost ends a lease that the store does not know: it forgot it. Its exchanges count in the current windows.
func (s *Store) endLost(o *organization, in *quota.Settlement, now time.Time, ms int64) (quota.Outcome, error) {
	out := quota.Outcome{From: quota.None, To: quota.None, Seq: o.seq}
	if in.Born.UnixMilli() < ms-s.keep {
		out.Old = true
		return out, nil
	}
	if err := o.find(in.Claims, now, ms); err != nil {
		return quota.Outcome{}, err
	}
	rec := o.newRecord(in.ID, len(in.Claims))
	for i := range in.Claims {
		c := o.views[i].counter
		if start := c.window(ms); c.kind != 'P' {
			if !c.Known {
				c.Known, c.Start = true, start
			}
			rec.parts = append(rec.parts, part{c, 0, start})
		} else {
			rec.parts = append(rec.parts, part{c, 0, 0})
		}
	}
	s.endLease(o, in, rec, &out, ms)
	out.To, out.Seq = quota.Settled, o.seq
	return out, nil
}
