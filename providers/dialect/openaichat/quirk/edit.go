package quirk

import (
	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// editor gathers the changes to one object, whose offsets are base behind the whole body's.
type editor struct {
	doc   *jsonx.Doc
	base  int
	gone  []bool // of members; nil: all stay
	edits []jsonx.Edit
}

func (e *editor) remove(i int) {
	if e.gone == nil {
		e.gone = make([]bool, len(e.doc.Members))
	}
	e.gone[i] = true
}

func (e *editor) set(i int, raw []byte) {
	m := &e.doc.Members[i]
	e.edits = append(e.edits, jsonx.Edit{Start: e.base + m.Start, End: e.base + m.End, With: raw})
}

// rename gives a member another name.
func (e *editor) rename(i int, name string) {
	m := &e.doc.Members[i]
	e.edits = append(e.edits, jsonx.Edit{Start: e.base + m.NameStart, End: e.base + m.Start, With: append(jsonx.AppendQuote(nil, name), ':')})
}

// add puts a member behind the last one. The object is not empty.
func (e *editor) add(name string, raw []byte) {
	at := e.base + e.doc.Members[len(e.doc.Members)-1].End
	with := append(jsonx.AppendQuote([]byte{','}, name), ':')
	e.edits = append(e.edits, jsonx.Edit{Start: at, End: at, With: append(with, raw...)})
}

func (e *editor) find(name string) int {
	for i := range e.doc.Members {
		if e.doc.Members[i].Name == name {
			return i
		}
	}
	return -1
}

// done returns the edits, none of which overlap. Runs of removed members go with their commas; a member stays
// in every object that loses one, which callers see to.
func (e *editor) done() []jsonx.Edit {
	m := e.doc.Members
	for i := 0; i < len(e.gone); i++ {
		if !e.gone[i] {
			continue
		}
		first := i
		for i+1 < len(m) && e.gone[i+1] {
			i++
		}
		switch {
		case i+1 < len(m):
			e.edits = append(e.edits, jsonx.Edit{Start: e.base + m[first].NameStart, End: e.base + m[i+1].NameStart})
		case first > 0:
			e.edits = append(e.edits, jsonx.Edit{Start: e.base + m[first-1].End, End: e.base + m[i].End})
		default:
			e.edits = append(e.edits, jsonx.Edit{Start: e.base + m[0].NameStart, End: e.base + m[i].End})
		}
	}
	return e.edits
}
