package metering

import (
	"context"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
)

// opened is a reservation of this process whose end did not come yet. Of open streams there are thousands: it holds nothing that
// their tickets say.
type opened struct {
	organization string
	budgets      []*quota.Budget // of which something was claimed, in the ticket's order
	began        int64           // this and the next in Unix milliseconds
	until        int64           // after which it may expire
}

// claims are what was reserved, of which a ticket knows the amounts; ok is false where it is not the reservation's.
func (o *opened) claims(h *held) (out []quota.Claim, ok bool) {
	if len(h.parts) != len(o.budgets) {
		return nil, false
	}
	out = make([]quota.Claim, len(o.budgets))
	for i, b := range o.budgets {
		if h.parts[i].budget != b.ID {
			return nil, false
		}
		out[i] = quota.Claim{Budget: b, Amount: h.parts[i].amount}
	}
	return out, true
}

const shards = 32

// table is the reservations that this process keeps alive.
type table struct {
	seed  maphash.Seed
	parts [shards]shard

	looks  sync.Mutex // of looking for the oldest
	oldest string     // id of the one that was last
}

type shard struct {
	mu     sync.Mutex
	m      map[string]*opened
	owners map[string]struct{} // organizations of which this process has reserved: what is open may outlast their limits
}

func (t *table) of(id string) *shard { return &t.parts[maphash.String(t.seed, id)%shards] }

func (t *table) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.parts {
		t.parts[i].m, t.parts[i].owners = map[string]*opened{}, map[string]struct{}{}
	}
}

func (t *table) add(id string, o *opened) {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.m[id] = o
	p.owns(o.organization)
}

// owns remembers an organization whose reservations may expire. There are no more than ever had limits. It is called under the lock.
func (p *shard) owns(organization string) {
	if _, known := p.owners[organization]; !known {
		p.owners[strings.Clone(organization)] = struct{}{}
	}
}

// left remembers the organization of a reservation that the process before this one left.
func (t *table) left(organization string) {
	p := t.of(organization)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owns(organization)
}

// take returns a reservation and forgets it; nil: there is none.
func (t *table) take(id string) *opened {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.m[id]
	delete(p.m, id)
	return o
}

// alive returns the ids to keep alive by organization, and forgets those whose time is over.
func (t *table) alive(now time.Time) map[string][]string {
	out := map[string][]string{}
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for id, o := range p.m {
			if now.UnixMilli() > o.until {
				delete(p.m, id)
				continue
			}
			out[o.organization] = append(out[o.organization], id)
		}
		p.mu.Unlock()
	}
	return out
}

// Open returns the number of reservations that this process keeps alive, and how old the oldest is.
func (m *Meter) Open() (n int, oldest time.Duration) {
	n, first := m.open.first()
	if n > 0 {
		oldest = max(0, m.now().Sub(time.UnixMilli(first)))
	}
	return n, oldest
}

// first returns the number of reservations, and when the oldest began, in Unix milliseconds. As long as the one that was the oldest is
// open, it is looked for no further: what is reserved later began later.
func (t *table) first() (n int, began int64) {
	t.looks.Lock()
	defer t.looks.Unlock()
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		n += len(p.m)
		p.mu.Unlock()
	}
	if o := t.get(t.oldest); o != nil || n == 0 {
		if o != nil {
			began = o.began
		}
		return n, began
	}
	t.oldest = ""
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for id, o := range p.m {
			if t.oldest == "" || o.began < began {
				t.oldest, began = id, o.began
			}
		}
		p.mu.Unlock()
	}
	return n, began
}

// get returns a reservation, or nil.
func (t *table) get(id string) *opened {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.m[id]
}

// Times of Run.
const (
	touchEvery = hold / 3     // twice it may fail
	touchOwn   = hold * 3 / 4 // where the store is in this process: nothing expires before it was touched
	reapEvery  = 2 * time.Second
	reapMost   = 1000
	settlers   = 128 // each may wait for the disk, together with others
	settleTime = 2 * time.Second
)

// Run does what may wait until the context ends, and then settles what is left in the queue. organizations returns
// the owners whose reservations may expire.
func (m *Meter) Run(ctx context.Context, organizations func() []string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if m.queue != nil {
		for range settlers {
			wg.Go(func() { m.work(ctx) })
		}
	}
	every := touchEvery
	if !m.remote {
		every = touchOwn
	}
	touch := time.NewTicker(every)
	defer touch.Stop()
	touched := m.now()
	reap := time.NewTimer(reapEvery)
	defer reap.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-touch.C:
			touched = m.now()
			m.touch(ctx)
		case <-reap.C:
			// Where the process stood still, both are due; so they are where the machine did, or its clock was set: what expires goes
			// by that, and not by the time that the process has seen.
			if now := m.now(); now.Round(0).Sub(touched) >= every {
				touched = now
				m.touch(ctx)
			}
			m.reap(ctx, organizations())
			reap.Reset(reapEvery + rand.N(reapEvery/4)) // replicas do not come together
		}
	}
}

// Upkeep does at once what Run does from time to time.
func (m *Meter) Upkeep(ctx context.Context, organizations []string) {
	m.touch(ctx)
	m.reap(ctx, organizations)
}

// Resume takes up what a process before this one left in the journal.
func (m *Meter) Resume(ctx context.Context, left *journal.Left) error {
	for i := range left.Open {
		m.open.left(left.Open[i].Request.Organization)
	}
	if s, ok := m.store.(*journal.Store); ok {
		return s.Resume(ctx, left)
	}
	return nil
}

// work settles what waits.
func (m *Meter) work(ctx context.Context) {
	one := func(d *due) {
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		m.settle(c, d)
	}
	for {
		select {
		case d := <-m.queue:
			one(d)
		case <-ctx.Done():
			for {
				select {
				case d := <-m.queue:
					one(d)
				default:
					return
				}
			}
		}
	}
}

// touch keeps the reservations of running exchanges alive.
func (m *Meter) touch(ctx context.Context) {
	for organization, ids := range m.open.alive(m.now()) {
		gone, err := m.store.Touch(ctx, organization, ids, hold)
		if err != nil {
			m.log.Warn("reservations cannot be kept alive", "organization", organization, "error", err)
			continue
		}
		for _, id := range gone {
			m.log.Warn("the reservation of a running exchange is gone", "exchange", id)
		}
	}
}

// expiring returns the organizations whose reservations may expire: those that are given, and those that had limits when they reserved.
func (m *Meter) expiring(organizations []string) []string {
	all := slices.Clone(organizations)
	for i := range m.open.parts {
		p := &m.open.parts[i]
		p.mu.Lock()
		all = slices.AppendSeq(all, maps.Keys(p.owners))
		p.mu.Unlock()
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// reap charges what expired.
func (m *Meter) reap(ctx context.Context, organizations []string) {
	for _, o := range m.expiring(organizations) {
		lapses, err := m.store.Reap(ctx, o, reapMost)
		if err != nil {
			m.log.Warn("expired reservations cannot be charged yet", "organization", o, "error", err)
		}
		for _, l := range lapses {
			m.log.Warn("a reservation expired and is charged whole", "exchange", l.ID)
			if m.books != nil {
				// It goes by the journal, as an end does: whoever charged it is the only one who knows.
				m.settle(ctx, &due{s: quota.Settlement{Organization: o, ID: l.ID, Born: m.now()}, r: m.books.Lapsed(o, l), c: &Charge{}})
			}
		}
	}
}
