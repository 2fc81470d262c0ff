// Package scan splits text into the pieces that byte-level BPE merges within: what the vocabularies publish as
// regular expressions, written by hand.
//
//	text ─ Rules.Next ─► pieces: every byte is in exactly one
//
// The rules are those of the expressions in the comments beside each, with the letters of Unicode 16. In them
// U is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and W is [\p{Ll}\p{Lm}\p{Lo}\p{M}]. Text must be valid UTF-8.
package scan

import (
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/ucd"
)

// Rules are one way of splitting.
type Rules struct {
	name        string
	contraction contraction
	digits      int  // how many digits are a piece at most; 0 is any number
	cased       bool // a word ends before a capital: U*W+ or U+W*
	marks       bool // marks are letters
	han         bool // Han characters are pieces of their own
	slash       bool // slashes may stand among the newlines behind punctuation
	plain       bool // GPT-2: only a space may lead a piece, newlines are like other white space
	last        bool // white space at the end of the text is one piece, whatever is in it
	apart       bool // digits are cut out first: nothing leads them, and text ends before them
	deepseek    bool // three passes, see deepseek.go
}

// contraction says where 's, 't, 're, 've, 'm, 'll and 'd are seen.
type contraction uint8

const (
	none   contraction = iota
	behind             // behind a word, in any case
	alone              // anywhere, in any case
	lower              // anywhere, in lower case
)

// rules by the names that vocabularies call them by.
var rules = []Rules{
	// '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s
	{name: "r50k", contraction: lower, plain: true, last: true},
	// \p{N} alone, then what is between as r50k
	{name: "command", contraction: lower, plain: true, last: true, digits: 1, apart: true},
	// '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s
	{name: "cl100k", contraction: alone, digits: 3, last: true},
	// [^\r\n\p{L}\p{N}]?U*W+C?|[^\r\n\p{L}\p{N}]?U+W*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
	// with C the contractions, (?i:'s|'t|'re|'ve|'m|'ll|'d)
	{name: "o200k", contraction: behind, digits: 3, cased: true, slash: true},
	// as o200k without C, \p{N} alone
	{name: "tekken", digits: 1, cased: true, slash: true},
	// C|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
	{name: "llama3", contraction: alone, digits: 3},
	// as llama3, \p{N} alone
	{name: "qwen2", contraction: alone, digits: 1},
	// as qwen2 with [\p{L}\p{M}]+ for \p{L}+ and [^\s\p{L}\p{M}\p{N}]+ for [^\s\p{L}\p{N}]+
	{name: "qwen3.5", contraction: alone, digits: 1, marks: true},
	// [\p{Han}]+, then as o200k with U and W without \p{Han}, and [\r\n]* behind punctuation
	{name: "kimi", contraction: behind, digits: 3, cased: true, han: true},
	{name: "deepseek", digits: 3, deepseek: true, marks: true},
}

// Named returns the rules of a name.
func Named(name string) (*Rules, bool) {
	for i := range rules {
		if rules[i].name == name {
			return &rules[i], true
		}
	}
	return nil, false
}

// kind is what the first byte of a character tells.
type kind uint8

const (
	punctuation kind = iota
	small
	capital
	digit
	newline
	white // other white space of ASCII
	high  // not ASCII
)

// kinds has the kind of every byte.
var kinds = func() (out [256]kind) {
	for b := range out {
		switch {
		case b >= 'a' && b <= 'z':
			out[b] = small
		case b >= 'A' && b <= 'Z':
			out[b] = capital
		case b >= '0' && b <= '9':
			out[b] = digit
		case b == '\n' || b == '\r':
			out[b] = newline
		case b == ' ' || b == '\t' || b == '\v' || b == '\f':
			out[b] = white
		case b >= utf8.RuneSelf:
			out[b] = high
		}
	}
	return out
}()

// classOf returns the class and length of the character at i.
func classOf(t []byte, i int) (ucd.Class, int) {
	if b := t[i]; b < utf8.RuneSelf {
		return ascii[b], 1
	}
	r, n := utf8.DecodeRune(t[i:])
	return ucd.Of(r), n
}

// ascii has the classes of ASCII.
var ascii = func() (out [utf8.RuneSelf]ucd.Class) {
	for b := range out {
		out[b] = ucd.Of(rune(b))
	}
	return out
}()

// Next returns where the piece that begins at i ends; i is less than len(t).
func (s *Rules) Next(t []byte, i int) int {
	if s.deepseek {
		return nextDeepSeek(t, i)
	}
	switch kinds[t[i]] {
	case small, capital:
		return s.word(t, i)
	case digit:
		return s.number(t, i, i)
	case newline:
		return s.space(t, i)
	case white:
		return s.afterWhite(t, i)
	case punctuation:
		return s.afterPunctuation(t, i)
	}
	return s.wide(t, i)
}

// afterWhite is Next at white space of ASCII that is no newline.
func (s *Rules) afterWhite(t []byte, i int) int {
	if i+1 == len(t) {
		return i + 1
	}
	leads := t[i] == ' ' // only a space leads punctuation
	switch kinds[t[i+1]] {
	case small, capital:
		if leads || !s.plain {
			return s.word(t, i+1)
		}
	case punctuation:
		if leads {
			return s.punctuation(t, i+1)
		}
	case digit:
		if leads && s.plain && !s.apart {
			return s.number(t, i+1, i+1)
		}
	case high:
		c, _ := classOf(t, i+1)
		switch {
		case leads && s.plain && !s.apart && c&ucd.Number != 0:
			return s.number(t, i+1, i+1)
		case (leads || !s.plain) && s.isLetter(c):
			return s.word(t, i+1)
		case leads && c&(ucd.White|ucd.Letter|ucd.Number) == 0:
			return s.punctuation(t, i+1)
		}
	}
	return s.space(t, i)
}

// isLetter reports whether a word can begin with a character of a class.
func (s *Rules) isLetter(c ucd.Class) bool {
	switch {
	case s.cased:
		return c&(ucd.Upper|ucd.Lower) != 0 && (!s.han || c&ucd.Han == 0)
	case s.marks:
		return c&(ucd.Letter|ucd.Mark) != 0
	}
	return c&ucd.Letter != 0
}

// afterPunctuation is Next at punctuation or a control character of ASCII.
func (s *Rules) afterPunctuation(t []byte, i int) int {
	if t[i] == '\'' && s.contraction >= alone {
		if n := contracted(t, i, s.contraction == lower); n > 0 {
			return i + n
		}
	}
	if i+1 == len(t) {
		return i + 1
	}
	if !s.plain {
		switch kinds[t[i+1]] {
		case small, capital:
			return s.word(t, i+1)
		case high:
			if c, _ := classOf(t, i+1); s.isLetter(c) {
				return s.word(t, i+1)
			}
		}
	}
	return s.punctuation(t, i)
}

// wide is Next at a character that is not ASCII.
func (s *Rules) wide(t []byte, i int) int {
	c, n := classOf(t, i)
	switch {
	case s.han && c&ucd.Han != 0:
		return hanRun(t, i)
	case c&ucd.Letter != 0:
		return s.word(t, i)
	case c&ucd.Number != 0:
		return s.number(t, i, i)
	}
	if !s.plain && i+n < len(t) {
		if d, _ := classOf(t, i+n); s.isLetter(d) {
			// A mark that leads is itself a letter where words end before capitals: U*W+ without a lead
			// comes before U+W* with one.
			if s.cased && c&ucd.Mark != 0 {
				if end, ok := s.lowWord(t, i+n); ok {
					return s.withContraction(t, end)
				}
				return s.word(t, i)
			}
			return s.word(t, i+n)
		}
	}
	switch {
	case s.isLetter(c):
		return s.word(t, i)
	case c&ucd.White != 0:
		return s.space(t, i)
	}
	return s.punctuation(t, i)
}

func hanRun(t []byte, i int) int {
	for i < len(t) && t[i] >= utf8.RuneSelf {
		c, n := classOf(t, i)
		if c&ucd.Han == 0 {
			break
		}
		i += n
	}
	return i
}

// number returns the end of a run of digits that began at start and goes on at i.
func (s *Rules) number(t []byte, start, i int) int {
	for n := 0; i < len(t) && (s.digits == 0 || n < s.digits); n++ {
		if t[i] < utf8.RuneSelf {
			if kinds[t[i]] != digit {
				break
			}
			i++
			continue
		}
		c, size := classOf(t, i)
		if c&ucd.Number == 0 {
			break
		}
		i += size
	}
	return max(i, start)
}

// punctuation returns the end of a piece of punctuation whose first character is at i.
func (s *Rules) punctuation(t []byte, i int) int {
	not := ucd.White | ucd.Letter | ucd.Number
	if s.marks {
		not |= ucd.Mark
	}
	for i < len(t) {
		if b := t[i]; b < utf8.RuneSelf {
			if kinds[b] != punctuation {
				break
			}
			i++
			continue
		}
		c, n := classOf(t, i)
		if c&not != 0 {
			break
		}
		i += n
	}
	for !s.plain && i < len(t) && (kinds[t[i]] == newline || s.slash && t[i] == '/') {
		i++
	}
	return i
}

// space returns the end of a piece of white space that begins at i, with nothing behind it that it leads.
func (s *Rules) space(t []byte, i int) int {
	if !s.apart {
		return whiteSpace(t, i, s.last, s.plain)
	}
	for j := i; j < len(t); {
		c, n := classOf(t, j)
		if c&ucd.Number != 0 {
			return j
		}
		if c&ucd.White == 0 {
			break
		}
		j += n
	}
	return whiteSpace(t, i, s.last, s.plain)
}

// whiteSpace is space for text that ends with t. With last, white space at the end is one piece; with plain,
// newlines are like the rest.
func whiteSpace(t []byte, i int, last, plain bool) int {
	j, before, line := i, i, -1
	for j < len(t) {
		n := 1
		switch k := kinds[t[j]]; k {
		case newline:
			line = j + 1
		case white:
		case high:
			var c ucd.Class
			if c, n = classOf(t, j); c&ucd.White == 0 {
				n = 0
			}
		default:
			n = 0
		}
		if n == 0 {
			break
		}
		before, j = j, j+n
	}
	switch {
	case last && j == len(t):
		return j
	case line >= 0 && !plain:
		return line
	case j == len(t) || before == i:
		return j
	}
	return before // the last one leads what follows
}
