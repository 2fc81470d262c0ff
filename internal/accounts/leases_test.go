package accounts

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// beginLeased begins a process with a Redis, in which five requests in a second are enough for leases.
func beginLeased(t *testing.T, dir, journal, address string) *life {
	t.Helper()
	return beginWith(t, dir, fmt.Sprintf(`{ journal: %q, store: "redis://%s", timeout: 1s, leases: 5 }`, filepath.Join(dir, journal), address), Options{})
}

// ready waits until counters are known.
func (l *life) ready() {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := l.Missing(context.Background(), l.table.Organizations())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			l.t.Fatal(err)
		}
	}
}

// sums returns the number of records, the charges in all, and the costs.
func (l *life) sums() (n int, charged int64, cost ledger.Nano) {
	l.t.Helper()
	from := book.Filter{From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}
	err := l.ledger.Records(context.Background(), from, func(r *ledger.Record) error {
		n++
		cost += r.Money.Cost
		for _, c := range r.Money.Charges {
			charged += c.Amount
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return n, charged, cost
}

// counter is that of the team's budget.
func (l *life) counter() quota.Counter {
	l.t.Helper()
	p := party()
	c, err := l.Accounts.Peek(context.Background(), "default", l.table.Find(nil, &p, "m", "route", []string{"p"}))
	if err != nil {
		l.t.Fatal(err)
	}
	return c[0]
}

// admit reserves until there is a lease, and a little of it.
func (l *life) admit() (holds []string) {
	l.t.Helper()
	for l.leases.Held() == 0 {
		if len(holds) > 50 {
			l.t.Fatal("no lease was taken")
		}
		holds = append(holds, l.reserve())
	}
	return append(holds, l.reserve(), l.reserve())
}

// rests waits until the ledger and the counter are those of so many exchanges at rest.
func (l *life) rests(records int, used int64) {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		n, charged, cost := l.sums()
		c := l.counter()
		if n == records && charged == used && int64(cost) == used && c.Used == used && c.Reserved == 0 {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("%d records charge %d and cost %d, the counter is %+v; want %d records and %d", n, charged, cost, c, records, used)
		}
	}
}

func TestExchangesOfLeasesAreChargedExactly(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t)
	l := beginLeased(t, t.TempDir(), "one", r.Addr)
	l.ready()
	l.know()
	holds := l.admit()
	for _, hold := range holds {
		l.settle(hold)
	}
	l.rests(len(holds), int64(len(holds))*200_000)
	if l.leases.Held() != 0 {
		t.Errorf("%d leases are held", l.leases.Held())
	}
}

// TestACrashWithLeasesIsChargedExactly has a process that is killed with leases, from which running exchanges drew. The next
// one knows them all by the journal, and what else had been leased is free again, whether it had expired by then or not.
func TestACrashWithLeasesIsChargedExactly(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]bool{"before the lease expires": false, "after it was charged": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := servers.StartRedis(t)
			dir := t.TempDir()
			one := beginLeased(t, dir, "one", r.Addr) // which never runs: nobody ends its leases
			one.ready()
			holds := one.admit()
			crash(t, dir, "one", "two")
			if c := one.counter(); c.Reserved <= int64(len(holds))*9_000_000 {
				t.Fatalf("nothing is leased: %+v", c)
			}
			records := len(holds)
			if wait {
				other := beginLeased(t, dir, "other", r.Addr)
				other.ready()
				other.know()
				leases := one.leases.Held()
				for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
					if n, _, _ := other.sums(); n == leases {
						break
					} else if time.Now().After(end) {
						t.Fatalf("%d records of %d leases that expired", n, leases)
					}
				}
				records += 2 * leases // each charged, and put right
			}
			two := beginLeased(t, dir, "two", r.Addr)
			if len(two.left.Open) <= len(holds) {
				t.Fatalf("%d reservations are in the journal", len(two.left.Open))
			}
			two.ready()
			two.know()
			for _, hold := range holds {
				two.settle(hold)
			}
			two.rests(records, int64(len(holds))*200_000)
		})
	}
}
