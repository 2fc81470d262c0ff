package quotatest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// Crowd lets many callers run exchanges over nested budgets at once, with calls repeated, exchanges voided and some
// never settled, while somebody looks on. What is used and reserved must never pass the limit, and at the end the
// counters must be the sum of what was charged.
func Crowd(t *testing.T, s Subject, callers, each int) {
	c := &crowd{t: t, Subject: s, now: start(), billed: map[string]int64{}}
	s.Clock(c.now)
	for i, limit := range []int64{int64(callers) * 60, int64(callers) * 50, int64(callers) * 40} {
		c.budgets = append(c.budgets, &quota.Budget{ID: fmt.Sprint("level", i), Unit: quota.Money, Limit: limit, Window: window.Window{Kind: window.Life}})
	}
	c.budgets = append(c.budgets, &quota.Budget{ID: "gauge", Unit: quota.Parallel, Limit: int64(max(2, callers*3/4)), Window: window.Window{Kind: window.Gauge}})
	stop := make(chan struct{})
	var looker, all sync.WaitGroup
	looker.Go(func() { c.look(stop) })
	for w := range callers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range each {
				c.exchange(r, fmt.Sprintf("w%d-%d", w, i))
			}
		})
	}
	all.Wait()
	close(stop)
	looker.Wait()
	c.rest()
}

type crowd struct {
	t *testing.T
	Subject
	now      time.Time
	budgets  []*quota.Budget
	admitted atomic.Int64

	mu     sync.Mutex
	billed map[string]int64 // by id, what must be charged in the end
}

// look checks that the limits hold, whenever it looks.
func (c *crowd) look(stop chan struct{}) {
	for {
		all, err := c.Store.Peek(context.Background(), c.Organization, c.budgets)
		if err != nil {
			c.t.Error(err)
			return
		}
		for i, n := range all {
			if b := c.budgets[i]; n.Used+n.Reserved > b.Limit || n.Reserved < 0 || n.Used < 0 {
				c.t.Errorf("budget %s of %d has %+v", b.ID, b.Limit, n)
				return
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *crowd) claims(n int64) []quota.Claim {
	out := make([]quota.Claim, len(c.budgets))
	for i, b := range c.budgets {
		out[i] = quota.Claim{Budget: b, Amount: n}
	}
	out[len(out)-1].Amount = 1
	return out
}

// exchange runs one, with every call made one to three times.
func (c *crowd) exchange(r *rand.Rand, id string) {
	ctx := context.Background()
	amount := 1 + r.Int64N(9)
	ok := false
	for range 1 + r.IntN(3) {
		g, refusal, err := c.Store.Reserve(ctx, &quota.Request{Organization: c.Organization, ID: id, Claims: c.claims(amount), Hold: time.Hour})
		if err != nil || ok && (refusal != nil || g.State != quota.Pending) {
			c.t.Errorf("reserving %s: got %v, %v, %v", id, g, refusal, err)
			return
		}
		if ok = refusal == nil; !ok {
			break // asking again might be admitted, when others gave something back
		}
	}
	if !ok {
		return
	}
	c.admitted.Add(1)
	used, void := r.Int64N(amount+1), r.IntN(10) == 0
	if r.IntN(20) == 0 { // never settled: charged as reserved
		c.bill(id, amount)
		return
	}
	if void {
		used = 0
	}
	c.bill(id, used)
	for range 1 + r.IntN(3) {
		if _, err := c.Store.Settle(ctx, &quota.Settlement{Organization: c.Organization, ID: id, Born: c.now, Void: void, Claims: c.claims(used)}); err != nil {
			c.t.Errorf("settling %s: %v", id, err)
		}
	}
}

func (c *crowd) bill(id string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.billed[id] = n
}

// rest lets everything expire, and compares. Then every second of the expired gets its late truth.
func (c *crowd) rest() {
	ctx := context.Background()
	c.Clock(c.now.Add(2 * time.Hour))
	var late int
	for {
		all, err := c.Store.Reap(ctx, c.Organization, 100)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(all) == 0 {
			break
		}
		for _, l := range all {
			if late++; late%2 == 0 {
				c.bill(l.ID, 0)
				o, err := c.Store.Settle(ctx, &quota.Settlement{Organization: c.Organization, ID: l.ID, Born: c.now, Claims: c.claims(0)})
				if err != nil || o.From != quota.Expired || o.To != quota.Settled {
					c.t.Errorf("a late truth: got %v, %v", o, err)
				}
			}
		}
	}
	var sum int64
	for _, n := range c.billed {
		sum += n
	}
	counters, err := c.Store.Peek(ctx, c.Organization, c.budgets)
	if err != nil {
		c.t.Fatal(err)
	}
	for i, n := range counters { // a store that leases has ended all leases when they expired
		if b := c.budgets[i]; n.Reserved != 0 || b.Unit == quota.Money && n.Used != sum || n.Over != 0 {
			c.t.Errorf("budget %s at rest: got %+v, want %d used", b.ID, n, sum)
		}
	}
	if c.admitted.Load() == 0 || late == 0 {
		c.t.Errorf("%d were admitted, %d expired: the test tests nothing", c.admitted.Load(), late)
	}
}
