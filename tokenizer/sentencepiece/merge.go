package sentencepiece

import (
	"math/bits"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/heap"
)

// never is the rank of a merge that is none.
const never = 1<<32 - 1

// merges has what two neighbouring symbols merge into: slots of 64 bits, of which the highest hold the left symbol
// plus one, the middle ones the right symbol plus one, and the lowest 20 the result.
type merges []uint64

const (
	symbolBits = 20
	symbolMask = 1<<symbolBits - 1
	most       = 1<<symbolBits - 2 // symbols that can be held
)

func newMerges(n int) merges { return make(merges, n*5/4+1) }

func (t merges) slot(left, right uint32) (at, key uint64) {
	key = uint64(left+1)<<symbolBits | uint64(right+1)
	at, _ = bits.Mul64(key*0x9E3779B97F4A7C15, uint64(len(t)))
	return at, key
}

func (t merges) add(left, right, result uint32) {
	at, key := t.slot(left, right)
	for t[at] != 0 {
		at = (at + 1) % uint64(len(t))
	}
	t[at] = key<<symbolBits | uint64(result)
}

// of returns what two symbols merge into.
func (t merges) of(left, right uint32) (uint32, bool) {
	at, key := t.slot(left, right)
	for t[at] != 0 {
		if t[at]>>symbolBits == key&(1<<(64-symbolBits)-1) {
			return uint32(t[at] & symbolMask), true // 20 bits
		}
		if at++; at == uint64(len(t)) {
			at = 0
		}
	}
	return 0, false
}

// joins is the set of pairs of characters that stand beside each other in a token. It may hold some that do not,
// but for ASCII.
type joins struct {
	ascii     [128]uint64 // by the first character: those below 64 that may follow
	asciiHigh [128]uint64 // and those from 64 on
	bloom     []uint64
}

const bloomBits = 20

func joinBit(a, b rune) uint64 {
	return (uint64(a)<<21 | uint64(b)) * 0x9E3779B97F4A7C15 >> (64 - bloomBits) // code points
}

// add adds a pair, in which blank stands for a space too.
func (j *joins) add(a, b rune) {
	h := joinBit(a, b)
	j.bloom[h>>6] |= 1 << (h & 63)
	if a == blank {
		a = ' '
	}
	if b == blank {
		b = ' '
	}
	if a < utf8.RuneSelf && b < utf8.RuneSelf {
		if b < 64 {
			j.ascii[a] |= 1 << b
		} else {
			j.asciiHigh[a] |= 1 << (b - 64)
		}
	}
}

func (j *joins) has(a, b rune) bool {
	h := joinBit(a, b)
	return j.bloom[h>>6]>>(h&63)&1 != 0
}

// part is a symbol while merging and the result of its merge with the next, if any.
type part struct {
	symbol, result uint32
	rank           uint32 // of that merge
}

// few is how many symbols are merged by looking for the lowest rank again and again.
const few = 48

// merge counts the tokens that merging makes of p.
func (m *Model) merge(w *worker, p []byte) int {
	n := 0
	unknown := false
	parts := w.queue.parts[:0]
	for i := 0; i < len(p); {
		r, size := utf8.DecodeRune(p[i:])
		i += size
		if s := m.symbol(r); s != 0 {
			parts, unknown = append(parts, part{symbol: s - 1, rank: never}), false
			continue
		}
		n += m.reduce(w, parts)
		parts = parts[:0]
		switch {
		case m.bytes:
			n += size
		case !unknown:
			n++
		}
		unknown = true
	}
	w.queue.parts = parts
	return n + m.reduce(w, parts)
}

// reduce merges until nothing can be, and counts what is left.
func (m *Model) reduce(w *worker, parts []part) int {
	if len(parts) < 2 {
		return len(parts)
	}
	for i := range parts[1:] {
		m.look(&parts[i], parts[i+1].symbol)
	}
	parts[len(parts)-1].rank = never
	if len(parts) > few {
		return m.queued(&w.queue, parts)
	}
	for {
		at, best := 0, uint32(never)
		for i := range parts {
			if parts[i].rank < best {
				at, best = i, parts[i].rank
			}
		}
		if best == never {
			return len(parts)
		}
		parts[at].symbol, parts[at].rank = parts[at].result, never
		parts = append(parts[:at+1], parts[at+2:]...)
		if at+1 < len(parts) {
			m.look(&parts[at], parts[at+1].symbol)
		}
		if at > 0 {
			m.look(&parts[at-1], parts[at].symbol)
		}
	}
}

// look sets what a part merges into with the symbol behind it.
func (m *Model) look(p *part, next uint32) {
	result, ok := m.pairs.of(p.symbol, next)
	if p.rank = never; ok {
		p.result, p.rank = result, m.ranks[result]
	}
}

// queue is what merging with a queue of the possible merges needs: time grows with the text's length times its
// logarithm, whatever the text.
type queue struct {
	parts []part
	next  []uint32 // the part behind, by position; the last one has the number of parts
	prev  []uint32
	heap  heap.Queue // rank and position of merges, some of which are no longer possible
}

// queued merges and counts parts, each of which knows its merge.
func (m *Model) queued(q *queue, parts []part) int {
	n := uint32(len(parts)) // texts are shorter
	q.next, q.prev, q.heap = q.next[:0], q.prev[:0], q.heap[:0]
	for i := range n {
		q.next, q.prev = append(q.next, i+1), append(q.prev, i-1)
		if parts[i].rank != never {
			q.heap = append(q.heap, uint64(parts[i].rank)<<32|uint64(i))
		}
	}
	q.heap.Init()
	left := int(n)
	for len(q.heap) > 0 {
		top := q.heap.Pop()
		at := uint32(top) // the low half
		if parts[at].rank != uint32(top>>32) {
			continue
		}
		left--
		gone := q.next[at]
		after := q.next[gone]
		parts[at].symbol, parts[at].rank, parts[gone].rank = parts[at].result, never, never
		q.next[at] = after
		if after < n {
			q.prev[after] = at
			m.look(&parts[at], parts[after].symbol)
			q.push(parts[at].rank, at)
		}
		if before := q.prev[at]; before < n {
			m.look(&parts[before], parts[at].symbol)
			q.push(parts[before].rank, before)
		}
	}
	return left
}

func (q *queue) push(rank, at uint32) {
	if rank != never {
		q.heap.Push(uint64(rank)<<32 | uint64(at))
	}
}
