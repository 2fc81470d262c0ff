package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// page is how many ids a script handles at once: Redis serves nobody else meanwhile.
const page = 200

// Touch extends open reservations.
func (s *Store) Touch(ctx context.Context, organization string, ids []string, hold time.Duration) ([]string, error) {
	if hold < time.Millisecond {
		return nil, fmt.Errorf("%w: the time to hold is out of range", quota.ErrMisuse)
	}
	ctx, cancel := context.WithTimeout(ctx, s.p.Patience)
	defer cancel()
	var lost []string
	for len(ids) > 0 {
		n := min(page, len(ids))
		e, err := s.era(ctx, organization)
		if err != nil {
			return lost, err
		}
		call := s.call()
		args := make([]any, 0, 3+n)
		args = append(args, e.name, call, strconv.FormatInt(hold.Milliseconds(), 10))
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		out, err := s.run(ctx, s.scripts.touch, call, []string{key(organization, "m"), key(organization, "r"), key(organization, "x")}, args)
		if err != nil {
			return lost, err
		}
		if out[0] == "EPOCH" {
			return lost, s.turned(organization, e, out.at(2))
		}
		lost = append(lost, out[2:]...)
		ids = ids[n:]
	}
	return lost, nil
}

// Reap charges what has expired and forgets what ended long ago.
func (s *Store) Reap(ctx context.Context, organization string, most int) ([]quota.Lapse, error) {
	ctx, cancel := context.WithTimeout(ctx, s.p.Patience)
	defer cancel()
	defer s.trim(ctx, organization)
	var all []quota.Lapse
	for len(all) < most {
		e, err := s.era(ctx, organization)
		if err != nil {
			return all, err
		}
		call := s.call()
		out, err := s.run(ctx, s.scripts.due, call, []string{key(organization, "m"), key(organization, "r"), key(organization, "x")},
			[]any{e.name, call, strconv.Itoa(min(page, most-len(all)))})
		if err != nil {
			return all, err
		}
		if out[0] == "EPOCH" {
			return all, s.turned(organization, e, out.at(2))
		}
		lapsed, err := s.expire(ctx, organization, e, out[3:])
		all = append(all, lapsed...)
		if done := int(out.number(2)) + len(out[3:])/2; err != nil || done == 0 || len(lapsed) < len(out[3:])/2 {
			return all, err
		}
	}
	return all, nil
}

// between is how long after the names of counters were looked through that begins anew.
const between = time.Minute

// trim forgets some names of counters that have gone by themselves: those of end users, whom clients name, would fill Redis. What
// fails is tried again. An account of before has no right to it, and then they stay until the next rebuild.
func (s *Store) trim(ctx context.Context, organization string) {
	o := s.of(organization)
	o.mu.Lock()
	e, at := o.now, o.names
	o.mu.Unlock()
	now := time.Now()
	if e == nil || s.unseen.Load() || now.Before(at.next) {
		return
	}
	list, cursor, err := (*s.client.Load()).SScan(ctx, key(organization, "n"), at.cursor, "", page).Result()
	if err != nil {
		s.unseen.Store(goredis.HasErrorPrefix(err, "NOPERM"))
		return
	}
	for some := range slices.Chunk(list, page) {
		call := s.call()
		keys, args := []string{key(organization, "m"), key(organization, "n")}, []any{e.name, call}
		for _, b := range some {
			keys, args = append(keys, key(organization, "b:"+b)), append(args, b)
		}
		if out, err := s.run(ctx, s.scripts.trim, call, keys, args); err != nil || out[0] != "OK" {
			return
		}
	}
	if at.cursor = cursor; cursor == 0 {
		at.next = now.Add(between)
	}
	o.mu.Lock()
	o.names = at
	o.mu.Unlock()
}

// expire charges reservations, given as ids and records in turn, in one round trip. Another replica may have
// been faster; then it has the lapse to report.
func (s *Store) expire(ctx context.Context, organization string, e *era, pairs []string) ([]quota.Lapse, error) {
	if len(pairs) < 2 {
		return nil, nil
	}
	type call struct {
		lapse quota.Lapse
		keys  []string
		args  []any
		cmd   *goredis.Cmd
	}
	var calls []*call
	for i := 0; i+1 < len(pairs); i += 2 {
		lapse := quota.Lapse{ID: pairs[i], Parts: parts(pairs[i+1])}
		c := &call{lapse: lapse}
		c.keys, c.args = s.settlement(organization, e, lapse.ID, "X", s.p.KeepExpired, 0, len(lapse.Parts))
		for _, p := range lapse.Parts {
			c.keys = append(c.keys, key(organization, "b:"+p.Budget))
			// What is charged and where stands in the record; the numbers of the window only have to be in order.
			c.args = append(c.args, p.Budget, "0", string(rune(p.Kind)), "1", "2", "3")
		}
		calls = append(calls, c)
	}
	pipe := (*s.client.Load()).Pipeline()
	for _, c := range calls {
		c.cmd = pipe.EvalSha(ctx, s.scripts.settle.sum, c.keys, c.args...)
	}
	_, _ = pipe.Exec(ctx)
	var out []quota.Lapse
	var errs error
	for _, c := range calls {
		v, err := c.cmd.Slice()
		var r reply
		switch {
		case err != nil && unscripted(err):
			r, err = s.run(ctx, s.scripts.settle, c.lapse.ID, c.keys, c.args)
		case err != nil:
			err = s.away(err)
		default:
			r, err = s.read(v, c.lapse.ID)
		}
		if err == nil {
			err = r.fault()
		}
		if err != nil {
			errs = errors.Join(errs, err)
		} else if r[0] == "OK" {
			out = append(out, c.lapse)
		}
	}
	return out, errs
}

// parts reads a record: the format's number, the state, and behind bars budget, kind, amount and window. What
// cannot be read has no parts, and the script will refuse the call.
func parts(record string) []quota.Part {
	var out []quota.Part
	for one := range strings.SplitSeq(record, "|") {
		f := strings.Split(one, ",")
		if len(f) != 4 || len(f[1]) != 1 {
			continue
		}
		amount, err1 := strconv.ParseInt(f[2], 10, 64)
		start, err2 := strconv.ParseInt(f[3], 10, 64)
		if err1 == nil && err2 == nil {
			out = append(out, quota.Part{Budget: f[0], Kind: f[1][0], Amount: amount, Start: start})
		}
	}
	return out
}

// Peek returns counters as they are, without rolling their windows.
func (s *Store) Peek(ctx context.Context, organization string, budgets []*quota.Budget) ([]quota.Counter, error) {
	ctx, cancel := context.WithTimeout(ctx, s.p.Patience)
	defer cancel()
	if err := (&quota.Request{Organization: organization, ID: "peek"}).CheckNames(); err != nil {
		return nil, err
	}
	pipe := (*s.client.Load()).Pipeline()
	all := make([]*goredis.SliceCmd, len(budgets))
	for i, b := range budgets {
		all[i] = pipe.HMGet(ctx, key(organization, "b:"+b.ID), "ws", "cu", "pu", "r", "late", "over")
	}
	if len(all) > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, s.away(err)
		}
	}
	out := make([]quota.Counter, len(budgets))
	for i, cmd := range all {
		c := &out[i]
		for j, field := range []*int64{&c.Start, &c.Used, &c.Previous, &c.Reserved, &c.Late, &c.Over} {
			if text, ok := cmd.Val()[j].(string); ok {
				*field, _ = strconv.ParseInt(text, 10, 64)
				c.Known = c.Known || j == 0
			}
		}
	}
	return out, nil
}
