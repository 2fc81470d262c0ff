// Package digests holds the digests of all secrets in memory while keys are read, by the ids of their keys. It has no pointer for
// each, since a store may have millions, and knows no database. What lets in later is another index, that of internal/auth.
package digests

import (
	"errors"
	"hash/maphash"
	"math"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// Table is the digests of all secrets, by the ids of their keys.
type Table struct {
	digests []auth.Digest
	until   map[int]time.Time // of those that end before their keys, by place
	ids     []byte            // one behind the other
	ends    []uint32          // of ids
	next    []uint32          // by place, that of the key's next secret; 0: none
	slots   []uint64          // by hash of the id, the hash's first half and the place of the key's first secret, from 1; 0: free; a power of two
	seed    maphash.Seed
}

// New makes a table with room for n secrets.
func New(n int) *Table {
	const usual = 16 // bytes of an id
	slots := 1
	for slots <= 2*n {
		slots *= 2
	}
	return &Table{
		digests: make([]auth.Digest, 0, n), until: map[int]time.Time{}, ids: make([]byte, 0, usual*n), ends: make([]uint32, 0, n), next: make([]uint32, 0, n), slots: make([]uint64, slots), seed: maphash.MakeSeed(),
	}
}

// Errors of Add.
var (
	errIDs  = errors.New("the ids of all keys take over 4 GB")
	errRoom = errors.New("there are more secrets than there were")
)

// Add adds a secret of a key. It ends at a time; zero: with its key. id is not kept.
func (t *Table) Add(id []byte, d auth.Digest, until time.Time) error {
	switch {
	case uint64(len(t.ids)+len(id)) > math.MaxUint32:
		return errIDs
	case 2*len(t.digests) >= len(t.slots): // at least one is to stay free
		return errRoom
	}
	at := len(t.digests)
	t.digests, t.ids, t.next = append(t.digests, d), append(t.ids, id...), append(t.next, 0)
	t.ends = append(t.ends, uint32(len(t.ids)))
	if !until.IsZero() {
		t.until[at] = until
	}
	slot, mark := t.slot(string(id))
	if *slot == 0 {
		*slot = mark | uint64(at+1)
		return nil
	}
	last := place(*slot)
	for t.next[last] != 0 {
		last = int(t.next[last])
	}
	t.next[last] = uint32(at)
	return nil
}

// slot returns that of a key, or the free one where it would be, and what marks slots of its hash.
func (t *Table) slot(id string) (slot *uint64, mark uint64) {
	const half = 1<<32 - 1
	hash := maphash.String(t.seed, id)
	for n := hash; ; n++ {
		slot := &t.slots[n&uint64(len(t.slots)-1)]
		if *slot == 0 || *slot&^half == hash&^half && string(t.id(place(*slot))) == id {
			return slot, hash &^ half
		}
	}
}

// place is that which a slot has, -1: none.
func place(slot uint64) int { return int(uint32(slot)) - 1 }

func (t *Table) id(at int) []byte {
	begin := uint32(0)
	if at > 0 {
		begin = t.ends[at-1]
	}
	return t.ids[begin:t.ends[at]]
}

// First returns the place of the first secret of a key, -1: it has none.
func (t *Table) First(id string) int {
	slot, _ := t.slot(id)
	return place(*slot)
}

// Next returns the place of the next secret of the same key, -1: there is none.
func (t *Table) Next(at int) int {
	if n := t.next[at]; n > 0 {
		return int(n)
	}
	return -1
}

// At returns the secret at a place, and when it ends; zero: with its key.
func (t *Table) At(place int) (d auth.Digest, until time.Time) {
	return t.digests[place], t.until[place]
}
