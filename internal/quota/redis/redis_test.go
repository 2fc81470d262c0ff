package redis

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
	"github.com/signalbox-ai/signalbox/internal/testkit/servers"
)

// nothing is a ledger without records.
func nothing(context.Context, string) ([]quota.Balance, error) { return nil, nil }

// maker makes subjects in one Redis, each an organization of its own with a clock that the test sets.
func maker(t testing.TB, url string) func(testing.TB) quotatest.Subject {
	t.Helper()
	s, err := open(Params{URL: url, Source: nothing, Keep: quotatest.Keep, KeepExpired: quotatest.KeepExpired, Grace: time.Nanosecond, Timeout: 5 * time.Second}, "clock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var n atomic.Int64
	return func(t testing.TB) quotatest.Subject {
		organization := "o" + strconv.FormatInt(n.Add(1), 10)
		clock := func(at time.Time) {
			if err := (*s.client.Load()).Set(context.Background(), key(organization, "clock"), at.UnixMilli(), 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		clock(time.Now())
		if err := s.Rebuild(context.Background(), organization, nil); err != nil {
			t.Fatal(err)
		}
		return quotatest.Subject{Store: s, Organization: organization, Clock: clock}
	}
}

func TestContract(t *testing.T) {
	r := servers.StartRedis(t)
	quotatest.Run(t, maker(t, fmt.Sprintf("redis://%s", r.Addr)))
}

func TestHistories(t *testing.T) {
	r := servers.StartRedis(t)
	quotatest.Histories(t, maker(t, "redis://"+r.Addr))
}
