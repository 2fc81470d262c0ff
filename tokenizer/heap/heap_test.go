package heap

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbersComeOutInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.SliceOf(rapid.Uint64Range(0, 50)).Draw(t, "begin")
		q, want := Queue(slices.Clone(begin)), slices.Clone(begin)
		q.Init()
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if len(want) == 0 || rapid.Bool().Draw(t, "push") {
				x := rapid.Uint64Range(0, 50).Draw(t, "number")
				q.Push(x)
				want = append(want, x)
				continue
			}
			slices.Sort(want)
			if got := q.Pop(); got != want[0] {
				t.Fatalf("got %d of %v", got, want)
			}
			want = want[1:]
		}
		slices.Sort(want)
		for _, x := range want {
			if got := q.Pop(); got != x {
				t.Fatalf("at the end got %d, want %d", got, x)
			}
		}
		if len(q) != 0 {
			t.Fatalf("%d are left", len(q))
		}
	})
}

func TestAQueueAllocatesNothingOnceItHasGrown(t *testing.T) {
	var q Queue
	if n := testing.AllocsPerRun(50, func() {
		for i := range uint64(100) {
			q.Push(i * 7919 % 101)
		}
		for len(q) > 0 {
			q.Pop()
		}
	}); n != 0 {
		t.Errorf("%.1f allocations", n)
	}
}
