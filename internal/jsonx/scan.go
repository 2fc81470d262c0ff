package jsonx

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// MaxDepth is the deepest nesting that Scan and Valid accept anywhere in a document. What is decoded into
// our vocabulary has the codecs' own, lower limits.
const MaxDepth = 10_000

// SyntaxError says where a document is wrong.
type SyntaxError struct {
	Offset int    // of the offending byte, from 0
	What   string // lower case, safe to show
	Name   string // the member name concerned, for a duplicate
}

// Error returns the message with the offset.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.What, e.Offset) }

// Member is a member of a scanned document. Offsets are into Doc.Body.
type Member struct {
	Name       string // unescaped
	NameStart  int    // of the opening quote
	Start, End int    // of the value
}

// Doc is a validated JSON object.
type Doc struct {
	Body    []byte
	Members []Member
	open    int // offset of '{'
	close   int // offset of '}'
}

// Scan validates b, which must hold one JSON object and nothing else, and indexes its members. The error
// is a *SyntaxError. Doc keeps b, which must not change while Doc is in use. It takes linear time.
func Scan(b []byte) (*Doc, error) {
	var room scanRoom
	s := scanner{b: b, stack: room.stack[:0], names: room.names[:0], text: room.text[:0], cuts: room.cuts[:0]}
	i := s.space(0)
	if i >= len(b) {
		return nil, &SyntaxError{Offset: i, What: "empty document"}
	}
	if strings.HasPrefix(string(b[:min(len(b), 3)]), "\ufeff") {
		return nil, &SyntaxError{What: "byte order mark"}
	}
	if b[i] != '{' {
		return nil, &SyntaxError{Offset: i, What: "not a JSON object"}
	}
	d := &Doc{Body: b, open: i, Members: make([]Member, 0, 12)}
	s.doc = d
	end, err := s.value(i)
	if err != nil {
		return nil, err
	}
	d.close = end - 1
	if i = s.space(end); i < len(b) {
		return nil, &SyntaxError{Offset: i, What: "data after the document"}
	}
	text, from := string(s.text), 0
	for k, to := range s.cuts {
		d.Members[k].Name, from = text[from:to], to
	}
	return d, nil
}

// Valid reports whether b holds exactly one JSON value, by the same rules as Scan.
func Valid(b []byte) error {
	var room scanRoom
	v := Validator{stack: room.stack[:0], names: room.names[:0]}
	return v.Valid(b)
}

// Validator is Valid for many values, one after another: it keeps its room. The zero value is ready.
type Validator struct {
	stack []frame
	names []name
}

// Valid reports whether b holds exactly one JSON value, by the same rules as Scan.
func (v *Validator) Valid(b []byte) error {
	s := scanner{b: b, stack: v.stack[:0], names: v.names[:0]}
	end, err := s.value(s.space(0))
	v.stack, v.names = s.stack[:0], s.names[:0]
	if err != nil {
		return err
	}
	if i := s.space(end); i < len(b) {
		return &SyntaxError{Offset: i, What: "data after the document"}
	}
	return nil
}

// Get returns the raw value of a top-level member.
func (d *Doc) Get(name string) ([]byte, bool) {
	for i := range d.Members {
		if m := &d.Members[i]; m.Name == name {
			return d.Body[m.Start:m.End], true
		}
	}
	return nil, false
}

// CaseVariant returns the first top-level name that equals one of control but for letter case (Unicode
// simple folding, so that U+212A counts as k), with the name that it imitates. A provider that ignores case
// would read it as the control member.
func (d *Doc) CaseVariant(control ...string) (variant, of string, found bool) {
	for i := range d.Members {
		n := d.Members[i].Name
		for _, c := range control {
			if n == c {
				break
			}
			if len(n) >= len(c) && len(n) <= 3*len(c) && strings.EqualFold(n, c) {
				return n, c, true
			}
		}
	}
	return "", "", false
}

// scanner is a recursive-free validator.
type scanner struct {
	b     []byte
	doc   *Doc    // gets the members of depth 1; nil: none wanted
	stack []frame // open containers
	names []name  // of all open objects, innermost last
	text  []byte  // names of doc's members, one behind the other: they share one string
	cuts  []int   // ends of the names in text

	escapes int // read so far
}

// scanRoom is room, taken at once, for what a scanner of common documents keeps.
type scanRoom struct {
	stack [8]frame
	names [24]name
	text  [192]byte
	cuts  [16]int
}

type frame struct {
	object bool
	first  int                 // index into names of this object's first name
	set    map[string]struct{} // names, once there are many
}

type name struct {
	start, end int // without quotes
	escaped    bool
}

// many is the number of names from which an object's names are kept in a map.
const many = 24

func (s *scanner) space(i int) int {
	for i < len(s.b) {
		switch s.b[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

func (s *scanner) fail(i int, what string) error { return &SyntaxError{Offset: i, What: what} }

// value validates the value at i and returns the offset behind it.
func (s *scanner) value(i int) (int, error) {
	base := len(s.stack)
	for {
		// A value is due at i.
		if i >= len(s.b) {
			return i, s.fail(i, "unexpected end")
		}
		var err error
		switch c := s.b[i]; {
		case c == '{' || c == '[':
			if len(s.stack) >= MaxDepth {
				return i, s.fail(i, fmt.Sprintf("nested deeper than %d levels", MaxDepth))
			}
			s.stack = append(s.stack, frame{object: c == '{', first: len(s.names)})
			j := s.space(i + 1)
			if j < len(s.b) && s.b[j] == c+2 { // '{'+2 == '}', '['+2 == ']'
				i = s.pop(j)
				break
			}
			if c == '{' {
				if j, err = s.key(j); err != nil {
					return j, err
				}
			}
			i = j
			continue
		case c == '"':
			i, err = s.str(i)
		case c == '-' || c >= '0' && c <= '9':
			i, err = s.number(i)
		default:
			i, err = s.literal(i)
		}
		if err != nil {
			return i, err
		}
		// A value ended at i: go on in the container it stands in.
		next := false
		for len(s.stack) > base && !next {
			f := &s.stack[len(s.stack)-1]
			if len(s.stack) == 1 && s.doc != nil && f.object {
				m := &s.doc.Members[len(s.doc.Members)-1]
				if m.End == 0 {
					m.End = i
				}
			}
			j := s.space(i)
			if j >= len(s.b) {
				return j, s.fail(j, "unexpected end")
			}
			switch c := s.b[j]; {
			case c == ',':
				j = s.space(j + 1)
				if f.object {
					if j, err = s.key(j); err != nil {
						return j, err
					}
				}
				i, next = j, true
			case c == '}' && f.object, c == ']' && !f.object:
				i = s.pop(j)
			case f.object:
				return j, s.fail(j, "expected , or }")
			default:
				return j, s.fail(j, "expected , or ]")
			}
		}
		if !next {
			return i, nil
		}
	}
}

func (s *scanner) pop(i int) int {
	f := &s.stack[len(s.stack)-1]
	s.names = s.names[:f.first]
	s.stack[len(s.stack)-1] = frame{}
	s.stack = s.stack[:len(s.stack)-1]
	return i + 1
}

// key validates the name at i and returns the offset of its value.
func (s *scanner) key(i int) (int, error) {
	if i >= len(s.b) {
		return i, s.fail(i, "unexpected end")
	}
	if s.b[i] != '"' {
		return i, s.fail(i, "expected a member name")
	}
	before := s.escapes
	end, err := s.str(i)
	if err != nil {
		return end, err
	}
	if s.seen(i+1, end-1, s.escapes > before) {
		n := unescape(s.b[i+1 : end-1])
		return i, &SyntaxError{Offset: i, What: fmt.Sprintf("duplicate member %q", clip(n)), Name: n}
	}
	j := s.space(end)
	if j >= len(s.b) || s.b[j] != ':' {
		return j, s.fail(j, "expected :")
	}
	j = s.space(j + 1)
	if s.doc != nil && len(s.stack) == 1 {
		s.text = appendUnescaped(s.text, s.b[i+1:end-1])
		s.cuts = append(s.cuts, len(s.text))
		s.doc.Members = append(s.doc.Members, Member{NameStart: i, Start: j})
	}
	return j, nil
}

// seen notes a name of the innermost object and reports whether that object has it already.
func (s *scanner) seen(start, end int, escaped bool) bool {
	f := &s.stack[len(s.stack)-1]
	mine := s.names[f.first:]
	n := s.b[start:end]
	if f.set == nil && len(mine) >= many {
		f.set = make(map[string]struct{}, 2*many)
		for _, m := range mine {
			f.set[unescape(s.b[m.start:m.end])] = struct{}{}
		}
	}
	if f.set != nil {
		u := unescape(n)
		if _, dup := f.set[u]; dup {
			return true
		}
		f.set[u] = struct{}{}
		return false
	}
	for _, m := range mine {
		o := s.b[m.start:m.end]
		if string(o) == string(n) || (escaped || m.escaped) && unescape(o) == unescape(n) {
			return true
		}
	}
	s.names = append(s.names, name{start, end, escaped})
	return false
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str validates the string at i, which is a quote, and returns the offset behind its closing quote.
func (s *scanner) str(i int) (int, error) {
	b := s.b
	i++
	for {
		// Eight plain ASCII bytes at a time: none is a quote, a backslash, a control or beyond ASCII.
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			x, e := w^(ones*2), w^(ones*'\\')                                       // a quote becomes a space, and controls stay controls
			if odd := (w | (x-ones*('"'^2+1))&^x | (e-ones)&^e) & highs; odd != 0 { // its lowest bit is exact
				i += bits.TrailingZeros64(odd) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return i, s.fail(i, "unexpected end in a string")
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n, err := s.escape(i)
			if err != nil {
				return i, err
			}
			i += n
			s.escapes++
		case c < 0x20:
			return i, s.fail(i, "control character in a string")
		case c < utf8.RuneSelf:
			i++
		default:
			for i < len(b) && b[i] >= utf8.RuneSelf { // text beyond ASCII comes in runs
				r, n := utf8.DecodeRune(b[i:])
				if r == utf8.RuneError && n == 1 {
					return i, s.fail(i, "invalid UTF-8")
				}
				i += n
			}
		}
	}
}

// escape validates the escape at i and returns its length.
func (s *scanner) escape(i int) (int, error) {
	b := s.b
	if i+1 >= len(b) {
		return 0, s.fail(i, "unexpected end in a string")
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
		r, ok := hex4(b, i+2)
		switch {
		case !ok:
			return 0, s.fail(i, "invalid \\u escape")
		case r >= 0xdc00 && r < 0xe000:
			return 0, s.fail(i, "lone surrogate")
		case r < 0xd800 || r >= 0xe000:
			return 6, nil
		}
		if i+7 < len(b) && b[i+6] == '\\' && b[i+7] == 'u' {
			if lo, ok := hex4(b, i+8); ok && lo >= 0xdc00 && lo < 0xe000 {
				return 12, nil
			}
		}
		return 0, s.fail(i, "lone surrogate")
	}
	return 0, s.fail(i, "invalid escape")
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s *scanner) number(i int) (int, error) {
	b, start := s.b, i
	digits := func() bool {
		from := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > from
	}
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return start, s.fail(start, "invalid number")
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return start, s.fail(start, "invalid number")
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return start, s.fail(start, "invalid number")
		}
	}
	if i < len(b) && (b[i] >= '0' && b[i] <= '9' || b[i] == '.') {
		return start, s.fail(start, "invalid number")
	}
	return i, nil
}

func (s *scanner) literal(i int) (int, error) {
	for _, l := range [...]string{"true", "false", "null"} {
		if len(s.b)-i >= len(l) && string(s.b[i:i+len(l)]) == l {
			return i + len(l), nil
		}
	}
	return i, s.fail(i, "invalid value")
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
