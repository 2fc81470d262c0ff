package claude

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// trie holds the pieces of a family as a double array over bytes: the child of node n by byte b is
// units[n].base+b, if that unit's check is n.
type trie struct {
	units   []unit
	longest int // bytes of the longest piece
}

type unit struct {
	base  uint32 // with the flags below
	check uint32
}

const (
	isPiece  = 1 << 31 // the way to this node is a piece
	isPrefix = 1 << 30 // the way to this node is the beginning of a character, and costs one
	baseMask = isPrefix - 1

	root   = 1
	unused = 1<<32 - 1
)

// readPieces reads sorted, front-coded strings: the pieces, then the beginnings of characters.
func readPieces(raw []byte) (*trie, *pairs, error) {
	b, err := inflate(raw)
	if err != nil {
		return nil, nil, err
	}
	pieces, b, err := readStrings(b)
	if err != nil {
		return nil, nil, err
	}
	prefixes, _, err := readStrings(b)
	if err != nil {
		return nil, nil, err
	}
	joined := &pairs{}
	for _, p := range pieces {
		joined.add(p)
	}
	return build(pieces, prefixes), joined, nil
}

func readStrings(b []byte) (out [][]byte, rest []byte, err error) {
	next := func() int {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > 1<<20 {
			err = errData
			return 0
		}
		b = b[used:]
		return int(n) // at most 1<<20
	}
	var last []byte
	for n := next(); n > 0 && err == nil; n-- {
		keep, add := next(), next()
		if err != nil || keep > len(last) || add > len(b) {
			return nil, nil, errData
		}
		last = slices.Concat(last[:keep], b[:add])
		out, b = append(out, last), b[add:]
	}
	return out, b, err
}

// build makes the double array. Keys come sorted.
func build(pieces, prefixes [][]byte) *trie {
	b := &builder{flags: make(map[string]uint32, len(prefixes))}
	keys := slices.Concat(pieces, prefixes)
	slices.SortFunc(keys, bytes.Compare)
	keys = slices.CompactFunc(keys, bytes.Equal)
	for _, p := range prefixes {
		b.flags[string(p)] |= isPrefix
	}
	t := &trie{}
	for _, p := range pieces {
		if _, ok := b.flags[string(p)]; ok {
			b.flags[string(p)] |= isPiece
		}
		t.longest = max(t.longest, len(p))
	}
	b.grow(1024)
	b.take(root, root)
	b.place(root, keys, 0)
	t.units = slices.Clone(b.units)
	return t
}

type builder struct {
	units []unit
	next  []uint32 // list of free units, in order; 0 ends it
	prev  []uint32
	tail  uint32
	flags map[string]uint32 // of prefixes; every other key is a piece
}

// grow adds n free units.
func (b *builder) grow(n int) {
	if len(b.units) == 0 {
		b.units, b.next, b.prev = append(b.units, unit{check: unused}), append(b.next, 0), append(b.prev, 0)
	}
	for range n {
		at := uint32(len(b.units)) // some 100,000
		b.units = append(b.units, unit{check: unused})
		b.next, b.prev = append(b.next, 0), append(b.prev, b.tail)
		b.next[b.tail] = at
		b.tail = at
	}
}

// take gives a free unit to a parent.
func (b *builder) take(at, parent uint32) {
	b.units[at].check = parent
	n, p := b.next[at], b.prev[at]
	b.next[p] = n
	if n != 0 {
		b.prev[n] = p
	} else {
		b.tail = p
	}
}

// place puts the children of a node, whose keys agree in their first depth bytes, and all below them.
func (b *builder) place(node uint32, keys [][]byte, depth int) {
	if len(keys[0]) == depth {
		f, ok := b.flags[string(keys[0])]
		if !ok {
			f = isPiece
		}
		b.units[node].base |= f
		keys = keys[1:]
	}
	if len(keys) == 0 {
		return
	}
	var codes []byte
	var ends []int
	for i, k := range keys {
		if i == 0 || k[depth] != codes[len(codes)-1] {
			codes, ends = append(codes, k[depth]), append(ends, i)
		}
	}
	ends = append(ends, len(keys))
	base := b.find(codes)
	b.units[node].base |= base
	for _, c := range codes {
		b.take(base+uint32(c), node)
	}
	for i, c := range codes {
		b.place(base+uint32(c), keys[ends[i]:ends[i+1]], depth+1)
	}
}

// find returns a base under which all codes are free. A crowded beginning is not searched for ever.
func (b *builder) find(codes []byte) uint32 {
	first := uint32(codes[0])
	tries := 0
	for at := b.next[0]; ; at = b.next[at] {
		if at == 0 || tries > 4096 {
			at = uint32(len(b.units)) // some 100,000
			b.grow(1024)
		}
		tries++
		if at <= first {
			continue
		}
		base := at - first
		for int(base)+256 > len(b.units) {
			b.grow(1024)
		}
		if !slices.ContainsFunc(codes, func(c byte) bool { return b.units[base+uint32(c)].check != unused }) {
			return base
		}
	}
}
