package jsonx

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind returns the first byte of a value, which tells its type: '{', '[', '"', 't', 'f', 'n', or '0' for
// any number; 0 for nothing.
func Kind(raw []byte) byte {
	if i := skipSpace(raw, 0); i < len(raw) {
		if c := raw[i]; c == '-' || c >= '0' && c <= '9' {
			return '0'
		}
		return raw[i]
	}
	return 0
}

// IsNull reports whether raw is null or absent.
func IsNull(raw []byte) bool { k := Kind(raw); return k == 0 || k == 'n' }

// Members walks the members of a validated object: the unescaped name, and the raw value. Both alias obj
// unless the name has escapes. Anything but an object has no members; a malformed one ends early.
func Members(obj []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		i := skipSpace(obj, 0)
		if i >= len(obj) || obj[i] != '{' {
			return
		}
		i++
		for {
			i = skipSpace(obj, i)
			if i < len(obj) && obj[i] == ',' {
				i = skipSpace(obj, i+1)
			}
			if i >= len(obj) || obj[i] != '"' {
				return
			}
			end, escapes := skipName(obj, i)
			if end < 0 {
				return
			}
			n := obj[i+1 : end-1]
			if escapes && hasEscape(n) {
				n = []byte(unescape(n))
			}
			i = skipSpace(obj, end)
			if i >= len(obj) || obj[i] != ':' {
				return
			}
			i = skipSpace(obj, i+1)
			if end = skipValue(obj, i); end < 0 {
				return
			}
			if !yield(n, obj[i:end]) {
				return
			}
			i = end
		}
	}
}

// Elements walks the elements of a validated array, raw. Anything but an array has none.
func Elements(arr []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		i := skipSpace(arr, 0)
		if i >= len(arr) || arr[i] != '[' {
			return
		}
		i++
		for n := 0; ; n++ {
			i = skipSpace(arr, i)
			if i < len(arr) && arr[i] == ',' {
				i = skipSpace(arr, i+1)
			}
			if i >= len(arr) || arr[i] == ']' {
				return
			}
			end := skipValue(arr, i)
			if end < 0 || !yield(n, arr[i:end]) {
				return
			}
			i = end
		}
	}
}

// Get returns the raw value of a member of a validated object, or nil.
func Get(obj []byte, name string) []byte {
	for n, v := range Members(obj) {
		if string(n) == name {
			return v
		}
	}
	return nil
}

// At follows names through nested objects and returns the raw value, or nil.
func At(obj []byte, path ...string) []byte {
	for _, p := range path {
		if obj = Get(obj, p); obj == nil {
			return nil
		}
	}
	return obj
}

// String returns a string value, and whether raw is one.
func String(raw []byte) (string, bool) {
	b, ok := quoted(raw)
	if !ok {
		return "", false
	}
	if !hasEscape(b) {
		return string(b), true
	}
	return unescape(b), true
}

// AppendString appends a string value unescaped, and reports whether raw is one.
func AppendString(dst, raw []byte) ([]byte, bool) {
	b, ok := quoted(raw)
	if !ok {
		return dst, false
	}
	return appendUnescaped(dst, b), true
}

// Int returns an integer value: no fraction, no exponent, no negative zero, at most 2^53 − 1 in size, the
// range in which every JSON reader agrees (RFC 7493 §2.2).
func Int(raw []byte) (int64, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > 17 || string(raw) == "-0" {
		return 0, false
	}
	for i, c := range raw {
		if (c < '0' || c > '9') && (c != '-' || i > 0) {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n > 1<<53-1 || n < -(1<<53-1) {
		return 0, false
	}
	return n, true
}

// Float returns a number value.
func Float(raw []byte) (float64, bool) {
	if Kind(raw) != '0' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

// Bool returns a boolean value, and whether raw is one.
func Bool(raw []byte) (v, ok bool) {
	switch string(bytes.TrimSpace(raw)) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// Deeper reports whether a validated value nests deeper than limit.
func Deeper(raw []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipName returns the offset behind the string at i, or -1, and whether it may have escapes. Most strings are names: a
// search for the quote costs more than they do.
func skipName(b []byte, i int) (end int, escapes bool) {
	for j := i + 1; j < i+17 && j+8 <= len(b); j += 8 {
		w := binary.LittleEndian.Uint64(b[j:])
		q, e := w^(ones*'"'), w^(ones*'\\')
		if odd := ((q-ones)&^q | (e-ones)&^e) & highs; odd != 0 { // its lowest bit is exact
			if j += bits.TrailingZeros64(odd) / 8; b[j] == '"' {
				return j + 1, false
			}
			break
		}
	}
	return skipText(b, i), true
}

// skipString returns the offset behind the string at i, or -1.
func skipString(b []byte, i int) int {
	end, _ := skipName(b, i)
	return end
}

// skipText is skipString for longer strings.
func skipText(b []byte, i int) int {
	i++
	for i < len(b) {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			return -1
		}
		end := i + j
		n := 0
		for end-1-n >= i && b[end-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return end + 1
		}
		i = end + 1
	}
	return -1
}

// skipValue returns the offset behind the value at i, or -1.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for i < len(b) {
			switch b[i] {
			case '"':
				if i = skipString(b, i); i < 0 {
					return -1
				}
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return -1
	case ',', ':', '}', ']':
		return -1
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
		i++
	}
	return i
}

// quoted returns the inside of a string value.
func quoted(raw []byte) ([]byte, bool) {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '"' {
		return nil, false
	}
	end := skipString(raw, i)
	if end < 0 {
		return nil, false
	}
	return raw[i+1 : end-1], true
}

func hasEscape(b []byte) bool { return bytes.IndexByte(b, '\\') >= 0 }

func unescape(b []byte) string {
	if !hasEscape(b) {
		return string(b)
	}
	return string(appendUnescaped(make([]byte, 0, len(b)), b))
}

func appendUnescaped(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '\\')
		if i < 0 || i+1 >= len(b) {
			return append(dst, b...)
		}
		dst = append(dst, b[:i]...)
		c := b[i+1]
		b = b[i:]
		n := 2
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(b, 2)
			n = min(6, len(b))
			if utf16.IsSurrogate(r) {
				lo, low := hex4(b, 8)
				low = low && b[6] == '\\' && b[7] == 'u'
				if r = utf16.DecodeRune(r, lo); low && r != utf8.RuneError {
					n = 12
				} else {
					r = utf8.RuneError
				}
			}
			if !ok {
				r = utf8.RuneError
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, c)
		}
		b = b[n:]
	}
}
