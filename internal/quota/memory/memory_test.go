package memory

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/testkit/heap"
)

// subject makes a store with a clock of its own.
func subject(testing.TB) quotatest.Subject {
	var now atomic.Int64
	s := New(Params{Keep: quotatest.Keep, KeepExpired: quotatest.KeepExpired, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	return quotatest.Subject{Store: s, Organization: "acme", Clock: func(at time.Time) { now.Store(at.UnixMilli()) }}
}

func TestContract(t *testing.T) { quotatest.Run(t, subject) }

func TestHistories(t *testing.T) { quotatest.Histories(t, subject) }

func TestCrowd(t *testing.T) { quotatest.Crowd(t, subject(t), 16, 200) }

// Counters of end users come and go; what they used in a window that lasts stays.
func TestCountersOfPastWindowsAreDropped(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	s := New(Params{Now: func() time.Time { return now }})
	windows := []window.Window{
		{Kind: window.Sliding, Length: time.Minute}, {Kind: window.Day}, {Kind: window.Gauge},
		{Kind: window.Pace, Length: time.Minute, Burst: 5}, {Kind: window.Life},
	}
	for i := range 4000 {
		var claims []quota.Claim
		for k, w := range windows {
			claims = append(claims, quota.Claim{Budget: &quota.Budget{ID: fmt.Sprintf("b%d_%d", k, i), Unit: quota.Requests, Limit: 10, Window: w}, Amount: 1})
		}
		id := fmt.Sprint("x", i)
		if _, no, err := s.Reserve(ctx, &quota.Request{Organization: "acme", ID: id, Claims: claims, Hold: time.Minute}); no != nil || err != nil {
			t.Fatal(no, err)
		}
		if _, err := s.Settle(ctx, &quota.Settlement{Organization: "acme", ID: id, Born: now, Claims: claims}); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (n map[byte]int) {
		n = map[byte]int{}
		for _, c := range s.of("acme").counters {
			n[c.kind]++
		}
		return n
	}
	now = now.Add(3 * time.Minute)
	for range 2000 {
		if _, err := s.Reap(ctx, "acme", 1000); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(); n['C'] != 4000 || n['L'] != 4000 || n['S']+n['G']+n['P'] > many-8000+2000 {
		t.Errorf("got %v", n)
	}
}

// Of a counter that a ledger put back nobody knows how long its window is before its budget is asked for.
func TestCountersThatWerePutBackStayUntilTheyAreAsked(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	s := New(Params{Now: func() time.Time { return now }})
	var balances []quota.Balance
	for i := range many {
		balances = append(balances,
			quota.Balance{Budget: fmt.Sprint("month", i), Kind: 'C', Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), Used: 7},
			quota.Balance{Budget: fmt.Sprint("fixed", i), Kind: 'F', Start: now.Truncate(time.Hour).UnixMilli(), Used: 7})
	}
	if err := s.Rebuild(ctx, "acme", balances); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if _, err := s.Reap(ctx, "acme", 1000); err != nil {
			t.Fatal(err)
		}
	}
	month, hour := window.Window{Kind: window.Month}, window.Window{Kind: window.Fixed, Length: time.Hour}
	for i := range many {
		claims := []quota.Claim{
			{Budget: &quota.Budget{ID: fmt.Sprint("month", i), Unit: quota.Requests, Limit: 10, Window: month}},
			{Budget: &quota.Budget{ID: fmt.Sprint("fixed", i), Unit: quota.Requests, Limit: 10, Window: hour}},
		}
		g, no, err := s.Reserve(ctx, &quota.Request{Organization: "acme", ID: fmt.Sprint("x", i), Claims: claims, Hold: time.Minute})
		if no != nil || err != nil {
			t.Fatal(no, err)
		}
		if g.Levels[0].Used != 7 || g.Levels[1].Used != 7 {
			t.Fatalf("owner %d: got %+v, and the ledger has 7 of both", i, g.Levels)
		}
	}
}

// Counters are found by the addresses of budgets. Whatever other budget stands at the same place there, and however many
// versions of the configuration know a budget, it is its own counter.
func TestABudgetHasOneCounterHoweverItIsFound(t *testing.T) {
	ctx := context.Background()
	s := New(Params{})
	const n = 30_000
	var all []*quota.Budget
	for i := range n {
		all = append(all, &quota.Budget{ID: fmt.Sprint("b", i), Unit: quota.Requests, Limit: 1000, Window: window.Window{Kind: window.Life}})
	}
	for round := range 3 {
		for i, b := range all {
			if round == 1 {
				other := *b
				b = &other
			}
			r := &quota.Request{Organization: "acme", ID: fmt.Sprintf("x%d-%d", round, i), Claims: []quota.Claim{{Budget: b, Amount: int64(1 + i%7)}}, Hold: time.Minute}
			if _, no, err := s.Reserve(ctx, r); no != nil || err != nil {
				t.Fatal(no, err)
			}
		}
	}
	counters, err := s.Peek(ctx, "acme", all)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range counters {
		if c.Reserved != 3*int64(1+i%7) {
			t.Fatalf("budget %d has %+v", i, c)
		}
	}
	twin := *all[0]
	r := &quota.Request{Organization: "acme", ID: "twice", Claims: []quota.Claim{{Budget: all[0], Amount: 1}, {Budget: &twin, Amount: 1}}, Hold: time.Minute}
	if _, _, err := s.Reserve(ctx, r); !errors.Is(err, quota.ErrMisuse) {
		t.Errorf("two claims of one budget: got %v", err)
	}
}

// What ended is remembered in a few bytes, and a rush of it leaves nothing behind.
func TestWhatEndedTakesLittleMemory(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := New(Params{Now: func() time.Time { return now }})
	b := &quota.Budget{ID: "b", Unit: quota.Requests, Limit: quota.Max, Window: window.Window{Kind: window.Life}}
	before := heap.Bytes()
	const n = 50_000
	for i := range n {
		id := "0123456789abcdefghi" + strconv.Itoa(10_000+i)
		claims := []quota.Claim{{Budget: b, Amount: 1}}
		if _, no, err := s.Reserve(t.Context(), &quota.Request{Organization: "acme", ID: id, Claims: claims, Hold: time.Minute}); no != nil || err != nil {
			t.Fatal(no, err)
		}
		if out, err := s.Settle(t.Context(), &quota.Settlement{Organization: "acme", ID: id, Born: now, Claims: claims, Void: i%2 == 0}); err != nil || !out.Changed() {
			t.Fatal(out, err)
		}
	}
	each := (heap.Bytes() - before) / n
	if t.Logf("%d bytes each", each); each > 140 {
		t.Errorf("what ended takes %d bytes", each)
	}
	now = now.Add(time.Hour)
	if _, err := s.Reap(t.Context(), "acme", 10); err != nil {
		t.Fatal(err)
	}
	if left := heap.Bytes() - before; left > 1<<20 {
		t.Errorf("%d bytes are left when all is forgotten", left)
	}
	runtime.KeepAlive(s)
}

// Where more budgets are in use than are kept made, or limits change, a budget is asked for as one object after the other.
func TestABudgetThatWasMadeAnewIsNotHeldOnTo(t *testing.T) {
	s := New(Params{})
	of := func(id string) *quota.Budget {
		return &quota.Budget{ID: id, Unit: quota.Requests, Limit: 1000, Window: window.Window{Kind: window.Life}}
	}
	other := of("other")
	for i := range 500 {
		claims := []quota.Claim{{Budget: of("one"), Amount: 1}, {Budget: other, Amount: 1}}
		g, no, err := s.Reserve(t.Context(), &quota.Request{Organization: "acme", ID: fmt.Sprint("x", i), Claims: claims, Hold: time.Minute})
		if no != nil || err != nil {
			t.Fatal(no, err)
		}
		if g.Levels[0].Used != int64(i+1) {
			t.Fatalf("%d are used after %d", g.Levels[0].Used, i+1)
		}
	}
	held := map[string]int{}
	for _, p := range s.of("acme").near {
		for _, f := range p {
			if f.budget != nil {
				held[f.budget.ID]++
			}
		}
	}
	if len(held) != 2 || held["one"] != 1 || held["other"] != 1 {
		t.Errorf("held: %v", held)
	}
}

// However many end users come, who each have a counter for a moment, no more counters are kept than there were lately.
func TestCountersThatArePastGoAsFastAsTheyCome(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := New(Params{Now: func() time.Time { return now }})
	const rounds, each = 200, 2_000 // of two seconds
	for round := range rounds {
		for i := range each {
			id := fmt.Sprint("user_", round, "_", i)
			b := &quota.Budget{ID: id, Unit: quota.Requests, Limit: 10, Window: window.Window{Kind: window.Sliding, Length: time.Second}}
			if _, err := s.Settle(t.Context(), &quota.Settlement{Organization: "acme", ID: id, Born: now, Claims: []quota.Claim{{Budget: b, Amount: 1}}}); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(2 * time.Second)
		if _, err := s.Reap(t.Context(), "acme", 10); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.of("acme").counters); n > rounds*each/2 {
		t.Errorf("%d of %d counters are kept", n, rounds*each)
	}
}
