package scan

import (
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/ucd"
)

// nextDeepSeek is Next for the three passes of DeepSeek, each of which splits what the one before has made:
//
//	\p{N}{1,3}
//	[一-龥぀-ゟ゠-ヿ]+
//	[!-/:-@[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// What the last leaves between its matches is a piece as well. To it the text ends where the part does that
// the first two have made.
func nextDeepSeek(t []byte, i int) int {
	c, n := classOf(t, i)
	if c&ucd.Number != 0 {
		for k := 1; k < 3 && i+n < len(t); k++ {
			d, size := classOf(t, i+n)
			if d&ucd.Number == 0 {
				break
			}
			n += size
		}
		return i + n
	}
	p := part{t, isKanaOrHan(t, i)}
	if end := p.match(i, c, n); end > i {
		return end
	}
	// Nothing matches here: the piece goes on to where something does.
	for i += n; i < len(t) && !p.ends(i); i += n {
		c, n = classOf(t, i)
		if p.match(i, c, n) > i {
			break
		}
	}
	return i
}

// part is what the first two passes have made: text up to the next digit, and all of it kana and Han, or none.
type part struct {
	t    []byte
	kana bool
}

// isKanaOrHan reports whether the second pass takes the character at i: U+3040 to 30FF, U+4E00 to 9FA5.
func isKanaOrHan(t []byte, i int) bool {
	if t[i] < 0xE3 || t[i] > 0xE9 {
		return false
	}
	r, _ := utf8.DecodeRune(t[i:])
	return r >= 0x3040 && r <= 0x30FF || r >= 0x4E00 && r <= 0x9FA5
}

// ends reports whether the character at i no longer belongs to the part.
func (p part) ends(i int) bool {
	c, _ := classOf(p.t, i)
	return c&ucd.Number != 0 || isKanaOrHan(p.t, i) != p.kana
}

// match returns the end of the match of the third pass at i, where a character of class c and n bytes stands,
// or i.
func (p part) match(i int, c ucd.Class, n int) int {
	next := i + n
	if c&ucd.Symbol != 0 && p.t[i] < utf8.RuneSelf && next < len(p.t) {
		if end := anyCase(p.t, next); end > next {
			return end
		}
	}
	var d ucd.Class
	if next < len(p.t) && !p.ends(next) {
		d, _ = classOf(p.t, next)
	}
	leads := kinds[p.t[i]] != newline && c&(ucd.Letter|ucd.Symbol) == 0
	switch {
	case leads && d&(ucd.Letter|ucd.Mark) != 0:
		return p.letters(next)
	case c&(ucd.Letter|ucd.Mark) != 0:
		return p.letters(i)
	case c&ucd.Symbol != 0:
		return p.symbols(i)
	case p.t[i] == ' ' && d&ucd.Symbol != 0:
		return p.symbols(next)
	case c&ucd.White != 0:
		return whiteSpace(p.t[:p.whiteEnd(i)], i, false, false)
	}
	return i
}

// letters returns the end of a run of letters and marks.
func (p part) letters(i int) int {
	for {
		if !p.kana {
			i = anyCase(p.t, i)
		}
		if i == len(p.t) || p.t[i] < utf8.RuneSelf || isKanaOrHan(p.t, i) != p.kana {
			return i
		}
		c, n := classOf(p.t, i)
		if c&(ucd.Letter|ucd.Mark) == 0 {
			return i
		}
		i += n
	}
}

// symbols returns the end of a run of punctuation and symbols with the newlines behind it.
func (p part) symbols(i int) int {
	for i < len(p.t) && isKanaOrHan(p.t, i) == p.kana {
		c, n := classOf(p.t, i)
		if c&ucd.Symbol == 0 {
			break
		}
		i += n
	}
	for !p.kana && i < len(p.t) && kinds[p.t[i]] == newline {
		i++
	}
	return i
}

// whiteEnd returns the length of the text for the white space at i: where the part ends with it, it ends there,
// otherwise one character later, so that something stands behind.
func (p part) whiteEnd(i int) int {
	for i < len(p.t) {
		c, n := classOf(p.t, i)
		if c&ucd.White == 0 {
			if p.ends(i) {
				return i
			}
			return i + n
		}
		i += n
	}
	return i
}
