package gctune

import (
	"runtime/debug"
	"testing"
)

func TestPercentFollowsWhatLivesAndHowFastIsAllocated(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		what                string
		live, scanned, rate uint64
		want                int
	}{
		{"a process that does nothing keeps little garbage", 4 * mb, 4 * mb, 0, 400},
		{"one that lives on nothing is not let grow without bound", 0, 0, 1000 * mb, 2000},
		{"a busy one collects about once in each pause", 20 * mb, 10 * mb, 80 * mb, 600},
		{"garbage is bounded", 20 * mb, 10 * mb, 1000 * mb, 800},
		{"one with much to look through may have as much garbage", 400 * mb, 400 * mb, 1000 * mb, 100},
		{"and never less than that", 400 * mb, 400 * mb, 0, 100},
		{"garbage that is not collected yet is not counted", 400 * mb, 500 * mb, 0, 100},
		{"of what is not looked through there may be much", 400 * mb, 40 * mb, 10 * mb, 10},
		{"and that asks for no garbage, but collections do not follow each other", 1000 * mb, 4 * mb, 0, 5},
	} {
		if got := percent(c.live, c.scanned, c.rate); got != c.want {
			t.Errorf("%s: %d%%, not %d%%", c.what, got, c.want)
		}
	}
	if !near(100, 125) || near(100, 126) || near(400, 100) {
		t.Error("a change by more than a quarter is one")
	}
}

func TestMemoryIsGivenBackBehindARush(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		what        string
		looks       int
		since, free uint64
		want        bool
	}{
		{"behind a rush", 3, 200 * mb, 30 * mb, true},
		{"in the middle of one, or right behind it", 2, 200 * mb, 30 * mb, false},
		{"where there was none", 3, 20 * mb, 30 * mb, false},
		{"where there is nothing to give", 3, 200 * mb, 5 * mb, false},
	} {
		if over(c.looks, c.since, c.free) != c.want {
			t.Errorf("%s: it is %v", c.what, !c.want)
		}
	}
}

func TestStartLeavesWhatTheEnvironmentSays(t *testing.T) {
	was := debug.SetGCPercent(70)
	defer debug.SetGCPercent(was)
	t.Setenv("GOGC", "70")
	if Start(); debug.SetGCPercent(70) != 70 {
		t.Error("GOGC is set in the environment, and was changed")
	}
	t.Setenv("GOGC", "")
	if Start(); debug.SetGCPercent(70) != start {
		t.Error("a start goes by what is usual")
	}
}
