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

// begin appends the tokens that merging begins with. p is at an offset from the beginning of what is merged.
func (e *Encoding) begin(parts []part, p []byte, from int) []part {
	for i := 0; i < len(p); {
		if b := p[i]; b >= utf8.RuneSelf {
			if r, n := utf8.DecodeRune(p[i:]); r <= 0xFFFF && n > 1 && e.chars[r] != 0 {
				i += n
				parts = append(parts, part{e.chars[r] - 1, never, uint32(from + i)})
				continue
			}
		}
		parts = append(parts, part{e.bytes[p[i]], never, uint32(from + i + 1)})
		i++
	}
	return parts
}

// merge merges until nothing can be.
func (e *Encoding) merge(parts []part) []part {
	if len(parts) < 2 {
		return parts
	}
	last := len(parts) - 1
	for i := range last {
		parts[i].rank = e.pairs.rank(parts[i].id, parts[i+1].id)
	}
	for {
		lowest := uint64(never) << 32
		for i := range parts {
			lowest = min(lowest, uint64(parts[i].rank)<<32|uint64(i)) // without a branch, which none could predict
		}
		at, best := int(uint32(lowest)), uint32(lowest>>32)
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
