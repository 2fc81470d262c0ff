package budgets

import "math/bits"

// index finds places by hashes, in 6 bytes for each: a hash table whose slots are a half more than there are places. A slot is
// a place and, in the bits that are left of 32, a part of its hash, so that hardly another than the right one is looked at.
type index struct {
	slots []uint32 // 0: none
	width int      // bits of a place, of which 0 stands for none
}

// newIndex makes an index for some places: 0 to n-1.
func newIndex(n int) index {
	return index{slots: make([]uint32, n+n/2+1), width: bits.Len(uint(n))}
}

// find returns the first place that was added with a hash and that is the one, -1: there is none.
func (x *index) find(hash uint64, is func(place int) bool) int {
	tag := uint32(hash) << x.width
	for at := x.begin(hash); x.slots[at] != 0; at = x.behind(at) {
		if place := x.slots[at] ^ tag; place>>x.width == 0 && is(int(place)-1) {
			return int(place) - 1
		}
	}
	return -1
}

// add adds a place behind those that have the same hash.
func (x *index) add(hash uint64, place int) {
	at := x.begin(hash)
	for x.slots[at] != 0 {
		at = x.behind(at)
	}
	x.slots[at] = uint32(hash)<<x.width | uint32(place+1)
}

// begin is the slot at which the search for a hash begins, by its upper bits.
func (x *index) begin(hash uint64) int {
	at, _ := bits.Mul64(hash, uint64(len(x.slots)))
	return int(at)
}

func (x *index) behind(at int) int {
	if at++; at == len(x.slots) {
		return 0
	}
	return at
}
