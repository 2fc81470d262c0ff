package memory

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/idempotency/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(testing.TB) (idempotency.Store, idempotency.Store) {
		s := New(Params{Most: storetest.Most})
		return s, s
	})
}

// A process that never renews a lease, and clients that never come back, leave nothing behind.
func TestWhatHasEndedIsForgotten(t *testing.T) {
	now := time.Unix(0, 0)
	s := New(Params{Now: func() time.Time { return now }})
	for i := range 10 * lookAfter {
		name := strconv.Itoa(i)
		now = now.Add(time.Second)
		if _, err := s.Take(context.Background(), name, idempotency.Claim{Holder: name}, 15*time.Second); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if _, err := s.Finish(context.Background(), name, idempotency.Claim{Holder: name}, []byte("answer"), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(s.entries); n > lookAfter+60 {
		t.Errorf("%d entries", n)
	}
	if most := int64(31 * (beside + 20)); s.Size() > most || s.order.Len() > 31 {
		t.Errorf("%d bytes in %d answers", s.Size(), s.order.Len())
	}
}
