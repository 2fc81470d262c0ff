package grpcwire

import (
	"math/bits"
	"sync"
)

// Buffers of long messages are used again. Those of short ones are not worth it.
const (
	leastClass = 16 // 64 KiB
	mostClass  = 24 // 16 MiB
	steps      = 4  // sizes between a power of two and the next
)

// rooms holds buffers by size: those of n bytes and less than the next class.
type rooms [(mostClass - leastClass + 1) * steps]sync.Pool

// class returns the smallest class whose buffers hold n bytes, and their size. ok is false where there is none.
func class(n int) (at, size int, ok bool) {
	n = max(n, 1<<leastClass)
	power := bits.Len(uint(n)) - 1
	step := 1 << power / steps
	size = (n + step - 1) / step * step
	at = (bits.Len(uint(size))-1-leastClass)*steps + (size>>(bits.Len(uint(size))-3))&(steps-1)
	return at, size, at < len(rooms{})
}

// room returns an empty buffer with room for n bytes.
func (r *rooms) room(n int) []byte {
	at, size, ok := class(n)
	if n < 1<<leastClass || !ok {
		return make([]byte, 0, n)
	}
	if b, ok := r[at].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, size)
}

// recycle takes back a buffer that nobody uses any more.
func (r *rooms) recycle(b []byte) {
	if cap(b) < 1<<leastClass {
		return
	}
	if at, size, ok := class(cap(b)); ok && size == cap(b) {
		r[at].Put(&b)
	}
}
