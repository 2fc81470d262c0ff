package redis

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// TestWhatIsReservedStaysAsLongAsAnExchangeRuns: the counter of a window that is over must not go while something of it is
// reserved. It would be missing from the windows to come, and its end would give back what others reserved of them.
func TestWhatIsReservedStaysAsLongAsAnExchangeRuns(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	ready(t, s, "acme")
	const week = 7 * 24 * time.Hour // the longest that an exchange runs
	budgets := []*quota.Budget{}
	for _, w := range []window.Window{
		{Kind: window.Sliding, Length: time.Second}, {Kind: window.Fixed, Length: time.Second}, {Kind: window.Day}, {Kind: window.Gauge},
	} {
		budgets = append(budgets, &quota.Budget{ID: fmt.Sprintf("of_%s", w.Kind), Unit: quota.Tokens, Limit: 10, Window: w})
	}
	lives := func(b *quota.Budget) time.Duration {
		out, err := r.Do("PTTL", key("acme", "b:"+b.ID))
		if err != nil {
			t.Fatal(err)
		}
		ms, err := strconv.ParseInt(out, 10, 64)
		if err != nil {
			t.Fatal(out, err)
		}
		return time.Duration(ms) * time.Millisecond
	}
	for _, b := range budgets {
		if got := ask(s, "acme", "long-"+b.Window.Kind.String(), b, 4); got != "ok" {
			t.Fatal(got)
		}
		if got := ask(s, "acme", "short-"+b.Window.Kind.String(), b, 4); got != "ok" {
			t.Fatal(got)
		}
		settle(t, s, "acme", "short-"+b.Window.Kind.String(), b, 4)
		if got := lives(b); got < week {
			t.Errorf("%s: the counter goes in %s, and something of it is reserved", b.ID, got)
		}
		settle(t, s, "acme", "long-"+b.Window.Kind.String(), b, 4)
		if got := lives(b); got < time.Second || got > 73*time.Hour {
			t.Errorf("%s: nothing is reserved, and the counter goes in %s", b.ID, got)
		}
	}
	// So it is of exchanges that still run when their lease ends.
	var of []quota.Claim
	lease := quota.Draw{ID: "drawn", State: quota.Pending, Hold: time.Minute}
	for _, b := range budgets {
		of = append(of, quota.Claim{Budget: b, Amount: 1})
		lease.Amounts = append(lease.Amounts, 1)
	}
	ctx := context.Background()
	if _, no, err := s.Reserve(ctx, &quota.Request{Organization: "acme", ID: "l:1", Claims: of, Hold: time.Second}); no != nil || err != nil {
		t.Fatal(no, err)
	}
	if _, err := s.Settle(ctx, &quota.Settlement{Organization: "acme", ID: "l:1", Born: time.Now(), Claims: of, Draws: []quota.Draw{lease}}); err != nil {
		t.Fatal(err)
	}
	for _, b := range budgets {
		if got := lives(b); got < week {
			t.Errorf("%s: the counter goes in %s, and an exchange of a lease runs", b.ID, got)
		}
	}
}

// TestADebitAfterAnOutageCountsForItsWholeWindow, though the counter was to go before.
func TestADebitAfterAnOutageCountsForItsWholeWindow(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	ready(t, s, "acme")
	b := &quota.Budget{ID: "hour", Unit: quota.Requests, Limit: 10, Window: window.Window{Kind: window.Sliding, Length: time.Hour}}
	settle(t, s, "acme", "before", b, 1)
	if _, err := r.Do("PEXPIRE", key("acme", "b:hour"), "60000"); err != nil {
		t.Fatal(err)
	}
	settle(t, s, "acme", "admitted-without-redis", b, 1)
	out, err := r.Do("PTTL", key("acme", "b:hour"))
	if ms, _ := strconv.ParseInt(out, 10, 64); err != nil || time.Duration(ms)*time.Millisecond < time.Hour {
		t.Errorf("the counter goes in %s ms, %v", out, err)
	}
}

// TestNamesOfCountersThatAreGoneAreForgotten: of end users there may be any number, and each has counters for a while.
func TestNamesOfCountersThatAreGoneAreForgotten(t *testing.T) {
	r := servers.StartRedis(t)
	s, _ := live(t, Params{URL: "redis://" + r.Addr})
	ready(t, s, "acme")
	ctx := context.Background()
	of := func(id string) *quota.Budget {
		return &quota.Budget{ID: id, Unit: quota.Requests, Limit: 10, Window: window.Window{Kind: window.Sliding, Length: time.Second}}
	}
	names := func() (n int) {
		out, err := r.Do("SCARD", key("acme", "n"))
		if err != nil {
			t.Fatal(err)
		}
		n, _ = strconv.Atoi(out)
		return n
	}
	before := names()
	for i := range 1000 {
		id := fmt.Sprint("user_", i)
		settle(t, s, "acme", id, of(id), 1)
		if _, err := r.Do("DEL", key("acme", "b:"+id)); err != nil { // its time was over
			t.Fatal(err)
		}
	}
	if got := ask(s, "acme", "stays", of("stays"), 1); got != "ok" {
		t.Fatal(got)
	}
	for range 50 {
		if _, err := s.Reap(ctx, "acme", 10); err != nil {
			t.Fatal(err)
		}
	}
	if n := names(); n != before+1 {
		t.Errorf("%d names are kept, of %d counters", n, before+1)
	}
	// A rebuild still knows what is there.
	if err := s.Rebuild(ctx, "acme", nil); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Peek(ctx, "acme", []*quota.Budget{of("stays")}); err != nil || c[0].Known {
		t.Errorf("after a rebuild: %+v, %v", c, err)
	}
}
