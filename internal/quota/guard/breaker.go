package guard

import (
	"sync"
	"time"
)

// Bounds of a breaker.
const (
	failures = 5                      // in a row, or within a second and half of the calls
	within   = time.Second            // over which calls are counted
	retry    = 250 * time.Millisecond // between two calls that are let through while it is open
)

// breaker keeps calls from a store that does not answer. The zero value is closed.
type breaker struct {
	mu     sync.Mutex
	open   bool
	row    int // failures since the last success
	since  time.Time
	calls  int // since then
	failed int
	next   time.Time // when open: not before which a call is let through
}

// allows reports whether a call may go to the store.
func (b *breaker) allows(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return true
	}
	if now.Before(b.next) {
		return false
	}
	b.next = now.Add(retry)
	return true
}

// isOpen reports whether the store is known to be away.
func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// success notes an answer. closed reports whether the breaker was open.
func (b *breaker) success(now time.Time) (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now)
	closed, b.open, b.row = b.open, false, 0
	if closed {
		b.calls, b.failed = 0, 0
	}
	return closed
}

// failure notes a call without an answer. opened reports whether that opened the breaker.
func (b *breaker) failure(now time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now)
	b.row++
	b.failed++
	if b.open || b.row < failures && (b.failed < failures || 2*b.failed < b.calls) {
		return false
	}
	b.open, b.next = true, now.Add(retry)
	return true
}

func (b *breaker) count(now time.Time) {
	if now.Sub(b.since) > within {
		b.since, b.calls, b.failed = now, 0, 0
	}
	b.calls++
}
