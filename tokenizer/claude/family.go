package claude

import (
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"
)

// ErrAbsent says that the program was built without the pieces.
var ErrAbsent = errors.New("this build has no pieces of Claude (it was built with -tags noclaude)")

// Family is a way of counting that some models share. It is immutable and shared by all who count.
type Family struct {
	// Name is the family's name, such as claude-3.
	Name string
	// Frame is what a message costs beside its text, in tokens.
	Frame int

	head     bool // the start of a text is the beginning of a word
	tailFree bool // trailing ASCII white space is free
	quotes   bool // curly quotes are straightened
	capsMin  int  // letters from which on a word in capitals has a marker of its own; 0: never

	classes *classes
	pieces  *trie
	joined  *pairs
	walkers sync.Pool
}

// row describes a family.
type row struct {
	name           string
	frame          int
	head, tailFree bool
	quotes         bool
	capsMin        int
	open           func() (*vocabulary, error)
}

// rows are the families. Frames, boundaries, tails, folding and capitals are those of the source of the pieces
// (data/README.md); that trailing white space is free on Opus 5 was measured there.
var rows = []row{
	{name: "claude-opus-5", frame: 6, tailFree: true, open: openV47},
	{name: "claude-4.8", frame: 6, open: openV47},
	{name: "claude-4.7", frame: 11, head: true, open: openV47},
	{name: "claude-3", frame: 7, head: true, quotes: true, capsMin: 4, open: openV3},
}

// vocabulary is what the families of one file of pieces share.
type vocabulary struct {
	classes *classes
	pieces  *trie
	joined  *pairs
}

var (
	openClasses = sync.OnceValues(func() (*classes, error) {
		_, _, raw := embedded()
		return readClasses(raw)
	})
	openV3 = sync.OnceValues(func() (*vocabulary, error) {
		raw, _, _ := embedded()
		return openVocabulary(raw)
	})
	openV47 = sync.OnceValues(func() (*vocabulary, error) {
		_, raw, _ := embedded()
		return openVocabulary(raw)
	})
)

func openVocabulary(raw []byte) (*vocabulary, error) {
	if len(raw) == 0 {
		return nil, ErrAbsent
	}
	c, err := openClasses()
	if err != nil {
		return nil, fmt.Errorf("classes of characters: %w", err)
	}
	t, p, err := readPieces(raw)
	if err != nil {
		return nil, fmt.Errorf("pieces of Claude: %w", err)
	}
	return &vocabulary{c, t, p}, nil
}

// Open returns a family by name. The first call for a family reads its pieces, which takes some 20 ms; do it
// before traffic comes. It fails with ErrAbsent where the pieces were left out of the build.
func Open(name string) (*Family, error) {
	for _, r := range rows {
		if r.name != name {
			continue
		}
		v, err := r.open()
		if err != nil {
			return nil, err
		}
		return &Family{
			Name: r.name, Frame: r.frame, head: r.head, tailFree: r.tailFree, quotes: r.quotes, capsMin: r.capsMin,
			classes: v.classes, pieces: v.pieces, joined: v.joined,
		}, nil
	}
	return nil, fmt.Errorf("no family of Claude models is named %q", name)
}

// pairs is a set of pairs of neighbouring characters of pieces. It may hold some that are none.
type pairs [1 << 10]uint64

func pairBit(a, b rune) uint32 {
	return (uint32(a)*0x9E3779B1 ^ uint32(b)*0x85EBCA77) * 0xC2B2AE3D >> 16 // code points
}

func (p *pairs) add(piece []byte) {
	last := rune(-1)
	for len(piece) > 0 {
		r, n := utf8.DecodeRune(piece)
		if last >= utf8.RuneSelf && r >= utf8.RuneSelf {
			h := pairBit(last, r)
			p[h>>6] |= 1 << (h & 63)
		}
		last, piece = r, piece[n:]
	}
}

func (p *pairs) has(a, b rune) bool {
	h := pairBit(a, b)
	return p[h>>6]>>(h&63)&1 != 0
}
