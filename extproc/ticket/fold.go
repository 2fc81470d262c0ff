package ticket

import (
	"encoding/binary"
	"unique"
)

// Folded is a ticket in as few bytes as can be, for exchanges of which there are many at a time and nothing happens. What is the same
// for all of a client's requests of one kind is in memory once; what is a ticket's own is its times, ids, and what is reserved for it.
// The zero value is none.
type Folded struct {
	alike unique.Handle[string] // the ticket without what is its own, as Encode writes it
	own   string                // Began, the lengths of ID and Trace, and those, and Hold
}

// lengths of what begins Folded.own: 8 bytes of time, and one each of the two lengths.
const ownHead = 10

// Fold folds the ticket; ok is false for one that cannot be, as none is that Read has read or the plan stage makes.
func (t *Ticket) Fold() (f Folded, ok bool) {
	if len(t.ID) > 255 || len(t.Trace) > 255 {
		return f, false
	}
	own := make([]byte, 0, ownHead+len(t.ID)+len(t.Trace)+len(t.Hold))
	own = binary.BigEndian.AppendUint64(own, uint64(t.Began))
	own = append(own, byte(len(t.ID)), byte(len(t.Trace)))
	own = append(append(append(own, t.ID...), t.Trace...), t.Hold...)
	alike := *t
	alike.Began, alike.ID, alike.Trace, alike.Hold = 0, "", "", ""
	return Folded{unique.Make(alike.Encode()), string(own)}, true
}

// ID returns the ticket's id. It is part of the memory that is kept in any case.
func (f Folded) ID() string { return f.own[ownHead : ownHead+int(f.own[8])] }

// Began returns when the exchange began, in Unix milliseconds.
func (f Folded) Began() int64 { return int64(binary.BigEndian.Uint64([]byte(f.own[:8]))) }

// Ticket returns what was folded.
func (f Folded) Ticket() (*Ticket, error) {
	t, err := parse(f.alike.Value())
	if err != nil {
		return nil, err
	}
	trace := ownHead + int(f.own[8])
	hold := trace + int(f.own[9])
	t.Began, t.ID, t.Trace, t.Hold = f.Began(), f.ID(), Trace(f.own[trace:hold]), f.own[hold:]
	return t, t.check()
}
