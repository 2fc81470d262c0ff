package grpcwire

import (
	"testing"

	"pgregory.net/rapid"
)

func TestRoom(t *testing.T) {
	var r rooms
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(0, 200<<10), rapid.IntRange(0, 20<<20)).Draw(t, "n")
		b := r.room(n)
		if len(b) != 0 || cap(b) < n || cap(b) > max(n, n+n/steps+1) {
			t.Fatalf("room for %d has %d of %d", n, len(b), cap(b))
		}
		r.recycle(append(b, "used"[:min(4, cap(b))]...))
	})
	if b := r.room(100 << 10); len(b) != 0 || cap(b) < 100<<10 {
		t.Errorf("a used buffer has %d of %d", len(b), cap(b))
	}
	r.recycle(nil)
	r.recycle(make([]byte, 0, 100_001)) // not one of ours
}

func BenchmarkRoom(b *testing.B) {
	var r rooms
	b.ReportAllocs()
	for b.Loop() {
		r.recycle(r.room(300 << 10))
	}
}
