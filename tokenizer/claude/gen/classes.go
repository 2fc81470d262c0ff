package main

import (
	"encoding/binary"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Classes and flags, as in tokenizer/claude.
const (
	hard  = 0
	word  = 1
	space = 2
	digit = 3
	punct = 4

	selector   = 1 << 3
	punctKind  = 1 << 4
	numberKind = 1 << 5
	upper      = 1 << 6
	cased      = 1 << 7
	caseless   = 1 << 8
	stray      = 1 << 9
	unstable   = 1 << 10
	dirty      = 1 << 11
	decimal    = 1 << 12
	number     = 1 << 13
	recompose  = 1 << 14
	decomposes = 1 << 15

	cccShift = 24
)

// span is a range of code points.
type span struct{ from, to rune }

func in(r rune, list ...span) bool {
	return slices.ContainsFunc(list, func(s span) bool { return s.from <= r && r <= s.to })
}

// Tables of the source, beside those of Unicode.
var (
	extraLetters  = []span{{0x1C89, 0x1C8A}, {0xA7CB, 0xA7CB}, {0x0264, 0x0264}}
	symbolLetters = []span{{0x16EE, 0x16F0}, {0x2160, 0x2188}, {0x24B6, 0x24E9}, {0xA6E6, 0xA6EF}}
	digits        = []span{{'0', '9'}, {0x0660, 0x0669}, {0x06F0, 0x06F9}}
	isolated      = []span{
		{0x3005, 0x3006}, {0x3031, 0x3035}, {0x303B, 0x303C}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3},
		{0xF900, 0xFAFF}, {0x10000, 0x10FFFF},
	}
	alphabeticMarks = []span{{0x0363, 0x036F}, {0x0897, 0x0897}, {0x1DD3, 0x1DE6}}
	selectors       = []span{{0xFE00, 0xFE0F}}
	syriacVowels    = []span{{0x0711, 0x0711}, {0x0730, 0x073F}}
	deleted         = []span{{0x01, 0x08}, {0x0B, 0x1F}, {0x7F, 0x9F}, {0xE000, 0xF8FF}}
	blanks          = []span{
		{0, 0}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
	}
	ideographicSymbols = []rune{0x3004, 0x3012, 0x3013, 0x3020, 0x3036, 0x3037, 0x303E, 0x303F}
)

const punctSymbols = "£§«°·»།–—„†•…€№→−√─│└═█（"

// ranges returns the properties of all code points as lengths of equal ranges.
func ranges() (out []byte) {
	n, last := uint64(0), uint32(0)
	for r := rune(0); r <= unicode.MaxRune+1; r++ {
		var p uint32
		if r <= unicode.MaxRune {
			p = propertiesOf(r)
		}
		if r > unicode.MaxRune || n > 0 && p != last {
			out = binary.LittleEndian.AppendUint32(binary.AppendUvarint(out, n), last)
			n = 0
		}
		n, last = n+1, p
	}
	return out
}

func propertiesOf(r rune) uint32 {
	if in(r, deleted...) {
		return hard | dirty
	}
	if in(r, blanks...) {
		return space | dirty
	}
	c := class(r)
	p := uint32(c) // 0 to 4
	if in(r, selectors...) {
		p |= selector
	}
	p |= kind(r)
	if isCased(r) {
		p |= cased
	}
	if isUpper(r) {
		p |= upper
	}
	letterOrMark := unicode.In(r, unicode.L, unicode.M) || in(r, extraLetters...)
	if letterOrMark && !isCased(r) {
		p |= caseless
	}
	p |= composition(r)
	if c == word && p>>cccShift != 0 && !in(r, syriacVowels...) {
		p |= stray
	}
	if unicode.Is(unicode.Nd, r) {
		p |= decimal
	}
	if unicode.Is(unicode.No, r) {
		p |= number
	}
	return p
}

// newMark is the only mark of Unicode 16 in the blocks that words are made of.
const newMark = 0x0897

// composition returns the combining class of a character and how it behaves under NFC.
func composition(r rune) (p uint32) {
	b := utf8.AppendRune(nil, r)
	q := norm.NFC.Properties(b)
	p = uint32(q.CCC()) << cccShift
	if r == newMark {
		p = 230 << cccShift
	}
	if !norm.NFC.IsNormal(b) || p == 0 && !q.BoundaryBefore() || p != 0 && combinesBackward(r) {
		p |= recompose
	}
	if !norm.NFD.IsNormal(b) {
		p |= decomposes
	}
	// U+0E4D joins a U+0E32 that follows.
	if p>>cccShift != 0 || p&recompose != 0 || r == 0x0E4D {
		p |= unstable
	}
	return p
}

// combinesBackward reports whether r may be the second of a pair that composes.
func combinesBackward(r rune) bool {
	for _, p := range composites() {
		if p.second == r {
			return true
		}
	}
	return false
}

// composite is a pair of characters that compose.
type composite struct{ first, second, whole rune }

// composites returns all primary composites but syllables of Hangul.
var composites = sync.OnceValue(func() (out []composite) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		d := []rune(norm.NFD.String(string(r)))
		if len(d) < 2 || r >= 0xAC00 && r <= 0xD7A3 || norm.NFC.String(string(r)) != string(r) {
			continue
		}
		first := []rune(norm.NFC.String(string(d[:len(d)-1])))
		if len(first) != 1 {
			panic("a composite is no pair")
		}
		out = append(out, composite{first[0], d[len(d)-1], r})
	}
	return out
})

// forms returns the decompositions, each a character, how many it becomes and those; and the composites as
// triples. Numbers of both stand before them.
func forms() (out []byte) {
	var all []byte
	n := uint64(0)
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if s := string(r); norm.NFD.String(s) != s && (r < 0xAC00 || r > 0xD7A3) {
			d := []rune(norm.NFD.String(s))
			all = appendRunes(binary.AppendUvarint(appendRunes(all, r), uint64(len(d))), d...)
			n++
		}
	}
	out = append(binary.AppendUvarint(out, n), all...)
	out = binary.AppendUvarint(out, uint64(len(composites())))
	for _, c := range composites() {
		out = appendRunes(out, c.first, c.second, c.whole)
	}
	return out
}

func appendRunes(b []byte, rs ...rune) []byte {
	for _, r := range rs {
		b = binary.AppendUvarint(b, uint64(r)) // code points
	}
	return b
}

func class(r rune) int {
	switch {
	case in(r, extraLetters...):
		return word
	case unicode.Is(unicode.Z, r) || r == '\t' || r == '\n':
		return space
	case in(r, symbolLetters...):
		return word
	case in(r, digits...):
		return digit
	case r < utf8.RuneSelf && unicode.In(r, unicode.P, unicode.S), slices.Contains([]rune(punctSymbols), r):
		return punct
	case in(r, selectors...):
		return hard
	case unicode.Is(unicode.M, r), r == newMark:
		if r < 0x10000 && alphabetic(r) {
			return word
		}
		return hard
	case unicode.Is(unicode.L, r) && !in(r, isolated...):
		return word
	}
	return hard
}

// alphabetic is Unicode's derived property, with the marks that version 16 added.
func alphabetic(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic) || in(r, alphabeticMarks...)
}

// kind returns the flag of a character's kind, by which runs of hard characters are parted.
func kind(r rune) uint32 {
	if r >= 0x10000 || in(r, selectors...) {
		return 0
	}
	separator := unicode.Is(unicode.M, r) && !alphabetic(r)
	assigned := unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) ||
		r == newMark || in(r, extraLetters...)
	switch {
	case separator:
		return punctKind
	case in(r, span{0x3001, 0x303F}) && (unicode.Is(unicode.P, r) || slices.Contains(ideographicSymbols, r)):
		return 0
	case unicode.In(r, unicode.P, unicode.S, unicode.Cf) || !assigned:
		return punctKind
	case unicode.Is(unicode.No, r) || unicode.Is(unicode.Nd, r) && r >= utf8.RuneSelf:
		return numberKind
	}
	return 0
}

func isUpper(r rune) bool {
	if r == 0x1C89 || r == 0xA7CB {
		return true
	}
	return r != 0x03F4 && unicode.In(r, unicode.Lu, unicode.Other_Uppercase) && unicode.ToLower(r) != r
}

func isCased(r rune) bool {
	return r != 0x03F4 && unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Uppercase, unicode.Other_Lowercase) ||
		in(r, extraLetters...)
}
