package memory

import (
	"cmp"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// TestAQueueGivesThingsInOrder holds a queue against a list that is sorted.
func TestAQueueGivesThingsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue[int]
		var want []entry[int]
		now, next := int64(0), 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			adds, takes := rapid.IntRange(0, 3*longest/2).Draw(t, "adds"), rapid.IntRange(0, 3*longest/2).Draw(t, "takes")
			for range adds {
				now += int64(rapid.SampledFrom([]int{0, 1, 1, 1, -3}).Draw(t, "later"))
				q.add(now, next)
				want = append(want, entry[int]{now, next})
				next++
			}
			slices.SortStableFunc(want, func(a, b entry[int]) int { return cmp.Compare(a.due, b.due) })
			for range min(takes, len(want)) {
				due, ok := q.first()
				if !ok || due != want[0].due {
					t.Fatalf("the first is due at %d, %v; want %d of %d", due, ok, want[0].due, len(want))
				}
				got := q.take() // of those that are due at the same time, any
				i := slices.IndexFunc(want, func(e entry[int]) bool { return e.thing == got })
				if i < 0 || want[i].due != due {
					t.Fatalf("got %d, which is not due at %d", got, due)
				}
				want = slices.Delete(want, i, i+1)
			}
			if _, ok := q.first(); ok != (len(want) > 0) {
				t.Fatalf("the queue has a first: %v; want %d", ok, len(want))
			}
		}
	})
}

// TestAQueueMovesNothing counts what is allocated while a queue grows: were it copied to where there is more room, that would be
// twice what it holds. Whoever adds the one for which there is no room would wait for that, and all behind.
func TestAQueueMovesNothing(t *testing.T) {
	const n = 300_000
	var q queue[mark]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range n {
		q.add(int64(i), mark{uint64(i)})
	}
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(n*unsafe.Sizeof(entry[mark]{})*11/10); got > most {
		t.Errorf("%d entries took %d bytes, want at most %d", n, got, most)
	}
	for i := range n {
		if got := q.take(); got != (mark{uint64(i)}) {
			t.Fatalf("got %v, want %d", got, i)
		}
	}
	if got := cap(q.head.all); q.head != q.last || got > longest {
		t.Errorf("of an empty queue is left: one block %v, the first of %d entries", q.head == q.last, got)
	}
}
