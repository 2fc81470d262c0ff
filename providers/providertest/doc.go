// Package providertest is the contract that every kind of provider keeps, and every codec that it speaks: what is
// addressed, written, signed, judged and read, for each operation and each dialect of a client. Its own tests run it
// over all kinds, cross every recorded exchange over all dialects, and write docs/translation.md. A new kind or dialect
// is held to it by standing in providers/all; a new front door has its requests in testdata/members besides.
//
//	testdata/members ─► Door ─ Request ─┐
//	providers/all ───► Kind ─ Adapter ──┴─► Contract
package providertest

//go:generate go test . -run TablesOfTranslation -update
