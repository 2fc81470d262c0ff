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
	mode := "S"
	if in.Void {
		mode = "V"
	}
	keys, args := s.settlement(in.Organization, e, in.ID, mode, s.p.Keep, max(0, in.Born.UnixMilli()), len(in.Claims))
	now := time.Now()
	if s.clock != "" {
		now = s.fakeNow(ctx, in.Organization)
	}
	for i := range in.Claims {
		c := &in.Claims[i]
		keys = append(keys, key(in.Organization, "b:"+c.Budget.ID))
		args = append(args, c.Budget.ID, strconv.FormatInt(c.Amount, 10))
		args = bounds(args, c.Budget, now)
	}
	before := e.seen.Load()
	out, err := s.run(ctx, s.scripts.settle, in.ID, keys, args)
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
		o.To, o.Over = quota.Settled, out.at(4) == "1"
		if in.Void {
			o.To = quota.Voided
		}
	default:
		return quota.Outcome{}, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
	}
	return o, s.fence(in.Organization, e, before, o.Seq, out[0] == "OK")
}
