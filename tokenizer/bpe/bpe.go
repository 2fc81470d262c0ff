// Package bpe counts the tokens of byte-level BPE vocabularies.
//
//	text ─ package scan ─► piece ─┬─ is a token ──────────────────────────► 1
//	                              ├─ was seen lately (memo) ──────────────► n
//	                              └─ characters ─ merges by rank ─ count ─► n
//
// Nothing is allocated per count: what a count needs beyond the shared, read-only tables it borrows.
package bpe

import (
	"fmt"
	"runtime"
	"sync"
	"unicode/utf8"

	"github.com/signalbox-ai/signalbox/tokenizer/nfc"
	"github.com/signalbox-ai/signalbox/tokenizer/scan"
	"github.com/signalbox-ai/signalbox/tokenizer/text"
	"github.com/signalbox-ai/signalbox/tokenizer/vocab"
)

// Encoding counts the tokens of one vocabulary. It may be used by many goroutines at once.
type Encoding struct {
	rules *scan.Rules
	nfc   bool

	short  short
	middle middle
	long   long
	pairs  merges
	parts  [][2]uint32 // of each token, the two that merge into it; its own number twice if none do
	bytes  [256]uint32 // the tokens of single bytes
	chars  []uint32    // the tokens plus one of characters that may be taken whole, up to U+FFFF
	ascii  []uint32    // the ranks of merges of two bytes of ASCII, which most texts begin with; the first is in the high bits
	joins  joins

	names *names
	free  pool
}

var _ text.Coder = (*Encoding)(nil)

// New makes the tables of a vocabulary, which is not needed after that. open reads the vocabulary again, when
// tokens are to be named.
func New(v *vocab.Vocab, open func() (*vocab.Vocab, error)) (*Encoding, error) {
	rules, ok := scan.Named(v.Pattern)
	if !ok {
		return nil, fmt.Errorf("vocabulary %s: no rules %q to split text by", v.Name, v.Pattern)
	}
	e := &Encoding{rules: rules, nfc: v.NFC, names: &names{open: open}}
	return e, e.fill(v)
}

// Count implements text.Counter.
func (e *Encoding) Count(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	w := e.free.take()
	n := e.count(p, w)
	e.free.put(w)
	return n
}

// count is Count with what it needs at hand.
func (e *Encoding) count(p []byte, w *work) int {
	p = e.clean(p, w)
	n := 0
	for i := 0; i < len(p); {
		j := e.rules.Next(p, i)
		n += e.piece(p, i, j, w)
		i = j
	}
	return n
}

// clean returns the text as the vocabulary sees it: valid, and normalized where that is asked.
func (e *Encoding) clean(p []byte, w *work) []byte {
	if !utf8.Valid(p) {
		w.valid = text.AppendValid(w.valid[:0], p)
		p = w.valid
	}
	if e.nfc && !nfc.IsNormal(p) {
		w.normal = nfc.Append(w.normal[:0], p)
		p = w.normal
	}
	return p
}

// piece counts the tokens of p[i:j], a piece.
func (e *Encoding) piece(p []byte, i, j int, w *work) int {
	switch l := j - i; {
	case l == 1:
		return 1
	case p[j-1] == 0 || l > 16:
		return e.rare(p[i:j], w)
	case l <= 8:
		key := word(p, i, j)
		if e.short.has(key) {
			return 1
		}
		return e.remember(p[i:j], key, 0, w)
	default:
		lo, hi := word(p, i, i+8), word(p, i+8, j)
		if e.middle.has(lo, hi) {
			return 1
		}
		return e.remember(p[i:j], lo, hi, w)
	}
}

// remember counts a piece that is no token, unless the memo knows it.
func (e *Encoding) remember(p []byte, lo, hi uint64, w *work) int {
	m := &w.memo[placeTwo(lo, hi, uint64(len(w.memo)))]
	if m.lo == lo && m.hi == hi {
		return int(m.n)
	}
	n := e.merged(p, w)
	m.lo, m.hi, m.n = lo, hi, uint32(n)
	return n
}

// recall is remember for p[i:j] of more than 16 bytes.
func (e *Encoding) recall(p []byte, i, j int, w *work) int {
	if j-i > recalled || p[j-1] == 0 {
		return e.merged(p[i:j], w)
	}
	var key [recalled / 8]uint64
	h := uint64(0)
	for k := range key {
		if at := i + 8*k; at < j {
			key[k] = word(p, at, min(at+8, j))
			h = (h ^ key[k]) * mix
			h ^= h >> 32
		}
	}
	m := &w.wide[place(h, uint64(len(w.wide)))]
	if m.key == key {
		return int(m.n)
	}
	n := e.merged(p[i:j], w)
	m.key, m.n = key, uint32(n)
	return n
}

// rare counts pieces that the tables of short tokens cannot hold.
func (e *Encoding) rare(p []byte, w *work) int {
	if len(p) > 16 {
		if e.long.has(p) {
			return 1
		}
		return e.cut(p, w)
	}
	return e.merged(p, w)
}

// pool keeps what counts borrow. Counts that run side by side have one each.
type pool struct {
	mu   sync.Mutex
	free []*work
}

// kept is how many are kept for later, at most: no more run at once.
const kept = 16

// work is what one count needs beside the tables.
type work struct {
	memo   []memo
	wide   []wideMemo
	valid  []byte
	normal []byte
	parts  []part
	seam   []part
	queue  queue

	seamQueue queue
}

// memo is a piece that is no token, in the words of its bytes, and how many tokens it is.
type memo struct {
	lo, hi uint64
	n      uint32
}

// recalled is how many bytes the pieces in a wideMemo may have.
const recalled = 48

// wideMemo is memo for pieces of more than 16 bytes.
type wideMemo struct {
	key [recalled / 8]uint64
	n   uint32
}

func (p *pool) take() *work {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		w := p.free[n-1]
		p.free = p.free[:n-1]
		return w
	}
	return &work{memo: make([]memo, 1<<16), wide: make([]wideMemo, 1<<14)}
}

// longest is how many bytes the buffers of what is kept may have grown to.
const longest = 8 << 20

func (p *pool) put(w *work) {
	if cap(w.valid)+cap(w.normal)+cap(w.parts)*12+cap(w.queue.parts)*28 > longest {
		*w = work{memo: w.memo, wide: w.wide}
	}
	p.mu.Lock()
	if len(p.free) < min(kept, runtime.GOMAXPROCS(0)) {
		p.free = append(p.free, w)
	}
	p.mu.Unlock()
}
