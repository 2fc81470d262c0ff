package limits

import (
	"strings"
	"testing"
	"time"
)

// TestLoggedLimitsAreLimits reads each of the headers alone: it says what a limit is, and nothing of what is left.
func TestLoggedLimitsAreLimits(t *testing.T) {
	names := LoggedLimits()
	if len(names) < 8 {
		t.Fatalf("only %d headers", len(names))
	}
	for _, n := range names {
		l := Read(func(yield func(string, string) bool) { yield(n, "1000") }, time.Unix(1e9, 0))
		known := 0
		for _, b := range []Budget{l.Requests, l.Tokens, l.Input, l.Output} {
			if b.Limit.Known && b.Limit.N == 1000 && !b.Remaining.Known {
				known++
			}
		}
		if known != 1 || strings.Contains(n, "remaining") {
			t.Errorf("%s says %+v", n, l)
		}
	}
}
