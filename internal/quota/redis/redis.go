// Package redis counts quotas in Redis, for many replicas: standalone, behind Sentinels, or a Cluster.
//
//	Store ─ one script per call, one round trip ─► Redis
//	  │       epoch: are the counters those that this process knows?
//	  └─ Unknown ─► rebuild: lock, close, counters from the ledger, open reservations come back, open
//
// All keys of an organization share a hash tag, so that a call meets one node and is atomic there:
//
//	q:{o}:m        hash    ep epoch, seq count of operations
//	q:{o}:r        hash    reservation id → record
//	q:{o}:x        zset    reservation id, by when it expires or is forgotten (Unix ms)
//	q:{o}:b:BUDGET hash    ws window start, cu used, pu used in the window before, r reserved, late, over, ln length
//	q:{o}:n        set     budgets that have a counter
//	q:{o}:k        string  lock of a rebuild
//
// The scripts are in lua/. Time is Redis's own. The package decides nothing for the time that Redis is away
// and keeps no list of what this process has open: internal/quota/guard does both.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Source gives what an organization's budgets have used by the ledger, with everything that was settled until
// now: what is missing could be used again. Budgets that are not among the balances have used nothing.
type Source func(ctx context.Context, organization string) ([]quota.Balance, error)

// Params are a store's settings.
type Params struct {
	URL         string                                      // see redis.CheckURL
	Password    func(context.Context) (secret.Value, error) // nil: none
	TLS         *tls.Config                                 // of rediss://; nil: the system's authorities
	Source      Source                                      // required
	Timeout     time.Duration                               // of a reservation; 50 ms
	Patience    time.Duration                               // of everything else, off the request path; 2 s
	Keep        time.Duration                               // how long what was settled or voided is remembered; an hour
	KeepExpired time.Duration                               // the same for what expired; 24 hours
	Grace       time.Duration                               // for other replicas to put back what they have open; 2 s
	Connections int                                         // at most, to each node; 0: 10 for each processor
	Alarm       func(organization, what string)             // told when counters were lost or put back; nil: nobody
	Turned      func(organization string)                   // told when the epoch that was in use is over: Redis lost its counters, or they were put back; nil: nobody
}

// connection is what of the settings is the connection's.
func (p *Params) connection() redis.Options {
	return redis.Options{Password: p.Password, TLS: p.TLS, Timeout: p.Timeout, Patience: p.Patience, Connections: p.Connections}
}

// Store counts in Redis.
type Store struct {
	p      Params
	place  redis.Place
	client atomic.Pointer[goredis.UniversalClient]

	eras     sync.Map // organization → *eras
	rebuilds sync.WaitGroup
	life     context.Context //nolint:containedctx // ends with the store, whose rebuilds outlive the calls that begin them
	end      context.CancelFunc
	calls    atomic.Uint64
	unseen   atomic.Bool // the account may not look through the names of counters
	clock    string      // key suffix of a fake clock, for tests; "": Redis's own
	now      func(ctx context.Context, organization string) time.Time
	scripts  scripts
}

var (
	_ quota.Store     = (*Store)(nil)
	_ quota.Rebuilder = (*Store)(nil)
)

// New makes a store. It connects when it is first used.
func New(p Params) (*Store, error) { return open(p, "") }

func open(p Params, clock string) (*Store, error) {
	at, err := redis.Locate(p.URL)
	if err != nil {
		return nil, err
	}
	if p.Source == nil {
		return nil, errors.New("quota: a store in Redis needs the ledger to be rebuilt from")
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&p.Timeout, 50 * time.Millisecond}, {&p.Patience, 2 * time.Second}, {&p.Keep, time.Hour}, {&p.KeepExpired, 24 * time.Hour}, {&p.Grace, 2 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if p.Alarm == nil {
		p.Alarm = func(string, string) {}
	}
	if p.Turned == nil {
		p.Turned = func(string) {}
	}
	s := &Store{p: p, place: at, clock: clock, scripts: compile(clock)}
	s.now = func(context.Context, string) time.Time { return time.Now() }
	if clock != "" {
		s.now = s.fakeNow
	}
	s.life, s.end = context.WithCancel(context.Background())
	c := at.Connect(p.connection())
	s.client.Store(&c)
	return s, nil
}

// Close ends rebuilds and closes the connections.
func (s *Store) Close() error {
	s.end()
	s.rebuilds.Wait()
	return (*s.client.Load()).Close()
}

// renew drops all connections: one of them gave an answer that was not ours.
func (s *Store) renew() {
	c := s.place.Connect(s.p.connection())
	old := s.client.Swap(&c)
	_ = (*old).Close()
}

// Ready says whether Redis answers and keeps what it is given. A policy that evicts would drop counters.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.p.Patience)
	defer cancel()
	c := *s.client.Load()
	if err := c.Ping(ctx).Err(); err != nil {
		return s.away(err)
	}
	nodes, ok := c.(*goredis.ClusterClient)
	if !ok {
		return evicts(ctx, c)
	}
	// Any of its masters has somebody's counters. One that is away keeps only those of its own from being counted.
	var mu sync.Mutex
	var worst error
	_ = nodes.ForEachMaster(ctx, func(ctx context.Context, one *goredis.Client) error {
		if err := evicts(ctx, one); err != nil {
			mu.Lock()
			defer mu.Unlock()
			worst = err
		}
		return nil
	})
	return worst
}

// evicts says whether a node drops keys when its memory is full.
func evicts(ctx context.Context, node goredis.Cmdable) error {
	info, err := node.Info(ctx, "memory").Result()
	if err != nil {
		return nil // an account without INFO; docs/quotas.md says what is then not seen
	}
	for line := range strings.Lines(info) {
		if policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:"); ok && policy != "noeviction" {
			return fmt.Errorf("quota: Redis evicts keys (maxmemory-policy %s); it must be noeviction", policy)
		}
	}
	return nil
}

// key returns a key of an organization.
func key(organization, what string) string { return "q:{" + organization + "}:" + what }

// away makes the error for what Redis could not do. Redis's own text stays for the log: it may repeat arguments,
// but those are names of ours and numbers. A cluster may have moved the slot: the client, which finds that out by
// itself only from nodes that still answer, looks again.
func (s *Store) away(err error) error {
	if c, ok := (*s.client.Load()).(*goredis.ClusterClient); ok {
		c.ReloadState(s.life)
	}
	return fmt.Errorf("%w: %w", quota.ErrUnavailable, err)
}
