package bpe

import (
	"unicode/utf8"
)

// part is a token while merging: its number, the rank of its merge with the one behind it, and where it ends.
type part struct{ id, rank, end uint32 }

// few is how many bytes are merged by looking for the lowest rank again and again. Longer texts are merged in
// windows of that size.
const few = 64

// merged counts the tokens that merging makes of p.
func (e *Encoding) merged(p []byte, w *work) int {
	if len(p) <= few {
		var room [few]part
		return len(e.merge(e.begin(room[:0], p, 0)))
	}
	return e.windows(p, w)
}

// begin appends the tokens that merging begins with, with the ranks of their merges, to none. p is at an offset from the
// beginning of what is merged.
func (e *Encoding) begin(parts []part, p []byte, from int) []part {
	last := byte(utf8.RuneSelf) // the byte before, if it is ASCII
	for i := 0; i < len(p); {
		b, n := p[i], 1
		id := e.bytes[b]
		if b >= utf8.RuneSelf {
			if r, size := utf8.DecodeRune(p[i:]); r <= 0xFFFF && size > 1 && e.chars[r] != 0 {
				id, n = e.chars[r]-1, size
			}
		}
		if k := len(parts); k > 0 {
			if (last | b) < utf8.RuneSelf {
				parts[k-1].rank = e.ascii[uint(last)<<7|uint(b)]
			} else {
				parts[k-1].rank = e.pairs.rank(parts[k-1].id, id)
			}
		}
		last, i = b, i+n
		parts = append(parts, part{id, never, uint32(from + i)})
	}
	return parts
}

// merge merges until nothing can be.
func (e *Encoding) merge(parts []part) []part {
	for {
		at, best := lowest(parts)
		if best == never {
			return parts
		}
		parts[at].id, parts[at].end = best, parts[at+1].end
		copy(parts[at+1:], parts[at+2:])
		parts = parts[:len(parts)-1]
		parts[at].rank = never
		if at+1 < len(parts) {
			parts[at].rank = e.pairs.rank(best, parts[at+1].id)
		}
		if at > 0 {
			parts[at-1].rank = e.pairs.rank(parts[at-1].id, best)
		}
	}
}

// lowest returns where the lowest rank is, the first if there are several. It has no branch, which none could predict, and
// four minima, so that none waits for the one before.
func lowest(parts []part) (at int, rank uint32) {
	const none = uint64(never) << 32
	a, b, c, d := none, none, none, none
	i := 0
	for ; i+4 <= len(parts); i += 4 {
		q := parts[i : i+4 : i+4]
		k := uint64(i)
		a = min(a, uint64(q[0].rank)<<32|k)
		b = min(b, uint64(q[1].rank)<<32|(k+1))
		c = min(c, uint64(q[2].rank)<<32|(k+2))
		d = min(d, uint64(q[3].rank)<<32|(k+3))
	}
	for ; i < len(parts); i++ {
		a = min(a, uint64(parts[i].rank)<<32|uint64(i))
	}
	a = min(min(a, b), min(c, d))
	return int(uint32(a)), uint32(a >> 32)
}

// cut counts a long piece in the parts that no token goes across.
func (e *Encoding) cut(p []byte, w *work) int {
	n, start := 0, 0
	var last rune
	for i := 0; i < len(p); {
		r, size := rune(p[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(p[i:])
		}
		if i > 0 && last|r >= utf8.RuneSelf && !e.joins.between(last, r, p[i-1], p[i]) {
			n += e.segment(p, start, i, w)
			start = i
		}
		last, i = r, i+size
	}
	return n + e.segment(p, start, len(p), w)
}

// segment counts p[i:j], of which the piece p may be cut.
func (e *Encoding) segment(p []byte, i, j int, w *work) int {
	if j-i <= 16 {
		return e.piece(p, i, j, w)
	}
	return e.recall(p, i, j, w)
}
