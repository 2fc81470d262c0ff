package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// calls is a store that counts what it is asked, and can be away.
type calls struct {
	quota.Store
	mu      sync.Mutex
	reserve int
	settle  int
	away    bool
	wait    bool // settlements wait
	hangs   bool // settlements hang until the context ends, and wait then
	waits   []*quota.Settlement
}

func (c *calls) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reserve++
	if c.away {
		return quota.Grant{}, nil, quota.ErrUnavailable
	}
	return c.Store.Reserve(ctx, r)
}

func (c *calls) Settle(ctx context.Context, s *quota.Settlement) (quota.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle++
	if c.hangs {
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
	}
	if c.wait || c.hangs {
		keep := *s
		c.waits = append(c.waits, &keep)
		return quota.Outcome{From: quota.None, To: quota.None, Wait: true}, nil
	}
	return c.Store.Settle(ctx, s)
}

// rig is a store that leases, with a clock.
type rig struct {
	t     *testing.T
	under *calls
	*Store
	now  time.Time
	told map[string]quota.Outcome
	next int
}

func newRig(t *testing.T, p Params) *rig {
	r := &rig{t: t, now: time.Date(2026, 1, 15, 12, 0, 1, 0, time.UTC), told: map[string]quota.Outcome{}}
	clock := func() time.Time { return r.now }
	r.under = &calls{Store: memory.New(memory.Params{Now: clock})}
	p.Store, p.Now = r.under, clock
	p.Settled = func(s *quota.Settlement, out quota.Outcome, err error) {
		if err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
		r.told[s.ID] = out
	}
	r.Store = New(p)
	return r
}

func life(id string, limit int64) *quota.Budget {
	return &quota.Budget{ID: id, Unit: quota.Money, Limit: limit, Window: window.Window{Kind: window.Life}}
}

// ask reserves so much of each budget, once for each id that is returned; it fails where it is refused.
func (r *rig) ask(times int, n int64, budgets ...*quota.Budget) (ids []string) {
	r.t.Helper()
	for range times {
		r.next++
		id := fmt.Sprint("x", r.next)
		if got := r.one(id, n, budgets...); got != "ok" {
			r.t.Fatalf("%s: %s", id, got)
		}
		ids = append(ids, id)
		r.asks.Wait()
	}
	return ids
}

func claims(n int64, budgets ...*quota.Budget) (out []quota.Claim) {
	for _, b := range budgets {
		out = append(out, quota.Claim{Budget: b, Amount: n})
	}
	return out
}

func (r *rig) one(id string, n int64, budgets ...*quota.Budget) string {
	g, no, err := r.Reserve(context.Background(), &quota.Request{Organization: "acme", ID: id, Claims: claims(n, budgets...), Hold: time.Minute})
	switch {
	case err != nil:
		return err.Error()
	case no != nil:
		return fmt.Sprintf("%s: %d left, wait %v", no.Budget.ID, no.Left, no.Wait)
	case g.Again:
		return "again " + string(rune(g.State))
	}
	return "ok"
}

func (r *rig) settle(id string, n int64, budgets ...*quota.Budget) quota.Outcome {
	r.t.Helper()
	out, err := r.Settle(context.Background(), &quota.Settlement{Organization: "acme", ID: id, Born: r.now, Claims: claims(n, budgets...)})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) counter(b *quota.Budget) string {
	c, err := r.Peek(context.Background(), "acme", []*quota.Budget{b})
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("used %d, reserved %d", c[0].Used, c[0].Reserved)
}

func want(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestOwnersThatAskOftenAreLeasedTo(t *testing.T) {
	b := life("b", 1_000_000)
	r := newRig(t, Params{From: 10, Replicas: 4})
	ids := r.ask(10, 7, b)
	want(t, r.under.reserve, 11) // ten by themselves, and a lease
	want(t, r.Held(), 1)
	want(t, r.counter(b), "used 0, reserved 140") // a lease of what the second took
	ids = append(ids, r.ask(4, 7, b)...)
	want(t, r.under.reserve, 11)
	want(t, r.one(ids[12], 7, b), "again P")
	want(t, r.settle(ids[12], 3, b), quota.Outcome{From: quota.None, To: quota.None, Wait: true})
	want(t, r.settle(ids[13], 9, b).Wait, true)
	want(t, r.one(ids[12], 7, b), "again S")
	want(t, r.under.settle, 0)
	r.now = r.now.Add(5 * time.Second)
	r.upkeep(context.Background(), r.of("acme"), false)
	want(t, r.told, map[string]quota.Outcome{
		ids[12]: {From: quota.Pending, To: quota.Settled, Seq: 12}, ids[13]: {From: quota.Pending, To: quota.Settled, Seq: 12, Over: true},
	})
	want(t, r.under.settle, 1)
	want(t, r.counter(b), "used 12, reserved 84") // ten by themselves, and two that ran when the lease ended
	want(t, r.settle(ids[11], 7, b), quota.Outcome{From: quota.Pending, To: quota.Settled, Seq: 13})
	want(t, r.Held(), 0)
}

// A second takes 100 of each budget. That must be no more than an eighth of what is left, for each of two replicas: 1,600
// of it, beside the 90 that are reserved when it is decided.
func TestWhereLittleIsLeftNothingIsLeased(t *testing.T) {
	for limit, leased := range map[int64]int{1_680: 0, 1_700: 1} {
		big, small := life("big", 1_000_000), life("small", limit)
		r := newRig(t, Params{From: 10, Replicas: 2})
		r.ask(10, 10, big, small)
		if r.Held() != leased {
			t.Errorf("of %d, where a second takes 100: %d leases", limit, r.Held())
		}
	}
}

func TestALeaseGivesNothingAfterItsTime(t *testing.T) {
	minute := &quota.Budget{ID: "minute", Unit: quota.Requests, Limit: 1 << 30, Window: window.Window{Kind: window.Fixed, Length: time.Minute}}
	for name, c := range map[string]struct {
		b     *quota.Budget
		begin int // second of the minute
		gives time.Duration
	}{
		"shortly before it expires":      {life("b", 1<<40), 1, 4 * time.Second},
		"when its window ends":           {minute, 58, 2 * time.Second},
		"where its window ends later":    {minute, 10, 4 * time.Second},
		"and a clock that steps back is": {life("b", 1<<40), 1, -time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Params{From: 10})
			r.now = r.now.Truncate(time.Minute).Add(time.Duration(c.begin) * time.Second)
			began := r.now
			r.ask(10, 1, c.b)
			before := r.under.reserve
			if c.gives > 0 {
				r.now = began.Add(c.gives - time.Millisecond)
				r.ask(1, 1, c.b)
				want(t, r.under.reserve, before)
			}
			r.now = began.Add(c.gives)
			r.ask(1, 1, c.b)
			if r.under.reserve == before {
				t.Errorf("it gave after %v", c.gives)
			}
		})
	}
}

// A pace does not take back what it let through, so that what is left of a lease would be lost.
func TestPacesAreNotLeased(t *testing.T) {
	pace := &quota.Budget{ID: "pace", Unit: quota.Requests, Limit: 1 << 30, Window: window.Window{Kind: window.Pace, Length: time.Minute, Burst: 1 << 20}}
	r := newRig(t, Params{From: 5})
	r.ask(20, 1, life("b", 1<<40), pace)
	want(t, r.under.reserve, 20)
}

// What this process leased and did not use does not keep its own requests out.
func TestALeaseThatIsInTheWayIsGivenBack(t *testing.T) {
	b, other := life("b", 2_000), life("other", 1<<40)
	r := newRig(t, Params{From: 10})
	r.ask(10, 10, b)
	want(t, r.counter(b), "used 0, reserved 200")
	want(t, r.one("large", 1_850, b, other), "ok")
	want(t, r.Held(), 0)
	want(t, r.counter(b), "used 0, reserved 1950")
	want(t, r.one("larger", 51, b, other), "b: 50 left, wait 0s")
}

// So it is of a lease that was taken under the configuration before this one, whose budgets are others in memory.
func TestALeaseOfTheConfigurationBeforeIsGivenBack(t *testing.T) {
	r := newRig(t, Params{From: 10})
	r.ask(10, 10, life("b", 2_000))
	want(t, r.Held(), 1)
	want(t, r.one("large", 1_850, life("b", 2_000)), "ok")
	want(t, r.Held(), 0)
}

// A request waits for a lease to be given back no longer than for anything else of a store that hangs.
func TestALeaseThatCannotBeGivenBackKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, other := life("b", 2_000), life("other", 1<<40)
		r := newRig(t, Params{From: 10, Timeout: 50 * time.Millisecond})
		r.ask(10, 10, b)
		r.under.hangs = true
		began := time.Now()
		want(t, r.one("large", 1_850, b, other), "b: 1800 left, wait 0s")
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("it waited for %v", took)
		}
		want(t, len(r.under.waits), 1)
	})
}

func TestARefusalIsBelievedForASecondOrUntilSomethingIsGivenBack(t *testing.T) {
	day := &quota.Budget{ID: "day", Unit: quota.Money, Limit: 100, Window: window.Window{Kind: window.Day}}
	r := newRig(t, Params{From: 1000})
	ids := r.ask(9, 10, day)
	asked := func(id string, n int64) (string, int) {
		before := r.under.reserve
		got := r.one(id, n, day)
		return got, r.under.reserve - before
	}
	for i, c := range []struct {
		n     int64
		after time.Duration
		want  string
		calls int
	}{
		{20, 0, "day: 10 left, wait 11h59m59s", 1},
		{20, 0, "day: 10 left, wait 11h59m59s", 0},
		{11, 500 * time.Millisecond, "day: 10 left, wait 11h59m58.5s", 0},
		{11, 500 * time.Millisecond, "day: 10 left, wait 11h59m58s", 1},
		{5, 0, "ok", 1}, // less than was left
	} {
		r.now = r.now.Add(c.after)
		got, n := asked(fmt.Sprint("r", i), c.n)
		if got != c.want || n != c.calls {
			t.Errorf("call %d: got %s by %d calls, want %s by %d", i, got, n, c.want, c.calls)
		}
	}
	r.settle(ids[0], 0, day)
	if got, n := asked("after", 11); got != "ok" || n != 1 {
		t.Errorf("after something was given back: %s by %d calls", got, n)
	}
}

// While the store is away what is leased can be used up; the ends wait, and are told when it is back.
func TestWhileTheStoreIsAwayALeaseIsUsedUp(t *testing.T) {
	b := life("b", 1_000_000)
	r := newRig(t, Params{From: 10})
	r.ask(10, 7, b)
	r.under.away, r.under.wait = true, true
	ids := r.ask(5, 7, b)
	r.settle(ids[0], 3, b)
	r.ask(5, 7, b)
	if got := r.one("more", 70, b); got != quota.ErrUnavailable.Error() {
		t.Errorf("got %s", got)
	}
	r.now = r.now.Add(4 * time.Second)
	r.upkeep(context.Background(), r.of("acme"), false)
	want(t, len(r.told), 0)
	want(t, r.settle(ids[1], 4, b).Wait, true) // it ended after the store was to be told that it runs
	r.under.away, r.under.wait = false, false
	for _, s := range r.under.waits {
		out, err := r.under.Settle(context.Background(), s)
		r.Settled(s, out, err)
	}
	want(t, r.told[ids[0]].To, quota.Settled)
	want(t, r.told[ids[1]].To, quota.Settled)
	want(t, r.counter(b), "used 7, reserved 126") // 10 by themselves and 8 that run
	want(t, r.Held(), 0)
}

// A store that does not answer a lease is asked by exchanges one by one, and not for leases again at once.
func TestALeaseThatIsNotGrantedHoldsNobodyUp(t *testing.T) {
	b := life("b", 1_000_000)
	r := newRig(t, Params{From: 10, Journal: fullDisk{}})
	r.ask(20, 7, b)
	want(t, r.under.reserve, 21)
	want(t, r.under.settle, 1) // the lease that could not be noted
	want(t, r.counter(b), "used 0, reserved 140")
	want(t, r.Held(), 0)
}

type fullDisk struct{}

func (fullDisk) Leased(*quota.Request, quota.Lapse) error { return errors.New("no space is left") }
func (fullDisk) Settled(string, string) error             { return nil }

// An end that is told to another process meanwhile counts there, and once.
func TestAnEndThatIsToldElsewhereCountsOnce(t *testing.T) {
	b := life("b", 1_000_000)
	r := newRig(t, Params{From: 10})
	r.ask(10, 7, b)
	ids := r.ask(2, 7, b)
	elsewhere := func(id string, n int64) {
		if _, err := r.under.Settle(context.Background(), &quota.Settlement{Organization: "acme", ID: id, Born: r.now, Claims: claims(n, b)}); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere(ids[0], 3)
	elsewhere(ids[1], 4)
	r.settle(ids[1], 4, b)
	r.Close(context.Background())
	want(t, r.counter(b), "used 7, reserved 70")
	want(t, r.told[ids[1]].From, quota.Settled)
}

// While the store is away, requests are refused by the thousand, under ids that never come again: they do not stay.
func TestWhatTheStoreCouldNotSayIsNotKeptForLong(t *testing.T) {
	r := newRig(t, Params{From: 1_000_000})
	r.under.away = true
	o := r.of("acme")
	for i := range 200_000 {
		if i%20 == 0 {
			r.upkeep(context.Background(), o, false)
		}
		if got := r.one(fmt.Sprint("refused", i), 1, life("a", 100)); got != quota.ErrUnavailable.Error() {
			t.Fatal(got)
		}
		r.now = r.now.Add(5 * time.Millisecond)
	}
	if n := len(o.alone); n > 5*many {
		t.Errorf("%d of 200000 are kept", n)
	}
}
