package lease

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
)

// inMemory makes a store in memory with a clock of its own.
func inMemory(testing.TB) quotatest.Subject {
	var now atomic.Int64
	s := memory.New(memory.Params{Keep: quotatest.Keep, KeepExpired: quotatest.KeepExpired, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	return quotatest.Subject{Store: s, Organization: "acme", Clock: func(at time.Time) { now.Store(at.UnixMilli()) }}
}

// eager has every reservation made by a lease of three.
func eager(store quota.Store, now func() time.Time, told func(*quota.Settlement, quota.Outcome, error)) quotatest.Leasing {
	return New(Params{Store: store, Settled: told, Now: now, Eager: 3})
}

func TestContract(t *testing.T) { quotatest.Run(t, quotatest.Leased(inMemory, eager)) }

func TestHistories(t *testing.T) { quotatest.Histories(t, quotatest.Leased(inMemory, eager)) }
