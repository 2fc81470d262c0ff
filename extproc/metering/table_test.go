package metering_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
)

// TestEveryReservationEnds: one whose end nobody tells is charged whole, and running ones live on.
func TestEveryReservationEnds(t *testing.T) {
	money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1 << 40}
	r := newRig(t, money)
	g, err := r.reserve(t, r.want(4000, 500))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		r.now = r.now.Add(20 * time.Second)
		r.Upkeep(context.Background(), []string{"default"})
	}
	if c := r.counter(t, money); c.Reserved == 0 {
		t.Error("a running exchange lost its reservation")
	}
	if n, oldest := r.Open(); n != 1 || oldest != 80*time.Second {
		t.Errorf("%d are open, the oldest for %v", n, oldest)
	}
	for range 4 { // the route gives it a minute and a half
		r.now = r.now.Add(40 * time.Second)
		r.Upkeep(context.Background(), []string{"default"})
	}
	open, _ := r.Open()
	if c := r.counter(t, money); c.Used != 9_000_000 || c.Reserved != 0 || open != 0 || len(r.books.lapses) != 1 {
		t.Errorf("got %+v, %d open, %d lapses", c, open, len(r.books.lapses))
	}
	r.Settle(r.ended(g.Hold, 900, 70)) // the truth may come late
	if c := r.counter(t, money); c.Used != 1_600_000 {
		t.Errorf("got %+v", c)
	}
}

// What runs keeps its reservation for as long as its route gives it, whoever counts: a store of this process is touched less often.
func TestRunKeepsReservationsAlive(t *testing.T) {
	for _, remote := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			money := &quota.Budget{ID: "money", Unit: quota.Money, Limit: 1 << 40}
			r := newRig(t, money)
			r.store = memory.New(memory.Params{})
			r.Meter = metering.New(metering.Params{Store: r.store, Books: &r.books, Remote: remote})
			w := r.want(4000, 500)
			w.Began, w.Hold = time.Now(), 10*time.Minute
			if _, err := r.reserve(t, w); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			go r.Run(ctx, func() []string { return []string{"default"} })
			time.Sleep(10 * time.Minute)
			if c := r.counter(t, money); c.Reserved == 0 || c.Used > 0 {
				t.Errorf("remote %v: it was charged while it runs: %+v", remote, c)
			}
			time.Sleep(3 * time.Minute)
			if c := r.counter(t, money); c.Reserved != 0 {
				t.Errorf("remote %v: it lives on: %+v", remote, c)
			}
			stop()
			synctest.Wait()
		})
	}
}

// The oldest is known again when it has ended.
func TestTheOldestReservationIsOneThatIsOpen(t *testing.T) {
	r := newRig(t, &quota.Budget{ID: "requests", Unit: quota.Requests, Limit: 10})
	var holds []string
	for range 3 {
		g, err := r.reserve(t, r.want(1, 1))
		if err != nil {
			t.Fatal(err)
		}
		holds, r.now = append(holds, g.Hold), r.now.Add(10*time.Second)
	}
	for _, c := range []struct {
		ends int // before
		n    int
		age  time.Duration
	}{{-1, 3, 30 * time.Second}, {1, 2, 30 * time.Second}, {0, 1, 10 * time.Second}, {2, 0, 0}} {
		if c.ends >= 0 {
			r.Settle(r.ended(holds[c.ends], 1, 1))
		}
		for range 2 {
			if n, oldest := r.Open(); n != c.n || oldest != c.age {
				t.Errorf("after the end of %d: %d are open, the oldest for %v; want %d and %v", c.ends, n, oldest, c.n, c.age)
			}
		}
	}
}
