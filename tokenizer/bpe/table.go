package bpe

import (
	"encoding/binary"
	"math/bits"
)

// mix is 2^64 divided by the golden ratio: multiplying by it spreads a key over the high bits.
const mix = 0x9E3779B97F4A7C15

// place maps a key to a slot of a table of n slots.
func place(key, n uint64) uint64 {
	hi, _ := bits.Mul64(key*mix, n)
	return hi
}

// placeTwo is place for a key of two words.
func placeTwo(lo, hi, n uint64) uint64 {
	a, b := bits.Mul64(lo^mix, hi^0xD1B54A32D192ED03)
	return place(a^b, n)
}

// short is the set of tokens of 2 to 8 bytes. The bytes themselves, little-endian, are the key, so that
// nothing is hashed twice and nothing compared. Tokens that end in NUL are not in it: their keys are those of
// shorter ones.
type short []uint64

func newShort(n int) short { return make(short, n*8/5+1) }

func (t short) add(key uint64) {
	for i := place(key, uint64(len(t))); ; i = (i + 1) % uint64(len(t)) {
		if t[i] == 0 {
			t[i] = key
			return
		}
	}
}

func (t short) has(key uint64) bool {
	i := place(key, uint64(len(t)))
	for {
		if i >= uint64(len(t)) {
			i = 0
		}
		k := t[i]
		if k == key {
			return true
		}
		if k == 0 {
			return false
		}
		i++
	}
}

// middle is the same for tokens of 9 to 16 bytes.
type middle [][2]uint64

func newMiddle(n int) middle { return make(middle, n*8/5+1) }

func (t middle) add(lo, hi uint64) {
	for i := placeTwo(lo, hi, uint64(len(t))); ; i = (i + 1) % uint64(len(t)) {
		if t[i] == [2]uint64{} {
			t[i] = [2]uint64{lo, hi}
			return
		}
	}
}

func (t middle) has(lo, hi uint64) bool {
	i := placeTwo(lo, hi, uint64(len(t)))
	for {
		if i >= uint64(len(t)) {
			i = 0
		}
		k := &t[i]
		if k[0] == lo && k[1] == hi {
			return true
		}
		if k[0] == 0 && k[1] == 0 {
			return false
		}
		i++
	}
}

// long is the set of tokens of more than 16 bytes: slots of 32 bits of their hash and 32 of where they lie in
// data, which has a length of two bytes before each.
type long struct {
	slots []uint64
	data  []byte
}

func newLong(n int) long { return long{slots: make([]uint64, n*2+1), data: make([]byte, 1)} }

func hashBytes(p []byte) uint64 {
	h := uint64(len(p)) * mix
	for ; len(p) >= 8; p = p[8:] {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(p), mix)
		h = hi ^ lo
	}
	for _, b := range p {
		h = (h ^ uint64(b)) * mix
		h ^= h >> 29
	}
	return h * mix
}

func (t *long) add(p []byte) {
	h := hashBytes(p)
	n := uint64(len(t.slots))
	i, _ := bits.Mul64(h, n)
	for t.slots[i] != 0 {
		i = (i + 1) % n
	}
	t.slots[i] = h<<32 | uint64(len(t.data))
	t.data = append(binary.LittleEndian.AppendUint16(t.data, uint16(len(p))), p...)
}

func (t *long) has(p []byte) bool {
	h := hashBytes(p)
	n := uint64(len(t.slots))
	for i, _ := bits.Mul64(h, n); t.slots[i] != 0; i = (i + 1) % n {
		if s := t.slots[i]; s>>32 == h&(1<<32-1) {
			at := int(s & (1<<32 - 1))
			l := int(binary.LittleEndian.Uint16(t.data[at:]))
			if string(t.data[at+2:at+2+l]) == string(p) {
				return true
			}
		}
	}
	return false
}

// merges has what two neighbouring tokens merge into: slots of 64 bits, of which the highest hold the left
// token plus one, 18 the right one plus one, and the lowest 18 the result.
type merges []uint64

const (
	idBits = 18
	idMask = 1<<idBits - 1
	never  = 1<<32 - 1 // the rank of a merge that is none
)

// newMerges makes room for n merges. Most of what is asked for is not there, which fewer slots make slower: only the
// largest vocabularies, which would take more than ten megabytes with the others, get along with fewer.
func newMerges(n int) merges {
	if n > 220_000 {
		return make(merges, n*3/2+1)
	}
	return make(merges, n*9/5+1)
}

func (t merges) add(left, right, result uint32) {
	key := uint64(left+1)<<idBits | uint64(right+1)
	i := place(key, uint64(len(t)))
	for t[i] != 0 {
		i = (i + 1) % uint64(len(t))
	}
	t[i] = key<<idBits | uint64(result)
}

func (t merges) rank(left, right uint32) uint32 {
	key := uint64(left+1)<<idBits | uint64(right+1)
	i := place(key, uint64(len(t)))
	for {
		if i >= uint64(len(t)) {
			i = 0
		}
		e := t[i]
		if e>>idBits == key {
			return uint32(e & idMask)
		}
		if e == 0 {
			return never
		}
		i++
	}
}

// word returns the bytes t[i:j], eight at most, as a little-endian number.
func word(t []byte, i, j int) uint64 {
	mask := uint64(1)<<(8*uint(j-i)) - 1
	if i+8 <= len(t) {
		return binary.LittleEndian.Uint64(t[i:]) & mask
	}
	if n := len(t); n >= 8 {
		return binary.LittleEndian.Uint64(t[n-8:]) >> (8 * uint(i+8-n)) & mask
	}
	x := uint64(0)
	for k := j - 1; k >= i; k-- {
		x = x<<8 | uint64(t[k])
	}
	return x
}
