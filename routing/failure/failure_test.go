package failure_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

// Whatever may be tried again by its code has a class whose usual rule tries again, and nothing else has.
func TestTheUsualRulesTryAgainWhatMayDoBetterElsewhere(t *testing.T) {
	var usual failure.Rules
	for code := llm.CodeNone; code <= llm.CodeInternal; code++ {
		class, ok := failure.Of(&llm.Error{Code: code})
		if again := ok && usual.On(class) != failure.Stop; again != code.Retryable() {
			t.Errorf("%s is tried again: %v, and may be: %v", code, again, code.Retryable())
		}
	}
	if usual.Waits() || usual.Judges() || usual.Checks() {
		t.Error("the usual rules ask for more than the usual")
	}
}

func TestRulesSayWhatTheyNeed(t *testing.T) {
	for _, c := range []struct {
		name                  string
		class                 failure.Class
		action                failure.Action
		waits, judges, checks bool
	}{
		{"a time-out that ends it", failure.Timeout, failure.Stop, true, false, false},
		{"a connection that ends it", failure.Connect, failure.Stop, true, false, false},
		{"a rule that says the usual", failure.RateLimited, failure.Next, false, false, false},
		{"a rate limit that ends it", failure.RateLimited, failure.Stop, false, true, false},
		{"an empty account at another vendor", failure.OverQuota, failure.Other, false, true, false},
		{"too long, for any", failure.ContextTooLong, failure.Next, false, true, false},
		{"too long, for a bigger one", failure.ContextTooLong, failure.Bigger, false, false, false},
		{"a filter, at another vendor", failure.ContentFiltered, failure.Other, false, true, true},
		{"a refusal", failure.Refusal, failure.Next, false, true, true},
	} {
		var r failure.Rules
		r[c.class] = c.action
		if r.Waits() != c.waits || r.Judges() != c.judges || r.Checks() != c.checks {
			t.Errorf("%s: waits %v, judges %v, checks %v", c.name, r.Waits(), r.Judges(), r.Checks())
		}
		if r.On(c.class) != c.action {
			t.Errorf("%s: %d", c.name, r.On(c.class))
		}
	}
}

// TestRoundsAreWaitedFor between half of the back-off and all of it, which doubles, and never longer than the most.
func TestRoundsAreWaitedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := failure.Rounds{Base: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "base")), Max: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max"))}
		round, seed := rapid.IntRange(0, 17).Draw(t, "round"), rapid.Uint64().Draw(t, "seed")
		want := r.Base
		for range max(round, 2) - 2 {
			want = min(2*want, time.Hour)
		}
		want = min(want, r.Max)
		if r.Base == 0 {
			want = 0
		}
		if got := r.Wait(round, seed); got > want || got < want/2 {
			t.Fatalf("got %v, want %v to %v", got, want/2, want)
		}
	})
}
