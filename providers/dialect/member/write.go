package member

import (
	"bytes"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

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
		b = append(jsonx.AppendKey(b, string(k)), v...)
		n++
	}
	if n == 0 {
		return nil
	}
	return append(b, '}')
}
