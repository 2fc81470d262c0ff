package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/lease"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// eager has every reservation made by a lease of three.
func eager(store quota.Store, now func() time.Time, told func(*quota.Settlement, quota.Outcome, error)) quotatest.Leasing {
	return lease.New(lease.Params{Store: store, Settled: told, Now: now, Eager: 3})
}

func TestLeasesKeepTheContract(t *testing.T) {
	r := servers.StartRedis(t)
	quotatest.Run(t, quotatest.Leased(maker(t, "redis://"+r.Addr), eager))
}

func TestHistoriesWithLeases(t *testing.T) {
	r := servers.StartRedis(t)
	quotatest.Histories(t, quotatest.Leased(maker(t, "redis://"+r.Addr), eager))
}

// TestLeasedCrowd has many callers draw from leases that they share, without waiting for their ends.
func TestLeasedCrowd(t *testing.T) {
	r := servers.StartRedis(t)
	in := maker(t, "redis://"+r.Addr)(t)
	var now atomic.Int64
	clock := in.Clock
	in.Clock = func(at time.Time) { now.Store(at.UnixMilli()); clock(at) }
	in.Store = lease.New(lease.Params{Store: in.Store, Now: func() time.Time { return time.UnixMilli(now.Load()) }, Eager: 8})
	quotatest.Crowd(t, in, 16, 100)
}

// hot is the budgets of an owner that asks often: its own, its team's and its organization's.
func hot() (out []quota.Claim) {
	minute, month := window.Window{Kind: window.Sliding, Length: time.Minute}, window.Window{Kind: window.Month}
	for i, w := range []window.Window{month, month, minute, minute, {Kind: window.Gauge}} {
		b := &quota.Budget{ID: fmt.Sprint("budget_of_an_owner_", i), Unit: quota.Money, Limit: 1 << 40, Window: w}
		out = append(out, quota.Claim{Budget: b, Amount: 100})
	}
	return out
}

// scriptsRun counts the scripts that a Redis has run.
func scriptsRun(t testing.TB, r *servers.Redis) (n int64) {
	t.Helper()
	text, err := r.Do("INFO", "commandstats")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":calls=")
		if name == "cmdstat_evalsha" || name == "cmdstat_eval" {
			calls, _, _ := strings.Cut(rest, ",")
			one, _ := strconv.ParseInt(calls, 10, 64)
			n += one
		}
	}
	return n
}

// crowded runs exchanges of one owner by 64 clients, each for so long.
func crowded(t testing.TB, s quota.Store, claims []quota.Claim, took func(time.Duration), more func() bool) (n int64) {
	t.Helper()
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	var count atomic.Int64
	var all sync.WaitGroup
	for w := range 64 {
		all.Go(func() {
			ctx := context.Background()
			for i := 0; more(); i++ {
				id := fmt.Sprintf("%sw%dx%d", run, w, i)
				began := time.Now()
				g, no, err := s.Reserve(ctx, &quota.Request{Organization: "acme", ID: id, Claims: claims, Hold: time.Minute})
				took(time.Since(began))
				if no != nil || err != nil || g.State != quota.Pending {
					t.Errorf("%s: %v, %v, %v", id, g, no, err)
					return
				}
				if _, err := s.Settle(ctx, &quota.Settlement{Organization: "acme", ID: id, Born: time.Now(), Claims: claims}); err != nil {
					t.Error(err)
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	return count.Load()
}

func TestLeasesCutTheOperationsOfRedisToATenth(t *testing.T) {
	r := servers.StartRedis(t)
	store, _ := live(t, Params{URL: "redis://" + r.Addr})
	ready(t, store, "acme")
	claims := hot()
	const exchanges = 20_000
	var left atomic.Int64
	left.Store(exchanges)
	more := func() bool { return left.Add(-1) >= 0 }
	before := scriptsRun(t, r)
	var told atomic.Int64
	s := lease.New(lease.Params{Store: store, From: 200, Replicas: 4, Settled: func(_ *quota.Settlement, out quota.Outcome, err error) {
		if err == nil && out.To == quota.Settled {
			told.Add(1)
		}
	}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	n := crowded(t, s, claims, func(time.Duration) {}, more)
	stop()
	running.Wait()
	s.Close(context.Background())
	calls := scriptsRun(t, r) - before
	t.Logf("%d exchanges, %d calls of Redis", n, calls)
	if n != exchanges || calls*10 > 2*n {
		t.Errorf("%d exchanges took %d calls, and %d without leases", n, calls, 2*n)
	}
	c, err := store.Peek(context.Background(), "acme", []*quota.Budget{claims[0].Budget, claims[4].Budget})
	if err != nil {
		t.Fatal(err)
	}
	if c[0].Used != 100*n || c[0].Reserved != 0 || c[1].Reserved != 0 || s.Held() != 0 {
		t.Errorf("counters are %+v after %d exchanges, %d leases are held", c, n, s.Held())
	}
	if singles := n - told.Load(); singles < 1 || singles > n/10 {
		t.Errorf("%d of %d exchanges were told by themselves", singles, n)
	}
}

// BenchmarkHotOwner is one owner's exchanges by 64 clients, with and without leases: reservations in a second, the slowest of
// a hundred, and calls of Redis for each.
func BenchmarkHotOwner(b *testing.B) {
	r := servers.StartRedis(b)
	store, _ := live(b, Params{URL: "redis://" + r.Addr})
	ready(b, store, "acme")
	leased := lease.New(lease.Params{Store: store, From: 200, Replicas: 4})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { leased.Run(ctx) })
	defer running.Wait()
	defer stop()
	claims := hot()
	for _, one := range []struct {
		name  string
		store quota.Store
	}{{"by themselves", store}, {"leases", leased}} {
		b.Run(one.name, func(b *testing.B) {
			var slow [1 << 12]atomic.Int64 // of 10 µs each
			before, left := scriptsRun(b, r), atomic.Int64{}
			left.Store(int64(b.N))
			b.ResetTimer()
			n := crowded(b, one.store, claims, func(d time.Duration) { slow[min(d/(10*time.Microsecond), 1<<12-1)].Add(1) }, func() bool { return left.Add(-1) >= 0 })
			b.StopTimer()
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "exchanges/s")
			b.ReportMetric(float64(scriptsRun(b, r)-before)/float64(n), "calls/op")
			sum := int64(0)
			for i := range slow {
				if sum += slow[i].Load(); sum*100 >= n*99 {
					b.ReportMetric(float64(i+1)/100, "p99-ms")
					break
				}
			}
		})
	}
}
