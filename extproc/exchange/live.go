package exchange

import (
	"hash/maphash"
	"sync"
	"time"
)

// shards is the number of parts of the table, so that streams do not wait for each other.
const shards = 32

// live is the table of exchanges between their plan and their end, and a moment beyond, for log entries
// that come late.
type live struct {
	seed  maphash.Seed
	parts [shards]struct {
		mu sync.Mutex
		m  map[string]*Exchange
	}
}

func (l *live) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.parts {
		l.parts[i].m = map[string]*Exchange{}
	}
}

// add puts x into the table, or returns the exchange that is there under its id.
func (l *live) add(x *Exchange) *Exchange {
	p := &l.parts[maphash.String(l.seed, x.ID)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.m[x.ID]; ok {
		return old
	}
	p.m[x.ID] = x
	return x
}

func (l *live) get(id string) *Exchange {
	p := &l.parts[maphash.String(l.seed, id)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.m[id]
}

func (l *live) remove(id string) {
	p := &l.parts[maphash.String(l.seed, id)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, id)
}

// all returns the exchanges of the table as they are now.
func (l *live) all() []*Exchange {
	var all []*Exchange
	for i := range l.parts {
		l.parts[i].mu.Lock()
		for _, x := range l.parts[i].m {
			all = append(all, x)
		}
		l.parts[i].mu.Unlock()
	}
	return all
}

// Times of the sweep.
const (
	lateEntries = time.Second      // how long a closed exchange waits for its attempts' log entries
	sweepGrace  = 30 * time.Second // beyond the total deadline
	sweepNoEnd  = 24 * time.Hour   // for exchanges without a total deadline
)

// Sweep closes exchanges whose log entry never came, and forgets those that closed a moment ago. Somebody
// calls it about once a second. It returns how many it had to close.
func (c *Core) Sweep() int {
	now := c.now()
	swept := 0
	for _, x := range c.live.all() {
		x.mu.Lock()
		state, closed := x.state, x.closed
		x.mu.Unlock()
		if state == stClosed {
			if now.Sub(closed) >= lateEntries {
				c.live.remove(x.ID)
			}
			continue
		}
		due := sweepNoEnd
		if x.Rules.Total > 0 {
			due = x.Rules.Total.D() + sweepGrace
		}
		if now.Sub(x.began()) >= due {
			x.close(Outcome{Swept: true})
			c.live.remove(x.ID)
			swept++
		}
	}
	return swept
}
