package redis

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// replica runs a part until the test ends, or until stop is called.
type replica struct {
	health.Known
	stop func()
	log  *lines
}

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), what)
}

func start(t *testing.T, url string) *replica {
	t.Helper()
	r := &replica{Known: health.Known{Targets: health.NewTargets(), Rests: health.NewCooldowns()}, log: &lines{}}
	g, err := New(Params{URL: url, Known: r.Known, Every: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { g.Run(ctx) })
	r.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(r.stop)
	return r
}

// try lets n attempts of a target end.
func (r *replica) try(n int, code llm.Code) {
	h := r.Targets.Of("p", "m")
	for range n {
		now := time.Now()
		h.Begin("k", now)
		h.End(health.Attempt{Key: "k", Code: code, First: time.Second, Took: time.Second}, now)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it did not come about", what)
		}
	}
}

func share(t *testing.T, one, other string) {
	a, b := start(t, one), start(t, other)
	a.try(40, llm.CodeNone)
	until(t, "b knows what a learnt", func() bool {
		s := b.Targets.Of("p", "m").Signals(time.Now())
		return s.Weight > 20 && s.Success == 1 && s.First.P50 > 900*time.Millisecond
	})
	b.try(5, llm.CodeConnect)
	until(t, "a opens its breaker with b", func() bool { return a.Targets.Of("p", "m").Signals(time.Now()).Share == 0 })
	at, _ := b.Targets.Of("p", "m").Rests("k", 0, time.Now())
	if end, rests := a.Targets.Of("p", "m").Rests("k", 0, time.Now()); !rests || end.Sub(at).Abs() > 100*time.Millisecond {
		t.Errorf("a rests %v until %v, b until %v", rests, end, at)
	}
	b.Rests.Cool(health.Subject{Provider: "q", Key: "k"}, time.Now(), time.Minute)
	until(t, "a lets the key rest with b", func() bool {
		_, cooling := a.Rests.Cooling(health.Subject{Provider: "q", Key: "k", Model: "any"}, time.Now())
		return cooling
	})
}

func TestReplicasShare(t *testing.T) {
	r := servers.StartRedis(t)
	share(t, "redis://"+r.Addr, "redis://"+r.Addr)
}

func TestReplicasShareThroughACluster(t *testing.T) {
	nodes := servers.StartRedisCluster(t, 3, 0)
	share(t, "redis+cluster://"+nodes[0].Addr, "redis+cluster://"+nodes[1].Addr)
}

// TestRedisAwayChangesNothing kills Redis and starts it again, empty: each goes by its own meanwhile, and they share again.
func TestRedisAwayChangesNothing(t *testing.T) {
	r := servers.StartRedis(t, "--save", "", "--appendonly", "no")
	a, b := start(t, "redis://"+r.Addr), start(t, "redis://"+r.Addr)
	a.try(40, llm.CodeNone)
	known := func(r *replica) func() bool {
		return func() bool { return r.Targets.Of("p", "m").Signals(time.Now()).Weight > 20 }
	}
	until(t, "b knows", known(b))
	r.Kill()
	until(t, "a notices", func() bool { return a.log.has("health is not shared") })
	until(t, "a still knows", known(a))
	until(t, "b still knows", known(b))
	r.Start()
	until(t, "a shares again", func() bool { return a.log.has("shared again") })
	c := start(t, "redis://"+r.Addr)
	until(t, "c knows", known(c))
}

// TestWhoIsGoneIsForgotten leaves a replica's summary alone.
func TestWhoIsGoneIsForgotten(t *testing.T) {
	r := servers.StartRedis(t)
	a, b := start(t, "redis://"+r.Addr), start(t, "redis://"+r.Addr)
	a.try(40, llm.CodeNone)
	until(t, "b knows", func() bool { return b.Targets.Of("p", "m").Signals(time.Now()).Weight > 20 })
	a.stop()
	time.Sleep(200 * time.Millisecond) // b goes on telling: a is the one that told last long ago
	if _, err := r.Do("ZADD", "h:{health}:when", "XX", "INCR", "-20000", firstOf(t, r)); err != nil {
		t.Fatal(err)
	}
	until(t, "b forgets", func() bool { return b.Targets.Of("p", "m").Signals(time.Now()).Weight == 0 })
	b.stop()
	if ttl, err := r.Do("PTTL", "h:{health}:told"); err != nil || strings.HasPrefix(ttl, "-") {
		t.Errorf("what nobody tells stays: %s %v", ttl, err)
	}
}

// firstOf returns the replica that has told nothing for the longest time.
func firstOf(t *testing.T, r *servers.Redis) string {
	t.Helper()
	v, err := r.Do("EVAL", "return redis.call('ZRANGE', 'h:{health}:when', 0, 0)[1]", "0")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAForeignSummaryIsLeftOut(t *testing.T) {
	r := servers.StartRedis(t)
	a := start(t, "redis://"+r.Addr)
	if _, err := r.Do("EVAL", "redis.call('HSET', 'h:{health}:told', 'x', 'no summary'); return redis.call('ZADD', 'h:{health}:when', 9e15, 'x')", "0"); err != nil {
		t.Fatal(err)
	}
	until(t, "a says so", func() bool { return a.log.has("a summary of health") })
	b := start(t, "redis://"+r.Addr)
	b.try(40, llm.CodeNone)
	until(t, "a hears b all the same", func() bool { return a.Targets.Of("p", "m").Signals(time.Now()).Weight > 20 })
}

// TestTurns has two replicas, of which one has the turn until its time is over.
func TestTurns(t *testing.T) {
	r := servers.StartRedis(t)
	made := func() *Gossip {
		g, err := New(Params{URL: "redis://" + r.Addr})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.client.Close() })
		return g
	}
	a, b := made(), made()
	turn := func(g *Gossip, what string, d time.Duration) (bool, time.Duration) {
		t.Helper()
		mine, left, err := g.Turn(t.Context(), what, d)
		if err != nil {
			t.Fatal(err)
		}
		return mine, left
	}
	if mine, left := turn(a, "p/m k", time.Minute); !mine || left != 0 {
		t.Errorf("the first gets %v, %v", mine, left)
	}
	if mine, left := turn(b, "p/m k", time.Minute); mine || left < 50*time.Second || left > time.Minute {
		t.Errorf("the second gets %v, %v", mine, left)
	}
	if mine, _ := turn(b, "p/m other", time.Minute); !mine {
		t.Error("the turn at something else is not free")
	}
	if mine, _ := turn(a, "p/m k", 50*time.Millisecond); !mine {
		t.Error("who has the turn does not get it again")
	}
	until(t, "the turn is over", func() bool {
		mine, _ := turn(b, "p/m k", time.Minute)
		return mine
	})
	if mine, _ := turn(a, "p/m k", time.Minute); mine {
		t.Error("the turn is taken away")
	}
	r.Kill()
	if mine, _, err := a.Turn(t.Context(), "p/m k", time.Minute); mine || err == nil {
		t.Errorf("without Redis: %v, %v", mine, err)
	}
}
