// Package text is what every way of counting the tokens of a text offers: byte-level BPE, SentencePiece,
// Claude's tiling, an estimate, and what all of them do with bytes that are no text. It stands on nothing, so that they and
// their users can stand on it.
package text

// Counter counts the tokens of texts by one vocabulary. It may be used by many goroutines at once.
//
// Text that spells a special token (<|endoftext|>) is text. Invalid UTF-8 counts as U+FFFD, one for each
// maximal part of a character (Unicode 16, §3.9), which is what a client's decoder shows.
type Counter interface {
	// Count returns the number of tokens of a whole text. It keeps no reference to it, and allocates
	// nothing once warm.
	Count(p []byte) int
	// Stream returns a counter for a text that arrives in parts.
	Stream() Stream
}

// Stream counts a text that arrives in parts, cut anywhere, also inside a character. It belongs to one
// goroutine.
type Stream interface {
	// Add appends the next part. It keeps no reference to it.
	Add(delta []byte)
	// Total returns the number of tokens of everything added so far: what Count says of the whole text.
	// More may be added after it.
	Total() int
}

// Coder is a Counter whose vocabulary is held, so that it can name the tokens. It is for tools and tests:
// counting builds no ids.
type Coder interface {
	Counter
	// Encode appends the ids of the text's tokens to dst. As many as Count says.
	Encode(dst []int, p []byte) []int
	// Decode appends the bytes of tokens, special ones included, to dst. An id that the vocabulary has not
	// is an error. What Encode made of valid UTF-8 decodes to the same bytes, or to their normal form where
	// the vocabulary normalizes.
	Decode(dst []byte, ids []int) ([]byte, error)
}
