package guard

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/lease"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/redis"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// world is what really happens: what was used, and what may still be.
type world struct {
	mu       sync.Mutex
	used     int64
	exposed  int64 // used, and reserved by exchanges that run
	highest  int64
	admitted int
}

func (w *world) admit(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admitted++
	w.exposed += n
	w.highest = max(w.highest, w.exposed)
}

// charge is the ledger's record: it is there before the store is told.
func (w *world) charge(reserved, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.used += n
	w.exposed += n - reserved
}

// Two replicas run exchanges under a hard limit while Redis hangs, forgets everything and is killed. What is used, and
// what running exchanges may still use, never passes the limit.
func TestAHardLimitHoldsWhateverRedisDoes(t *testing.T) {
	for name, leased := range map[string]bool{"one by one": false, "leased": true} {
		t.Run(name, func(t *testing.T) { whateverRedisDoes(t, leased) })
	}
}

func whateverRedisDoes(t *testing.T, leased bool) {
	if os.Getenv("SIGNALBOX_QUOTA_LONG") != "1" {
		t.Skip("make test-quota runs it")
	}
	server := servers.StartRedis(t)
	const limit = 60
	budget := &quota.Budget{ID: "hard", Unit: quota.Money, Limit: limit, Window: window.Window{Kind: window.Life}}
	w := &world{}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var all []*Guard
	var stores []quota.Store
	var lent []*lease.Store
	for range 2 {
		store, err := redis.New(redis.Params{
			URL: "redis://" + server.Addr, Timeout: 250 * time.Millisecond, Grace: 1500 * time.Millisecond,
			Source: func(context.Context, string) ([]quota.Balance, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				return []quota.Balance{{Budget: "hard", Kind: 'L', Used: w.used}}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		var l *lease.Store
		p := Params{Store: store, Local: memory.New(memory.Params{}), Replicas: 2}
		if leased {
			p.Settled = func(s *quota.Settlement, out quota.Outcome, err error) { l.Settled(s, out, err) }
		}
		g := New(p)
		all, stores = append(all, g), append(stores, g)
		running.Go(func() { g.Run(ctx) })
		if leased {
			l = lease.New(lease.Params{Store: g, Replicas: 2, Eager: 3, Term: time.Second})
			stores[len(stores)-1], lent = l, append(lent, l)
			running.Go(func() { l.Run(ctx) })
		}
	}
	var over atomic.Bool
	var callers sync.WaitGroup
	for c := range 12 {
		callers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(c), 7))
			for i := 0; !over.Load(); i++ {
				exchange(t, stores[c%2], w, r, budget, fmt.Sprintf("c%d-%d", c, i))
			}
		})
	}
	for _, fault := range []func(){
		func() {},
		func() { _, _ = server.Do("FLUSHALL") },
		func() { server.Pause(); time.Sleep(700 * time.Millisecond); server.Resume() },
		func() { server.Kill(); time.Sleep(300 * time.Millisecond); server.Start() },
		func() { _, _ = server.Do("SCRIPT", "FLUSH") },
	} {
		before := w.count()
		fault()
		for end := time.Now().Add(20 * time.Second); w.count() < before+20; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("nothing is admitted any more: %d", w.count())
			}
		}
	}
	over.Store(true)
	callers.Wait()
	for _, l := range lent {
		l.Close(context.Background())
	}
	settled(t, all, budget)
	stop()
	running.Wait()
	c, err := all[0].Peek(context.Background(), "acme", []*quota.Budget{budget})
	if err != nil {
		t.Fatal(err)
	}
	if w.highest > limit {
		t.Errorf("%d of %d was used or could be at once", w.highest, limit)
	}
	if c[0].Reserved != 0 || c[0].Used < w.used {
		t.Errorf("the counter is %+v, and %d was used", c[0], w.used)
	}
	t.Logf("%d were admitted, at most %d of %d at once, %d used, %d counted", w.admitted, w.highest, limit, w.used, c[0].Used)
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.admitted
}

// exchange runs one. Few use anything, so that the limit is met by what runs and not by what was used.
func exchange(t *testing.T, g quota.Store, w *world, r *rand.Rand, b *quota.Budget, id string) {
	ctx := context.Background()
	n := 1 + r.Int64N(12)
	grant, refusal, err := g.Reserve(ctx, &quota.Request{Organization: "acme", ID: id, Claims: []quota.Claim{{Budget: b, Amount: n}}, Hold: time.Minute})
	if err != nil || refusal != nil {
		time.Sleep(time.Duration(5+r.IntN(20)) * time.Millisecond)
		return
	}
	if grant.Away {
		t.Errorf("a hard limit was admitted without its store")
	}
	w.admit(n)
	time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
	var used int64
	if r.IntN(60) == 0 {
		used = 1
	}
	w.charge(n, used)
	if _, err := g.Settle(ctx, &quota.Settlement{Organization: "acme", ID: id, Born: time.Now(), Claims: []quota.Claim{{Budget: b, Amount: used}}}); err != nil {
		t.Errorf("settling: %v", err)
	}
}

// settled waits until nothing waits for the store any more.
func settled(t *testing.T, all []*Guard, b *quota.Budget) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		waiting, reserved := 0, int64(-1)
		for _, g := range all {
			waiting += g.Waiting()
		}
		if c, err := all[0].Peek(context.Background(), "acme", []*quota.Budget{b}); err == nil {
			reserved = c[0].Reserved
		}
		if waiting == 0 && reserved == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d settlements wait, %d is reserved", waiting, reserved)
		}
	}
}
