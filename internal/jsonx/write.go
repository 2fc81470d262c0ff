package jsonx

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Edit replaces Body[Start:End] with With.
type Edit struct {
	Start, End int
	With       []byte
}

// Set returns the edit that gives a top-level member a new raw value: in its place, or behind the last
// member when it is absent. Several edits may add members, in their order, unless there is none yet.
func (d *Doc) Set(name string, raw []byte) Edit {
	for i := range d.Members {
		if m := &d.Members[i]; m.Name == name {
			return Edit{m.Start, m.End, raw}
		}
	}
	with := make([]byte, 0, len(name)+len(raw)+4)
	at := d.open + 1
	if n := len(d.Members); n > 0 {
		at = d.Members[n-1].End
		with = append(with, ',')
	}
	with = AppendQuote(with, name)
	with = append(with, ':')
	with = append(with, raw...)
	return Edit{at, at, with}
}

// Remove returns the edit that takes a top-level member out with its comma, and whether it was there.
// Neighbouring members may not be removed in the same Splice, nor may one be added where the only one is
// removed.
func (d *Doc) Remove(name string) (Edit, bool) {
	for i := range d.Members {
		m := &d.Members[i]
		if m.Name != name {
			continue
		}
		switch {
		case i+1 < len(d.Members):
			return Edit{Start: m.NameStart, End: d.Members[i+1].NameStart}, true
		case i > 0:
			return Edit{Start: d.Members[i-1].End, End: m.End}, true
		default:
			return Edit{Start: m.NameStart, End: m.End}, true
		}
	}
	return Edit{}, false
}

// Offset is where a piece of body begins: body itself, or what Get, Members, Elements or a Doc gave of it. They leave a
// slice its capacity, which tells.
func Offset(body, piece []byte) int { return cap(body) - cap(piece) }

// CutElements adds to edits those that take elements out of an array with their commas: the ones for which gone
// reports true. arr is the array's part of body, a slice of it as Doc's members give it; edits come in order.
func CutElements(edits []Edit, body, arr []byte, gone func(element []byte) bool) []Edit {
	from, before := Offset(body, arr), false
	for _, v := range Elements(arr) {
		cut := gone(v)
		start := Offset(body, v)
		switch {
		case cut && before: // neighbors go together, so that one comma stays between what they stood between
			edits[len(edits)-1].End = start + len(v)
		case cut:
			edits = append(edits, Edit{Start: start, End: start + len(v)})
		case before:
			edits[len(edits)-1].End = start
		}
		before = cut
	}
	if !before {
		return edits
	}
	e := &edits[len(edits)-1] // the last of the array: the comma before it goes too
	for i := e.Start; i > from; i-- {
		switch body[i-1] {
		case ' ', '\t', '\n', '\r':
			continue
		case ',':
			e.Start = i - 1
		}
		break
	}
	return edits
}

// Splice appends src to dst with the edits made. Edits must not overlap; their order does not matter, and
// is changed.
func Splice(dst, src []byte, edits ...Edit) []byte {
	slices.SortStableFunc(edits, func(a, b Edit) int { return a.Start - b.Start })
	room := len(src)
	for _, e := range edits {
		room += len(e.With)
	}
	dst = slices.Grow(dst, room)
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(src) {
			panic(fmt.Sprintf("jsonx: edit %d:%d behind %d", e.Start, e.End, at))
		}
		dst = append(dst, src[at:e.Start]...)
		dst = append(dst, e.With...)
		at = e.End
	}
	return append(dst, src[at:]...)
}

const hexDigits = "0123456789abcdef"

// AppendQuote appends s as a JSON string. Invalid UTF-8 becomes U+FFFD. Nothing is escaped that need not be.
func AppendQuote[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := decodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, "\ufffd"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func decodeRune[T string | []byte](s T) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}

// AppendFloat appends a finite number as short as it can be.
func AppendFloat(dst []byte, f float64) []byte { return strconv.AppendFloat(dst, f, 'g', -1, 64) }

// AppendFloat32 appends a finite number of single precision as short as it can be.
func AppendFloat32(dst []byte, f float32) []byte {
	return strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
}

// AppendKey appends the name of a member to an open object, with the comma that a further member needs. dst must
// not end within a string.
func AppendKey(dst []byte, name string) []byte {
	return append(AppendQuote(AppendComma(dst), name), ':')
}

// AppendText appends a member whose value is a string.
func AppendText(dst []byte, name, value string) []byte {
	return AppendQuote(AppendKey(dst, name), value)
}

// AppendComma appends the comma that a further element or member needs: none where an array or object has just
// been opened.
func AppendComma(dst []byte) []byte {
	if n := len(dst); n > 0 && dst[n-1] != '[' && dst[n-1] != '{' {
		return append(dst, ',')
	}
	return dst
}

// Decode reads data into v, a pointer, case-sensitively, and refuses duplicate names and invalid UTF-8.
// Unknown members are ignored.
func Decode(data []byte, v any) error { return plain(json.Unmarshal(data, v)) }

// DecodeStrict is Decode that refuses unknown members.
func DecodeStrict(data []byte, v any) error {
	return plain(json.Unmarshal(data, v, json.RejectUnknownMembers(true)))
}

var kinds = map[jsontext.Kind]string{'n': "null", 'f': "a boolean", 't': "a boolean", '"': "a string", '0': "a number", '{': "an object", '[': "an array"}

// plain words an error of the library. The library's own words vary from run to run, on purpose.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
		what := "has the wrong type"
		switch {
		case errors.Is(wrong.Err, json.ErrUnknownName):
			what = "is unknown"
		case wrong.JSONKind != 0:
			what = "cannot be " + kinds[wrong.JSONKind]
		}
		where := "the document"
		if wrong.JSONPointer != "" {
			where = "member " + string(wrong.JSONPointer)
		}
		return fmt.Errorf("%s %s, at byte %d", where, what, wrong.ByteOffset)
	}
	if bad, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d (%w)", bad.ByteOffset, bad.Err)
	}
	return err
}

// Encode writes v, with the names of a map in order, so that the same value gives the same bytes.
func Encode(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

// EncodeIndent is Encode for people.
func EncodeIndent(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
}

// Raw is a JSON value kept as its text, for struct fields of Decode and Encode.
type Raw = jsontext.Value

// Indent returns raw with a member or element on each line, indented by two spaces for each level.
func Indent(raw []byte) ([]byte, error) {
	v := Raw(slices.Clone(raw))
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, err
	}
	return v, nil
}

// Compact returns raw without insignificant white space.
func Compact(raw []byte) ([]byte, error) {
	v := Raw(slices.Clone(raw))
	if err := v.Compact(); err != nil {
		return nil, err
	}
	return v, nil
}
