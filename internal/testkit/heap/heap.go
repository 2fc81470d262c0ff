// Package heap says what a process lives on, for tests that bound how much is kept of something. It
// measures the whole process, so such tests do not run in parallel.
package heap

import "runtime"

// Live returns the bytes and the objects that are in use when garbage was collected. What is to be counted must still be referred to
// behind the call (runtime.KeepAlive).
func Live() (bytes, objects int64) {
	runtime.GC()
	runtime.GC() // a sync.Pool keeps what it has through one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.HeapObjects)
}

// Bytes returns the bytes alone.
func Bytes() int64 {
	n, _ := Live()
	return n
}
