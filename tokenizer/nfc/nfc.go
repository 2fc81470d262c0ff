// Package nfc brings text into Unicode's Normalization Form C, as tokenizers' references do.
//
// golang.org/x/text/unicode/norm does that too, but it makes "stream-safe" text of it (UAX 15, §13): it puts a
// U+034F behind every thirty marks, which no tokenizer does. This package takes runs of so many marks itself.
package nfc

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// few is how many marks in a row are left to package norm: with what they decompose into they stay below thirty.
const few = 6

// IsNormal reports whether p is in the form already. It may take a text that is for one that is not.
func IsNormal(p []byte) bool { return norm.NFC.IsNormal(p) }

// Append appends p in the form. p must be valid UTF-8.
func Append(dst, p []byte) []byte {
	for len(p) > 0 {
		// What stands before the last boundary of the normal beginning stays as it is.
		n := norm.NFC.QuickSpan(p)
		if n < len(p) {
			n = lastBoundary(p[:n])
		}
		dst = append(dst, p[:n]...)
		p = p[n:]
		end, marks := segment(p)
		if marks <= few {
			dst = norm.NFC.Append(dst, p[:end]...)
		} else {
			dst = compose(dst, p[:end])
		}
		p = p[end:]
	}
	return dst
}

// lastBoundary returns where the last character of p begins that nothing before it can change.
func lastBoundary(p []byte) int {
	for i := len(p); i > 0; {
		_, n := utf8.DecodeLastRune(p[:i])
		i -= n
		if norm.NFC.Properties(p[i:]).BoundaryBefore() {
			return i
		}
	}
	return 0
}

// segment returns the length of the beginning of p up to the next such character, and how many characters in
// it are none.
func segment(p []byte) (end, marks int) {
	for end < len(p) {
		_, n := utf8.DecodeRune(p[end:])
		if end > 0 {
			if norm.NFC.Properties(p[end:]).BoundaryBefore() {
				break
			}
			marks++
		}
		end += n
	}
	return end, marks
}

// char is a character with its canonical combining class.
type char struct {
	r     rune
	class uint8
}

// compose is the algorithm of the standard (Unicode 16, §3.11) for one segment.
func compose(dst, p []byte) []byte {
	var all []char
	for len(p) > 0 {
		_, n := utf8.DecodeRune(p)
		whole := norm.NFD.Bytes(p[:n])
		for len(whole) > 0 {
			r, m := utf8.DecodeRune(whole)
			all = append(all, char{r, norm.NFD.Properties(whole).CCC()})
			whole = whole[m:]
		}
		p = p[n:]
	}
	for i := 0; i < len(all); {
		j := i + 1
		for j < len(all) && all[i].class != 0 && all[j].class != 0 {
			j++
		}
		slices.SortStableFunc(all[i:j], func(a, b char) int { return int(a.class) - int(b.class) })
		i = j
	}
	out, starter := all[:0:0], -1
	for _, c := range all {
		if starter >= 0 {
			last := out[len(out)-1]
			adjacent := len(out)-1 == starter
			if adjacent || last.class < c.class && last.class != 0 {
				if r, ok := pair(out[starter].r, c.r); ok {
					out[starter].r = r
					continue
				}
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	for _, c := range out {
		dst = utf8.AppendRune(dst, c.r)
	}
	return dst
}

// pair returns the character that two compose to.
func pair(a, b rune) (rune, bool) {
	var room [2 * utf8.UTFMax]byte
	text := utf8.AppendRune(utf8.AppendRune(room[:0], a), b)
	var out [4 * utf8.UTFMax]byte
	made := norm.NFC.Append(out[:0], text...)
	r, n := utf8.DecodeRune(made)
	return r, n == len(made)
}
