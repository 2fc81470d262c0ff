package claude

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// props says what the rules need to know about a character: its class in the low bits, and flags.
type props uint32

// Classes of characters. A run is a stretch of one class.
const (
	hard  props = iota // what no other class takes: ideographs, syllables, emoji, most symbols
	word               // letters that make words, and the marks that belong to them
	space              // white space
	digit              // ASCII and Arabic digits
	punct              // ASCII punctuation and the symbols that the models treat alike
)

const classMask props = 7

// Flags of characters.
const (
	selector  props = 1 << (iota + 3) // a variation selector: it rides on what stands before it
	punctKind                         // kinds of hard characters; neither of both is the kind of letters
	numberKind
	upper      // upper case, with another lower form
	cased      // upper, lower or title case
	caseless   // a letter or mark without case
	stray      // a mark that opens a run of its own unless a word stands before it
	unstable   // may change under composition (NFC) together with its neighbours
	dirty      // deleted or replaced before counting
	decimal    // Nd
	number     // No
	recompose  // may be composed with what stands before, or is no composed form itself
	decomposes // has a canonical decomposition

	cccShift = 24 // the canonical combining class is in the bits from here
)

const (
	blockBits = 7
	blockSize = 1 << blockBits
	lastRune  = 0x10FFFF
)

// classes is a table of every code point in two stages.
type classes struct {
	index  [(lastRune + 1) >> blockBits]uint16
	blocks [][blockSize]props
	ascii  [256]props // bytes from 0x80 on have none

	apart    map[rune][]rune // canonical decompositions, but of Hangul
	together map[[2]rune]rune
}

// of returns what is known of r, which is a valid code point.
func (c *classes) of(r rune) props {
	return c.blocks[c.index[r>>blockBits]][r&(blockSize-1)]
}

var errData = errors.New("the embedded data is damaged")

// readClasses reads ranges of equal properties: the length of each and its properties.
func readClasses(raw []byte) (*classes, error) {
	b, err := inflate(raw)
	if err != nil {
		return nil, err
	}
	c := &classes{}
	seen := map[[blockSize]props]uint16{}
	var block [blockSize]props
	for r := 0; r <= lastRune; {
		n, used := binary.Uvarint(b)
		if used <= 0 || len(b) < used+4 || n == 0 || n > lastRune+1-uint64(r) { // r is never negative
			return nil, errData
		}
		p := props(binary.LittleEndian.Uint32(b[used:]))
		b = b[used+4:]
		for range n {
			block[r&(blockSize-1)] = p
			if r++; r&(blockSize-1) == 0 {
				at, ok := seen[block]
				if !ok {
					at = uint16(len(c.blocks)) // at most 8,704 blocks
					seen[block], c.blocks = at, append(c.blocks, block)
				}
				c.index[(r-1)>>blockBits] = at
			}
		}
	}
	copy(c.ascii[:], c.blocks[c.index[0]][:])
	return c, c.readForms(b)
}

// readForms reads decompositions and composites.
func (c *classes) readForms(b []byte) (err error) {
	next := func() rune {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > lastRune {
			err = errData
			return 0
		}
		b = b[used:]
		return rune(n) // a code point
	}
	n := next()
	c.apart = make(map[rune][]rune, n)
	for ; n > 0 && err == nil; n-- {
		r, d := next(), make([]rune, next())
		for i := range d {
			d[i] = next()
		}
		c.apart[r] = d
	}
	n = next()
	c.together = make(map[[2]rune]rune, n)
	for ; n > 0 && err == nil; n-- {
		pair := [2]rune{next(), next()}
		c.together[pair] = next()
	}
	return err
}

// inflate returns the content of an embedded file: a line that says where it comes from, then deflated data.
func inflate(raw []byte) ([]byte, error) {
	_, data, ok := bytes.Cut(raw, []byte("\n"))
	if !ok {
		return nil, errData
	}
	b, err := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errData, err)
	}
	return b, nil
}
