// Package living is the table of what is under way, by id: exchanges between their plan and their end, and a moment beyond,
// for log entries that come late. It knows nothing of what it holds, and ends nothing by itself.
package living

import (
	"hash/maphash"
	"sync"
	"time"
)

// shards is the number of parts of the table, so that streams do not wait for each other.
const shards = 32

// Table holds values of T by id. It is safe for concurrent use; New makes one.
//
// Of what is over and of which nothing more is expected, only the id is remembered: at thousands of exchanges a second, their
// contents would be most of what the process holds, and each would be looked through by every collection. For the same reason
// what nobody asks for rests as an R, of which a T is made again when somebody does.
type Table[T, R any] struct {
	seed  maphash.Seed
	wake  func(R) *T
	parts [shards]part[T, R]
}

type part[T, R any] struct {
	mu   sync.Mutex
	m    map[string]held[T]
	rest map[string]R
	over map[string]time.Time
}

// held is a value, nil where its id is claimed only.
type held[T any] struct {
	v     *T
	asked bool // somebody got it and may hold it still: there must be no other of it
}

// New makes an empty table. wake makes a value of one that rested; nil: it cannot be, and is lost.
func New[T, R any](wake func(R) *T) *Table[T, R] {
	t := &Table[T, R]{seed: maphash.MakeSeed(), wake: wake}
	for i := range t.parts {
		t.parts[i].m, t.parts[i].rest, t.parts[i].over = map[string]held[T]{}, map[string]R{}, map[string]time.Time{}
	}
	return t
}

// Hash returns a number of an id, which is the same as long as the process runs.
func (t *Table[T, R]) Hash(id string) uint64 { return maphash.String(t.seed, id) }

func (t *Table[T, R]) of(id string) *part[T, R] { return &t.parts[t.Hash(id)%shards] }

// Add puts v into the table, or returns what is there under its id.
func (t *Table[T, R]) Add(id string, v *T) *T {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.get(id, t.wake); old != nil {
		return old
	}
	p.m[id] = held[T]{v: v}
	return v
}

// get returns what is under an id, awake, and remembers that somebody has it. The caller holds the lock.
func (p *part[T, R]) get(id string, wake func(R) *T) *T {
	if h := p.m[id]; h.v != nil {
		if !h.asked {
			p.m[id] = held[T]{h.v, true}
		}
		return h.v
	}
	if r, rests := p.rest[id]; rests {
		delete(p.rest, id)
		if v := wake(r); v != nil {
			p.m[id] = held[T]{v, true}
			return v
		}
	}
	return nil
}

// Claim keeps an id free for what is about to be added, and reports whether it was free.
func (t *Table[T, R]) Claim(id string) bool {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken(id) {
		return false
	}
	p.m[id] = held[T]{}
	return true
}

// Taken reports whether an id is not free: claimed, in use, or of what ended a moment ago.
func (t *Table[T, R]) Taken(id string) bool {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken(id)
}

func (p *part[T, R]) taken(id string) bool {
	if _, held := p.m[id]; held {
		return true
	}
	if _, rests := p.rest[id]; rests {
		return true
	}
	_, over := p.over[id]
	return over
}

// Get returns what is under an id; nil: nothing, or what is over.
func (t *Table[T, R]) Get(id string) *T {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.get(id, t.wake)
}

// Over reports whether what was under an id ended a moment ago, so that nobody begins it anew.
func (t *Table[T, R]) Over(id string) bool {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, over := p.over[id]
	return over
}

// Remove takes what is under an id, or its claim, away.
func (t *Table[T, R]) Remove(id string) {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, id)
	delete(p.rest, id)
}

// End takes what is under an id away, and remembers that it is over until Forget.
func (t *Table[T, R]) End(id string, at time.Time) {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, id)
	delete(p.rest, id)
	p.over[id] = at
}

// Forget drops the ids of what was over before a time.
func (t *Table[T, R]) Forget(before time.Time) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for id, at := range p.over {
			if !at.After(before) {
				delete(p.over, id)
			}
		}
		p.mu.Unlock()
	}
}

// Awake returns what is in the table now and does not rest.
func (t *Table[T, R]) Awake() []*T {
	var all []*T
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for _, h := range p.m {
			if h.v != nil {
				all = append(all, h.v)
			}
		}
		p.mu.Unlock()
	}
	return all
}

// Len returns how many there are that do not rest, with ids that are claimed, and how many that do.
func (t *Table[T, R]) Len() (awake, resting int) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		awake, resting = awake+len(p.m), resting+len(p.rest)
		p.mu.Unlock()
	}
	return awake, resting
}

// Rest has those rest that nobody has got since they were added and that may: of these it returns the id, whose memory is kept in place of
// what the id was added by, and what to keep. It must not call the table.
func (t *Table[T, R]) Rest(may func(*T) (id string, r R, ok bool)) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for id, h := range p.m {
			if h.v == nil || h.asked {
				continue
			}
			if kept, r, ok := may(h.v); ok {
				delete(p.m, id)
				p.rest[kept] = r
			}
		}
		p.mu.Unlock()
	}
}

// Wake wakes those of which due says so, and returns them. It must not call the table.
func (t *Table[T, R]) Wake(due func(R) bool) (woken []*T) {
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for id, r := range p.rest {
			if !due(r) {
				continue
			}
			if v := p.get(id, t.wake); v != nil {
				woken = append(woken, v)
			}
		}
		p.mu.Unlock()
	}
	return woken
}
