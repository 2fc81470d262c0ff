package memory

import (
	"math"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// counter is what a budget used.
type counter struct {
	id   string
	kind byte
	quota.Counter

	budget *quota.Budget // that bounds were made for
	bounds window.Bounds
}

// at brings a counter's bounds up to a time.
func (c *counter) at(b *quota.Budget, now time.Time, ms int64) {
	if c.budget == b && (c.kind != 'C' || ms >= c.bounds.A && ms < c.bounds.B) {
		return
	}
	c.budget, c.kind, c.bounds = b, b.Window.Kind.Letter(), b.Window.Bounds(now, b.Limit)
}

// window returns the start of the window that holds now; never one before the last used.
func (c *counter) window(now int64) int64 {
	var w int64
	switch c.kind {
	case 'C':
		if w = c.bounds.A; now >= c.bounds.B {
			w = c.bounds.B
		}
	case 'F', 'S':
		w = now - now%c.bounds.A
	default:
		return 0
	}
	if c.Known && w < c.Start {
		w = c.Start
	}
	return w
}

// view is a budget as a reservation finds it.
type view struct {
	counter               *counter
	start, used, previous int64 // the counter after rolling to the current window
	full                  int64 // used and reserved, with what a sliding window still counts of the one before
	reset                 int64 // milliseconds until the window ends
}

func (c *counter) view(now int64) view {
	v := view{counter: c, start: c.window(now), used: c.Used, previous: c.Previous}
	if c.Known && v.start > c.Start {
		v.previous = 0
		if c.kind == 'S' && v.start == c.Start+c.bounds.A {
			v.previous = c.Used
		}
		v.used = 0
	}
	v.full = v.used + c.Reserved
	switch c.kind {
	case 'S':
		gone := max(0, float64(now-v.start)/float64(c.bounds.A))
		v.full += int64(math.Ceil(float64(v.previous) * (1 - gone)))
		v.reset = v.start + c.bounds.A - now
	case 'F':
		v.reset = v.start + c.bounds.A - now
	case 'C':
		end := c.bounds.C
		if v.start == c.bounds.A {
			end = c.bounds.B
		}
		v.reset = end - now
	}
	v.reset = max(0, v.reset)
	return v
}

// pace judges an amount by GCRA. arrival is the theoretical arrival time afterwards, in microseconds; left is
// what could have been had at once; wait is in milliseconds, 0 where it conforms.
func (c *counter) pace(amount, now int64) (arrival, left, wait int64) {
	us := now * 1000
	from := max(c.Start, us)
	left = max(0, (c.bounds.B-(from-us))/c.bounds.A)
	if amount > left {
		// Beyond the burst no wait is long enough; it is then that of the whole burst.
		need := min(amount, c.bounds.B/c.bounds.A)*c.bounds.A + from - us - c.bounds.B
		return from, left, max(1, (need+999)/1000)
	}
	return from + amount*c.bounds.A, left, 0
}

// past reports whether nothing that the counter has can count again. Of one that was put back and not asked for since,
// nobody knows when its window ends.
func (c *counter) past(now int64) bool {
	if c.budget == nil {
		return false
	}
	switch c.kind {
	case 'F', 'S':
		return now >= c.Start+2*c.bounds.A
	case 'C':
		return now >= c.bounds.C
	case 'P':
		return now*1000 >= c.Start
	case 'G':
		return true
	}
	return false
}

// charge adds to the window that a part was reserved in, or that is current for a debit without a reservation.
func (c *counter) charge(start, delta int64) {
	if !c.Known {
		c.Known, c.Start = true, start
	}
	switch {
	case start == c.Start:
		c.Used = within(c.Used + delta)
	case c.kind == 'S' && c.Start == start+c.bounds.A:
		c.Previous = within(c.Previous + delta)
	case start > c.Start:
		previous := int64(0)
		if c.kind == 'S' && start == c.Start+c.bounds.A {
			previous = c.Used
		}
		c.Start, c.Used, c.Previous = start, max(0, delta), previous
	default:
		c.Late += delta
	}
}

// within keeps a counter between 0 and quota.Max: one that was put back from a ledger that lags may hold less
// than is taken from it.
func within(n int64) int64 { return min(max(0, n), quota.Max) }
