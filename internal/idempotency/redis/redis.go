// Package redis keeps idempotent answers in Redis, for many replicas: standalone, behind Sentinels, or a Cluster.
//
//	i:{ADDRESS}  hash    p print of the request, h who runs it, v its sealed answer; it expires with the lease or the answer
//	i:{order}:x  zset    "ADDRESS SIZE" of every answer, by when it expires (Unix ms)
//	i:{order}:n  string  bytes of all answers in it
//
// An answer is stored and released by one script, so that two replicas never both have an address. The bound of all
// answers is kept beside them, by a second script: between the two an answer may be there that is not counted, until it
// expires. Who waits asks again, a little later each time.
package redis

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Params are a store's settings.
type Params struct {
	URL      string                                      // see redis.CheckURL
	Password func(context.Context) (secret.Value, error) // nil: none
	TLS      *tls.Config                                 // of rediss://; nil: the system's authorities
	Timeout  time.Duration                               // for a connection; 250 ms
	Most     int64                                       // bytes of all answers; those that expire first go first; 64 MiB
}

// Store keeps answers in Redis.
type Store struct {
	client                              goredis.UniversalClient
	most                                int64
	take, renew, finish, release, order *goredis.Script
}

var _ idempotency.Store = (*Store)(nil)

var (
	//go:embed lua/take.lua
	takeText string
	//go:embed lua/renew.lua
	renewText string
	//go:embed lua/finish.lua
	finishText string
	//go:embed lua/release.lua
	releaseText string
	//go:embed lua/order.lua
	orderText string
)

// New makes a store. It connects when it is first used.
func New(p Params) (*Store, error) {
	at, err := redis.Locate(p.URL)
	if err != nil {
		return nil, err
	}
	if p.Timeout <= 0 {
		p.Timeout = 250 * time.Millisecond
	}
	if p.Most <= 0 {
		p.Most = 64 << 20
	}
	return &Store{
		client: at.Connect(redis.Options{Password: p.Password, TLS: p.TLS, Timeout: p.Timeout, Patience: 5 * time.Second}), most: p.Most,
		take: goredis.NewScript(takeText), renew: goredis.NewScript(renewText), finish: goredis.NewScript(finishText),
		release: goredis.NewScript(releaseText), order: goredis.NewScript(orderText),
	}, nil
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

// key is where an address's entry is.
func key(address string) string { return "i:{" + address + "}" }

// run calls a script. The reply begins with the address, or it is not the one to this call.
func (s *Store) run(ctx context.Context, script *goredis.Script, address string, args ...any) ([]string, error) {
	v, err := script.Run(ctx, s.client, []string{key(address)}, append([]any{address}, args...)...).StringSlice()
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", idempotency.ErrUnavailable, err)
	case len(v) < 2 || v[0] != address:
		return nil, fmt.Errorf("%w: a reply belongs to another call", idempotency.ErrUnavailable)
	}
	return v[1:], nil
}

// Take implements idempotency.Store.
func (s *Store) Take(ctx context.Context, address string, c idempotency.Claim, lease time.Duration) (e idempotency.Entry, err error) {
	v, err := s.run(ctx, s.take, address, c.Print, c.Holder, ms(lease))
	switch {
	case err != nil:
		return e, err
	case v[0] == "taken":
		return idempotency.Entry{Taken: true}, nil
	case v[0] == "runs" && len(v) == 2:
		return idempotency.Entry{Print: v[1]}, nil
	case v[0] == "ended" && len(v) == 3:
		return idempotency.Entry{Print: v[1], Answer: []byte(v[2])}, nil
	}
	return e, fmt.Errorf("%w: a reply has another form", idempotency.ErrUnavailable)
}

// Renew implements idempotency.Store.
func (s *Store) Renew(ctx context.Context, address, holder string, lease time.Duration) (bool, error) {
	v, err := s.run(ctx, s.renew, address, holder, ms(lease))
	return err == nil && v[0] == "1", err
}

// Finish implements idempotency.Store.
func (s *Store) Finish(ctx context.Context, address string, c idempotency.Claim, answer []byte, keep time.Duration) (bool, error) {
	v, err := s.run(ctx, s.finish, address, c.Print, c.Holder, answer, ms(keep))
	if err != nil || v[0] != "1" {
		return false, err
	}
	until := time.Now().Add(keep).UnixMilli()
	gone, err := s.order.Run(ctx, s.client, []string{"i:{order}:x", "i:{order}:n"},
		address+" "+strconv.Itoa(len(answer)), len(answer), until, time.Now().UnixMilli(), s.most).StringSlice()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return true, nil // it is there, and expires by itself
	}
	for _, member := range gone {
		old, _, _ := strings.Cut(member, " ")
		_ = s.client.Unlink(ctx, key(old)).Err() // it expires by itself
	}
	return true, nil
}

// Release implements idempotency.Store.
func (s *Store) Release(ctx context.Context, address, holder string) error {
	_, err := s.run(ctx, s.release, address, holder)
	return err
}

// Times between two looks at what runs.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// Wait implements idempotency.Store.
func (s *Store) Wait(ctx context.Context, _ string, n int) error {
	d := min(firstLook<<min(n/4, 10), lastLook)
	t := time.NewTimer(d/2 + rand.N(d)) // not all at once
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ms(d time.Duration) int64 { return max(d.Milliseconds(), 1) }
