// Package memory keeps idempotent answers within the process, up to a bound of bytes. Other replicas do not see them, and
// they end with the process: internal/idempotency/redis is for more.
package memory

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/idempotency"
)

// Params of a Store. Zero fields get what a running service uses.
type Params struct {
	Most int64 // bytes of all answers; the oldest go first; 64 MiB
	Now  func() time.Time
}

// Store keeps answers in memory.
type Store struct {
	most int64
	now  func() time.Time

	mu      sync.Mutex
	entries map[string]*entry
	order   list.List // addresses of those with an answer, by when it came
	size    int64     // bytes of all answers
	takes   uint      // since running entries were looked through
}

// entry is a request that runs or has its answer.
type entry struct {
	idempotency.Claim
	until  time.Time // the lease's end, or the answer's
	answer []byte    // nil: it runs
	at     *list.Element
	ended  chan struct{} // closed when it has an answer or runs no more
}

var _ idempotency.Store = (*Store)(nil)

// New makes a Store.
func New(p Params) *Store {
	s := &Store{most: p.Most, now: p.Now, entries: map[string]*entry{}}
	if s.most <= 0 {
		s.most = 64 << 20
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Take implements idempotency.Store.
func (s *Store) Take(_ context.Context, address string, c idempotency.Claim, lease time.Duration) (idempotency.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.takes++; s.takes >= lookAfter {
		s.takes = 0
		s.look(now)
	}
	if e := s.entries[address]; e != nil {
		if e.answer == nil && e.Holder == c.Holder {
			e.until = now.Add(lease)
			return idempotency.Entry{Taken: true}, nil
		}
		if now.Before(e.until) {
			return idempotency.Entry{Print: e.Print, Answer: e.answer}, nil
		}
		s.remove(address, e)
	}
	s.entries[address] = &entry{Claim: c, until: now.Add(lease), ended: make(chan struct{})}
	return idempotency.Entry{Taken: true}, nil
}

// lookAfter is after how many takes all are looked through for what has ended.
const lookAfter = 1024

// look removes what has ended.
func (s *Store) look(now time.Time) {
	for address, e := range s.entries {
		if !now.Before(e.until) {
			s.remove(address, e)
		}
	}
}

// remove forgets an entry. Who waits for it looks again.
func (s *Store) remove(address string, e *entry) {
	if e.at != nil {
		s.order.Remove(e.at)
		s.size -= weight(address, e.answer)
	} else {
		close(e.ended)
	}
	delete(s.entries, address)
}

// weight is what an answer takes, with what is kept beside it.
func weight(address string, answer []byte) int64 { return int64(len(address)+len(answer)) + beside }

const beside = 256

// mine returns a holder's entry that runs, also where its lease has ended and nobody else was there.
func (s *Store) mine(address, holder string) *entry {
	if e := s.entries[address]; e != nil && e.answer == nil && e.Holder == holder {
		return e
	}
	return nil
}

// Renew implements idempotency.Store.
func (s *Store) Renew(_ context.Context, address, holder string, lease time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.mine(address, holder)
	if e == nil {
		return false, nil
	}
	e.until = s.now().Add(lease)
	return true, nil
}

// Finish implements idempotency.Store.
func (s *Store) Finish(_ context.Context, address string, c idempotency.Claim, answer []byte, keep time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	e := s.entries[address]
	switch {
	case e == nil:
		e = &entry{Claim: c, ended: make(chan struct{})}
		s.entries[address] = e
	case s.mine(address, c.Holder) == nil:
		return false, nil
	}
	e.answer, e.until = answer, now.Add(keep)
	e.at = s.order.PushBack(address)
	s.size += weight(address, answer)
	close(e.ended)
	for old := s.order.Front(); old != nil; old = s.order.Front() {
		name := old.Value.(string)
		if o := s.entries[name]; s.size > s.most || !now.Before(o.until) {
			s.remove(name, o)
			continue
		}
		break
	}
	return true, nil
}

// Release implements idempotency.Store.
func (s *Store) Release(_ context.Context, address, holder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.mine(address, holder); e != nil {
		s.remove(address, e)
	}
	return nil
}

// Wait implements idempotency.Store.
func (s *Store) Wait(ctx context.Context, address string, _ int) error {
	s.mu.Lock()
	e := s.entries[address]
	if e == nil || e.answer != nil {
		s.mu.Unlock()
		return nil
	}
	left := e.until.Sub(s.now())
	s.mu.Unlock()
	t := time.NewTimer(max(left, 0))
	defer t.Stop()
	select {
	case <-e.ended:
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Size returns the bytes of all answers.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}
