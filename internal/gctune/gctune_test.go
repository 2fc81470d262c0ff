package gctune

import "testing"

func TestPercentFollowsWhatLivesAndHowFastIsAllocated(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		what       string
		live, rate uint64
		want       int
	}{
		{"a process that does nothing keeps little garbage", 4 * mb, 0, 400},
		{"one that lives on nothing is not let grow without bound", 0, 1000 * mb, 2000},
		{"a busy one collects about once in each pause", 20 * mb, 80 * mb, 600},
		{"garbage is bounded", 20 * mb, 1000 * mb, 800},
		{"one that lives on much may have as much garbage", 400 * mb, 1000 * mb, 100},
		{"and never less than that", 400 * mb, 0, 100},
	} {
		if got := percent(c.live, c.rate); got != c.want {
			t.Errorf("%s: %d%%, not %d%%", c.what, got, c.want)
		}
	}
	if !near(100, 125) || near(100, 126) || near(400, 100) {
		t.Error("a change by more than a quarter is one")
	}
}
