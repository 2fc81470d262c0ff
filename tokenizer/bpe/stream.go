package bpe

import (
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/signalbox-ai/signalbox/tokenizer/nfc"
	"github.com/signalbox-ai/signalbox/tokenizer/text"
	"github.com/signalbox-ai/signalbox/tokenizer/ucd"
)

// stream counts what is behind it, and keeps the text from the last place on where every scanner ends a piece
// whatever may follow.
type stream struct {
	e    *Encoding
	done int    // tokens of what is not kept
	tail []byte // what is kept
	seen int    // how much of the tail was searched for such places
}

// Stream implements text.Counter.
func (e *Encoding) Stream() text.Stream { return &stream{e: e} }

// Add implements text.Stream.
func (s *stream) Add(delta []byte) {
	s.tail = append(s.tail, delta...)
	cut := 0
	for i := s.seen; i < len(s.tail); {
		n := 1
		if s.tail[i] >= utf8.RuneSelf {
			if !utf8.FullRune(s.tail[i:]) {
				break
			}
			_, n = utf8.DecodeRune(s.tail[i:])
		}
		if i > 0 && s.ends(i) {
			cut = i
		}
		i += n
		s.seen = i
	}
	if cut > 0 {
		s.done += s.e.Count(s.tail[:cut])
		s.seen -= cut
		s.tail = s.tail[:copy(s.tail, s.tail[cut:])]
	}
}

// ends reports whether a piece ends at i of the tail in any case: behind a letter or digit, where neither of
// them, nor a mark, nor an apostrophe follows, and before white space, unless that is a newline, which
// punctuation takes along. Where the text is to be normalized, the one before must stay what it is (U+0958
// becomes a letter and a mark), and nothing may change the one behind.
func (s *stream) ends(i int) bool {
	b, _ := class(s.tail[i:])
	last, size := utf8.DecodeLastRune(s.tail[:i])
	if last == utf8.RuneError && size <= 1 {
		return false
	}
	a := ucd.Of(last)
	const word = ucd.Letter | ucd.Number
	switch c := s.tail[i]; {
	case a&word != 0:
		if b&(word|ucd.Mark|ucd.Han) != 0 || c == '\'' {
			return false
		}
	case a&ucd.White == 0:
		if b&ucd.White == 0 || c == '\n' || c == '\r' {
			return false
		}
	default:
		return false
	}
	if !s.e.nfc || last < utf8.RuneSelf && s.tail[i] < utf8.RuneSelf {
		return true
	}
	return nfc.IsNormal(s.tail[i-size:i]) && norm.NFC.Properties(s.tail[i:]).BoundaryBefore()
}

func class(p []byte) (ucd.Class, int) {
	r, n := utf8.DecodeRune(p)
	return ucd.Of(r), n
}

// Total implements text.Stream.
func (s *stream) Total() int { return s.done + s.e.Count(s.tail) }
