package bpe

import (
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

// fill makes the tables.
func (e *Encoding) fill(v *vocab.Vocab) error {
	shorts, middles, longs, made := 0, 0, 0, 0
	for r := range v.Len() {
		switch n := len(v.Token(r)); {
		case n > 16:
			longs++
		case n > 8:
			middles++
		default:
			shorts++
		}
		if v.Split(r) > 0 {
			made++
		}
	}
	e.short, e.middle, e.long = newShort(shorts), newMiddle(middles), newLong(longs)
	e.pairs, e.parts = newMerges(made), make([][2]uint32, v.Len())
	for r := range v.Len() {
		if t := v.Token(r); len(t) == 1 {
			e.bytes[t[0]] = uint32(r)
		}
	}
	ids := newFinder(v)
	find := func(t []byte) int {
		if len(t) == 1 {
			return int(e.bytes[t[0]])
		}
		return ids.find(t)
	}
	for r := range v.Len() {
		t, split := v.Token(r), v.Split(r)
		e.addToken(t)
		e.parts[r] = [2]uint32{uint32(r), uint32(r)}
		if split == 0 {
			continue
		}
		left, right := find(t[:split]), find(t[split:])
		if left < 0 || right < 0 {
			return fmt.Errorf("vocabulary %s: the parts of token %d are no tokens", v.Name, r)
		}
		e.parts[r] = [2]uint32{uint32(left), uint32(right)}
		e.pairs.add(uint32(left), uint32(right), uint32(r))
	}
	e.ascii = make([]uint32, 1<<14)
	for k := range e.ascii {
		e.ascii[k] = e.pairs.rank(e.bytes[k>>7], e.bytes[k&127])
	}
	e.findJoins(v)
	return nil
}

func (e *Encoding) addToken(t []byte) {
	switch n := len(t); {
	case n > 16:
		e.long.add(t)
	case n == 1 || t[n-1] == 0:
	case n > 8:
		e.middle.add(word(t, 0, 8), word(t, 8, n))
	default:
		e.short.add(word(t, 0, n))
	}
}

// finder finds the numbers of tokens while the tables are made.
type finder struct {
	v     *vocab.Vocab
	slots []uint32 // number plus one
}

func newFinder(v *vocab.Vocab) finder {
	f := finder{v, make([]uint32, v.Len()*2)}
	for r := range v.Len() {
		f.slots[f.slot(v.Token(r))] = uint32(r + 1)
	}
	return f
}

// slot returns the slot of a token, or the empty one where it would be.
func (f finder) slot(t []byte) uint64 {
	n := uint64(len(f.slots))
	i, _ := bits.Mul64(hashBytes(t), n)
	for f.slots[i] != 0 && string(f.v.Token(int(f.slots[i]-1))) != string(t) {
		i = (i + 1) % n
	}
	return i
}

func (f finder) find(t []byte) int { return int(f.slots[f.slot(t)]) - 1 }

// joins says between which neighbouring characters a token may go across. Where none does, no merge can, as
// what it makes would be such a token: text may be cut there.
type joins struct {
	bloom []uint64 // of pairs, and of a character and the first byte behind it
	bytes []uint64 // by the last byte of one and the first of the next
}

const bloomBits = 20

func joinKey(a, b rune) uint64 {
	return (uint64(a)<<21 | uint64(b)) * mix >> (64 - bloomBits)
}

// partial is added to a first byte that stands for all characters that begin with it.
const partial = 1 << 20 * 1.5

func (j *joins) add(a, b rune) {
	k := joinKey(a, b)
	j.bloom[k>>6] |= 1 << (k & 63)
}

// between reports whether a token may hold the end of a, whose last byte is given, and the beginning of b.
func (j *joins) between(a, b rune, last, first byte) bool {
	k := uint(last)<<8 | uint(first)
	if j.bytes[k>>6]>>(k&63)&1 != 0 {
		return true
	}
	x, y := joinKey(a, b), joinKey(a, partial+rune(first))
	return j.bloom[x>>6]>>(x&63)&1 != 0 || j.bloom[y>>6]>>(y&63)&1 != 0
}

// findJoins fills joins, and chars with the characters that are tokens and that no other token overlaps in
// part: merging begins with them whole.
func (e *Encoding) findJoins(v *vocab.Vocab) {
	e.joins = joins{make([]uint64, 1<<bloomBits/64), make([]uint64, 1<<16/64)}
	overlaps := map[string]bool{} // beginnings of characters with something before them, and ends with something behind
	for r := range v.Len() {
		if t := v.Token(r); len(t) > 1 {
			e.joinsOf(t, overlaps)
		}
	}
	e.chars = make([]uint32, 1<<16)
	for r := range v.Len() {
		t := v.Token(r)
		if t[0] < utf8.RuneSelf || len(t) > 3 {
			continue
		}
		if c, n := utf8.DecodeRune(t); n == len(t) && n > 1 && e.parts[r][0] != uint32(r) {
			whole := true
			for k := 1; k < n; k++ {
				whole = whole && !overlaps[string(t[:k])+"<"] && !overlaps[">"+string(t[k:])]
			}
			if whole {
				e.chars[c] = uint32(r + 1)
			}
		}
	}
}

func (e *Encoding) joinsOf(t []byte, overlaps map[string]bool) {
	start := 0 // of the character before
	for start < len(t) && !utf8.RuneStart(t[start]) {
		start++
	}
	if start > 0 && start < len(t) { // an end of a character, then another
		overlaps[">"+string(t[:start])] = true
		k := uint(t[start-1])<<8 | uint(t[start])
		e.joins.bytes[k>>6] |= 1 << (k & 63)
	}
	for start < len(t) {
		a, n := utf8.DecodeRune(t[start:])
		next := start + n
		if a == utf8.RuneError && n == 1 { // the beginning of a character, at the end of the token
			return
		}
		if next < len(t) {
			b, m := utf8.DecodeRune(t[next:])
			if b == utf8.RuneError && m == 1 {
				overlaps[string(t[next:])+"<"] = true
				b = partial + rune(t[next])
			}
			e.joins.add(a, b)
		}
		start = next
	}
}
