package memory

import (
	"hash/maphash"
	"math"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// counter is what a budget used, and what of the budget is needed to judge a claim: among many a counter is not in the
// processor's cache, and the fewer lines of it are touched the better. What most exchanges need are its first 64 bytes.
type counter struct {
	budget *quota.Budget // that the numbers below are of; nil: none asked for it yet
	Start  int64         // this and the next are those of quota.Counter
	Used   int64

	Previous int64
	Reserved int64
	limit    int64
	length   int64 // the window's bound A
	marks

	b, c       int64 // the window's other bounds
	id         string
	burst      int64
	Late, Over int64
}

// marks are what is short of a counter.
type marks struct {
	kind   byte // window.Kind.Letter
	Known  bool
	shadow bool
	gone   bool // it was dropped: nobody may find it any more
}

// at brings a counter's numbers up to a budget and a time.
func (c *counter) at(b *quota.Budget, now time.Time, ms int64) {
	if c.budget == b && (c.kind != 'C' || ms >= c.length && ms < c.b) {
		return
	}
	at := b.Window.Bounds(now, b.Limit)
	c.budget, c.kind, c.length, c.b, c.c = b, b.Window.Kind.Letter(), at.A, at.B, at.C
	c.limit, c.shadow, c.burst = b.Limit, b.Shadow, b.Window.Burst
}

// ceiling is the limit that claims are compared with.
func (c *counter) ceiling() int64 {
	if c.shadow {
		return quota.Max
	}
	return c.limit
}

// clear sets a counter to nothing, and keeps whose it is.
func (c *counter) clear() {
	c.Start, c.Used, c.Previous, c.Reserved, c.Known, c.Late, c.Over = 0, 0, 0, 0, false, 0, 0
}

// found is a counter by its budget, and place four of them: a line of the processor's cache.
type (
	found struct {
		budget  *quota.Budget
		counter *counter
	}
	place [4]found
)

// place returns that of a budget, and which of the four gives way to another.
func (o *organization) place(b *quota.Budget) (p *place, victim *found) {
	h := maphash.Comparable(o.seed, b)
	p = &o.near[h&uint64(len(o.near)-1)]
	return p, &p[h>>62]
}

// leave forgets where a budget's counter is, so that the budget is not held on to: the counter is asked for by another one now.
func (o *organization) leave(b *quota.Budget) {
	p, _ := o.place(b)
	for i := range p {
		if p[i].budget == b {
			p[i] = found{}
		}
	}
}

// counter returns a budget's counter with the bounds of the time. Budgets stay where they are for as long as a
// configuration and they are in use, so that a counter is mostly found by its budget's address, in one step; else by its id.
func (o *organization) counter(b *quota.Budget, now time.Time, ms int64) *counter {
	p, victim := o.place(b)
	for i := range p {
		if p[i].budget == b && !p[i].counter.gone {
			c := p[i].counter
			c.at(b, now, ms)
			return c
		}
	}
	c := o.counters[b.ID]
	if c == nil {
		c = &counter{id: b.ID}
		o.counters[b.ID] = c
	}
	if c.budget != nil && c.budget != b {
		o.leave(c.budget)
	}
	c.at(b, now, ms)
	if len(o.counters) > 2*len(o.near) && len(o.near) < mostNear {
		o.near = make([]place, 2*len(o.near)) // it fills again as budgets are asked for
		p, victim = o.place(b)
	}
	for i := range p {
		if p[i].budget == nil || p[i].budget == b || p[i].counter.gone {
			victim = &p[i]
			break
		}
	}
	*victim = found{b, c}
	return c
}

// mostNear bounds what is found in one step, to 32 MB.
const mostNear = 1 << 19

// window returns the start of the window that holds now; never one before the last used.
func (c *counter) window(now int64) int64 {
	var w int64
	switch c.kind {
	case 'C':
		if w = c.length; now >= c.b {
			w = c.b
		}
	case 'F', 'S':
		w = now - now%c.length
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

func (c *counter) view(v *view, now int64) {
	*v = view{counter: c, start: c.window(now), used: c.Used, previous: c.Previous}
	if c.Known && v.start > c.Start {
		v.previous = 0
		if c.kind == 'S' && v.start == c.Start+c.length {
			v.previous = c.Used
		}
		v.used = 0
	}
	v.full = v.used + c.Reserved
	switch c.kind {
	case 'S':
		gone := max(0, float64(now-v.start)/float64(c.length))
		v.full += int64(math.Ceil(float64(v.previous) * (1 - gone)))
		v.reset = v.start + c.length - now
	case 'F':
		v.reset = v.start + c.length - now
	case 'C':
		end := c.c
		if v.start == c.length {
			end = c.b
		}
		v.reset = end - now
	}
	v.reset = max(0, v.reset)
}

// pace judges an amount by GCRA. arrival is the theoretical arrival time afterwards, in microseconds; left is
// what could have been had at once; wait is in milliseconds, 0 where it conforms.
func (c *counter) pace(amount, now int64) (arrival, left, wait int64) {
	us := now * 1000
	from := max(c.Start, us)
	left = max(0, (c.b-(from-us))/c.length)
	if amount > left {
		// Beyond the burst no wait is long enough; it is then that of the whole burst.
		need := min(amount, c.b/c.length)*c.length + from - us - c.b
		return from, left, max(1, (need+999)/1000)
	}
	return from + amount*c.length, left, 0
}

// past reports whether nothing that the counter has can count again. Of one that was put back and not asked for since,
// nobody knows when its window ends.
func (c *counter) past(now int64) bool {
	if c.budget == nil {
		return false
	}
	switch c.kind {
	case 'F', 'S':
		return now >= c.Start+2*c.length
	case 'C':
		return now >= c.c
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
	case c.kind == 'S' && c.Start == start+c.length:
		c.Previous = within(c.Previous + delta)
	case start > c.Start:
		previous := int64(0)
		if c.kind == 'S' && start == c.Start+c.length {
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
