package member

import (
	"strconv"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Limit returns the edit that sets a number in a body: a member of the body itself or, with two names, of an object
// within it, which is added where it is missing or null.
func Limit(doc *jsonx.Doc, n int64, name string, within ...string) jsonx.Edit {
	number := strconv.AppendInt(nil, n, 10)
	if len(within) == 0 {
		return doc.Set(name, number)
	}
	outer, inner := name, within[0]
	value, _ := doc.Get(outer)
	if len(value) == 0 || value[0] != '{' {
		raw := append(append(jsonx.AppendQuote([]byte{'{'}, inner), ':'), number...)
		return doc.Set(outer, append(raw, '}'))
	}
	start := jsonx.Offset(doc.Body, value)
	if old := jsonx.Get(value, inner); old != nil {
		at := jsonx.Offset(doc.Body, old)
		return jsonx.Edit{Start: at, End: at + len(old), With: number}
	}
	with := append(append(jsonx.AppendQuote(nil, inner), ':'), number...)
	for range jsonx.Members(value) {
		with = append(with, ',')
		break
	}
	return jsonx.Edit{Start: start + 1, End: start + 1, With: with}
}
