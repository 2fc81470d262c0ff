package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// lockFor bounds a rebuild; after it another replica may begin anew.
const lockFor = 15 * time.Second

// errFaster is returned when another replica rebuilds, or has.
var errFaster = errors.New("another replica rebuilds")

// Rebuild sets an organization's counters to balances. It returns when they are in use.
func (s *Store) Rebuild(ctx context.Context, organization string, balances []quota.Balance) error {
	if err := (&quota.Request{Organization: organization, ID: "rebuild"}).CheckNames(); err != nil {
		return err
	}
	from, err := s.ask(ctx, organization)
	if err != nil {
		return err
	}
	return s.rebuild(ctx, organization, from, func(context.Context, string) ([]quota.Balance, error) { return balances, nil })
}

// rebuild takes the lock, closes the organization, asks the ledger (only now: nothing is settled meanwhile),
// writes the counters, lets every replica put back what it has open, and opens.
func (s *Store) rebuild(ctx context.Context, organization, from string, source Source) error {
	c := *s.client.Load()
	token := rand.Text()
	meta, lock := key(organization, "m"), key(organization, "k")
	if ok, err := c.SetNX(ctx, lock, token, lockFor).Result(); err != nil {
		return s.away(err)
	} else if !ok {
		return errFaster
	}
	opened := false
	defer func() {
		if !opened { // the epoch stays closed; who comes next takes over
			free, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.p.Patience)
			defer cancel()
			if held, _ := c.Get(free, lock).Result(); held == token {
				c.Del(free, lock)
			}
		}
	}()
	turn := func(from, to, free string) error {
		call := s.call()
		out, err := s.run(ctx, s.scripts.turn, call, []string{meta, lock}, []any{from, call, to, free})
		if err == nil && out[0] != "OK" {
			return errFaster
		}
		return err
	}
	if err := turn(from, building+token, ""); err != nil {
		return err
	}
	balances, err := source(ctx, organization)
	if err != nil {
		return fmt.Errorf("asking the ledger: %w", err)
	}
	if err := s.write(ctx, organization, balances); err != nil {
		return err
	}
	if err := s.dropOpen(ctx, organization); err != nil {
		return err
	}
	if err := turn(building+token, restoring+token, ""); err != nil {
		return err
	}
	s.adopt(organization, restoring+token)
	s.p.Alarm(organization, "the counters are those of the ledger again; replicas put back what they have open")
	select {
	case <-time.After(s.p.Grace):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := turn(restoring+token, taking+token, token); err != nil {
		return err
	}
	opened = true
	s.adopt(organization, taking+token)
	return nil
}

// batch is how many budgets are written at once.
const batch = 500

// write sets counters to values and removes those of other budgets. Every command sets and none adds, so that
// doing it twice does no harm.
func (s *Store) write(ctx context.Context, organization string, balances []quota.Balance) error {
	c := *s.client.Load()
	index := key(organization, "n")
	known, err := c.SMembers(ctx, index).Result()
	if err != nil {
		return s.away(err)
	}
	err = s.inBatches(ctx, len(known), func(pipe goredis.Pipeliner, i int) {
		pipe.Del(ctx, key(organization, "b:"+known[i]))
		pipe.SRem(ctx, index, known[i])
	})
	if err != nil {
		return err
	}
	return s.inBatches(ctx, len(balances), func(pipe goredis.Pipeliner, i int) {
		b := balances[i]
		text := func(n int64) string { return strconv.FormatInt(min(max(0, n), quota.Max), 10) }
		pipe.HSet(ctx, key(organization, "b:"+b.Budget), "ws", text(b.Start), "cu", text(b.Used), "pu", text(b.Previous), "r", "0")
		pipe.SAdd(ctx, index, b.Budget)
	})
}

func (s *Store) inBatches(ctx context.Context, n int, each func(goredis.Pipeliner, int)) error {
	c := *s.client.Load()
	for from := 0; from < n; from += batch {
		pipe := c.Pipeline()
		for i := from; i < min(n, from+batch); i++ {
			each(pipe, i)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return s.away(err)
		}
	}
	return nil
}

// dropOpen removes open reservations; their replicas have them too. The memory of what ended stays.
func (s *Store) dropOpen(ctx context.Context, organization string) error {
	c := *s.client.Load()
	records, due := key(organization, "r"), key(organization, "x")
	var cursor uint64
	for {
		pairs, next, err := c.HScan(ctx, records, cursor, "", 1000).Result()
		if err != nil {
			return s.away(err)
		}
		var open []string
		for i := 0; i+1 < len(pairs); i += 2 {
			if r := pairs[i+1]; len(r) > 1 && quota.State(r[1]) == quota.Pending {
				open = append(open, pairs[i])
			}
		}
		if len(open) > 0 {
			members := make([]any, len(open))
			for i, id := range open {
				members[i] = id
			}
			if err := c.HDel(ctx, records, open...).Err(); err != nil {
				return s.away(err)
			}
			if err := c.ZRem(ctx, due, members...).Err(); err != nil {
				return s.away(err)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
