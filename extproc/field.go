package extproc

import "encoding/binary"

// encoded is an encoded message, as bytes that will be overwritten or as a string that lasts.
type encoded interface{ ~string | ~[]byte }

// field is one field of a message. Which of data and n counts depends on its type.
type field[T encoded] struct {
	number int
	data   T      // length-delimited
	n      uint64 // varint, or fixed64
}

// next takes the first field off an encoded message. ok is false where there is none that can be read: at the
// end, where m is empty, and in a message that is damaged.
func next[T encoded](m T) (f field[T], rest T, ok bool) {
	tag, i := varint(m)
	f.number = int(tag >> 3)
	if i == 0 || f.number == 0 || tag > 1<<32-1 {
		return f, m, false
	}
	switch tag & 7 {
	case 0:
		n, size := varint(m[i:])
		f.n = n
		return f, m[i+size:], size > 0
	case 1:
		if len(m)-i < 8 {
			return f, m, false
		}
		var b [8]byte
		copy(b[:], m[i:])
		f.n = binary.LittleEndian.Uint64(b[:])
		return f, m[i+8:], true
	case 2:
		n, size := varint(m[i:])
		i += size
		if size == 0 || n > uint64(len(m)-i) {
			return f, m, false
		}
		f.data = m[i : i+int(n)]
		return f, m[i+int(n):], true
	case 5:
		if len(m)-i < 4 {
			return f, m, false
		}
		return f, m[i+4:], true
	}
	return f, m, false // groups are not used in any message of Envoy's
}

// varint reads a number and returns how many bytes it has; 0: it is damaged.
func varint[T encoded](b T) (n uint64, size int) {
	for i := range min(len(b), binary.MaxVarintLen64) {
		c := b[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			return 0, 0
		}
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return n, i + 1
		}
	}
	return 0, 0
}

// find returns the last field of a number that is length-delimited, which is the one that counts.
func find[T encoded](m T, number int) (data T) {
	for {
		f, rest, ok := next(m)
		if !ok {
			return data
		}
		if f.number == number {
			data = f.data
		}
		m = rest
	}
}

// entry returns the value of a key in a map field, where keys are strings.
func entry[T encoded](m T, number int, key string) (value T) {
	for {
		f, rest, ok := next(m)
		if !ok {
			return value
		}
		if f.number == number && string(find(f.data, 1)) == key {
			value = find(f.data, 2)
		}
		m = rest
	}
}

// member returns the value of a member in an encoded google.protobuf.Struct.
func member[T encoded](m T, name string) (value T) { return entry(m, 1, name) }

// number returns the number that an encoded google.protobuf.Value is, or 0.
func number[T encoded](value T) (n uint64) {
	for {
		f, rest, ok := next(value)
		if !ok {
			return n
		}
		if f.number == 2 {
			n = f.n
		}
		value = rest
	}
}
