// Package memory counts quotas within one process.
//
//	Store ─ organization ─┬─ counters by budget
//	                      ├─ reservations by id: open ones and, for a day, those that expired
//	                      ├─ ids of those that ended otherwise, for a while
//	                      └─ queues of what is due: open, expired, to be forgotten
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
	open     queue[held]
	expired  queue[held]
	past     past
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
	o := &organization{counters: map[string]*counter{}, near: make([]place, 16), seed: maphash.MakeSeed(), records: map[string]*record{}, past: newPast()}
	more[name] = o
	s.organizations.Store(&more)
	return o
}
