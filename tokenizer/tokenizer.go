// Package tokenizer counts tokens as the models' vendors do: of texts, exactly where the vocabulary is known.
//
//	Encoding(name) ─► Text ─ Count ─► tokens of a whole text
//	                      └─ Stream ─► of one that arrives in parts
//
// It is not a client: it reads no files and asks no network.
package tokenizer

import "github.com/signalbox-ai/signalbox/tokenizer/text"

type (
	// Text counts the tokens of texts.
	Text = text.Counter
	// Stream counts a text that arrives in parts.
	Stream = text.Stream
	// Coder is a Text that can name the tokens.
	Coder = text.Coder
)

// Class says how far a count can be trusted. A greater one is worse; a sum is as good as its worst part.
type Class uint8

// The classes.
const (
	Exact         Class = iota // by the vendor's own vocabulary and rules
	Reconstructed              // by rules that others found out, which agree with what the vendor reports
	Calibrated                 // by an estimate that was fitted to what the provider reported
	Estimated                  // by an estimate
)

// String returns the name by which users know the class.
func (c Class) String() string {
	switch c {
	case Exact:
		return "exact"
	case Reconstructed:
		return "reconstructed"
	case Calibrated:
		return "calibrated"
	}
	return "estimate"
}
