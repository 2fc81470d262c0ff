package scan

import (
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/ucd"
)

// nextDeepSeek is Next for the three passes of DeepSeek, each of which splits what the one before has left:
//
//	\p{N}{1,3}
//	[一-龥぀-ゟ゠-ヿ]+
//	[!-/:-@[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// What the last leaves between its matches is a piece as well. To it the text ends where a piece of the first
// two begins.
func nextDeepSeek(t []byte, i int) int {
	c, n := classOf(t, i)
	switch {
	case c&ucd.Number != 0:
		for k := 1; k < 3 && i+n < len(t); k++ {
			d, size := classOf(t, i+n)
			if d&ucd.Number == 0 {
				break
			}
			n += size
		}
		return i + n
	case isKanaOrHan(t, i):
		for i < len(t) && isKanaOrHan(t, i) {
			_, n := classOf(t, i)
			i += n
		}
		return i
	}
	if end := thirdPass(t, i, c, n); end > i {
		return end
	}
	// Nothing matches here: the piece goes on to where something does.
	for i += n; i < len(t) && !cuts(t, i); i += n {
		c, n = classOf(t, i)
		if thirdPass(t, i, c, n) > i {
			break
		}
	}
	return i
}

// isKanaOrHan reports whether the second pass takes the character at i: U+3040 to 30FF, U+4E00 to 9FA5.
func isKanaOrHan(t []byte, i int) bool {
	if t[i] < 0xE3 || t[i] > 0xE9 {
		return false
	}
	r, _ := utf8.DecodeRune(t[i:])
	return r >= 0x3040 && r <= 0x30FF || r >= 0x4E00 && r <= 0x9FA5
}

// cuts reports whether the character at i belongs to the first two passes.
func cuts(t []byte, i int) bool {
	c, _ := classOf(t, i)
	return c&ucd.Number != 0 || isKanaOrHan(t, i)
}

// thirdPass returns the end of the match of the third pass at i, where a character of class c and n bytes
// stands, or i.
func thirdPass(t []byte, i int, c ucd.Class, n int) int {
	next := i + n
	if c&ucd.Symbol != 0 && t[i] < utf8.RuneSelf && next < len(t) {
		if end := anyCase(t, next); end > next {
			return end
		}
	}
	var d ucd.Class
	if next < len(t) && !cuts(t, next) {
		d, _ = classOf(t, next)
	}
	leads := kinds[t[i]] != newline && c&(ucd.Letter|ucd.Symbol) == 0
	switch {
	case leads && d&(ucd.Letter|ucd.Mark) != 0:
		return joined(t, next)
	case c&(ucd.Letter|ucd.Mark) != 0:
		return joined(t, i)
	case c&ucd.Symbol != 0:
		return symbols(t, i)
	case t[i] == ' ' && d&ucd.Symbol != 0:
		return symbols(t, next)
	case c&ucd.White != 0:
		return whiteSpace(t[:whiteEnd(t, i)], i, false, false)
	}
	return i
}

// joined returns the end of a run of letters and marks.
func joined(t []byte, i int) int {
	for {
		i = anyCase(t, i)
		if i == len(t) || t[i] < utf8.RuneSelf || isKanaOrHan(t, i) {
			return i
		}
		c, n := classOf(t, i)
		if c&(ucd.Letter|ucd.Mark) == 0 {
			return i
		}
		i += n
	}
}

// symbols returns the end of a run of punctuation and symbols with the newlines behind it.
func symbols(t []byte, i int) int {
	for i < len(t) && !isKanaOrHan(t, i) {
		c, n := classOf(t, i)
		if c&ucd.Symbol == 0 {
			break
		}
		i += n
	}
	for i < len(t) && kinds[t[i]] == newline {
		i++
	}
	return i
}

// whiteEnd returns the length of the text for the white space at i: where a piece of the first two passes
// follows it, it ends there, otherwise one character later, so that something stands behind.
func whiteEnd(t []byte, i int) int {
	for i < len(t) {
		c, n := classOf(t, i)
		if c&ucd.White == 0 {
			if cuts(t, i) {
				return i
			}
			return i + n
		}
		i += n
	}
	return i
}
