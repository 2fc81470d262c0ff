package member

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// IDs are those of the calls that a conversation has made so far. They alias the body. The zero value is ready.
type IDs struct {
	list [][]byte
	set  map[string]struct{} // of the first ones of list
	kept int                 // how many those are
}

// lately is how many ids are looked at one by one: a call is mostly answered next.
const lately = 16

// Add adds an id, a raw JSON string.
func (s *IDs) Add(raw []byte) { s.list = append(s.list, canonical(raw)) }

// Has reports whether an id, a raw JSON string, was added.
func (s *IDs) Has(raw []byte) bool {
	raw = canonical(raw)
	older := max(len(s.list)-lately, 0)
	for i := len(s.list) - 1; i >= older; i-- {
		if bytes.Equal(s.list[i], raw) {
			return true
		}
	}
	if s.set == nil && older > 0 {
		s.set = make(map[string]struct{}, older)
	}
	for ; s.kept < older; s.kept++ {
		s.set[string(s.list[s.kept])] = struct{}{}
	}
	_, found := s.set[string(raw)]
	return found
}

// canonical returns a raw JSON string in one spelling, so that equal strings have equal bytes.
func canonical(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	s, _ := jsonx.String(raw)
	return jsonx.AppendQuote(nil, s)
}
