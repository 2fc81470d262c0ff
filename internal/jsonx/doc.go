// Package jsonx reads and changes JSON without rebuilding it.
//
// Scan validates a document once, strictly (RFC 8259 with unique names, valid UTF-8 and paired surrogates,
// as I-JSON, RFC 7493, asks), and gives the offsets of its top-level members. Splice then changes single
// members and leaves every other byte as it was. Members and Elements walk values that were validated
// before, without copying. Decode and Encode are for data of our own; they are the one door to a JSON
// library, so that no second parser with other habits reads what was authorised.
//
//	body ─ Scan ─► Doc ─ Set, Remove ─► Edits ─ Splice ─► body'
//	            └► Members, Elements ─► String, Int, Float, Bool
package jsonx
