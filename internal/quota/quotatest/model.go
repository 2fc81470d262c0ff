package quotatest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// model is what a store should do, written as plainly as possible: no locks, no queues, no arithmetic but the
// definition's.
type model struct {
	now      time.Time
	counters map[string]*quota.Counter
	records  map[string]*record
}

type record struct {
	state quota.State
	due   int64
	parts []part
}

type part struct {
	budget *quota.Budget
	amount int64
	start  int64
}

func newModel() *model {
	return &model{counters: map[string]*quota.Counter{}, records: map[string]*record{}}
}

func (m *model) ms() int64 { return m.now.UnixMilli() }

func (m *model) counter(b *quota.Budget) quota.Counter {
	if c := m.counters[b.ID]; c != nil {
		return *c
	}
	return quota.Counter{}
}

func (m *model) set(b *quota.Budget, c quota.Counter) { m.counters[b.ID] = &c }

// length is that of a fixed or sliding window.
func length(b *quota.Budget) int64 { return b.Window.Length.Milliseconds() }

// begin is the start of the current window.
func (m *model) begin(b *quota.Budget, c quota.Counter) int64 {
	var w int64
	switch b.Window.Kind {
	case window.Fixed, window.Sliding:
		w = m.ms() / length(b) * length(b)
	case window.Day, window.Week, window.Month:
		w = b.Window.Bounds(m.now, 0).A
	default:
		return 0
	}
	if c.Known && c.Start > w {
		return c.Start
	}
	return w
}

// rolled is a counter in the window that starts at w.
func rolled(b *quota.Budget, c quota.Counter, w int64) quota.Counter {
	if c.Known && w > c.Start {
		before := c.Used
		c.Used, c.Previous = 0, 0
		if b.Window.Kind == window.Sliding && w == c.Start+length(b) {
			c.Previous = before
		}
	}
	c.Known, c.Start = true, w
	return c
}

// full is what a limit is compared with, and wait the time until the window ends.
func (m *model) full(b *quota.Budget, c quota.Counter) (full, wait int64) {
	full = c.Used + c.Reserved
	switch b.Window.Kind {
	case window.Sliding:
		gone := float64(m.ms()-c.Start) / float64(length(b))
		if gone < 0 {
			gone = 0
		}
		full += int64(math.Ceil(float64(c.Previous) * (1 - gone)))
		wait = c.Start + length(b) - m.ms()
	case window.Fixed:
		wait = c.Start + length(b) - m.ms()
	case window.Day, window.Week, window.Month:
		at := b.Window.Bounds(m.now, 0)
		if wait = at.C - m.ms(); c.Start == at.A {
			wait = at.B - m.ms()
		}
	}
	return full, max(0, wait)
}

func (m *model) reserve(id string, claims []quota.Claim, force bool) string {
	if r := m.records[id]; r != nil {
		return "again " + string(rune(r.state))
	}
	next := make([]quota.Counter, len(claims))
	r := &record{state: quota.Pending, due: m.ms() + hold.Milliseconds()}
	for i, cl := range claims {
		b := cl.Budget
		c := m.counter(b)
		if b.Window.Kind == window.Pace {
			var refusal string
			if c, refusal = m.pace(b, c, cl.Amount, force); refusal != "" {
				return refusal
			}
			next[i], r.parts = c, append(r.parts, part{b, cl.Amount, 0})
			continue
		}
		c = rolled(b, c, m.begin(b, c))
		full, wait := m.full(b, c)
		limit := b.Limit
		if b.Shadow {
			limit = quota.Max
		}
		if !force && full+cl.Amount > limit {
			return fmt.Sprintf("%s: %d left, %v", b.ID, max(0, limit-full), time.Duration(wait)*time.Millisecond)
		}
		if c.Reserved+cl.Amount > quota.Max {
			return "misuse"
		}
		c.Reserved += cl.Amount
		next[i], r.parts = c, append(r.parts, part{b, cl.Amount, c.Start})
	}
	for i, cl := range claims {
		if next[i].Known {
			m.set(cl.Budget, next[i])
		}
	}
	m.records[id] = r
	return "ok"
}

// pace is GCRA with units of a second, which the tests' paces have.
func (m *model) pace(b *quota.Budget, c quota.Counter, amount int64, force bool) (quota.Counter, string) {
	if force {
		return c, ""
	}
	at := b.Window.Bounds(m.now, b.Limit)
	now := m.ms() * 1000
	arrival := max(c.Start, now)
	left := max(0, (at.B-(arrival-now))/at.A)
	if amount > left && !b.Shadow {
		short := arrival + min(amount, b.Window.Burst)*at.A - now - at.B
		return c, fmt.Sprintf("%s: %d left, %v", b.ID, left, max(time.Millisecond, time.Duration(math.Ceil(float64(short)/1000))*time.Millisecond))
	}
	if amount <= left {
		arrival += amount * at.A
	}
	c.Known, c.Start = true, arrival
	return c, ""
}

func (m *model) settle(id string, claims []quota.Claim, void bool, born time.Time) string {
	r := m.records[id]
	switch {
	case r == nil && void:
		return "N to N"
	case r == nil:
		return m.debit(id, claims, born)
	case r.state == quota.Settled || r.state == quota.Voided || r.state == quota.Expired && void:
		return fmt.Sprintf("%c to %c", r.state, r.state)
	case len(r.parts) != len(claims):
		return "misuse"
	}
	for i, p := range r.parts {
		if p.budget != claims[i].Budget {
			return "misuse"
		}
	}
	over := ""
	from, to := r.state, quota.Settled
	if void {
		to = quota.Voided
	}
	for i, p := range r.parts {
		used := claims[i].Amount
		if void {
			used = 0
		}
		if m.end(p, from, used) && to == quota.Settled {
			over = ", over"
		}
	}
	r.state, r.due = to, m.ms()+Keep.Milliseconds()
	return fmt.Sprintf("%c to %c%s", from, to, over)
}

// end replaces a part's reservation, or its charge at expiry, by what was used.
func (m *model) end(p part, from quota.State, used int64) (over bool) {
	b := p.budget
	if b.Window.Kind == window.Pace {
		return false
	}
	c := m.counter(b)
	delta := used
	if from == quota.Pending {
		c.Reserved = max(0, c.Reserved-p.amount)
	} else {
		delta -= p.amount
	}
	if b.Window.Kind != window.Gauge {
		c = charge(b, c, p.start, delta)
		if from == quota.Pending && used > p.amount {
			c.Over += used - p.amount
			over = true
		}
	}
	m.set(b, c)
	return over
}

func charge(b *quota.Budget, c quota.Counter, start, delta int64) quota.Counter {
	if !c.Known {
		c.Known, c.Start = true, start
	}
	switch {
	case start > c.Start:
		c = rolled(b, c, start)
		c.Used = max(0, delta)
	case start == c.Start:
		c.Used = min(max(0, c.Used+delta), quota.Max)
	case b.Window.Kind == window.Sliding && start+length(b) == c.Start:
		c.Previous = min(max(0, c.Previous+delta), quota.Max)
	default:
		c.Late += delta
	}
	return c
}

func (m *model) debit(id string, claims []quota.Claim, born time.Time) string {
	if born.Add(Keep).Before(m.now) {
		return "N to N, old"
	}
	for _, cl := range claims {
		b := cl.Budget
		if b.Window.Kind != window.Pace && b.Window.Kind != window.Gauge {
			c := m.counter(b)
			m.set(b, charge(b, c, m.begin(b, c), cl.Amount))
		}
	}
	r := &record{state: quota.Settled, due: m.ms() + Keep.Milliseconds()}
	for _, cl := range claims {
		r.parts = append(r.parts, part{budget: cl.Budget, amount: cl.Amount})
	}
	m.records[id] = r
	return "N to S"
}

// reap returns the ids that expired, sorted.
func (m *model) reap() []string {
	var out []string
	for id, r := range m.records {
		switch {
		case r.due > m.ms():
		case r.state != quota.Pending:
			delete(m.records, id)
		default:
			for _, p := range r.parts {
				m.end(p, quota.Pending, p.amount)
			}
			r.state, r.due = quota.Expired, m.ms()+KeepExpired.Milliseconds()
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (m *model) touch(ids []string) []string {
	var lost []string
	for _, id := range ids {
		if r := m.records[id]; r == nil || r.state != quota.Pending {
			lost = append(lost, id)
		} else {
			r.due = max(r.due, m.ms()+hold.Milliseconds())
		}
	}
	return lost
}

func (m *model) rebuild(balances []quota.Balance) {
	for id, r := range m.records {
		if r.state == quota.Pending {
			delete(m.records, id)
		}
	}
	clear(m.counters)
	for _, b := range balances {
		m.counters[b.Budget] = &quota.Counter{Known: true, Start: b.Start, Used: b.Used, Previous: b.Previous}
	}
}
