package claude

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/text"
)

const (
	highs = 0x8080808080808080
	ones  = 0x0101010101010101
)

// plain reports whether text is what normalising would make of it, as far as one look can tell.
func (f *Family) plain(text []byte) bool {
	ascii := &f.classes.ascii
	for i := 0; i < len(text); {
		if i+8 <= len(text) {
			if x := binary.LittleEndian.Uint64(text[i:]); x&highs == 0 && ((x-ones*0x20)|(x+ones))&highs == 0 {
				i += 8
				continue
			}
		}
		b := text[i]
		if b < utf8.RuneSelf {
			if ascii[b]&dirty != 0 {
				return false
			}
			i++
			continue
		}
		r, w := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && w == 1 || f.classes.of(r)&(dirty|unstable) != 0 || f.quotes && r >= 0x2018 && foldQuote(r) != r {
			return false
		}
		i += w
	}
	return true
}

// foldQuote returns the ASCII form of a curly quote, or r.
func foldQuote(r rune) rune {
	switch r {
	case '\u2018', '\u2019':
		return '\''
	case '\u201C', '\u201D':
		return '"'
	}
	return r
}

// normalizer makes the form that the model sees, in buffers that it keeps.
type normalizer struct {
	f    *Family
	out  []byte
	next []mark // the characters of one cluster
}

// mark is a character and its canonical combining class.
type mark struct {
	r   rune
	ccc uint8
}

// normalize returns what the model sees of text, until it is called again: valid UTF-8 in composed form (NFC),
// without control and private-use characters, all blanks but U+3000 as U+0020.
func (n *normalizer) normalize(text []byte) []byte {
	n.out = slices.Grow(n.out[:0], len(text))
	c := n.f.classes
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf && (i+1 == len(text) || text[i+1] < utf8.RuneSelf) {
			if c.ascii[b]&dirty == 0 {
				n.out = append(n.out, b)
			} else {
				n.replace(rune(b))
			}
			i++
			continue
		}
		i += n.cluster(text[i:])
	}
	return n.out
}

// cluster writes the first character of text and those that may compose with it, and returns their bytes.
func (n *normalizer) cluster(text []byte) int {
	c := n.f.classes
	r, end := decode(text)
	p := c.of(r)
	if end >= len(text) || text[end] < utf8.RuneSelf && p&unstable == 0 {
		if p&recompose == 0 {
			n.replace(r)
			return end
		}
	}
	n.next = append(n.next[:0], mark{r, uint8(p >> cccShift)})
	stable := p&recompose == 0
	for end < len(text) {
		r, w := decode(text[end:])
		p := c.of(r)
		if p&unstable == 0 {
			break
		}
		ccc := uint8(p >> cccShift)
		if p&recompose != 0 || ccc != 0 && ccc < n.next[len(n.next)-1].ccc {
			stable = false
		}
		n.next = append(n.next, mark{r, ccc})
		end += w
	}
	if !stable {
		n.compose()
	}
	for _, m := range n.next {
		n.replace(m.r)
	}
	return end
}

// replace writes a composed character, or what stands for it.
func (n *normalizer) replace(r rune) {
	switch p := n.f.classes.of(r); {
	case p&dirty == 0:
		if n.f.quotes && r >= 0x2018 {
			r = foldQuote(r)
		}
		if r == 0x0E32 && bytes.HasSuffix(n.out, []byte("\u0E4D")) {
			n.out, r = n.out[:len(n.out)-3], 0x0E33
		}
		n.out = utf8.AppendRune(n.out, r)
	case p&classMask == space:
		n.out = append(n.out, ' ')
	}
}

// decode returns the first character of b and its bytes. What is no character is U+FFFD, one for each maximal
// part of one (Unicode 16, §3.9).
func decode(b []byte) (rune, int) {
	if b[0] < utf8.RuneSelf {
		return rune(b[0]), 1
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 {
		n = text.Maximal(b)
	}
	return r, n
}
