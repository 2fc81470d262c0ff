// Package sentencepiece counts the tokens of BPE vocabularies over characters, as SentencePiece makes them: Gemma
// (and with it Gemini), Llama 2, the first Mistrals. A space is the character U+2581, text is not split before
// merging, and characters that the vocabulary has not are their bytes.
//
//	file ─ Parse ─► Model ─ Count: cut where no token goes across ─► segment ─┬─ memo ───────────────► n
//	                                                                          └─ characters ─ merges ─► n
//
// It ships no vocabulary: those of Gemma and Llama have terms of their own. It reads the two forms in which they are
// published, tokenizer.json and tokenizer.model, from bytes that the caller has.
package sentencepiece

import (
	"bytes"
	"math/bits"
	"sync"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/text"
)

// blank is how vocabularies write a space.
const blank = '\u2581'

// Model counts the tokens of one vocabulary. It may be used by many goroutines at once.
type Model struct {
	chars  []uint32        // the symbol plus one of each character up to U+FFFF; 0: none
	astral map[rune]uint32 // the same for those above
	ranks  []uint32        // by symbol: a lower one merges first
	pairs  merges
	joins  joins
	added  map[string]struct{} // tokens that are found before merging
	most   int                 // bytes of the longest of those
	runs   map[rune]uint64     // those of one character again and again: bit n-1 for n of it
	starts [256]bool           // first bytes of both

	repeats [256]bool // first bytes of characters in runs

	prefix bool // a space stands before every text
	bytes  bool // unknown characters are their bytes; otherwise a stretch of them is one token

	pool sync.Pool
}

var _ text.Counter = (*Model)(nil)

// worker has what one count needs beside the tables.
type worker struct {
	memo  []entry
	clean []byte
	first []byte
	queue queue
}

// entry is a segment of at most 15 bytes, its length in the last byte, and its number of tokens.
type entry struct {
	lo, hi uint64
	n      uint32
}

const (
	memoBits = 15
	keepMax  = 1 << 20 // bytes of buffers that are kept for later
)

func (m *Model) take() *worker {
	if w, ok := m.pool.Get().(*worker); ok {
		return w
	}
	return &worker{memo: make([]entry, 1<<memoBits)}
}

func (m *Model) release(w *worker) {
	if cap(w.clean)+cap(w.first)+28*cap(w.queue.parts) > keepMax {
		*w = worker{memo: w.memo}
	}
	m.pool.Put(w)
}

// Count implements text.Counter.
func (m *Model) Count(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	w := m.take()
	n := m.count(w, p, m.prefix)
	m.release(w)
	return n
}

// count counts p, with a space before it if it is the beginning of a text that has one.
func (m *Model) count(w *worker, p []byte, prefix bool) int {
	if !utf8.Valid(p) {
		w.clean = text.AppendValid(w.clean[:0], p)
		p = w.clean
	}
	n := 0
	if prefix {
		end := m.next(p, 0)
		w.first = append(append(w.first[:0], ' '), p[:end]...)
		first := w.first
		if r, _ := utf8.DecodeRune(p); !m.joins.has(blank, plain(r)) {
			first, n = first[1:], m.segment(w, []byte{' '})
		}
		n += m.segment(w, first)
		p = p[end:]
	}
	for i := 0; i < len(p); {
		end := m.next(p, i)
		n += m.segment(w, p[i:end])
		i = end
	}
	return n
}

// plain is r, or blank for a space.
func plain(r rune) rune {
	if r == ' ' {
		return blank
	}
	return r
}

// next returns where the segment that begins at i ends: between two characters that stand beside each other in no
// token. What merging makes is a token, so nothing merges across.
func (m *Model) next(p []byte, i int) int {
	last := rune(-1)
	for i < len(p) {
		if b := p[i]; b < utf8.RuneSelf {
			if last >= 0 {
				if last < utf8.RuneSelf {
					if m.joins.ascii[last&127]>>(b&63)&1 == 0 && b < 64 || m.joins.asciiHigh[last&127]>>(b&63)&1 == 0 && b >= 64 {
						return i
					}
				} else if !m.joins.has(last, plain(rune(b))) {
					return i
				}
			}
			last = rune(b)
			i++
			continue
		}
		r, n := utf8.DecodeRune(p[i:])
		if last >= 0 && !m.joins.has(plain(last), r) {
			return i
		}
		last = r
		i += n
	}
	return i
}

// segment counts a segment.
func (m *Model) segment(w *worker, p []byte) int {
	if len(p) == 1 && m.chars[plain(rune(p[0]))] != 0 {
		return 1
	}
	if len(p) > 15 {
		return m.merged(w, p)
	}
	lo, hi := key(p)
	h := (lo*0x9E3779B97F4A7C15 ^ hi*0xC2B2AE3D27D4EB4F) * 0x165667B19E3779F9
	e := &w.memo[h>>(64-memoBits)]
	if e.lo != lo || e.hi != hi {
		n := m.merged(w, p)
		e.lo, e.hi, e.n = lo, hi, uint32(n) // at most 15
	}
	return int(e.n)
}

// key packs at most 15 bytes and their number into two words.
func key(p []byte) (lo, hi uint64) {
	for i := len(p) - 1; i >= 8; i-- {
		hi = hi<<8 | uint64(p[i])
	}
	for i := min(len(p), 8) - 1; i >= 0; i-- {
		lo = lo<<8 | uint64(p[i])
	}
	return lo, hi | uint64(len(p))<<56
}

// merged counts a segment by merging. Added tokens in it are found first, from the left, the longest.
func (m *Model) merged(w *worker, p []byte) int {
	n, from := 0, 0
	for i := 0; m.most+len(m.runs) > 0 && i < len(p); {
		size := 0
		if m.starts[p[i]] {
			size = m.addedAt(p[i:])
		}
		if size == 0 {
			i++
			continue
		}
		if i > from {
			n += m.merge(w, p[from:i])
		}
		i += size
		n, from = n+1, i
	}
	if from < len(p) {
		n += m.merge(w, p[from:])
	}
	return n
}

// addedAt returns the bytes of the longest added token that p begins with.
func (m *Model) addedAt(p []byte) int {
	run := 0
	if m.repeats[p[0]] {
		run = m.runAt(p)
	}
	for n := min(m.most, len(p)); n > run; n-- {
		if _, ok := m.added[string(p[:n])]; ok {
			return n
		}
	}
	return run
}

// longestRun is how many times the character of an added token may stand in it to be kept by its length.
const longestRun = 64

// runAt returns the bytes of the longest added token of one character again and again that p begins with.
func (m *Model) runAt(p []byte) int {
	r, size := utf8.DecodeRune(p)
	lengths := m.runs[r]
	if lengths == 0 {
		return 0
	}
	n := 1
	for n < longestRun && bytes.HasPrefix(p[n*size:], p[:size]) {
		n++
	}
	return size * bits.Len64(lengths&(1<<n-1))
}

// symbol returns the symbol of a character plus one, or 0.
func (m *Model) symbol(r rune) uint32 {
	if r <= 0xFFFF {
		return m.chars[plain(r)]
	}
	return m.astral[r]
}

// stream counts a text that comes in parts: what is before the last place where text is cut is counted, and what is
// behind is kept.
type stream struct {
	m     *Model
	tail  []byte
	seen  int // bytes of the tail that were searched for a cut
	last  rune
	total int
	begun bool // something was counted
}

// Stream implements text.Counter.
func (m *Model) Stream() text.Stream { return &stream{m: m, last: -1} }

// Add implements text.Stream.
func (s *stream) Add(delta []byte) {
	s.tail = append(s.tail, delta...)
	cut := 0
	for s.seen < len(s.tail) && (s.tail[s.seen] < utf8.RuneSelf || utf8.FullRune(s.tail[s.seen:])) {
		r, n := utf8.DecodeRune(s.tail[s.seen:])
		if r == utf8.RuneError && n == 1 {
			n = text.Maximal(s.tail[s.seen:])
		}
		r = plain(r)
		if s.last >= 0 && !s.m.joins.has(s.last, r) {
			cut = s.seen
		}
		s.last = r
		s.seen += n
	}
	if cut == 0 {
		return
	}
	w := s.m.take()
	s.total += s.m.count(w, s.tail[:cut], s.m.prefix && !s.begun)
	s.m.release(w)
	s.begun = true
	s.tail = s.tail[:copy(s.tail, s.tail[cut:])]
	s.seen -= cut
}

// Total implements text.Stream.
func (s *stream) Total() int {
	if len(s.tail) == 0 {
		return s.total
	}
	w := s.m.take()
	n := s.total + s.m.count(w, s.tail, s.m.prefix && !s.begun)
	s.m.release(w)
	return n
}
