package awsevents

import (
	"encoding/binary"
	"iter"
)

// Type is the type of a header's value.
type Type uint8

// Types of values.
const (
	True      Type = iota // no bytes
	False                 // no bytes
	Byte                  // 1 byte, signed
	Short                 // 2 bytes, signed
	Int                   // 4 bytes, signed
	Long                  // 8 bytes, signed
	Bytes                 // at most 32,767 when written
	String                // UTF-8, at most 32,767 bytes when written
	Timestamp             // 8 bytes: milliseconds since 1970, signed
	UUID                  // 16 bytes
	typeCount
)

// fixed are the sizes of values by type; -1: two bytes of length come first.
var fixed = [typeCount]int{True: 0, False: 0, Byte: 1, Short: 2, Int: 4, Long: 8, Bytes: -1, String: -1, Timestamp: 8, UUID: 16}

// Value is a header's value. Raw is its bytes, without the length of a string or of bytes.
type Value struct {
	Type Type
	Raw  []byte
}

// Int returns the value of a Byte, Short, Int, Long or Timestamp, and whether it is one.
func (v Value) Int() (int64, bool) {
	switch v.Type {
	case Byte:
		return int64(int8(v.Raw[0])), true
	case Short:
		return int64(int16(binary.BigEndian.Uint16(v.Raw))), true
	case Int:
		return int64(int32(binary.BigEndian.Uint32(v.Raw))), true
	case Long, Timestamp:
		return int64(binary.BigEndian.Uint64(v.Raw)), true
	}
	return 0, false
}

// Headers walks the frame's headers in their order.
func (m *Message) Headers() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		for b := m.headers; len(b) > 0; {
			name, v, n := header(b)
			if !yield(name, v) {
				return
			}
			b = b[n:]
		}
	}
}

// String returns the value of a string header, nil where there is none. Of two with one name the last counts, as
// in Amazon's own readers.
func (m *Message) String(name string) (value []byte) {
	for n, v := range m.Headers() {
		if string(n) == name {
			if value = nil; v.Type == String {
				value = v.Raw
			}
		}
	}
	return value
}

func wellFormed(b []byte) bool {
	for len(b) > 0 {
		_, _, n := header(b)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// header reads the header that b begins with, and its length; 0: it is malformed.
func header(b []byte) (name []byte, v Value, n int) {
	size := int(b[0])
	n = 1 + size
	if len(b) < n+1 {
		return nil, v, 0
	}
	name, v.Type = b[1:n], Type(b[n])
	n++
	if v.Type >= typeCount {
		return nil, v, 0
	}
	size = fixed[v.Type]
	if size < 0 {
		if len(b) < n+2 {
			return nil, v, 0
		}
		size = int(binary.BigEndian.Uint16(b[n:]))
		n += 2
	}
	if len(b) < n+size {
		return nil, v, 0
	}
	v.Raw = b[n : n+size]
	return name, v, n + size
}

// AppendHeader appends a header: a name of at most 255 bytes, and a value whose Raw has its type's size (at most
// 32,767 bytes for Bytes and String).
func AppendHeader(dst []byte, name string, v Value) []byte {
	dst = append(append(append(dst, byte(len(name))), name...), byte(v.Type))
	if fixed[v.Type] < 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Raw)))
	}
	return append(dst, v.Raw...)
}

// AppendString appends a header whose value is a string.
func AppendString(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, byte(len(name))), name...), byte(String))
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(value))), value...)
}
