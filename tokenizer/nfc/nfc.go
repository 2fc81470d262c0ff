// Package nfc brings text into Unicode's Normalization Form C, as tokenizers' references do.
//
// golang.org/x/text/unicode/norm does that too, but makes "stream-safe" text of it (UAX 15, §13): it puts a
// U+034F behind every thirty marks, which no tokenizer does. This package composes itself, with the tables of that one.
package nfc

import (
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// IsNormal reports whether p is in the form already. It may take a text that is for one that is not.
func IsNormal(p []byte) bool { return norm.NFC.QuickSpan(p) == len(p) }

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
		end := segment(p)
		dst = compose(dst, p[:end])
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

// segment returns the length of the beginning of p up to the next such character.
func segment(p []byte) (end int) {
	for end < len(p) {
		if end > 0 && norm.NFC.Properties(p[end:]).BoundaryBefore() {
			break
		}
		_, n := utf8.DecodeRune(p[end:])
		end += n
	}
	return end
}

// char is a character with its canonical combining class.
type char struct {
	r     rune
	class uint8
}

// compose is the algorithm of the standard (Unicode 16, §3.11) for one segment.
func compose(dst, p []byte) []byte {
	var room [32]char
	all := decompose(room[:0], p)
	for i := 0; i < len(all); {
		j := i + 1
		for j < len(all) && all[i].class != 0 && all[j].class != 0 {
			j++
		}
		slices.SortStableFunc(all[i:j], func(a, b char) int { return int(a.class) - int(b.class) })
		i = j
	}
	out, starter := 0, -1
	for _, c := range all {
		if starter >= 0 {
			last := all[out-1].class
			if out-1 == starter || last < c.class && last != 0 {
				if r, ok := pair(all[starter].r, c.r); ok {
					all[starter].r = r
					continue
				}
			}
		}
		if c.class == 0 {
			starter = out
		}
		all[out] = c
		out++
	}
	for _, c := range all[:out] {
		dst = utf8.AppendRune(dst, c.r)
	}
	return dst
}

// decompose appends the canonical decompositions of the characters of p.
func decompose(dst []char, p []byte) []char {
	for len(p) > 0 {
		props := norm.NFD.Properties(p)
		r, n := utf8.DecodeRune(p)
		whole := props.Decomposition()
		switch {
		case r >= hangul && r < hangul+syllables:
			s := r - hangul
			dst = append(dst, char{r: leads + s/(vowelCount*tailCount)}, char{r: vowels + s%(vowelCount*tailCount)/tailCount})
			if t := s % tailCount; t > 0 {
				dst = append(dst, char{r: tails + t})
			}
		case whole == nil:
			dst = append(dst, char{r, props.CCC()})
		}
		for len(whole) > 0 {
			d, m := utf8.DecodeRune(whole)
			dst = append(dst, char{d, norm.NFD.Properties(whole).CCC()})
			whole = whole[m:]
		}
		p = p[n:]
	}
	return dst
}

// Hangul syllables follow from their parts (Unicode 16, §3.12).
const (
	hangul, leads, vowels, tails     = 0xAC00, 0x1100, 0x1161, 0x11A7
	leadCount, vowelCount, tailCount = 19, 21, 28
	syllables                        = leadCount * vowelCount * tailCount
)

// pair returns the character that two compose to.
func pair(a, b rune) (rune, bool) {
	switch {
	case a >= leads && a < leads+leadCount && b >= vowels && b < vowels+vowelCount:
		return hangul + ((a-leads)*vowelCount+b-vowels)*tailCount, true
	case a >= hangul && a < hangul+syllables && (a-hangul)%tailCount == 0 && b > tails && b < tails+tailCount:
		return a + b - tails, true
	}
	r, ok := pairs()[[2]rune{a, b}]
	return r, ok
}

// pairs has all characters that two others compose to: those that decompose and are normal all the same.
var pairs = sync.OnceValue(func() map[[2]rune]rune {
	out := map[[2]rune]rune{}
	for r := rune(0xC0); r < 0x30000; r++ {
		if r >= hangul && r < hangul+syllables || r >= 0xD800 && r < 0xE000 {
			continue
		}
		s := string(r)
		whole := norm.NFD.PropertiesString(s).Decomposition()
		if whole == nil || norm.NFC.String(s) != s {
			continue
		}
		b, n := utf8.DecodeLastRune(whole)
		a, _ := utf8.DecodeRune(norm.NFC.Bytes(whole[:len(whole)-n]))
		out[[2]rune{a, b}] = r
	}
	return out
})
