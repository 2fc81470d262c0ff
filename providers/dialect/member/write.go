package member

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Comma appends the comma that a further element or member needs.
func Comma(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] != '[' && b[n-1] != '{' {
		return append(b, ',')
	}
	return b
}

// Key appends a member's name to an open object.
func Key(b []byte, name string) []byte {
	return append(jsonx.AppendQuote(Comma(b), name), ':')
}

// Text appends a member whose value is a string.
func Text(b []byte, name, value string) []byte { return jsonx.AppendQuote(Key(b, name), value) }

// Plain returns the text of a string value, to be compared with known words; nil for any other value.
func Plain(raw []byte) []byte {
	if n := len(raw); n >= 2 && raw[0] == '"' && raw[n-1] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : n-1]
	}
	b, _ := jsonx.AppendString(nil, raw)
	return b
}

// Ptr returns a pointer to a value that was read, or the error.
func Ptr[T any](v T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// Without returns an object less some members, written anew, or nil when nothing is left.
func Without(raw []byte, names ...string) []byte {
	b, n := []byte{'{'}, 0
next:
	for k, v := range jsonx.Members(raw) {
		for _, name := range names {
			if string(k) == name {
				continue next
			}
		}
		b = append(Key(b, string(k)), v...)
		n++
	}
	if n == 0 {
		return nil
	}
	return append(b, '}')
}
