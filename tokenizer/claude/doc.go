// Package claude counts the tokens of text for Claude from version 3 on. The vendor publishes no vocabulary: the
// pieces are a reconstruction that others made from the vendor's own counts (data/README.md), so that a count is
// reconstructed and never exact. It does not know messages, tools or media, and counts text without the frame
// around it.
//
//	text ─► normalize ─► runs of one class ─► rewritten with markers ─► segments ─► fewest pieces that tile each
//
// A count is the least number of pieces that cover the rewritten text. Pieces reach neither over the end of a
// word nor over its beginning, so that every segment between two such places is tiled alone, and a text may be
// counted in parts that are cut between words.
//
// The build tag noclaude leaves the pieces out; then Open fails with ErrAbsent.
package claude

//go:generate go run ./gen
