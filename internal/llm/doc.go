// Package llm is the vocabulary of Signalbox: requests, parts, events, usage and errors, in words that
// belong to no vendor. Codecs (providers/dialect) translate between it and the wire formats.
//
// It holds data and the few functions that give the data meaning. It does no I/O, knows no wire format
// and imports nothing else of this module.
//
//	client bytes → dialect.Server → Request → dialect.Client → upstream bytes
//	upstream bytes → dialect.Reader → Event … → dialect.Writer → client bytes
package llm
