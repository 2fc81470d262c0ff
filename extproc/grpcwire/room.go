package grpcwire

import (
	"math/bits"
	"sync"
)

// Buffers of long messages are used again. Those of short ones are not worth it.
const (
	leastClass = 16 // 64 KiB
	mostClass  = 24 // 16 MiB
)

// rooms holds buffers by the power of two that they have room for.
type rooms [mostClass - leastClass + 1]sync.Pool

// room returns an empty buffer with room for n bytes.
func (r *rooms) room(n int) []byte {
	class := bits.Len(uint(max(n, 1) - 1))
	if class < leastClass || class > mostClass {
		return make([]byte, 0, n)
	}
	if b, ok := r[class-leastClass].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

// recycle takes back a buffer that nobody uses any more.
func (r *rooms) recycle(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if class >= leastClass && class <= mostClass && cap(b) == 1<<class {
		r[class-leastClass].Put(&b)
	}
}
