package sign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout = 15 * time.Second // of one fetch, where Options has none
	reread       = 5 * time.Minute  // how often what does not end is fetched again, where Options says nothing
	firstPause   = time.Second      // after a failed fetch; doubled by each that follows
	longestPause = time.Minute
)

// ErrClosed is returned by Get once the source's owner has closed it.
var ErrClosed = errors.New("the credential source is closed")

// Options describe a source.
type Options[T any] struct {
	// Name is what errors and logs call it. It holds no secret.
	Name string
	// Fetch obtains a credential and the time at which it ends; a zero time: it does not. It is called by one
	// goroutine at a time. Its errors hold no secret.
	Fetch func(ctx context.Context) (T, time.Time, error)
	// Every is how often a credential that does not end is fetched again, so that a changed file or variable
	// counts. 0: every 5 minutes.
	Every time.Duration
	// Timeout bounds one fetch. 0: 15 seconds.
	Timeout time.Duration
}

// Source holds a credential. Once started it renews it in the background after about three quarters of its
// life, and after failures again with growing pauses; the old one serves until it ends. A source that nobody
// started fetches when it is asked and has nothing to give. Its methods are safe for concurrent use.
type Source[T any] struct {
	o    Options[T]
	held atomic.Pointer[held[T]]
	log  *slog.Logger
	kick chan struct{} // asks the loop for a fetch at once
	turn chan struct{} // held by who fetches without a loop

	mu      sync.Mutex
	stop    context.CancelFunc // nil: not started
	done    chan struct{}      // closed when the loop has ended
	closed  bool
	running bool     // the loop is fetching
	next    *attempt // the one that is running, or will be the next
	failed  error    // of the last attempt
	ended   time.Time
}

// held is a credential that was fetched.
type held[T any] struct {
	value T
	ends  time.Time // zero: never
}

func (h *held[T]) alive(now time.Time) bool {
	return h != nil && (h.ends.IsZero() || now.Before(h.ends))
}

// attempt is one fetch that callers may wait for. err is set before done is closed.
type attempt struct {
	done chan struct{}
	err  error
}

func newAttempt() *attempt { return &attempt{done: make(chan struct{})} }

// NewSource makes a source. It does nothing before it is started or asked.
func NewSource[T any](o Options[T]) *Source[T] {
	if o.Every == 0 {
		o.Every = reread
	}
	if o.Timeout == 0 {
		o.Timeout = fetchTimeout
	}
	return &Source[T]{o: o, kick: make(chan struct{}, 1), turn: make(chan struct{}, 1), next: newAttempt(), log: slog.New(slog.DiscardHandler)}
}

// Get returns the credential. While it holds one that has not ended it neither waits nor allocates;
// otherwise it waits for one fetch at most, and for the context. It fails at once when a fetch failed less
// than a second ago.
func (s *Source[T]) Get(ctx context.Context) (T, error) {
	if h := s.held.Load(); h.alive(time.Now()) {
		return h.value, nil
	}
	if err := s.wait(ctx); err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", s.o.Name, err)
	}
	return s.held.Load().value, nil
}

// wait returns nil when a fetch has brought a credential.
func (s *Source[T]) wait(ctx context.Context) error {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case s.stop == nil:
		s.mu.Unlock()
		return s.inline(ctx)
	case !s.running && s.failed != nil && time.Since(s.ended) < firstPause:
		defer s.mu.Unlock()
		return s.failed
	}
	a := s.next
	if !s.running {
		s.ask()
	}
	s.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("no credential yet: %w", context.Cause(ctx))
	}
}

// ask makes the loop fetch at once, or once more after the fetch that is running. The lock is held.
func (s *Source[T]) ask() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// inline fetches in the caller's time, for a source without a loop.
func (s *Source[T]) inline(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("no credential yet: %w", context.Cause(ctx))
	}
	defer func() { <-s.turn }()
	if s.held.Load().alive(time.Now()) {
		return nil
	}
	return s.fetch(ctx)
}

// fetch obtains a credential and keeps it.
func (s *Source[T]) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	v, ends, err := s.o.Fetch(ctx)
	if err != nil {
		return err
	}
	h := &held[T]{v, ends}
	if now := time.Now(); !h.alive(now) {
		return fmt.Errorf("the credential ended %s before it arrived; is the clock right?", now.Sub(ends).Round(time.Second))
	}
	s.held.Store(h)
	return nil
}

// Start fetches now and keeps the credential fresh until Close. A second call does nothing.
func (s *Source[T]) Start(log *slog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.stop != nil {
		return
	}
	if log != nil {
		s.log = log
	}
	ctx, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls stop
	s.stop, s.done, s.running = stop, make(chan struct{}), true
	go s.run(ctx)
}

// Renew asks for a fetch ahead of time, as when what it is made from may have changed. The credential that
// is held serves until another is there. A fetch that is running is followed by another, for it may have begun
// before the change.
func (s *Source[T]) Renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.ask()
	}
}

// Close ends the source, and returns when its goroutine has ended. What it holds is given out until it ends.
func (s *Source[T]) Close() {
	s.mu.Lock()
	s.closed = true
	stop, done := s.stop, s.done
	s.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

// run fetches until the context ends. It begins as running.
func (s *Source[T]) run(ctx context.Context) {
	defer close(s.done)
	failures := 0
	for {
		err := s.fetch(ctx)
		if ctx.Err() != nil {
			s.finish(ErrClosed)
			return
		}
		if err != nil {
			failures++
		} else if failures > 0 {
			s.log.Info("credential renewed", "source", s.o.Name, "after_failures", failures)
			failures = 0
		}
		s.finish(err)
		pause := s.pause(failures)
		if err != nil {
			s.complain(err, pause)
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			s.finish(ErrClosed)
			return
		case <-t.C:
		case <-s.kick:
			t.Stop()
		}
		s.begin()
	}
}

// begin marks the loop as fetching; requests for a fetch so far are served by this one.
func (s *Source[T]) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = true
	select {
	case <-s.kick:
	default:
	}
}

// finish tells those who wait how the attempt went.
func (s *Source[T]) finish(err error) {
	s.mu.Lock()
	a := s.next
	s.next, s.running, s.failed, s.ended = newAttempt(), false, err, time.Now()
	s.mu.Unlock()
	a.err = err
	close(a.done)
}

func (s *Source[T]) complain(err error, pause time.Duration) {
	h, now := s.held.Load(), time.Now()
	switch {
	case !h.alive(now):
		s.log.Error("no credential", "source", s.o.Name, "error", err, "again_in", pause)
	case h.ends.IsZero():
		s.log.Warn("credential not renewed, the old one serves", "source", s.o.Name, "error", err, "again_in", pause)
	default:
		s.log.Warn("credential not renewed, the old one serves", "source", s.o.Name, "error", err, "again_in", pause, "ends_in", h.ends.Sub(now).Round(time.Second))
	}
}

// pause is how long to wait before the next fetch, after so many failures in a row. It varies, so that
// replicas do not ask all at once.
func (s *Source[T]) pause(failures int) time.Duration {
	if failures > 0 {
		d := longestPause
		if failures <= 6 {
			d = firstPause << (failures - 1)
		}
		return vary(d, 0.2)
	}
	h := s.held.Load()
	if h.ends.IsZero() {
		return vary(s.o.Every, 0.1)
	}
	return max(firstPause, vary(time.Until(h.ends)*3/4, 0.05))
}

// vary moves d by at most the given part of itself.
func vary(d time.Duration, part float64) time.Duration {
	return d + time.Duration(float64(d)*part*(2*rand.Float64()-1))
}
