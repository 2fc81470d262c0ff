package guard

import (
	"context"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
)

// A process that takes up what the one before it had open may be told the end of that at the same time. It does not put it
// back, then, into a store that forgot both.
func TestWhatEndsWhileItIsTakenUpIsNotPutBack(t *testing.T) {
	for name, both := range map[string]func(r *rig, resume func()){
		"while the store answers": func(r *rig, resume func()) {
			r.store.then = func() { r.want(r.settle("a", "money 50"), "P to S") }
			resume()
		},
		"before, and the store knows": func(r *rig, resume func()) {
			r.want(r.settle("a", "money 50"), "N to S")
			resume()
		},
		"before, and it waits for the store": func(r *rig, resume func()) {
			r.goAway()
			r.want(r.settle("a", "money 50"), "waits")
			resume()
			r.store.away = false
			r.pass(time.Second)
		},
		"while the store is away": func(r *rig, resume func()) {
			r.goAway()
			resume()
			r.want(r.settle("a", "money 50"), "waits")
			r.store.away = false
			r.pass(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			ctx := context.Background()
			both(r, func() {
				if _, _, err := r.Reserve(ctx, &quota.Request{Organization: "acme", ID: "a", Claims: r.list("money 60"), Hold: time.Minute, Force: true}); err != nil {
					t.Fatal(err)
				}
			})
			r.want(r.peek("money"), "used 50, reserved 0")
			r.want(r.reserve("b", "money 5"), "ok")
			r.store.Store = memory.New(memory.Params{Now: func() time.Time { return r.now }})
			day := r.now.Truncate(24 * time.Hour).UnixMilli()
			if err := r.store.Rebuild(ctx, "acme", []quota.Balance{{Budget: "money", Kind: 'C', Start: day, Used: 50}}); err != nil {
				t.Fatal(err)
			}
			r.store.epoch = "t:2"
			r.pass(time.Second)
			r.want(r.peek("money"), "used 50, reserved 5")
		})
	}
}

// What nobody lets live on expires in the store, and whoever charges it there need not be this process.
func TestWhatHasExpiredIsNotPutBack(t *testing.T) {
	r := newRig(t)
	r.want(r.reserve("a", "money 60"), "ok")
	r.pass(time.Minute + reaped + time.Second)
	r.want(r.reserve("b", "money 5"), "ok")
	day := r.now.Truncate(24 * time.Hour).UnixMilli()
	r.store.Store = memory.New(memory.Params{Now: func() time.Time { return r.now }})
	if err := r.store.Rebuild(context.Background(), "acme", []quota.Balance{{Budget: "money", Kind: 'C', Start: day, Used: 60}}); err != nil {
		t.Fatal(err)
	}
	r.store.epoch = "t:2"
	r.pass(time.Second)
	r.want(r.peek("money"), "used 60, reserved 5")
}
