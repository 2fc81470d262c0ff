package guard

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// Clients that break off are no failure of the store, however many they are: others are still asked for there.
func TestCallersThatGoAwayOpenNoBreaker(t *testing.T) {
	r := newRig(t)
	gone, goAway := context.WithCancel(context.Background())
	goAway()
	for range 3 * failures {
		_, _, err := r.Reserve(gone, &quota.Request{Organization: "acme", ID: "gone", Claims: r.list("closed 1"), Hold: time.Minute})
		if err == nil {
			t.Fatal("nobody waits, and it is reserved")
		}
	}
	r.want(r.reserve("a", "closed 1"), "ok")
	if len(r.alarms) != 0 {
		t.Errorf("got alarms %q", r.alarms)
	}
}

// hooked is a local store that calls a function before it reserves.
type hooked struct {
	*memory.Store
	before func()
}

func (h *hooked) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	h.before()
	return h.Store.Reserve(ctx, r)
}

// What goes ahead without the store, which has reserved it all the same, is not given back by a round of what waits that comes
// just then: its end would find that it is over, and charge nothing.
func TestWhatGoesAheadIsNotGivenBackMeanwhile(t *testing.T) {
	r := newRig(t)
	r.Guard.p.Local = &hooked{r.Guard.p.Local.(*memory.Store), func() {
		r.store.lossy = false
		r.pay(context.Background())
	}}
	r.store.lossy = true
	r.want(r.reserve("a", "rate 5"), "ok, away")
	r.want(r.settle("a", "rate 2"), "P to S")
	r.want(r.peek("rate"), "used 2, reserved 0")
}

// The end of an exchange is on its way to the store while that is put back into it: the end holds, and is not taken for nothing.
func TestAnEndThatIsOnItsWayWhileItIsPutBackCounts(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	r.want(r.reserve("a", "money 60"), "ok")
	if err := r.store.Rebuild(ctx, "acme", nil); err != nil {
		t.Fatal(err)
	}
	r.store.epoch = "t:2"
	under, goOn, done := make(chan struct{}), make(chan struct{}), make(chan string)
	r.store.first = func() { close(under); <-goOn }
	r.store.then = func() {
		go func() { done <- r.settle("a", "money 50") }()
		<-under
	}
	if err := r.putBack(ctx, r.of("acme")); err != nil {
		t.Fatal(err)
	}
	r.pay(ctx)
	close(goOn)
	r.want(<-done, "P to S")
	r.want(r.peek("money"), "used 50, reserved 0")
}

// What still runs when its lease ends is a reservation of its own, which a store that forgets it gets back as any other.
func TestWhatRunsOnAfterItsLeaseIsPutBack(t *testing.T) {
	for name, away := range map[string]bool{"told at once": false, "told later": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			ctx := context.Background()
			r.want(r.reserve("l:1", "money 60"), "ok")
			r.pass(time.Second)
			if away {
				r.goAway()
			}
			_, err := r.Settle(ctx, &quota.Settlement{Organization: "acme", ID: "l:1", Born: r.now, Claims: r.list("money 0"), Draws: []quota.Draw{
				{ID: "ended", State: quota.Settled, Amounts: []int64{10}}, {ID: "runs", State: quota.Pending, Hold: time.Minute, Amounts: []int64{20}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if away {
				r.pass(2 * time.Minute)
				r.store.away = false
			}
			r.pass(time.Second)
			r.want(r.peek("money"), "used 10, reserved 20")
			if _, err := r.Touch(ctx, "acme", []string{"runs"}, time.Minute); err != nil {
				t.Fatal(err)
			}
			day := r.now.Truncate(24 * time.Hour).UnixMilli()
			if err := r.store.Rebuild(ctx, "acme", []quota.Balance{{Budget: "money", Kind: 'C', Start: day, Used: 10}}); err != nil {
				t.Fatal(err)
			}
			r.store.epoch = "t:2"
			r.pass(time.Second)
			r.want(r.peek("money"), "used 10, reserved 20")
			r.want(r.settle("runs", "money 15"), "P to S")
			if n := len(r.of("acme").open); n != 0 {
				t.Errorf("%d are still open", n)
			}
		})
	}
}

// far is a store that takes a millisecond.
type far struct{ *flaky }

func (f far) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	time.Sleep(time.Millisecond)
	return f.flaky.Reserve(ctx, r)
}

// A store that forgot waits two seconds for what is open everywhere, and then it opens: thousands must be back by then.
func TestThousandsAreBackBeforeTheStoreOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		const n = 5_000
		many := &quota.Budget{ID: "many", Unit: quota.Parallel, Limit: n, Away: quota.Deny, Window: window.Window{Kind: window.Gauge}}
		r.budgets["many"] = many
		for i := range n {
			r.want(r.reserve(fmt.Sprint("x", i), "many 1"), "ok")
		}
		ctx := context.Background()
		if err := r.store.Rebuild(ctx, "acme", nil); err != nil {
			t.Fatal(err)
		}
		r.store.epoch = "t:2"
		r.Guard.p.Store = far{r.store}
		began := time.Now()
		if err := r.putBack(ctx, r.of("acme")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		r.want(r.peek("many"), fmt.Sprintf("used 0, reserved %d", n))
	})
}
