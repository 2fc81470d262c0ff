package scan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/ucd"
)

// word returns the end of a word whose first letter is at i, with a contraction behind it where the rules have
// that.
func (s *Rules) word(t []byte, i int) int {
	if !s.cased {
		return s.letters(t, i)
	}
	j := i
	for j < len(t) && kinds[t[j]] == capital {
		j++
	}
	j = smalls(t, j)
	if j < len(t) && t[j] >= utf8.RuneSelf {
		return s.wideWord(t, i)
	}
	return s.withContraction(t, j)
}

func (s *Rules) withContraction(t []byte, end int) int {
	if s.contraction == behind && end < len(t) && t[end] == '\'' {
		return end + contracted(t, end, false)
	}
	return end
}

// wideWord is word where characters beyond ASCII are near.
func (s *Rules) wideWord(t []byte, i int) int {
	end, ok := s.lowWord(t, i)
	if !ok { // U+W*, and no W follows
		for end = i; end < len(t); {
			c, n := classOf(t, end)
			if c&ucd.Upper == 0 || s.han && c&ucd.Han != 0 {
				break
			}
			end += n
		}
	}
	return s.withContraction(t, end)
}

// lowWord matches U*W+ at i. U* gives back down to the last character that is also in W.
func (s *Rules) lowWord(t []byte, i int) (end int, ok bool) {
	stop := ucd.Class(0)
	if s.han {
		stop = ucd.Han
	}
	lastLow := -1
	for i < len(t) {
		c, n := classOf(t, i)
		if c&ucd.Upper == 0 || c&stop != 0 {
			break
		}
		i += n
		if c&ucd.Lower != 0 {
			lastLow = i
		}
	}
	j := i
	for j < len(t) {
		c, n := classOf(t, j)
		if c&ucd.Lower == 0 || c&stop != 0 {
			break
		}
		j += n
	}
	if j > i {
		return j, true
	}
	return lastLow, lastLow >= 0
}

// letters returns the end of a run of letters of any case.
func (s *Rules) letters(t []byte, i int) int {
	is := ucd.Letter
	if s.marks {
		is |= ucd.Mark
	}
	for {
		i = anyCase(t, i)
		if i == len(t) || t[i] < utf8.RuneSelf {
			return i
		}
		c, n := classOf(t, i)
		if c&is == 0 {
			return i
		}
		i += n
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// smalls returns the end of a run of a to z.
func smalls(t []byte, i int) int {
	for ; i+8 <= len(t); i += 8 {
		if out := outside(binary.LittleEndian.Uint64(t[i:])); out != 0 {
			return i + bits.TrailingZeros64(out)>>3
		}
	}
	for i < len(t) && kinds[t[i]] == small {
		i++
	}
	return i
}

// anyCase returns the end of a run of letters of ASCII.
func anyCase(t []byte, i int) int {
	for ; i+8 <= len(t); i += 8 {
		x := binary.LittleEndian.Uint64(t[i:])
		// 0x20 makes capitals small, and of what else it changes nothing becomes a letter.
		if out := outside(x | 0x20*ones); out != 0 {
			return i + bits.TrailingZeros64(out)>>3
		}
	}
	for i < len(t) && (kinds[t[i]] == small || kinds[t[i]] == capital) {
		i++
	}
	return i
}

// outside sets the high bit of every byte of x that is not from a to z: adding 0x80-'a' sets the high bit of
// bytes from a on, adding 0x80-'z'-1 of those behind z, and the sums differ for those between.
func outside(x uint64) uint64 {
	low := x &^ highs
	between := (low + (0x80-'a')*ones) ^ (low + (0x80-'z'-1)*ones)
	return ^(between &^ x) & highs
}

// contracted returns the length of the contraction that begins at i, which is an apostrophe, or 0. Without
// regard to case, s is also U+017F.
func contracted(t []byte, i int, exact bool) int {
	if i+1 >= len(t) {
		return 0
	}
	a, b := t[i+1], byte(0)
	if i+2 < len(t) {
		b = t[i+2]
	}
	if !exact {
		if a == 0xC5 && b == 0xBF {
			return 3
		}
		if kinds[a] == capital {
			a |= 0x20
		}
		if kinds[b] == capital {
			b |= 0x20
		}
	}
	switch {
	case a == 's' || a == 't' || a == 'm' || a == 'd':
		return 2
	case b == 'e' && (a == 'r' || a == 'v'), a == 'l' && b == 'l':
		return 3
	}
	return 0
}
