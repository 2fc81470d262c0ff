package lease

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// world is replicas that lease of one store, and what really happens: what was used, and what running exchanges may still
// use.
type world struct {
	budgets   []*quota.Budget
	store     *memory.Store
	clock     time.Time // of the store
	mono      time.Time // of the replicas, which never steps
	replicas  []*Store
	crashes   int
	moved     bool // an end was told to another replica than the one that admitted
	next      int
	exchanges map[string]*exchange
	open      []string
}

type exchange struct {
	replica int
	claims  []quota.Claim
	takes   int64 // what it used, or may
}

func newWorld() *world {
	w := &world{clock: time.Date(2026, 1, 15, 12, 0, 40, 0, time.UTC), mono: time.Unix(1e9, 0), exchanges: map[string]*exchange{}}
	for i, limit := range []int64{200, 150, 120} {
		w.budgets = append(w.budgets, &quota.Budget{ID: fmt.Sprint("level", i), Unit: quota.Money, Limit: limit, Window: window.Window{Kind: window.Life}})
	}
	w.store = memory.New(memory.Params{Now: func() time.Time { return w.clock }})
	w.replicas = make([]*Store, 3)
	for i := range w.replicas {
		w.start(i)
	}
	return w
}

func (w *world) start(i int) {
	w.replicas[i] = New(Params{Store: w.store, Replicas: len(w.replicas), Eager: 4, Now: func() time.Time { return w.mono }})
}

// used is what was used of a budget, or may still be.
func (w *world) used(b *quota.Budget) (n int64) {
	for _, x := range w.exchanges {
		for _, c := range x.claims {
			if c.Budget == b {
				n += x.takes
			}
		}
	}
	return n
}

func (w *world) replica(rt *rapid.T) int {
	return rapid.IntRange(0, len(w.replicas)-1).Draw(rt, "replica")
}

func (w *world) reserve(rt *rapid.T) {
	i, n := w.replica(rt), rapid.Int64Range(1, 9).Draw(rt, "amount")
	var claims []quota.Claim
	for k, b := range w.budgets {
		if k != 1+rapid.IntRange(0, 1).Draw(rt, "path") {
			claims = append(claims, quota.Claim{Budget: b, Amount: n})
		}
	}
	w.next++
	id := fmt.Sprint("x", w.next)
	g, no, err := w.replicas[i].Reserve(context.Background(), &quota.Request{Organization: "acme", ID: id, Claims: claims, Hold: time.Minute})
	if err != nil {
		rt.Fatal(err)
	}
	if no != nil {
		return
	}
	if g.State != quota.Pending || g.Again {
		rt.Fatalf("%s: got %+v", id, g)
	}
	w.exchanges[id] = &exchange{replica: i, claims: claims, takes: n}
	w.open = append(w.open, id)
}

// settle tells an end, mostly where the exchange was admitted.
func (w *world) settle(rt *rapid.T) {
	if len(w.open) == 0 {
		return
	}
	at := rapid.IntRange(0, len(w.open)-1).Draw(rt, "open")
	id := w.open[at]
	w.open = slices.Delete(w.open, at, at+1)
	x := w.exchanges[id]
	in := &quota.Settlement{Organization: "acme", ID: id, Born: w.clock, Void: rapid.IntRange(0, 4).Draw(rt, "void") == 0}
	x.takes = rapid.Int64Range(0, x.takes).Draw(rt, "used")
	for _, c := range x.claims {
		in.Claims = append(in.Claims, quota.Claim{Budget: c.Budget, Amount: x.takes})
	}
	to := x.replica
	if rapid.IntRange(0, 9).Draw(rt, "elsewhere") == 0 {
		to, in.Void = w.replica(rt), false
		w.moved = w.moved || to != x.replica
	}
	if in.Void {
		x.takes = 0
	}
	if _, err := w.replicas[to].Settle(context.Background(), in); err != nil {
		rt.Fatal(err)
	}
}

// crash ends a replica. What it had running may still be billed, and nobody tells.
func (w *world) crash(rt *rapid.T) {
	if rapid.IntRange(0, 4).Draw(rt, "crash") > 0 {
		return
	}
	i := w.replica(rt)
	w.crashes++
	w.open = slices.DeleteFunc(w.open, func(id string) bool { return w.exchanges[id].replica == i })
	w.start(i)
}

func (w *world) tick(rt *rapid.T) {
	d := time.Duration(rapid.Int64Range(0, 6000).Draw(rt, "ms")) * time.Millisecond
	w.clock, w.mono = w.clock.Add(d), w.mono.Add(d)
	for _, s := range w.replicas {
		s.upkeep(context.Background(), s.of("acme"), false)
	}
}

// jump sets the store's clock alone.
func (w *world) jump(rt *rapid.T) {
	w.clock = w.clock.Add(time.Duration(rapid.Int64Range(-20_000, 20_000).Draw(rt, "ms")) * time.Millisecond)
}

func (w *world) reap(rt *rapid.T) {
	if _, err := w.replicas[w.replica(rt)].Reap(context.Background(), "acme", 100); err != nil {
		rt.Fatal(err)
	}
}

// holds checks that no limit is passed, and that the store knows of all that is used or may be.
func (w *world) holds(rt *rapid.T) {
	all, err := w.store.Peek(context.Background(), "acme", w.budgets)
	if err != nil {
		rt.Fatal(err)
	}
	for i, b := range w.budgets {
		used, counted := w.used(b), all[i].Used+all[i].Reserved
		if used > b.Limit || counted < used || counted > b.Limit && !w.moved {
			rt.Fatalf("budget %s of %d: %d are used or may be, the store has %+v", b.ID, b.Limit, used, all[i])
		}
	}
}

// Whatever crashes and whichever clock jumps, limits hold. At rest nothing is reserved; without a crash what is counted is
// what was used, and with one no less.
func TestLimitsHoldOverReplicasThatLease(t *testing.T) {
	drawn := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		rt.Repeat(map[string]func(*rapid.T){
			"": w.holds, "reserve": w.reserve, "reserve more": w.reserve, "settle": w.settle, "crash": w.crash, "tick": w.tick, "jump": w.jump, "reap": w.reap,
		})
		ctx := context.Background()
		for _, s := range w.replicas {
			drawn += len(s.of("acme").draws)
			s.Close(ctx)
			if s.Held() != 0 {
				rt.Fatalf("%d leases are held at the end", s.Held())
			}
		}
		w.clock = w.clock.Add(time.Hour)
		if _, err := w.store.Reap(ctx, "acme", 1<<20); err != nil {
			rt.Fatal(err)
		}
		w.holds(rt)
		all, _ := w.store.Peek(ctx, "acme", w.budgets)
		for i, b := range w.budgets {
			if used := w.used(b); all[i].Reserved != 0 || w.crashes == 0 && all[i].Used != used {
				rt.Fatalf("budget %s at rest: %d are used, the store has %+v", b.ID, used, all[i])
			}
		}
	})
	if drawn == 0 {
		t.Error("nothing was drawn from a lease")
	}
}
