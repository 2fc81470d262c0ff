package claude

import "slices"

// Hangul syllables compose by arithmetic (Unicode 16, §3.12).
const (
	syllableBase = 0xAC00
	leadBase     = 0x1100
	vowelBase    = 0x1161
	trailBase    = 0x11A7
	leads        = 19
	vowels       = 21
	trails       = 28
)

// compose brings the characters of one cluster into composed form (NFC): decomposed, marks in the order of
// their classes, and composed again.
func (n *normalizer) compose() {
	n.decompose()
	all := n.next
	for i := 0; i < len(all); {
		from := i
		for i++; i < len(all) && all[i].ccc != 0; i++ {
		}
		if all[from].ccc == 0 {
			from++
		}
		if marks := all[from:i]; !slices.IsSortedFunc(marks, byClass) {
			slices.SortStableFunc(marks, byClass)
		}
	}
	starter, last, kept := -1, uint8(0), 0
	for _, m := range all {
		if starter >= 0 && (starter == kept-1 || last < m.ccc) {
			if whole := n.f.classes.pair(all[starter].r, m.r); whole != 0 {
				all[starter].r = whole
				continue
			}
		}
		if m.ccc == 0 {
			starter = kept
		}
		all[kept], last = m, m.ccc
		kept++
	}
	n.next = all[:kept]
}

func byClass(a, b mark) int { return int(a.ccc) - int(b.ccc) }

// decompose replaces the characters by their canonical decompositions, from the last so that they stay in place.
func (n *normalizer) decompose() {
	c := n.f.classes
	more := 0
	for _, m := range n.next {
		more += c.parts(m.r) - 1
	}
	if more == 0 && !slices.ContainsFunc(n.next, func(m mark) bool { return c.of(m.r)&decomposes != 0 }) {
		return
	}
	from := len(n.next)
	n.next = slices.Grow(n.next, more)[:from+more]
	to := len(n.next)
	for from--; from >= 0; from-- {
		r := n.next[from].r
		switch parts := c.apart[r]; {
		case c.of(r)&decomposes == 0:
			to--
			n.next[to] = n.next[from]
		case parts != nil:
			to -= len(parts)
			for i, d := range parts {
				n.next[to+i] = mark{d, uint8(c.of(d) >> cccShift)}
			}
		default:
			to -= c.parts(r)
			s := r - syllableBase
			n.next[to] = mark{r: leadBase + s/(vowels*trails)}
			n.next[to+1] = mark{r: vowelBase + s%(vowels*trails)/trails}
			if t := s % trails; t != 0 {
				n.next[to+2] = mark{r: trailBase + t}
			}
		}
	}
}

// parts returns how many characters r decomposes into.
func (c *classes) parts(r rune) int {
	switch {
	case c.of(r)&decomposes == 0:
		return 1
	case r >= syllableBase && r < syllableBase+leads*vowels*trails:
		if (r-syllableBase)%trails == 0 {
			return 2
		}
		return 3
	}
	return len(c.apart[r])
}

// pair returns the composite of two characters, or 0.
func (c *classes) pair(a, b rune) rune {
	switch {
	case a >= leadBase && a < leadBase+leads && b >= vowelBase && b < vowelBase+vowels:
		return syllableBase + ((a-leadBase)*vowels+b-vowelBase)*trails
	case a >= syllableBase && a < syllableBase+leads*vowels*trails && (a-syllableBase)%trails == 0 && b > trailBase && b < trailBase+trails:
		return a + b - trailBase
	}
	return c.together[[2]rune{a, b}]
}
