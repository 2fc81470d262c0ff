package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Settle ends a reservation, once.
func (s *Store) Settle(ctx context.Context, in *quota.Settlement) (quota.Outcome, error) {
	if err := in.Check(); err != nil {
		return quota.Outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.p.Patience)
	defer cancel()
	e, err := s.era(ctx, in.Organization)
	if err != nil {
		return quota.Outcome{}, err
	}
	if in.Draws != nil {
		return s.endLease(ctx, in, e)
	}
	mode := "S"
	if in.Void {
		mode = "V"
	}
	keys, head := s.settlement(in.Organization, e, in.ID, mode, s.p.Keep, max(0, in.Born.UnixMilli()), len(in.Claims))
	for i := range in.Claims {
		keys = append(keys, key(in.Organization, "b:"+in.Claims[i].Budget.ID))
	}
	before := e.seen.Load()
	out, err := s.dated(ctx, s.scripts.settle, in.Organization, in.ID, keys, func(now time.Time) []any {
		args := head
		for i := range in.Claims {
			c := &in.Claims[i]
			args = append(args, c.Budget.ID, strconv.FormatInt(c.Amount, 10))
			args = bounds(args, c.Budget, now)
		}
		return args
	})
	if err != nil {
		return quota.Outcome{}, err
	}
	return s.settled(in, e, before, out)
}

// settlement begins the arguments of the settling script.
func (s *Store) settlement(organization string, e *era, id, mode string, keep time.Duration, born int64, n int) ([]string, []any) {
	keys := make([]string, 0, 4+n)
	keys = append(keys, key(organization, "m"), key(organization, "r"), key(organization, "x"), key(organization, "n"))
	args := make([]any, 0, 5+6*n)
	return keys, append(args, e.name, id, mode, strconv.FormatInt(keep.Milliseconds(), 10), strconv.FormatInt(born, 10))
}

func (s *Store) settled(in *quota.Settlement, e *era, before int64, out reply) (quota.Outcome, error) {
	if out[0] == "EPOCH" {
		return quota.Outcome{}, s.turned(in.Organization, e, out.at(2))
	}
	if len(out) < 4 || len(out[2]) != 1 {
		return quota.Outcome{}, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
	}
	o := quota.Outcome{From: quota.State(out[2][0]), Seq: out.number(3)}
	o.To = o.From
	switch out[0] {
	case "DONE", "NONE":
	case "OLD":
		o.Old = true
	case "OK":
		o.To, o.Over = quota.Settled, in.Draws == nil && out.at(4) == "1"
		if in.Void {
			o.To = quota.Voided
		}
	default:
		return quota.Outcome{}, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
	}
	return o, s.fence(in.Organization, e, before, o.Seq, out[0] == "OK")
}

// endLease ends a lease by what its exchanges used, in one round trip for all of them.
func (s *Store) endLease(ctx context.Context, in *quota.Settlement, e *era) (quota.Outcome, error) {
	n, m := len(in.Claims), len(in.Draws)
	keys := make([]string, 0, 4+n)
	keys = append(keys, key(in.Organization, "m"), key(in.Organization, "r"), key(in.Organization, "x"), key(in.Organization, "n"))
	for i := range in.Claims {
		keys = append(keys, key(in.Organization, "b:"+in.Claims[i].Budget.ID))
	}
	before := e.seen.Load()
	out, err := s.dated(ctx, s.scripts.lease, in.Organization, in.ID, keys, func(now time.Time) []any { return s.draws(in, e, now) })
	if err != nil {
		return quota.Outcome{}, err
	}
	o, err := s.settled(in, e, before, out)
	if err != nil || out[0] != "OK" {
		return o, err
	}
	if len(out) != 4+m {
		return quota.Outcome{}, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
	}
	o.Draws = make([]quota.State, m)
	for i, text := range out[4:] {
		if len(text) != 1 {
			return quota.Outcome{}, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
		}
		o.Draws[i] = quota.State(text[0])
		o.Over = o.Over || o.Draws[i] == quota.None && in.Draws[i].Over != nil
	}
	return o, nil
}

// draws makes the arguments of the script that ends a lease.
func (s *Store) draws(in *quota.Settlement, e *era, now time.Time) []any {
	args := make([]any, 0, 4+6*len(in.Claims)+(3+len(in.Claims))*len(in.Draws))
	args = append(args, e.name, in.ID, strconv.FormatInt(s.p.Keep.Milliseconds(), 10), strconv.FormatInt(max(0, in.Born.UnixMilli()), 10))
	for i := range in.Claims {
		b, over := in.Claims[i].Budget, int64(0)
		for k := range in.Draws {
			if in.Draws[k].Over != nil {
				over = min(over+in.Draws[k].Over[i], quota.Max)
			}
		}
		args = append(bounds(append(args, b.ID), b, now), strconv.FormatInt(over, 10))
	}
	for i := range in.Draws {
		d := &in.Draws[i]
		args = append(args, d.ID, string(rune(d.State)), strconv.FormatInt(d.Hold.Milliseconds(), 10))
		for _, a := range d.Amounts {
			args = append(args, strconv.FormatInt(a, 10))
		}
	}
	return args
}
