// Package memory counts quotas within one process.
//
//	Store ─ organization ─┬─ counters by budget
//	                      ├─ reservations by id: open ones, and for a while those that ended
//	                      └─ queues of what is due: open, ended, expired
//
// An organization has one lock, held for well under a microsecond; no lock is held across organizations. The
// results are those of internal/quota/redis to the last digit, which internal/quota/quotatest checks on random
// histories. What it knows ends with the process: it is seeded from the ledger with Rebuild.
package memory

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Params are a store's settings; zero fields have defaults.
type Params struct {
	Keep        time.Duration    // how long what was settled or voided is remembered; 5 minutes
	KeepExpired time.Duration    // the same for what expired, whose truth may still come; 24 hours
	Now         func() time.Time // the clock; time.Now
}

// Store counts in memory.
type Store struct {
	keep          int64 // milliseconds
	keepExpired   int64
	now           func() time.Time
	organizations atomic.Pointer[map[string]*organization]
	mu            sync.Mutex // of adding one
}

var (
	_ quota.Store     = (*Store)(nil)
	_ quota.Rebuilder = (*Store)(nil)
)

// New makes a store without counters: every budget is unused.
func New(p Params) *Store {
	if p.Keep <= 0 {
		p.Keep = 5 * time.Minute
	}
	if p.KeepExpired <= 0 {
		p.KeepExpired = 24 * time.Hour
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	s := &Store{keep: p.Keep.Milliseconds(), keepExpired: p.KeepExpired.Milliseconds(), now: p.Now}
	s.organizations.Store(&map[string]*organization{})
	return s
}

// organization is what one lock guards.
type organization struct {
	mu       sync.Mutex
	seq      int64
	counters map[string]*counter
	near     []place // counters by the addresses of budgets: what was asked for last at each place
	seed     maphash.Seed
	views    []view // of the claims of a call
	records  map[string]*record
	open     queue
	ended    queue
	expired  queue
	parts    [][]part // to use again
	free     []*record
}

// of returns an organization, made when it is first asked for.
func (s *Store) of(name string) *organization {
	if o := (*s.organizations.Load())[name]; o != nil {
		return o
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := (*s.organizations.Load())[name]; o != nil {
		return o
	}
	more := maps.Clone(*s.organizations.Load())
	o := &organization{counters: map[string]*counter{}, near: make([]place, 16), seed: maphash.MakeSeed(), records: map[string]*record{}}
	more[name] = o
	s.organizations.Store(&more)
	return o
}

// record is a reservation, or the memory of one.
type record struct {
	id    string
	state quota.State
	due   int64 // when it expires or is forgotten, Unix milliseconds
	turn  uint32
	parts []part // of open and expired ones
}

// part is a reservation's part in one budget.
type part struct {
	counter *counter
	amount  int64
	start   int64 // of the window
}

// newRecord takes a record with room for n parts.
func (o *organization) newRecord(id string, n int) *record {
	var r *record
	if last := len(o.free) - 1; last >= 0 {
		r, o.free = o.free[last], o.free[:last]
	} else {
		r = &record{}
	}
	r.id, r.state = id, quota.Pending
	if last := len(o.parts) - 1; last >= 0 {
		r.parts, o.parts = o.parts[last][:0], o.parts[:last]
	}
	if cap(r.parts) < n {
		r.parts = make([]part, 0, n)
	}
	return r
}

// most unused records and parts that are kept.
const spare = 4096

// end keeps the memory that r ended, without its parts.
func (o *organization) end(r *record) {
	if r.parts != nil && len(o.parts) < spare {
		o.parts = append(o.parts, r.parts)
	}
	r.parts = nil
}

// forget drops a record.
func (o *organization) forget(r *record) {
	delete(o.records, r.id)
	o.end(r)
	*r = record{turn: r.turn + 1}
	if len(o.free) < spare {
		o.free = append(o.free, r)
	}
}
