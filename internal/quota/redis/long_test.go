package redis

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// long reports whether make test-quota asks for the tests that take minutes.
func long() bool { return os.Getenv("SIGNALBOX_QUOTA_LONG") == "1" }

func needsLong(t *testing.T) {
	t.Helper()
	if !long() {
		t.Skip("make test-quota runs it")
	}
}

func TestCluster(t *testing.T) {
	needsLong(t)
	nodes := servers.StartRedisCluster(t, 3, 0)
	subject := maker(t, "redis+cluster://"+nodes[1].Addr)
	t.Run("contract", func(t *testing.T) { quotatest.Run(t, subject) })
	t.Run("histories", func(t *testing.T) { quotatest.Histories(t, subject) })
	t.Run("crowd", func(t *testing.T) { quotatest.Crowd(t, subject(t), 16, 200) })
}

// A master is killed under load. Its organizations are away until the replica takes over, those of other masters are
// not; whatever was lost by the replica is noticed, and afterwards the counters are the ledger's.
func TestAMasterOfAClusterIsKilled(t *testing.T) {
	needsLong(t)
	nodes := servers.StartRedisCluster(t, 3, 1)
	s, b := live(t, Params{URL: "redis+cluster://" + nodes[1].Addr, Timeout: 200 * time.Millisecond, Alarm: func(o, what string) { t.Log(time.Now().Format("05.000"), o, what) }})
	var names []string
	for i := range 12 {
		names = append(names, "o"+strconv.Itoa(i))
		ready(t, s, names[i])
	}
	var stop atomic.Bool
	var done, away atomic.Int64
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("x%d-%d", i, n)
				switch got := ask(s, name, id, life, 2); got {
				case "ok":
					until(t, "", func() string { return end(s, name, id, 1) })
					b.add(name, "life", 1)
					done.Add(1)
				case "unavailable", "unknown":
					away.Add(1)
					time.Sleep(20 * time.Millisecond)
				default:
					t.Errorf("%s: got %q", id, got)
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	nodes[0].Kill()
	time.Sleep(6 * time.Second)
	stop.Store(true)
	wg.Wait()
	if done.Load() < 100 || away.Load() == 0 {
		t.Errorf("%d were done, %d met a store that was away", done.Load(), away.Load())
	}
	for _, name := range names {
		ready(t, s, name)
		c, err := s.Peek(context.Background(), name, []*quota.Budget{life})
		if err != nil {
			t.Fatal(err)
		}
		// A rebuild may fall between an end and its record, which here come one after the other.
		if want := b.used[name+"/life"]; c[0].Used < want-2 || c[0].Used > want+4 {
			t.Errorf("%s: %d are counted, and %d were used", name, c[0].Used, want)
		}
	}
	t.Logf("%d done, %d away", done.Load(), away.Load())
}

func TestASentinelFailsOver(t *testing.T) {
	needsLong(t)
	master, _, sentinel := servers.StartRedisSentinel(t, "main")
	s, _ := live(t, Params{URL: "redis+sentinel://" + sentinel.Addr + "/main", Timeout: 200 * time.Millisecond})
	ready(t, s, "acme")
	for i := range 10 {
		if got := ask(s, "acme", fmt.Sprint("a", i), small, 1); got != "ok" {
			t.Fatal(got)
		}
	}
	time.Sleep(200 * time.Millisecond) // the replica has them
	master.Kill()
	took := until(t, "0 left", func() string { return ask(s, "acme", fmt.Sprint("b", time.Now().UnixNano()), small, 1) })
	t.Logf("away for %v", took)
}

// clusterAccount is what docs/quotas.md tells operators to add in a cluster.
const clusterAccount = account + " +cluster|slots +cluster|shards +cluster|nodes +command"

func TestTheDocumentedAccountIsEnoughInACluster(t *testing.T) {
	needsLong(t)
	nodes := servers.StartRedisCluster(t, 3, 0)
	for _, n := range nodes {
		if _, err := n.Do(append([]string{"ACL", "SETUSER", "signalbox"}, strings.Fields(clusterAccount)...)...); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := live(t, Params{URL: "redis+cluster://signalbox@" + nodes[0].Addr, Password: func(context.Context) (secret.Value, error) { return secret.New("hunter2"), nil }})
	for i := range 6 {
		name := fmt.Sprint("o", i)
		ready(t, s, name)
		if got := ask(s, name, "a", life, 1); got != "ok" {
			t.Errorf("got %q", got)
		}
		settle(t, s, name, "a", life, 1)
	}
	if err := s.Ready(context.Background()); err != nil {
		t.Error(err)
	}
}

// Each master of a Cluster has counters of some organizations: one that evicts is enough to forget them.
func TestAClusterOfWhichOneMasterEvictsIsNotReady(t *testing.T) {
	needsLong(t)
	nodes := servers.StartRedisCluster(t, 3, 0)
	s, _ := live(t, Params{URL: "redis+cluster://" + nodes[0].Addr})
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if _, err := n.Do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := s.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), "noeviction") {
				t.Fatalf("got %v", err)
			}
		}
		if _, err := n.Do("CONFIG", "SET", "maxmemory-policy", "noeviction"); err != nil {
			t.Fatal(err)
		}
	}
}
