package metering_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// set returns a time as it is read once the clock was set forward: by that it is later, and not by the time that a process sees
// go by. Package time makes no such time but when the clock says so.
func set(t time.Time, seconds int64) time.Time {
	const monotonic, second = 1 << 63, 1 << 30 // of time.Time's first word, which else has the second's fraction
	word := (*uint64)(unsafe.Pointer(&t))
	if *word&monotonic != 0 {
		*word += uint64(seconds) * second
	}
	return t
}

// TestAClockThatIsSetForwardEndsNothing: what runs is not taken for what nobody keeps alive, also where the store has the same clock.
func TestAClockThatIsSetForwardEndsNothing(t *testing.T) {
	origin := time.Now() // with what the process sees go by, which a bubble's time does not have
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		began := time.Now()
		clock := func() time.Time { return set(origin.Add(time.Since(began)), ahead.Load()) }
		if before, after := clock(), set(clock(), 120); after.Sub(before) > time.Second || after.Unix()-before.Unix() != 120 {
			t.Fatalf("a clock that is set does not look so: %v, %v", before, after)
		}
		parallel := &quota.Budget{ID: "parallel", Unit: quota.Parallel, Limit: 1, Window: window.Window{Kind: window.Gauge}}
		r := newRig(t, parallel)
		r.store = memory.New(memory.Params{Now: clock})
		r.Meter = metering.New(metering.Params{Store: r.store, Books: &r.books, Now: clock})
		w := r.want(100, 50)
		w.Began, w.Hold = clock(), time.Hour
		if _, err := r.reserve(t, w); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go r.Run(ctx, func() []string { return []string{"default"} })
		time.Sleep(10 * time.Second)
		ahead.Store(120)
		time.Sleep(10 * time.Second)
		if c := r.counter(t, parallel); c.Reserved != 1 || len(r.books.lapses) != 0 {
			t.Errorf("%d run, and %+v expired", c.Reserved, r.books.lapses)
		}
	})
}
