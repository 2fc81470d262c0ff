package memory

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Touch extends open reservations.
func (s *Store) Touch(_ context.Context, name string, ids []string, hold time.Duration) ([]string, error) {
	if hold < time.Millisecond {
		return nil, fmt.Errorf("%w: the time to hold is out of range", quota.ErrMisuse)
	}
	var lost []string
	o := s.of(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	due := s.now().UnixMilli() + hold.Milliseconds()
	for _, id := range ids {
		rec := o.records[id]
		if rec == nil || rec.state != quota.Pending {
			lost = append(lost, id)
		} else if due > rec.due {
			rec.due = due // where its turn comes, it goes to the end
		}
	}
	return lost, nil
}

// mostForgotten bounds how long the lock is held.
const mostForgotten = 2000

// Reap charges what has expired and forgets what ended long ago.
func (s *Store) Reap(_ context.Context, name string, most int) ([]quota.Lapse, error) {
	o := s.of(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	now := s.now().UnixMilli()
	var out []quota.Lapse
	for len(out) < most {
		rec := o.expires(now)
		if rec == nil {
			break
		}
		lapse := quota.Lapse{ID: rec.id, Parts: make([]quota.Part, len(rec.parts))}
		for i, p := range rec.parts {
			p.settle(quota.Pending, quota.Expired, p.amount)
			lapse.Parts[i] = quota.Part{Budget: p.counter.id, Kind: p.counter.kind, Amount: p.amount, Start: p.start}
		}
		rec.state, rec.due = quota.Expired, now+s.keepExpired
		o.expired.add(rec.due, held{rec, rec.turn})
		o.seq++
		out = append(out, lapse)
	}
	for n := 1; o.forgets(now); n++ {
		if n%mostForgotten == 0 { // there may be a million: whoever waits goes first
			o.mu.Unlock()
			runtime.Gosched()
			o.mu.Lock()
		}
	}
	o.sweep(now)
	return out, nil
}

// many is how many counters an organization has before those are looked for that say nothing any more, looked how many are looked
// at in one go, and share the part of all that is looked at each time, so that they go as fast as any number of them comes. A map
// is walked from a random place, so that in time all are seen.
const many, looked, share = 10_000, 500, 64

// sweep drops counters whose windows are past: those of end users would fill memory. Whoever waits for the lock goes first.
func (o *organization) sweep(now int64) {
	for left := len(o.counters) / share; len(o.counters) >= many; {
		n := 0
		for id, c := range o.counters {
			if c.Reserved == 0 && c.past(now) {
				c.gone = true
				delete(o.counters, id)
			}
			if n++; n == looked {
				break
			}
		}
		if left -= n; left <= 0 {
			return
		}
		o.mu.Unlock()
		runtime.Gosched()
		o.mu.Lock()
	}
}

// Peek returns counters as they are, without rolling their windows.
func (s *Store) Peek(_ context.Context, name string, budgets []*quota.Budget) ([]quota.Counter, error) {
	o := s.of(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]quota.Counter, len(budgets))
	for i, b := range budgets {
		if c := o.counters[b.ID]; c != nil {
			out[i] = quota.Counter{Known: c.Known, Start: c.Start, Used: c.Used, Previous: c.Previous, Reserved: c.Reserved, Late: c.Late, Over: c.Over}
		}
	}
	return out, nil
}

// Rebuild drops open reservations and sets the counters.
func (s *Store) Rebuild(_ context.Context, name string, balances []quota.Balance) error {
	o := s.of(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, rec := range o.records {
		if rec.state == quota.Pending {
			o.drop(rec)
		}
	}
	// The counters stay where they are, since what expired points to them.
	for _, c := range o.counters {
		c.clear()
	}
	for _, b := range balances {
		c := o.counters[b.Budget]
		if c == nil {
			c = &counter{id: b.Budget, marks: marks{kind: b.Kind}}
			o.counters[b.Budget] = c
		}
		c.Known, c.Start = true, b.Start
		c.Used, c.Previous = within(b.Used), within(b.Previous)
	}
	o.seq++
	return nil
}
