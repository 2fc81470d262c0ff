package claude

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/text"
)

// state is what is known of the text before a part.
type state uint8

const (
	atStart   state = iota // nothing stands before
	afterWord              // a word stands before, and ends
	afterHard              // an ideograph or syllable stands before that no piece joins to what follows
)

const (
	window  = 64 << 10 // bytes that are normalised and walked at a time where the text can be cut
	keepMax = 4 << 20  // bytes of buffers that a pooled walker keeps
	blanks  = " \t\n\v\f\r"
)

// walker takes a walker from the pool.
func (f *Family) walker() *walker {
	if w, ok := f.walkers.Get().(*walker); ok {
		return w
	}
	return &walker{f: f, text: normalizer{f: f}, memo: make([]entry, 1<<memoBits)}
}

func (f *Family) release(w *walker) {
	if cap(w.seg) > keepMax {
		w.seg = nil
	}
	if cap(w.text.out) > keepMax || cap(w.text.next) > keepMax/8 {
		w.text = normalizer{f: f}
	}
	f.walkers.Put(w)
}

// Count returns the tokens of text without the frame around it, in time linear in its length. Bytes that are no
// UTF-8 count as U+FFFD.
func (f *Family) Count(text []byte) int {
	w := f.walker()
	n := w.whole(atStart, text)
	f.release(w)
	return n
}

// whole counts text to its end.
func (w *walker) whole(s state, text []byte) int {
	if w.f.tailFree {
		text = bytes.TrimRight(text, blanks)
	}
	total := 0
	for size := window; len(text) > size; {
		if at, next := w.f.cut(text[:size+1], size/2); at > 0 {
			total += w.part(s, text[:at], false)
			s, text, size = next, text[at:], window
			continue
		}
		size *= 2
	}
	return total + w.part(s, text, true)
}

// cut returns the last place after least where text can be cut, and the state after it; 0 if there is none.
// Both sides are then counted alone: a word ends before it, or no piece joins the characters around it, and no
// composition reaches over it.
func (f *Family) cut(text []byte, least int) (int, state) {
	for i := len(text) - 1; i > least; i-- {
		b, last := text[i], text[i-1]
		if b >= utf8.RuneSelf {
			if b >= 0xC0 && last >= utf8.RuneSelf && f.apart(text, i) {
				return i, afterHard
			}
			continue
		}
		if letter(b) || b < ' ' && b != '\n' && b != '\t' || b == 0x7F {
			continue
		}
		if letter(last) {
			return i, afterWord
		}
		if last >= utf8.RuneSelf {
			r, n := utf8.DecodeLastRune(text[:i])
			if p := f.classes.of(r); n > 1 && p&(classMask|unstable|dirty|punctKind) == word {
				return i, afterWord
			}
		}
	}
	return 0, atStart
}

// apart reports whether the characters around i are ideographs or syllables that no piece joins.
func (f *Family) apart(text []byte, i int) bool {
	b, n := utf8.DecodeRune(text[i:])
	a, m := utf8.DecodeLastRune(text[:i])
	const isolated = hard | caseless
	return n > 1 && m > 1 && f.classes.of(a) == isolated && f.classes.of(b) == isolated && !f.joined.has(a, b)
}

// part counts text in the state s; last says that the text ends with it.
func (w *walker) part(s state, raw []byte, last bool) int {
	text := raw
	if !w.f.plain(raw) {
		text = w.text.normalize(raw)
	}
	w.from(s)
	newlines := 0
	if last {
		for len(text) > 0 && text[len(text)-1] == '\n' {
			text = text[:len(text)-1]
			newlines++
		}
	}
	if s == atStart && w.f.head && raw != nil && len(raw) > 0 && raw[0] == ' ' && spaced(text, 0) {
		text = text[1:]
	}
	if s == atStart && w.f.head && len(text) == 0 {
		w.total++
	}
	w.walk(text)
	if newlines > 0 {
		w.total += w.ladder(newlines)
	}
	return w.total
}

// ladder returns what n newlines at the end cost. Two more end the message anyway, as one token.
func (w *walker) ladder(n int) int {
	w.seg = w.seg[:0]
	for range n + 2 {
		w.seg = append(w.seg, '\n')
	}
	n = w.cost(w.seg) - 1
	w.seg = w.seg[:0]
	return n
}

// tailMin is the tail from which on a stream looks for a place to cut.
const tailMin = 64

// stream counts a text that comes in parts. It belongs to one goroutine, and grows with what cannot be counted yet: some 64 bytes, or more where the text has no end
// of a word for long.
type stream struct {
	f     *Family
	tail  []byte
	total int
	next  int // length of the tail from which on to look for a cut again
	at    state
}

// Stream returns a stream that has seen nothing.
func (f *Family) Stream() text.Stream { return &stream{f: f, next: tailMin} }

var (
	_ text.Counter = (*Family)(nil)
	_ text.Stream  = (*stream)(nil)
)

// Add takes the next bytes of the text; they may end anywhere, within a character too.
func (s *stream) Add(delta []byte) {
	s.tail = append(s.tail, delta...)
	if len(s.tail) < s.next {
		return
	}
	at, next := s.f.cut(s.tail, 0)
	if at == 0 {
		s.next = 2 * len(s.tail)
		return
	}
	w := s.f.walker()
	for from := 0; from < at; {
		to, st := at, next
		if at-from > window {
			if k, v := s.f.cut(s.tail[from:from+window], 0); k > 0 {
				to, st = from+k, v
			}
		}
		s.total += w.part(s.at, s.tail[from:to], false)
		s.at, from = st, to
	}
	s.f.release(w)
	s.tail = slices.Delete(s.tail, 0, at)
	s.next = max(tailMin, 2*len(s.tail))
}

// Total returns the count of all that was added, as Count would give it.
func (s *stream) Total() int {
	w := s.f.walker()
	n := s.total + w.whole(s.at, s.tail)
	s.f.release(w)
	return n
}
