package reconcile

import (
	"iter"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// counted yields some budgets that are compared, with the limits 0, 1 and so on, and others between them.
func counted(n int) iter.Seq[Owned] {
	minute := &quota.Budget{Window: window.Window{Kind: window.Sliding, Length: time.Minute}}
	gauge := &quota.Budget{Window: window.Window{Kind: window.Gauge}}
	pace := &quota.Budget{Window: window.Window{Kind: window.Pace, Length: time.Hour, Burst: 1}}
	kinds := []window.Window{{Kind: window.Day}, {Kind: window.Life}, {Kind: window.Fixed, Length: shortest}}
	return func(yield func(Owned) bool) {
		for i := range n {
			for _, b := range []*quota.Budget{minute, gauge, pace, {Limit: int64(i), Window: kinds[i%len(kinds)]}} {
				if !yield(Owned{Budget: b}) {
					return
				}
			}
		}
	}
}

func TestRoundsGoOnBehindEachOther(t *testing.T) {
	r := New(Params{})
	for i, c := range []struct {
		n     int
		spans [][2]int64 // of limits that are chosen
	}{
		{3, [][2]int64{{0, 3}}},
		{most, [][2]int64{{0, most}}},
		{most + 7, [][2]int64{{0, most}}},
		{most + 7, [][2]int64{{most, most + 7}, {0, most - 7}}},
		{2*most + 9, [][2]int64{{most - 7, 2*most - 7}}},
		{2*most + 9, [][2]int64{{2*most - 7, 2*most + 9}, {0, most - 16}}},
		{3 * most, [][2]int64{{most - 16, 2*most - 16}}},
		{most + 1, [][2]int64{{0, most}}}, // there are fewer than where the next round was to begin
		{most + 1, [][2]int64{{most, most + 1}, {0, most - 1}}},
		{5, [][2]int64{{0, 5}}},
		{most + 1, [][2]int64{{0, most}}},
		{0, nil},
	} {
		var want []int64
		for _, s := range c.spans {
			for k := s[0]; k < s[1]; k++ {
				want = append(want, k)
			}
		}
		got := r.choose(counted(c.n))
		if len(got) != len(want) {
			t.Fatalf("round %d of %d has %d budgets, want %d", i, c.n, len(got), len(want))
		}
		for k := range got {
			if got[k].Budget.Limit != want[k] {
				t.Fatalf("round %d of %d has at place %d the budget %d, want %d", i, c.n, k, got[k].Budget.Limit, want[k])
			}
		}
	}
}
