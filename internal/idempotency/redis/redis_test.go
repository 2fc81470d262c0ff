package redis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/idempotency/storetest"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := New(Params{URL: url, Most: storetest.Most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContract(t *testing.T) {
	r := servers.StartRedis(t)
	storetest.Run(t, func(t testing.TB) (idempotency.Store, idempotency.Store) {
		if _, err := r.Do("FLUSHALL"); err != nil {
			t.Fatal(err)
		}
		return open(t, "redis://"+r.Addr), open(t, "redis://"+r.Addr)
	})
}

func TestContractOnACluster(t *testing.T) {
	nodes := servers.StartRedisCluster(t, 3, 0)
	storetest.Run(t, func(t testing.TB) (idempotency.Store, idempotency.Store) {
		for _, n := range nodes {
			if _, err := n.Do("FLUSHALL"); err != nil {
				t.Fatal(err)
			}
		}
		return open(t, "redis+cluster://"+nodes[0].Addr), open(t, "redis+cluster://"+nodes[1].Addr)
	})
}

// Nothing is left where nothing is kept: neither entries nor their order.
func TestEverythingExpires(t *testing.T) {
	r := servers.StartRedis(t)
	s := open(t, "redis://"+r.Addr)
	c := idempotency.Claim{Holder: "h", Print: "p"}
	for _, a := range []string{"a", "b"} {
		if _, err := s.Take(t.Context(), a, c, 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Finish(t.Context(), "a", c, []byte("answer"), 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.Do("DBSIZE"); n != "4" {
		t.Errorf("%s keys", n)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n, err := r.Do("DBSIZE")
		if n == "0" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s keys are left, %v", n, err)
		}
	}
}

func TestAStoreThatIsAwaySaysSo(t *testing.T) {
	r := servers.StartRedis(t)
	s := open(t, "redis://"+r.Addr)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c := idempotency.Claim{Holder: "h", Print: "p"}
	if _, err := s.Take(ctx, "a", c, time.Minute); err != nil {
		t.Fatal(err)
	}
	r.Kill()
	if _, err := s.Take(ctx, "b", c, time.Minute); !errors.Is(err, idempotency.ErrUnavailable) {
		t.Error(err)
	}
	r.Start() // it has forgotten everything
	e, err := s.Take(ctx, "a", c, time.Minute)
	if err != nil || !e.Taken {
		t.Error(e, err)
	}
	r.Pause()
	defer r.Resume()
	hung, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Take(hung, "c", c, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
