package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// flaky is a store that can be away, forget, or lose its answers.
type flaky struct {
	*memory.Store
	mu    sync.Mutex
	away  bool
	lossy bool // calls arrive and answers do not
	epoch string
	known string // the epoch that a caller has taken up
	calls int
	then  func() // called once, between a reservation and its answer
	first func() // called once, before a settlement is looked at
}

func (f *flaky) state() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.away {
		return fmt.Errorf("%w: test", quota.ErrUnavailable)
	}
	return nil
}

func (f *flaky) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if err := f.state(); err != nil {
		return quota.Grant{}, nil, err
	}
	if err := ctx.Err(); err != nil {
		return quota.Grant{}, nil, fmt.Errorf("%w: %w", quota.ErrUnavailable, err)
	}
	if f.known != f.epoch {
		return quota.Grant{}, nil, quota.ErrUnknown
	}
	g, no, err := f.Store.Reserve(ctx, r)
	if then := f.then; then != nil {
		f.then = nil
		then()
	}
	if f.lossy {
		return quota.Grant{}, nil, quota.ErrUnavailable
	}
	return g, no, err
}

func (f *flaky) Settle(ctx context.Context, s *quota.Settlement) (quota.Outcome, error) {
	if err := f.state(); err != nil {
		return quota.Outcome{}, err
	}
	f.mu.Lock()
	first := f.first
	f.first = nil
	f.mu.Unlock()
	if first != nil {
		first()
	}
	return f.Store.Settle(ctx, s)
}

func (f *flaky) Epoch(context.Context, string) (string, error) {
	if err := f.state(); err != nil {
		return "", err
	}
	if f.epoch == "" {
		return "", quota.ErrUnknown
	}
	f.known = f.epoch
	return f.epoch, nil
}

// rig is a guard before a flaky store, with a clock of its own.
type rig struct {
	*testing.T
	*Guard
	store   *flaky
	now     time.Time
	budgets map[string]*quota.Budget
	alarms  []string
	settled []string
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), budgets: map[string]*quota.Budget{}}
	clock := func() time.Time { return r.now }
	r.store = &flaky{Store: memory.New(memory.Params{Now: clock}), epoch: "t:1", known: "t:1"}
	r.Guard = New(Params{
		Store: r.store, Local: memory.New(memory.Params{Now: clock}), Replicas: 4, Debts: 8, Now: clock,
		Alarm: func(_, what string) { r.alarms = append(r.alarms, what) },
		Settled: func(s *quota.Settlement, o quota.Outcome, err error) {
			r.settled = append(r.settled, fmt.Sprintf("%s %c to %c %v", s.ID, o.From, o.To, err))
		},
	})
	day, minute := window.Window{Kind: window.Day}, window.Window{Kind: window.Sliding, Length: time.Minute}
	for _, b := range []*quota.Budget{
		{ID: "money", Unit: quota.Money, Limit: 100, Window: day},
		{ID: "soft", Unit: quota.Money, Limit: 100, Window: day, Soft: true},
		{ID: "rate", Unit: quota.Requests, Limit: 40, Window: minute},
		{ID: "free", Unit: quota.Tokens, Limit: 1, Window: minute, Away: quota.Allow},
		{ID: "closed", Unit: quota.Tokens, Limit: 1000, Window: minute, Away: quota.Deny},
		{ID: "dark", Unit: quota.Money, Limit: 1, Window: day, Shadow: true},
		{ID: "gauge", Unit: quota.Parallel, Limit: 2, Window: window.Window{Kind: window.Gauge}},
		{ID: "pace", Unit: quota.Requests, Limit: 60, Window: window.Window{Kind: window.Pace, Length: time.Minute, Burst: 8}},
	} {
		r.budgets[b.ID] = b
	}
	return r
}

func (r *rig) list(s string) (out []quota.Claim) {
	for one := range strings.SplitSeq(s, ",") {
		var id string
		var n int64
		if _, err := fmt.Sscanf(strings.TrimSpace(one), "%s %d", &id, &n); err != nil {
			r.Fatal(one, err)
		}
		out = append(out, quota.Claim{Budget: r.budgets[id], Amount: n})
	}
	return out
}

func (r *rig) reserve(id, claims string) string {
	g, no, err := r.Reserve(context.Background(), &quota.Request{Organization: "acme", ID: id, Claims: r.list(claims), Hold: time.Minute})
	switch {
	case errors.Is(err, quota.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, quota.ErrUnknown):
		return "unknown"
	case err != nil:
		return err.Error()
	case no != nil:
		return fmt.Sprintf("%s: %d left", no.Budget.ID, no.Left)
	case g.Again:
		return "again " + string(rune(g.State))
	case g.Away:
		return "ok, away"
	}
	return "ok"
}

func (r *rig) settle(id, used string) string {
	s := &quota.Settlement{Organization: "acme", ID: id, Born: r.now, Claims: r.list(strings.TrimPrefix(used, "void ")), Void: strings.HasPrefix(used, "void ")}
	o, err := r.Settle(context.Background(), s)
	switch {
	case err != nil:
		return err.Error()
	case o.Wait:
		return "waits"
	}
	return fmt.Sprintf("%c to %c", o.From, o.To)
}

func (r *rig) peek(id string) string {
	c, err := r.store.Store.Peek(context.Background(), "acme", []*quota.Budget{r.budgets[id]})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("used %d, reserved %d", c[0].Used, c[0].Reserved)
}

func (r *rig) want(got, want string) {
	r.Helper()
	if got != want {
		r.Errorf("got %q, want %q", got, want)
	}
}

// pass lets time go by, with the guard's upkeep.
func (r *rig) pass(d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(min(retry, end.Sub(r.now)))
		r.Upkeep(context.Background(), true)
	}
}

// goAway makes the store be away, and opens the breaker.
func (r *rig) goAway() {
	r.store.away = true
	for range failures {
		if got := r.reserve("probe", "closed 1"); got != "unavailable" {
			r.Fatal(got)
		}
	}
}

// While the store is there, a guard is the store.
func TestContract(t *testing.T) {
	quotatest.Run(t, func(testing.TB) quotatest.Subject {
		var mu sync.Mutex
		var now time.Time
		clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		inner := memory.New(memory.Params{Keep: quotatest.Keep, KeepExpired: quotatest.KeepExpired, Now: clock})
		g := New(Params{Store: inner, Local: memory.New(memory.Params{Now: clock}), Now: clock})
		return quotatest.Subject{Store: rebuildable{g, inner}, Organization: "acme", Clock: func(at time.Time) { mu.Lock(); defer mu.Unlock(); now = at }}
	})
}

type rebuildable struct {
	*Guard
	quota.Rebuilder
}

func TestWhileTheStoreIsAway(t *testing.T) {
	r := newRig(t)
	r.want(r.reserve("before", "soft 40, money 10"), "ok")
	r.goAway()
	r.want(r.reserve("a", "money 1"), "unavailable")
	r.want(r.reserve("a", "rate 1, closed 1"), "unavailable")
	r.want(r.reserve("a", "free 50, dark 50"), "ok, away")
	r.want(r.reserve("b", "rate 10"), "ok, away")
	r.want(r.reserve("c", "rate 1"), "rate: 0 left")
	r.want(r.reserve("d", "soft 16"), "soft: 15 left") // a quarter of the 60 that were left
	r.want(r.reserve("d", "soft 15"), "ok, away")
	r.want(r.reserve("e", "gauge 1"), "ok, away") // not less than one
	r.want(r.reserve("f", "gauge 1"), "gauge: 0 left")
	r.want(r.reserve("g", "pace 2"), "ok, away")
	r.want(r.reserve("h", "pace 1"), "pace: 0 left")
	r.want(r.settle("b", "rate 3"), "waits")
	r.want(r.reserve("i", "rate 7"), "ok, away")
	if len(r.alarms) != 1 {
		t.Errorf("got alarms %q", r.alarms)
	}
}

func TestAnOpenBreakerKeepsCallsFromTheStore(t *testing.T) {
	r := newRig(t)
	r.goAway()
	calls := r.store.calls
	for range 100 {
		r.want(r.reserve("a", "closed 1"), "unavailable")
	}
	if r.store.calls != calls {
		t.Errorf("%d calls went to a store that is away", r.store.calls-calls)
	}
	r.now = r.now.Add(retry)
	r.want(r.reserve("a", "closed 1"), "unavailable")
	if r.store.calls != calls+1 {
		t.Errorf("%d calls tried again", r.store.calls-calls)
	}
	r.store.away = false
	r.now = r.now.Add(retry)
	r.want(r.reserve("a", "closed 1"), "ok")
	r.want(r.reserve("b", "closed 1"), "ok")
}

func TestWhatWasAdmittedWithoutTheStoreIsPutInWhenItIsBack(t *testing.T) {
	r := newRig(t)
	r.want(r.reserve("before", "rate 5, soft 10"), "ok")
	r.goAway()
	r.want(r.reserve("done", "rate 4, soft 4"), "ok, away")
	r.want(r.settle("done", "rate 1, soft 2"), "waits")
	r.want(r.reserve("void", "soft 4"), "ok, away")
	r.want(r.settle("void", "void soft 4"), "waits")
	r.want(r.reserve("running", "rate 2, free 70"), "ok, away")
	r.want(r.settle("before", "rate 3, soft 7"), "waits")
	r.store.away = false
	r.pass(time.Second)
	r.want(r.peek("rate"), "used 4, reserved 2")
	r.want(r.peek("soft"), "used 9, reserved 0")
	r.want(r.peek("free"), "used 0, reserved 70")
	r.want(r.settle("running", "rate 2, free 60"), "P to S")
	r.want(r.peek("free"), "used 60, reserved 0")
	if n := r.Waiting(); n != 0 {
		t.Errorf("%d settlements still wait", n)
	}
	r.want(strings.Join(r.settled, "; "), "done N to S <nil>; void N to N <nil>; before P to S <nil>")
}

// A reservation whose answer is lost exists. It is given back when nobody runs on it, and kept when somebody does.
func TestALostAnswerLeavesNothingReserved(t *testing.T) {
	r := newRig(t)
	r.store.lossy = true
	r.want(r.reserve("a", "money 5"), "unavailable")
	r.want(r.peek("money"), "used 0, reserved 5")
	r.want(r.reserve("b", "rate 5"), "ok, away")
	r.store.lossy = false
	r.pass(time.Second)
	r.want(r.peek("money"), "used 0, reserved 0")
	r.want(r.peek("rate"), "used 0, reserved 5")
	r.want(r.settle("b", "rate 2"), "P to S")
	r.want(r.reserve("a", "money 5"), "again V")
}

func TestWhatIsOpenIsPutBackIntoAStoreThatForgot(t *testing.T) {
	r := newRig(t)
	r.want(r.reserve("a", "money 60"), "ok")
	r.pass(time.Second)
	ctx := context.Background()
	if err := r.store.Rebuild(ctx, "acme", []quota.Balance{{Budget: "money", Kind: 'C', Start: r.now.Truncate(24 * time.Hour).UnixMilli(), Used: 30}}); err != nil {
		t.Fatal(err)
	}
	r.store.epoch = ""
	r.want(r.reserve("b", "money 1"), "unknown")
	r.want(r.reserve("b", "rate 1"), "ok, away")
	r.store.epoch = "t:2"
	r.want(r.reserve("c", "money 11"), "money: 10 left") // 30 used, 60 put back
	r.want(r.reserve("c", "money 10"), "ok")
	r.want(r.settle("a", "money 50"), "P to S")
	r.want(r.peek("money"), "used 80, reserved 10")

	// The same without a request that meets it.
	if err := r.store.Rebuild(ctx, "acme", nil); err != nil {
		t.Fatal(err)
	}
	r.store.epoch = "t:3"
	r.pass(time.Second)
	r.want(r.peek("money"), "used 0, reserved 10")
}

func TestWhatIsNeverSettledIsChargedThoughTheStoreNeverKnew(t *testing.T) {
	r := newRig(t)
	r.goAway()
	r.want(r.reserve("a", "free 9"), "ok, away")
	r.pass(3 * time.Minute)
	r.store.away = false
	r.pass(time.Second)
	r.want(r.peek("free"), "used 9, reserved 0")
	if len(r.of("acme").open) != 0 {
		t.Error("it is still open")
	}
}

func TestTooManyDebtsAreToldAndNotKept(t *testing.T) {
	r := newRig(t)
	for i := range 9 {
		r.want(r.reserve(fmt.Sprint("x", i), "free 0"), "ok")
	}
	r.store.away = true
	for i := range 8 {
		r.want(r.settle(fmt.Sprint("x", i), "free 0"), "waits")
	}
	if got := r.settle("x8", "free 0"); !strings.Contains(got, "does not answer") {
		t.Errorf("got %q", got)
	}
	if last := r.alarms[len(r.alarms)-1]; !strings.Contains(last, "more settlements wait") {
		t.Errorf("got alarms %q", r.alarms)
	}
}

func TestHalfOfTheCallsWithinASecondOpenABreaker(t *testing.T) {
	now := time.Unix(1000, 0)
	var b breaker
	for i := range 9 {
		now = now.Add(50 * time.Millisecond)
		if i%2 == 0 {
			if opened := b.failure(now); opened != (i == 8) {
				t.Errorf("call %d: opened %v", i, opened)
			}
		} else {
			b.success(now)
		}
	}
	var slow breaker // one failure a second among many answers
	for range 20 {
		now = now.Add(time.Second + 1)
		if slow.failure(now) {
			t.Error("opened")
		}
		for range 10 {
			slow.success(now)
		}
	}
}
