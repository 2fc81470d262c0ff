package claude

import "bytes"

const (
	ring    = 256 // more than the bytes of the longest piece
	never   = 1 << 30
	longRun = 4 * ring // bytes of one character from where it is worth to look for a period
)

// tiler finds the least number of tiles of a segment: best[i] is the least number for its first i bytes,
// in a ring.
type tiler struct {
	best [ring]int32
	snap [ring]int32 // numbers relative to the first, which later ones may be below
}

// reset empties the places that a segment of n bytes may use.
func (t *tiler) reset(n int) {
	best := t.best[:min(n+1, ring)]
	for i := range best {
		best[i] = never
	}
}

// width returns the bytes of the character or marker that begins with b.
func width(b byte) int {
	switch {
	case b < 0xC0 || b >= markers:
		return 1
	case b < 0xE0:
		return 2
	case b < 0xF0:
		return 3
	}
	return 4
}

// tile returns the least number of tiles of seg, in time linear in its length.
func (t *tiler) tile(tr *trie, seg []byte) int {
	t.reset(len(seg))
	t.best[0] = 0
	checked := 0
	for i := 0; i < len(seg); {
		w := width(seg[i])
		if i >= checked && len(seg)-i >= longRun && seg[i] == seg[i+longRun-w] && seg[i] == seg[i+w] {
			checked = runEnd(seg, i, w)
			if checked-i >= longRun {
				i = t.skip(tr, seg, i, checked, w)
				continue
			}
		}
		t.step(tr, seg, i, w)
		i += w
	}
	return int(t.best[len(seg)&(ring-1)])
}

// step carries the number at i on to the ends of all tiles that begin there.
func (t *tiler) step(tr *trie, seg []byte, i, w int) {
	b := t.best[i&(ring-1)] + 1
	t.best[i&(ring-1)] = never
	units := tr.units
	node, begun := uint32(root), 1
	whole := false
	base := units[root].base & baseMask
	for j := i; j < len(seg); j++ {
		next := base + uint32(seg[j])
		if int(next) >= len(units) || units[next].check != node {
			break
		}
		node, base = next, units[next].base
		if base&isPiece != 0 {
			if at := (j + 1) & (ring - 1); t.best[at] > b {
				t.best[at] = b
			}
			whole = whole || j+1-i == w
		}
		if base&isPrefix != 0 && j+1-i < w {
			begun = j + 1 - i
		}
		base &= baseMask
	}
	if !whole {
		b += int32(w - begun) // 0 to 3
		if at := (i + w) & (ring - 1); t.best[at] > b {
			t.best[at] = b
		}
	}
}

// runEnd returns where the stretch of equal characters that begins at i ends.
func runEnd(seg []byte, i, w int) int {
	j := i + w
	for j+w <= len(seg) && bytes.Equal(seg[j:j+w], seg[i:i+w]) {
		j += w
	}
	return j
}

// skip counts a long run of one character from i to end. What follows a position depends only on the numbers
// of the next ring positions, relative to its own; when they come again, so does everything until the end of
// the run is in reach, and whole periods are added without being walked.
func (t *tiler) skip(tr *trie, seg []byte, i, end, w int) int {
	reach := tr.longest + 4
	limit := end - reach
	mark, power := i, w
	t.snapshot(i)
	at := t.best[i&(ring-1)]
	for i < limit {
		t.step(tr, seg, i, w)
		i += w
		if t.same(i) {
			period, gain := i-mark, t.best[i&(ring-1)]-at
			if times := (limit - i) / period; times > 0 {
				b := t.best[i&(ring-1)] + gain*int32(times) // fewer than bytes
				i += period * times
				t.restore(i, b)
			}
			break
		}
		if i-mark >= power {
			power *= 2
			mark, at = i, t.best[i&(ring-1)]
			t.snapshot(i)
		}
	}
	for i < end {
		t.step(tr, seg, i, w)
		i += w
	}
	return i
}

func (t *tiler) snapshot(i int) {
	b := t.best[i&(ring-1)]
	for k := range t.snap {
		t.snap[k] = t.best[(i+k)&(ring-1)] - b
		if t.best[(i+k)&(ring-1)] >= never {
			t.snap[k] = never
		}
	}
}

func (t *tiler) same(i int) bool {
	b := t.best[i&(ring-1)]
	for k := range t.snap {
		v := t.best[(i+k)&(ring-1)]
		if v < never {
			v -= b
		} else {
			v = never
		}
		if v != t.snap[k] {
			return false
		}
	}
	return true
}

func (t *tiler) restore(i int, b int32) {
	for k, v := range t.snap {
		if v < never {
			v += b
		}
		t.best[(i+k)&(ring-1)] = v
	}
}
