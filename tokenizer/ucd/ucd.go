// Package ucd holds the classes of characters that pre-tokenizers tell apart, from Unicode 16.0.
//
// The tables of package unicode belong to the Unicode version of the Go release (15.0), so that letters
// that are newer would be taken for punctuation.
package ucd

//go:generate go run ./gen

// Class is a set of properties of a character.
type Class uint8

// The properties. A character may have several: a modifier letter is a Letter, Upper and Lower.
const (
	Letter Class = 1 << iota // general category L
	Number                   // general category N
	White                    // the property White_Space
	Upper                    // may stand before the last letter of a capitalized word: Lu, Lt, Lm, Lo, M
	Lower                    // may stand behind the capitals of a word: Ll, Lm, Lo, M
	Mark                     // general category M
	Symbol                   // general category P or S
	Han                      // the script Han, be it letter, number or symbol
)

// Of returns the properties of a character; none for what is no character.
func Of(r rune) Class {
	if uint32(r) > 0x10FFFF {
		return 0
	}
	return Class(blocks[int(index[uint32(r)>>7])<<7|int(r&127)])
}
