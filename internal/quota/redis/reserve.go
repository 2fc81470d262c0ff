package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Reserve admits all claims or none, in one round trip.
func (s *Store) Reserve(ctx context.Context, r *quota.Request) (quota.Grant, *quota.Refusal, error) {
	if err := r.Check(); err != nil {
		return quota.Grant{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.p.Timeout)
	defer cancel()
	e, err := s.era(ctx, r.Organization)
	if err != nil {
		return quota.Grant{}, nil, err
	}
	keys := make([]string, 0, 4+len(r.Claims))
	keys = append(keys, key(r.Organization, "m"), key(r.Organization, "r"), key(r.Organization, "x"), key(r.Organization, "n"))
	for i := range r.Claims {
		keys = append(keys, key(r.Organization, "b:"+r.Claims[i].Budget.ID))
	}
	force := "0"
	if r.Force {
		force = "1"
	}
	before := e.seen.Load()
	out, err := s.dated(ctx, s.scripts.reserve, r.Organization, r.ID, keys, func(now time.Time) []any {
		args := make([]any, 0, 4+7*len(r.Claims))
		args = append(args, e.name, r.ID, strconv.FormatInt(r.Hold.Milliseconds(), 10), force)
		for i := range r.Claims {
			c := &r.Claims[i]
			args = append(args, c.Budget.ID, strconv.FormatInt(c.Budget.Ceiling(), 10), strconv.FormatInt(c.Amount, 10))
			args = bounds(args, c.Budget, now)
		}
		return args
	})
	if err != nil {
		return quota.Grant{}, nil, err
	}
	return s.granted(r, e, before, out)
}

// dated runs a script to which windows of calendars are told: those at this process's time. Where its clock is ahead, so that its
// window has not begun by that of Redis, they are told again as they are there: no window may be opened before its time.
func (s *Store) dated(ctx context.Context, sc script, organization, id string, keys []string, args func(now time.Time) []any) (reply, error) {
	out, err := s.run(ctx, sc, id, keys, args(s.now(ctx, organization)))
	if err == nil && out[0] == "AHEAD" {
		out, err = s.run(ctx, sc, id, keys, args(time.UnixMilli(out.number(3))))
	}
	return out, err
}

// bounds appends a budget's kind and bounds.
func bounds(args []any, b *quota.Budget, now time.Time) []any {
	at := b.Window.Bounds(now, b.Limit)
	return append(args, string(rune(b.Window.Kind.Letter())), strconv.FormatInt(at.A, 10), strconv.FormatInt(at.B, 10), strconv.FormatInt(at.C, 10))
}

func (s *Store) granted(r *quota.Request, e *era, before int64, out reply) (quota.Grant, *quota.Refusal, error) {
	switch out[0] {
	case "EPOCH":
		return quota.Grant{}, nil, s.turned(r.Organization, e, out.at(2))
	case "DENY":
		i := int(out.number(2)) - 1
		if i < 0 || i >= len(r.Claims) {
			return quota.Grant{}, nil, fmt.Errorf("%w: a reply names no claim", quota.ErrUnavailable)
		}
		c := r.Claims[i]
		return quota.Grant{}, &quota.Refusal{Index: i, Budget: c.Budget, Amount: c.Amount, Left: out.number(3), Wait: time.Duration(out.number(4)) * time.Millisecond}, nil
	case "DUP":
		if len(out.at(2)) < 2 {
			return quota.Grant{}, nil, fmt.Errorf("%w: a record has another form", quota.ErrUnavailable)
		}
		g := quota.Grant{State: quota.State(out[2][1]), Again: true, Seq: out.number(3)}
		return g, nil, s.fence(r.Organization, e, before, g.Seq, false)
	case "OK":
		if len(out) != 5+3*len(r.Claims) {
			return quota.Grant{}, nil, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
		}
		g := quota.Grant{State: quota.Pending, Seq: out.number(3), Levels: r.Levels[:0]}
		for i := range r.Claims {
			g.Levels = append(g.Levels, level(r.Claims[i].Budget, r.Force, out.number(5+3*i), out.number(6+3*i), out.number(7+3*i)))
		}
		return g, nil, s.fence(r.Organization, e, before, g.Seq, true)
	}
	return quota.Grant{}, nil, fmt.Errorf("%w: a reply has another form", quota.ErrUnavailable)
}

// level reads how a budget stands: of a pace what is left and microseconds until it is whole, of the others
// what is used and milliseconds until the window ends.
func level(b *quota.Budget, force bool, show, reset, wait int64) quota.Level {
	if b.Window.Kind.Letter() == 'P' {
		return quota.Level{Used: max(0, b.Window.Burst-show), Left: show, Reset: time.Duration(reset) * time.Microsecond, Refused: wait > 0}
	}
	return quota.Level{
		Used: min(show, quota.Max), Left: max(0, b.Limit-show), Reset: time.Duration(reset) * time.Millisecond,
		Refused: b.Shadow && show > b.Limit && !force,
	}
}
