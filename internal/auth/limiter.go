package auth

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Limiter slows down addresses from which wrong keys come. What counts is different wrong keys: a client that has one
// bad key and repeats it guesses nothing, and must not lock out others behind the same address. It holds a bounded
// number of addresses and is safe for concurrent use. An address of IPv6 stands for its /64, which is what a
// subscriber has.
type Limiter struct {
	free    int // wrong keys without a wait
	longest time.Duration
	most    int // addresses

	until atomic.Int64 // Unix nanoseconds: nobody waits longer, so that a gate which nobody attacks asks no lock
	mu    sync.Mutex
	m     map[netip.Addr]*failures
}

// remembered is how many wrong keys of an address are told apart from new ones.
const remembered = 8

// forgetAfter is how long an address is remembered after its last wrong key.
const forgetAfter = 15 * time.Minute

type failures struct {
	n     int
	last  time.Time
	until time.Time // no attempt counts before
	seen  [remembered]uint64
}

// NewLimiter makes a limiter that lets free wrong keys of an address pass; each one beyond doubles the wait, from a
// second up to longest. It remembers at most the given number of addresses.
func NewLimiter(free int, longest time.Duration, addresses int) *Limiter {
	return &Limiter{free: free, longest: longest, most: addresses, m: map[netip.Addr]*failures{}}
}

// Wait returns how long an address has to wait before a key of it is looked at; 0: not at all.
func (l *Limiter) Wait(a netip.Addr, now time.Time) time.Duration {
	if l == nil || now.UnixNano() >= l.until.Load() || !a.IsValid() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.m[subscriber(a)]
	if f == nil {
		return 0
	}
	return max(0, f.until.Sub(now))
}

// wait is Wait for an address that is worked out only where one may have to.
func (l *Limiter) wait(address func() netip.Addr, now time.Time) time.Duration {
	if l == nil || now.UnixNano() >= l.until.Load() {
		return 0
	}
	return l.Wait(address(), now)
}

// Failed counts a wrong key.
func (l *Limiter) Failed(a netip.Addr, key [32]byte, now time.Time) {
	if l == nil || !a.IsValid() {
		return
	}
	a = subscriber(a)
	mark := binary.LittleEndian.Uint64(key[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.m[a]
	if f != nil && now.Sub(f.last) >= forgetAfter {
		*f = failures{}
	}
	if f == nil {
		l.room(now)
		f = &failures{}
		l.m[a] = f
	}
	for i := range min(f.n, remembered) {
		if f.seen[i] == mark {
			return
		}
	}
	f.seen[f.n%remembered] = mark
	f.n++
	f.last = now
	if over := f.n - l.free; over > 0 {
		f.until = now.Add(min(l.longest, time.Second<<min(over-1, 20)))
		l.until.Store(max(l.until.Load(), f.until.UnixNano()))
	}
}

// room makes room for one more address: of a few, which the map chooses at random, those go that are due, or else the
// one that failed longest ago.
func (l *Limiter) room(now time.Time) {
	if len(l.m) < l.most {
		return
	}
	const few = 16
	var oldest netip.Addr
	var when time.Time
	looked := 0
	for a, f := range l.m {
		if now.Sub(f.last) >= forgetAfter {
			delete(l.m, a)
		} else if !oldest.IsValid() || f.last.Before(when) {
			oldest, when = a, f.last
		}
		if looked++; looked == few {
			break
		}
	}
	if len(l.m) >= l.most {
		delete(l.m, oldest)
	}
}

// subscriber is whom an address stands for.
func subscriber(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.Is6() {
		p, _ := a.WithZone("").Prefix(64)
		return p.Addr()
	}
	return a
}

// slowDown is the answer to an address that has to wait.
func slowDown(wait time.Duration) error {
	return &llm.Error{Code: llm.CodeRateLimited, Op: op, Reason: "failed_attempts", Message: "too many different wrong keys from this address; try again later", After: wait.Round(time.Second) + time.Second}
}
