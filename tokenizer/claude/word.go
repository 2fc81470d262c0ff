package claude

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// suffix reports whether run may follow an apostrophe without beginning a word.
func suffix(run []byte) bool {
	switch string(run) {
	case "s", "t", "d", "m", "ll", "re", "ve":
		return true
	}
	return false
}

// lower returns the lower case of a character whose properties say that it has one.
func lower(r rune) rune {
	switch r {
	case 0x1C89:
		return 0x1C8A
	case 0xA7CB:
		return 0x0264
	}
	return unicode.ToLower(r)
}

// marks writes a run of marks that no word carries.
func (w *walker) marks(text []byte, i int) int {
	w.flush()
	w.seg = append(w.seg, begin)
	for i < len(text) && w.class(text, i)&stray != 0 {
		_, n := utf8.DecodeRune(text[i:])
		w.seg = append(w.seg, text[i:i+n]...)
		i += n
	}
	if w.class(text, i)&classMask == word {
		w.after(strayRun, false)
		return i
	}
	w.seg = append(w.seg, end)
	w.flush()
	w.after(strayRun, true)
	return i
}

// word writes a run of letters.
func (w *walker) word(text []byte, i int, p props) int {
	if w.before != strayRun && !w.quote {
		if next := w.asciiWord(text, i); next > i {
			return next
		}
	}
	if p&stray != 0 && w.before != strayRun {
		return w.marks(text, i)
	}
	run, marker := w.wordRun(text, i)
	i += len(run)
	switch {
	case w.before == strayRun:
		w.seg = append(w.seg, run...)
	case w.quote && w.contracted && suffix(run):
		w.seg = append(append(w.seg, run...), end)
		w.flush()
		w.after(word, true)
		return i
	default:
		w.flush()
		if marker != 0 {
			w.seg = append(w.seg, marker)
		}
		w.seg = append(w.seg, begin)
		if marker == 0 {
			w.seg = append(w.seg, run...)
			break
		}
		for _, r := range string(run) {
			if w.f.classes.of(r)&upper != 0 && r != 'İ' {
				r = lower(r)
			}
			w.seg = utf8.AppendRune(w.seg, r)
		}
	}
	w.seg = append(w.seg, end)
	w.flush()
	w.after(word, true)
	last, _ := utf8.DecodeLastRune(run)
	w.bordered = w.f.classes.of(last)&punctKind != 0 // a letter in a circle, which is a symbol
	return i
}

// wordRun returns the run of letters at i, and how its case is written: shift, caps, or 0 for as it stands.
func (w *walker) wordRun(text []byte, i int) (run []byte, marker byte) {
	from := i
	var chars, uppers, dotted int
	var first rune
	literal, plainCaps := false, true
	for i < len(text) {
		r, n := decode(text[i:])
		p := w.f.classes.of(r)
		if p&classMask != word {
			break
		}
		if i == from {
			first = r
		}
		switch {
		case r == 'ẞ':
			literal = true
		case r == 'İ':
			dotted++
		case p&upper != 0:
			uppers++
		}
		if p&caseless != 0 || p&cased != 0 && p&upper == 0 {
			plainCaps = false
		}
		chars++
		i += n
	}
	run = text[from:i]
	firstUpper := first != 'İ' && w.f.classes.of(first)&upper != 0
	switch {
	case literal:
	case dotted > 0:
		if firstUpper && uppers == 1 {
			return run, shift
		}
	case w.f.capsMin > 0 && chars >= w.f.capsMin && plainCaps && uppers > 0:
		return run, caps
	case firstUpper && uppers == 1:
		return run, shift
	}
	return run, 0
}

// asciiWord counts a word of ASCII letters that fits a key of the memo and is followed by another ASCII
// character or nothing. It returns i where there is none.
func (w *walker) asciiWord(text []byte, i int) int {
	if i+24 > len(text) {
		return i
	}
	a, b, c := binary.LittleEndian.Uint64(text[i:]), binary.LittleEndian.Uint64(text[i+8:]), binary.LittleEndian.Uint64(text[i+16:])
	n := letters(a)
	switch {
	case n < 8:
		a &= 1<<(8*n) - 1
		b, c = 0, 0
	default:
		m := letters(b)
		if m < 8 {
			b &= 1<<(8*m) - 1
			c = 0
			n += m
			break
		}
		m = letters(c)
		if m >= 7 {
			return i
		}
		c &= 1<<(8*m) - 1
		n += m + 8
	}
	if n == 0 || text[i+n] >= utf8.RuneSelf {
		return i
	}
	const low = 0x2020202020202020
	tag := uint64(0x80)
	if up := ^a & low & upTo(n); up|^b&low&upTo(n-8)|^c&low&upTo(n-16) != 0 {
		ub, uc := ^b&low&upTo(n-8), ^c&low&upTo(n-16)
		switch {
		case w.f.capsMin > 0 && n >= w.f.capsMin && up == low&upTo(n) && ub == low&upTo(n-8) && uc == low&upTo(n-16):
			tag = 0x82
			a, b, c = a|up, b|ub, c|uc
		case up == 0x20 && ub|uc == 0:
			tag = 0x81
			a |= 0x20
		default:
			tag = 0x83
		}
	}
	w.flush()
	e := w.slot(a, b, c|tag<<56)
	if e.tiles == 0 {
		e.tiles = w.spell(e.key, n, tag)
	}
	w.total += int(e.tiles)
	i += n
	w.after(word, true)
	if text[i] == ' ' && letter(text[i+1]) {
		w.after(space, true)
		w.blank = true
		return i + 1
	}
	return i
}

// spell tiles a word of the memo.
func (w *walker) spell(key [3]uint64, n int, tag uint64) uint32 {
	var room [24]byte
	for k, v := range key {
		binary.LittleEndian.PutUint64(room[8*k:], v)
	}
	switch tag {
	case 0x81:
		w.seg = append(w.seg, shift)
	case 0x82:
		w.seg = append(w.seg, caps)
	}
	w.seg = append(append(append(w.seg, begin), room[:n]...), end)
	tiles := w.tiler.tile(w.f.pieces, w.seg)
	w.seg = w.seg[:0]
	return uint32(tiles) // at most 25
}

// letters returns how many of the eight bytes of x, from the lowest, are ASCII letters.
func letters(x uint64) int {
	y := (x | 0x20*ones) &^ highs
	in := ((y + 0x1F*ones) ^ (y + 0x05*ones)) &^ x & highs
	return bits.TrailingZeros64(^in&highs) / 8
}

// upTo is a mask of the n lowest bytes, for n from below 0 to above 8.
func upTo(n int) uint64 {
	switch {
	case n <= 0:
		return 0
	case n >= 8:
		return 1<<64 - 1
	}
	return 1<<(8*n) - 1
}

func letter(b byte) bool { return (b|0x20)-'a' < 26 }
