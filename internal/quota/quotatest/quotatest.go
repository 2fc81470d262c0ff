// Package quotatest is what every quota store must pass: sentences about single cases, random histories beside a
// reference model, and many callers at once. Two stores that pass are equal to the last digit of every counter.
//
// It tests no store by itself; the stores' own tests call Run, Histories and Crowd.
package quotatest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// Subject is a store under test with one organization that nobody else uses.
type Subject struct {
	Store        quota.Store
	Organization string
	Clock        func(time.Time) // sets the store's clock
	leased       *leased         // nil: it does not lease
}

// Keep and KeepExpired are what a subject's store must be made with.
const (
	Keep        = 100 * time.Second
	KeepExpired = 300 * time.Second
)

// hold is the time that reservations of the tests live.
const hold = 60 * time.Second

// start is when the tests' clocks begin: 40 seconds into a minute, on a Thursday.
func start() time.Time { return time.Date(2026, 1, 15, 12, 0, 40, 0, time.UTC) }

// budgets of every kind. Their limits are small, so that histories meet them.
func budgets() map[string]*quota.Budget {
	out := map[string]*quota.Budget{}
	for _, b := range []*quota.Budget{
		{ID: "fixed", Unit: quota.Requests, Limit: 10, Window: window.Window{Kind: window.Fixed, Length: time.Minute}},
		{ID: "sliding", Unit: quota.Tokens, Limit: 100, Window: window.Window{Kind: window.Sliding, Length: time.Minute}},
		{ID: "day", Unit: quota.Money, Limit: 50, Window: window.Window{Kind: window.Day}},
		{ID: "month", Unit: quota.Money, Limit: 200, Window: window.Window{Kind: window.Month}},
		{ID: "life", Unit: quota.Money, Limit: 300, Window: window.Window{Kind: window.Life}},
		{ID: "gauge", Unit: quota.Parallel, Limit: 3, Window: window.Window{Kind: window.Gauge}},
		{ID: "pace", Unit: quota.Requests, Limit: 60, Window: window.Window{Kind: window.Pace, Length: time.Minute, Burst: 5}},
		{ID: "shadow", Unit: quota.TokensOut, Limit: 5, Shadow: true, Window: window.Window{Kind: window.Fixed, Length: time.Minute}},
		{ID: "shadow_pace", Unit: quota.Requests, Limit: 60, Shadow: true, Window: window.Window{Kind: window.Pace, Length: time.Minute, Burst: 2}},
		{ID: "large", Unit: quota.Money, Limit: quota.Max, Window: window.Window{Kind: window.Life}},
	} {
		out[b.ID] = b
	}
	return out
}

// bench is a subject with the words of the tests' sentences.
type bench struct {
	t testing.TB
	Subject
	now     time.Time
	budgets map[string]*quota.Budget
	claims  map[string][]quota.Claim // by id, as last reserved
}

func newBench(t testing.TB, s Subject) *bench {
	b := &bench{t: t, Subject: s, now: start(), budgets: budgets(), claims: map[string][]quota.Claim{}}
	s.Clock(b.now)
	return b
}

// step moves the clock.
func (b *bench) step(d time.Duration) {
	b.now = b.now.Add(d)
	b.Clock(b.now)
}

// list reads claims as "fixed 3, day 5".
func (b *bench) list(s string) (out []quota.Claim) {
	b.t.Helper()
	for one := range strings.SplitSeq(s, ",") {
		var id string
		var n int64
		if _, err := fmt.Sscanf(strings.TrimSpace(one), "%s %d", &id, &n); err != nil || b.budgets[id] == nil {
			b.t.Fatalf("no claim: %q", one)
		}
		out = append(out, quota.Claim{Budget: b.budgets[id], Amount: n})
	}
	return out
}

// reserve asks for claims and describes the answer: "ok", "again P", "fixed: 7 left, 20s", or the error.
func (b *bench) reserve(id, claims string) string { return b.ask(id, claims, false) }

func (b *bench) ask(id, claims string, force bool) string {
	b.t.Helper()
	r := &quota.Request{Organization: b.Organization, ID: id, Claims: b.list(claims), Hold: hold, Force: force}
	g, refusal, err := b.Store.Reserve(context.Background(), r)
	switch {
	case err != nil:
		return word(err)
	case refusal != nil:
		return fmt.Sprintf("%s: %d left, %v", refusal.Budget.ID, refusal.Left, refusal.Wait)
	case g.Again:
		return "again " + string(rune(g.State))
	}
	b.claims[id] = r.Claims
	return "ok"
}

// settle ends a reservation with what was used, or by "void", and describes the outcome as "P to S".
func (b *bench) settle(id, used string) string {
	b.t.Helper()
	s := &quota.Settlement{Organization: b.Organization, ID: id, Born: b.now, Claims: b.claims[id]}
	if s.Void = used == "void"; !s.Void {
		s.Claims = b.list(used)
	}
	o, err := b.Store.Settle(context.Background(), s)
	if err != nil {
		return word(err)
	}
	if o.Wait && b.leased != nil {
		o = b.leased.outcome(id)
	}
	return outcome(o)
}

func outcome(o quota.Outcome) string {
	s := fmt.Sprintf("%c to %c", o.From, o.To)
	if o.Over {
		s += ", over"
	}
	if o.Old {
		s += ", old"
	}
	return s
}

// word is the sentinel of an error.
func word(err error) string {
	for name, is := range map[string]error{"unavailable": quota.ErrUnavailable, "unknown": quota.ErrUnknown, "behind": quota.ErrBehind, "misuse": quota.ErrMisuse} {
		if errors.Is(err, is) {
			return name
		}
	}
	return err.Error()
}

// reap describes what expired: "a, b" or "".
func (b *bench) reap() string {
	b.t.Helper()
	all, err := b.Store.Reap(context.Background(), b.Organization, 1000)
	if err != nil {
		return word(err)
	}
	var ids []string
	for _, l := range all {
		ids = append(ids, l.ID)
	}
	return strings.Join(ids, ", ")
}

// peek describes a counter: "used 3, reserved 2" and what else is not zero.
func (b *bench) peek(id string) string {
	b.t.Helper()
	all, err := b.Store.Peek(context.Background(), b.Organization, []*quota.Budget{b.budgets[id]})
	if err != nil {
		return word(err)
	}
	c := all[0]
	var s strings.Builder
	fmt.Fprintf(&s, "used %d, reserved %d", c.Used, c.Reserved)
	for _, more := range []struct {
		name string
		n    int64
	}{{"before", c.Previous}, {"late", c.Late}, {"over", c.Over}} {
		if more.n != 0 {
			fmt.Fprintf(&s, ", %s %d", more.name, more.n)
		}
	}
	return s.String()
}

// want compares.
func (b *bench) want(got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("got %q, want %q", got, want)
	}
}
