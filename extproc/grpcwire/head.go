package grpcwire

import (
	"fmt"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
)

// Head is the header of a request, pseudo-headers included, in the order of the wire. Names are lower case.
type Head []hpack.HeaderField

// Get returns the first value of a name, or "".
func (h Head) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

// check says what is wrong with a head (RFC 9113 §8.2, §8.3), or "".
func (h Head) check() string {
	fields, seen := false, 0
	for i := range h {
		n := h[i].Name
		if n == "" || !lower(n) {
			return "a field name that is empty or not in lower case"
		}
		if n[0] != ':' {
			fields = true
			if n == "connection" || n == "transfer-encoding" || n == "te" && h[i].Value != "trailers" {
				return "a field of the connection"
			}
			continue
		}
		bit := pseudo(n)
		if fields || bit == 0 || seen&bit != 0 {
			return "a pseudo-field out of place"
		}
		seen |= bit
	}
	if seen&needed != needed {
		return "a pseudo-field is missing"
	}
	return ""
}

// needed are the pseudo-fields that every request has.
const needed = 1 | 2 | 4

func pseudo(name string) int {
	switch name {
	case ":method":
		return 1
	case ":scheme":
		return 2
	case ":path":
		return 4
	case ":authority":
		return 8
	}
	return 0
}

func lower(s string) bool {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// decoding is a header block that is being read.
type decoding struct {
	id    uint32 // of the stream; 0: none
	flags http2.Flags
	head  Head
	size  int // as RFC 9113 §6.5.2 counts it
	raw   int // bytes of all fragments
}

// field takes a decoded field.
func (d *decoding) field(most int) func(hpack.HeaderField) {
	return func(f hpack.HeaderField) {
		if d.size += int(f.Size()); d.size <= most {
			d.head = append(d.head, f)
		}
	}
}

// Answers' heads use neither Huffman codes nor the dynamic table: they are short, and so have no state.
var (
	okHead   = literal(literal(nil, ":status", "200"), "content-type", "application/grpc")
	okStatus = literal(nil, "grpc-status", "0")
)

// literal appends a field that is not indexed.
func literal(dst []byte, name, value string) []byte {
	dst = appendString(append(dst, 0), name)
	return appendString(dst, value)
}

func appendString(dst []byte, s string) []byte {
	const most = 1<<7 - 1
	n := len(s)
	if n < most {
		return append(append(dst, byte(n)), s...)
	}
	dst = append(dst, most)
	for n -= most; n >= 1<<7; n >>= 7 {
		dst = append(dst, byte(n)|1<<7)
	}
	return append(append(dst, byte(n)), s...)
}

// status appends the fields of a gRPC status.
func status(dst []byte, code codes.Code, message string) []byte {
	if code == codes.OK {
		return append(dst, okStatus...)
	}
	dst = literal(dst, "grpc-status", fmt.Sprint(uint32(code)))
	if message != "" {
		dst = literal(dst, "grpc-message", escaped(message))
	}
	return dst
}

// escaped writes a message as grpc-message wants it.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
