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
// contents would be most of what the process holds, and each would be looked through by every collection.
type Table[T any] struct {
	seed  maphash.Seed
	parts [shards]part[T]
}

type part[T any] struct {
	mu   sync.Mutex
	m    map[string]*T // nil: claimed, or over
	over map[string]time.Time
}

// New makes an empty table.
func New[T any]() *Table[T] {
	t := &Table[T]{seed: maphash.MakeSeed()}
	for i := range t.parts {
		t.parts[i].m, t.parts[i].over = map[string]*T{}, map[string]time.Time{}
	}
	return t
}

// Hash returns a number of an id, which is the same as long as the process runs.
func (t *Table[T]) Hash(id string) uint64 { return maphash.String(t.seed, id) }

func (t *Table[T]) of(id string) *part[T] { return &t.parts[t.Hash(id)%shards] }

// Add puts v into the table, or returns what is there under its id.
func (t *Table[T]) Add(id string, v *T) *T {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.m[id]; old != nil {
		return old
	}
	p.m[id] = v
	return v
}

// Claim keeps an id free for what is about to be added, and reports whether it was free.
func (t *Table[T]) Claim(id string) bool {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken(id) {
		return false
	}
	p.m[id] = nil
	return true
}

// Taken reports whether an id is not free: claimed, in use, or of what ended a moment ago.
func (t *Table[T]) Taken(id string) bool {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken(id)
}

func (p *part[T]) taken(id string) bool {
	if _, held := p.m[id]; held {
		return true
	}
	_, over := p.over[id]
	return over
}

// Get returns what is under an id; nil: nothing, or what is over.
func (t *Table[T]) Get(id string) *T {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.m[id]
}

// Over reports whether what was under an id ended a moment ago, so that nobody begins it anew.
func (t *Table[T]) Over(id string) bool {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, over := p.over[id]
	return over
}

// Remove takes what is under an id, or its claim, away.
func (t *Table[T]) Remove(id string) {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, id)
}

// End takes what is under an id away, and remembers that it is over until Forget.
func (t *Table[T]) End(id string, at time.Time) {
	p := t.of(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, id)
	p.over[id] = at
}

// Forget drops the ids of what was over before a time.
func (t *Table[T]) Forget(before time.Time) {
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

// All returns what is in the table now.
func (t *Table[T]) All() []*T {
	var all []*T
	for i := range t.parts {
		p := &t.parts[i]
		p.mu.Lock()
		for _, v := range p.m {
			if v != nil {
				all = append(all, v)
			}
		}
		p.mu.Unlock()
	}
	return all
}
