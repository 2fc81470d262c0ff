// Package vocab holds the vocabularies of byte-level BPE tokenizers: those that may be shipped, in compact
// files beside this source, and readers for the forms in which others are published.
//
//	files/NAME.vocab ─ Open ─┐
//	tiktoken, Tekken,        ├─► Vocab: the tokens by rank, and where each was merged
//	tokenizer.json ── Parse ─┘
//
// The files are written by gen, which knows where each comes from; files/NOTICE has licences and checksums.
package vocab

import (
	"fmt"
	"slices"
)

//go:generate go run ./gen

// Vocab is one vocabulary. Tokens are numbered by rank: of two merges that are possible, BPE does the one
// whose result has the lower rank.
type Vocab struct {
	Name    string
	Pattern string // how text is split before merging, a name of package scan
	NFC     bool   // whether text is normalized first
	// Special has the ids of special tokens by their text.
	Special map[string]int

	data   []byte   // the tokens' bytes, one after the other, by rank
	ends   []uint32 // where each token ends in data
	splits []uint16 // see Split
	runs   []run    // see ID
}

// longest is how many bytes a token may have.
const longest = 1 << 12

// run says that from a rank on ids are that rank plus an offset.
type run struct{ rank, id int }

// Len returns the number of tokens, special ones apart.
func (v *Vocab) Len() int { return len(v.ends) }

// Token returns the bytes of the token of a rank. They must not be changed.
func (v *Vocab) Token(rank int) []byte {
	start := uint32(0)
	if rank > 0 {
		start = v.ends[rank-1]
	}
	return v.data[start:v.ends[rank]:v.ends[rank]]
}

// Split returns the length of the left of the two tokens that BPE merges into the token of a rank. It is 0
// for single bytes, and for tokens that no merge reaches: those stand only for a whole piece of text.
func (v *Vocab) Split(rank int) int { return int(v.splits[rank]) }

// ID returns the number by which models know the token of a rank.
func (v *Vocab) ID(rank int) int {
	id := rank
	for _, r := range v.runs {
		if rank < r.rank {
			break
		}
		id = rank - r.rank + r.id
	}
	return id
}

// New makes a vocabulary of tokens by rank, with the id of each, and finds their splits.
func New(name, pattern string, nfc bool, tokens [][]byte, ids []int, special map[string]int) (*Vocab, error) {
	v := &Vocab{Name: name, Pattern: pattern, NFC: nfc, Special: special}
	if len(tokens) == 0 || len(tokens) > 1<<18-2 {
		return nil, fmt.Errorf("vocabulary %s: %d tokens, from 1 to %d can be held", name, len(tokens), 1<<18-2)
	}
	for rank, t := range tokens {
		if len(t) == 0 || len(t) > longest {
			return nil, fmt.Errorf("vocabulary %s: token %d has %d bytes, from 1 to %d can be held", name, ids[rank], len(t), longest)
		}
		v.data = append(v.data, t...)
		v.ends = append(v.ends, uint32(len(v.data)))
		if v.ID(rank) != ids[rank] {
			v.runs = append(v.runs, run{rank, ids[rank]})
		}
	}
	return v, v.split()
}

// split finds the split of every token: BPE on the token's own bytes, with lower ranks only, ends in two.
func (v *Vocab) split() error {
	ranks := make(map[string]int, v.Len())
	for r := range v.Len() {
		ranks[string(v.Token(r))] = r
	}
	if len(ranks) != v.Len() {
		return fmt.Errorf("vocabulary %s: %d tokens are there twice", v.Name, v.Len()-len(ranks))
	}
	for b := range 256 {
		if _, ok := ranks[string([]byte{byte(b)})]; !ok {
			return fmt.Errorf("vocabulary %s: no token for byte %#02x", v.Name, b)
		}
	}
	v.splits = make([]uint16, v.Len())
	var ends []int
	for r := range v.Len() {
		t := v.Token(r)
		if len(t) == 1 {
			continue
		}
		ends = merge(ends[:0], t, ranks, r)
		if len(ends) == 2 {
			v.splits[r] = uint16(ends[0])
		}
	}
	return nil
}

// merge appends the ends of the tokens that plain BPE makes of t with ranks below a limit.
func merge(ends []int, t []byte, ranks map[string]int, limit int) []int {
	for i := range t {
		ends = append(ends, i+1)
	}
	for {
		best, at, start := limit, -1, 0
		for i := range len(ends) - 1 {
			if r, ok := ranks[string(t[start:ends[i+1]])]; ok && r < best {
				best, at = r, i
			}
			start = ends[i]
		}
		if at < 0 {
			return ends
		}
		ends = slices.Delete(ends, at, at+1)
	}
}
