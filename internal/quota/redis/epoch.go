package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// An epoch's name begins with what it is.
const (
	building  = "b:" // counters are being written: nobody may do anything
	restoring = "r:" // replicas put back what they have open: nothing new is admitted
	taking    = "t:" // in use
)

// era is an epoch as this process knows it, with the highest count of operations seen in it.
type era struct {
	name string
	seen atomic.Int64
}

// eras is an organization's epoch.
type eras struct {
	mu      sync.Mutex
	now     *era
	taken   string    // the last epoch in use
	busy    bool      // a rebuild of ours is running
	another time.Time // not before which the next is tried
	names
}

// names is how far the names of counters were looked through.
type names struct {
	cursor uint64
	next   time.Time // not before which that goes on
}

// pause is between two attempts to rebuild.
const pause = 250 * time.Millisecond

func (s *Store) of(organization string) *eras {
	if v, ok := s.eras.Load(organization); ok {
		return v.(*eras)
	}
	v, _ := s.eras.LoadOrStore(organization, &eras{})
	return v.(*eras)
}

// era returns the epoch that calls are made in, asking for it the first time.
func (s *Store) era(ctx context.Context, organization string) (*era, error) {
	if err := (&quota.Request{Organization: organization, ID: "era"}).CheckNames(); err != nil {
		return nil, err
	}
	o := s.of(organization)
	o.mu.Lock()
	e := o.now
	o.mu.Unlock()
	if e != nil {
		return e, nil
	}
	name, err := s.ask(ctx, organization)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(name, taking) && !strings.HasPrefix(name, restoring) {
		s.start(organization, name)
		return nil, unknown(organization)
	}
	return s.adopt(organization, name), nil
}

// ask reads the epoch from Redis; "" where there is none.
func (s *Store) ask(ctx context.Context, organization string) (string, error) {
	name, err := (*s.client.Load()).HGet(ctx, key(organization, "m"), "ep").Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return "", s.away(err)
	}
	return name, nil
}

// Epoch asks Redis for an organization's epoch and takes it up. When it changes, what this process has open
// must be put back with Request.Force. Without one it is Unknown, and a rebuild is under way.
func (s *Store) Epoch(ctx context.Context, organization string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.p.Patience)
	defer cancel()
	name, err := s.ask(ctx, organization)
	if err != nil {
		return "", err
	}
	o := s.of(organization)
	o.mu.Lock()
	e := o.now
	o.mu.Unlock()
	if e == nil || e.name != name {
		if err := s.turned(organization, e, name); err != nil && !strings.HasPrefix(name, taking) && !strings.HasPrefix(name, restoring) {
			return "", err
		}
	} else if strings.HasPrefix(name, restoring) {
		s.start(organization, name)
	}
	return name, nil
}

// Known says why an organization's counters are not known: nil once reservations are taken. It begins a rebuild where
// none is under way.
func (s *Store) Known(ctx context.Context, organization string) error {
	name, err := s.Epoch(ctx, organization)
	if err == nil && !strings.HasPrefix(name, taking) {
		err = unknown(organization)
	}
	return err
}

// adopt takes up an epoch.
func (s *Store) adopt(organization, name string) *era {
	o := s.of(organization)
	o.mu.Lock()
	if o.now == nil || o.now.name != name {
		o.now = &era{name: name}
	}
	e, last := o.now, o.taken
	if strings.HasPrefix(name, taking) {
		o.taken = name
	}
	o.mu.Unlock()
	if last != "" && last != name && strings.HasPrefix(name, taking) {
		s.p.Turned(organization)
	}
	return e
}

// turned takes up what Redis says of its epoch. It always returns Unknown: what the call wanted did not happen.
func (s *Store) turned(organization string, was *era, name string) error {
	switch {
	case strings.HasPrefix(name, taking):
		s.adopt(organization, name)
	case strings.HasPrefix(name, restoring):
		s.adopt(organization, name)
		s.start(organization, name)
	default:
		s.drop(organization, was)
		s.start(organization, name)
	}
	return unknown(organization)
}

func unknown(organization string) error {
	return fmt.Errorf("%w: organization %s", quota.ErrUnknown, organization)
}

func (s *Store) drop(organization string, was *era) {
	o := s.of(organization)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now == was {
		o.now = nil
	}
}

// fence compares the count of operations with the highest that was known when the call was sent. A count that
// did not rise means that Redis has lost what it had acknowledged: a replica without it took over, or an old
// snapshot was loaded. (With the value at sending, since replies may be read out of order.)
func (s *Store) fence(organization string, e *era, before, seq int64, wrote bool) error {
	if seq < before || wrote && seq == before {
		s.drop(organization, e)
		s.p.Alarm(organization, "Redis lost writes that it had acknowledged; the counters are rebuilt from the ledger")
		s.start(organization, e.name)
		return unknown(organization)
	}
	for {
		seen := e.seen.Load()
		if seq <= seen || e.seen.CompareAndSwap(seen, seq) {
			return nil
		}
	}
}

// start begins a rebuild in the background, one at a time. from is the epoch that was seen: where Redis has
// another by then, somebody else was faster.
func (s *Store) start(organization, from string) {
	o := s.of(organization)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy || time.Now().Before(o.another) || s.life.Err() != nil {
		return
	}
	o.busy = true
	s.rebuilds.Go(func() {
		ctx, cancel := context.WithTimeout(s.life, lockFor)
		defer cancel()
		err := s.rebuild(ctx, organization, from, s.p.Source)
		if err != nil && !errors.Is(err, errFaster) && s.life.Err() == nil {
			s.p.Alarm(organization, "the counters could not be rebuilt: "+err.Error())
		}
		o.mu.Lock()
		o.busy, o.another = false, time.Now().Add(pause)
		o.mu.Unlock()
	})
}

// fakeNow reads the clock of tests.
func (s *Store) fakeNow(ctx context.Context, organization string) time.Time {
	text, _ := (*s.client.Load()).Get(ctx, key(organization, s.clock)).Result()
	ms, _ := strconv.ParseInt(text, 10, 64)
	return time.UnixMilli(ms)
}
