package memory

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota/quotatest"
)

// subject makes a store with a clock of its own.
func subject(testing.TB) quotatest.Subject {
	var now atomic.Int64
	s := New(Params{Keep: quotatest.Keep, KeepExpired: quotatest.KeepExpired, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	return quotatest.Subject{Store: s, Organization: "acme", Clock: func(at time.Time) { now.Store(at.UnixMilli()) }}
}

func TestContract(t *testing.T) { quotatest.Run(t, subject) }

func TestHistories(t *testing.T) { quotatest.Histories(t, subject) }
