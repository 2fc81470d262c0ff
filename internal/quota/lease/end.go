package lease

import (
	"context"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Run ends leases in time until the context ends, and then all of them.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(s.p.Term / 50)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.organizations.Range(func(_, v any) bool {
				s.upkeep(ctx, v.(*organization), false)
				return ctx.Err() == nil
			})
		}
	}
}

// Close ends all leases: what runs goes on as reservations of its own. Nothing may be reserved any more.
func (s *Store) Close(ctx context.Context) {
	s.closed.Store(true)
	s.asks.Wait()
	s.organizations.Range(func(_, v any) bool {
		s.upkeep(ctx, v.(*organization), true)
		return true
	})
}

// Flush ends an organization's leases at once, and forgets what was refused.
func (s *Store) Flush(ctx context.Context, name string) {
	o := s.of(name)
	s.upkeep(ctx, o, true)
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.refusals)
}

// upkeep ends the leases that give nothing any more, or all, and forgets budgets that nobody asks for.
func (s *Store) upkeep(ctx context.Context, o *organization, all bool) {
	now := s.p.Now()
	o.mu.Lock()
	var due []*lease
	for l := range o.leases {
		if all || l.over(now) {
			due = append(due, l)
		}
	}
	seen := 0
	for h, p := range o.paths { // from a random place, so that in time all are seen
		if seen++; seen > looked {
			break
		}
		if p.lease == nil && p.next == nil && !p.asking && now.Sub(p.second) > idle {
			delete(o.paths, h)
		}
	}
	seen = 0
	for b, r := range o.refusals {
		if seen++; seen > looked {
			break
		}
		if !now.Before(r.until) {
			delete(o.refusals, b)
		}
	}
	o.forget(now)
	o.mu.Unlock()
	for _, l := range due {
		s.end(context.WithoutCancel(ctx), o, l)
	}
}

// Of many reservations of their own those that nobody ended for so long are forgotten, and after repeated those that failed;
// looked is how many are looked at in one go, at least.
const many, forgotten, repeated, looked = 10_000, 24 * time.Hour, time.Minute, 200

func (o *organization) forget(now time.Time) {
	if len(o.alone) < many {
		return
	}
	n := max(looked, len(o.alone)/64)
	for id, since := range o.alone { // from a random place, so that in time all are seen
		if now.Sub(since) > forgotten {
			delete(o.alone, id)
		}
		if n--; n == 0 {
			return
		}
	}
}

// over reports whether a lease is to end: its time is, or it gives nothing more and all that it gave has ended.
func (l *lease) over(now time.Time) bool {
	if l.ending {
		return false
	}
	if !now.Before(l.stop) || now.Before(l.sent) {
		return true
	}
	current := l.path.lease == l || l.path.next == l
	return l.open == 0 && (!current || len(l.draws) >= mostDraws)
}

// end tells the store what the exchanges of a lease used, and which of them still run.
func (s *Store) end(ctx context.Context, o *organization, l *lease) {
	now := s.p.Now()
	o.mu.Lock()
	if l.ending {
		o.mu.Unlock()
		return
	}
	l.ending = true
	delete(o.leases, l)
	o.ended[l.id] = l
	p := l.path
	if p.next == l {
		p.next = nil
	}
	if p.lease == l {
		p.lease, p.next = p.next, nil
	}
	in := &quota.Settlement{Organization: o.name, ID: l.id, Born: l.sent, Draws: make([]quota.Draw, len(l.draws))}
	for _, b := range p.budgets {
		in.Claims = append(in.Claims, quota.Claim{Budget: b})
		delete(o.refusals, b)
	}
	for i, d := range l.draws {
		in.Draws[i] = d.tale(now)
	}
	o.mu.Unlock()
	out, err := s.p.Store.Settle(ctx, in)
	if err == nil && out.Wait {
		return // Settled will be told
	}
	s.told(ctx, o, l, out, err)
}

// told passes on what the store said of a lease's exchanges, and tells it of those that ended meanwhile.
func (s *Store) told(ctx context.Context, o *organization, l *lease, out quota.Outcome, err error) {
	s.held.Add(-1)
	o.mu.Lock()
	delete(o.ended, l.id)
	again := make([]*quota.Settlement, len(l.draws)) // to be told by themselves
	for i, d := range l.draws {
		delete(o.draws, d.id)
		if d.state == quota.Pending && d.after == nil {
			o.alone[d.id] = d.until
		}
		switch {
		case d.after != nil:
			again[i] = d.after
		case d.state == quota.Settled:
			again[i] = &quota.Settlement{Organization: o.name, ID: d.id, Born: d.born, Claims: d.used}
		}
	}
	o.mu.Unlock()
	if err == nil && s.p.Journal != nil {
		_ = s.p.Journal.Settled(o.name, l.id)
	}
	if err == nil && out.From == quota.Expired && out.Changed() {
		s.p.Undone(o.name, l.lapse())
	}
	for i, d := range l.draws {
		if again[i] == nil {
			continue
		}
		if d.after == nil && (err != nil || final(&out, i)) {
			s.p.Settled(again[i], outcome(&out, i, d), err)
			continue
		}
		one, err := s.p.Store.Settle(ctx, again[i])
		if !again[i].Void && (err != nil || !one.Wait) {
			s.p.Settled(again[i], one, err)
		}
	}
}

// final reports whether the end of a lease settled the exchange at a place: not where the store has it open by itself.
func final(out *quota.Outcome, i int) bool {
	return i >= len(out.Draws) || out.Draws[i] != quota.Pending && out.Draws[i] != quota.Expired
}

// outcome is what the end of a lease did for an exchange.
func outcome(out *quota.Outcome, i int, d *draw) quota.Outcome {
	o := quota.Outcome{From: quota.Pending, To: quota.Settled, Over: d.over != nil, Seq: out.Seq}
	switch {
	case out.Old:
		o = quota.Outcome{From: quota.None, To: quota.None, Old: true, Seq: out.Seq}
	case i < len(out.Draws) && out.Draws[i] != quota.None:
		o = quota.Outcome{From: out.Draws[i], To: out.Draws[i], Seq: out.Seq}
	}
	return o
}

// lapse is a lease as it was charged when it expired.
func (l *lease) lapse() quota.Lapse {
	out := quota.Lapse{ID: l.id}
	for i, b := range l.path.budgets {
		p := quota.Part{Budget: b.ID, Kind: b.Window.Kind.Letter(), Amount: l.of[i]}
		if i < len(l.levels) && l.levels[i].Reset > 0 {
			p.Start = start(b, l.sent.Add(l.levels[i].Reset-time.Millisecond))
		}
		out.Parts = append(out.Parts, p)
	}
	return out
}

// start is when the window of a budget began that a time is in, Unix milliseconds; 0 where it has no beginning.
func start(b *quota.Budget, at time.Time) int64 {
	a := b.Window.Bounds(at, b.Limit).A
	switch b.Window.Kind.Letter() {
	case 'F', 'S':
		return at.UnixMilli() / a * a
	case 'C':
		return a
	}
	return 0
}

// refusal is that less than an amount could be had of a budget.
type refusal struct {
	left  int64
	until time.Time // as long as this is believed
	end   time.Time // when there may be more
}

// believed is how long a refusal is believed at most.
const believed = time.Second

// refuse remembers a refusal for as long as time alone would not help, a second at most. The caller holds the lock.
func (o *organization) refuse(no *quota.Refusal, now time.Time) {
	if no.Wait <= 0 || no.Hopeless() {
		return
	}
	if len(o.refusals) < mostPaths {
		o.refusals[no.Budget] = refusal{left: no.Left, until: now.Add(min(no.Wait, believed)), end: now.Add(no.Wait)}
	}
}

// refused answers a request by what the store said a moment ago, or returns nil. The caller holds the lock.
func (o *organization) refused(r *quota.Request, now time.Time) *quota.Refusal {
	if len(o.refusals) == 0 {
		return nil
	}
	for i := range r.Claims {
		c := &r.Claims[i]
		if n, ok := o.refusals[c.Budget]; ok && now.Before(n.until) && c.Amount > n.left {
			return &quota.Refusal{Index: i, Budget: c.Budget, Amount: c.Amount, Left: n.left, Wait: n.end.Sub(now)}
		}
	}
	return nil
}

// eased forgets what ended, and refusals by budgets of which something was given back.
func (o *organization) eased(in *quota.Settlement) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.alone, in.ID)
	if len(o.refusals) == 0 {
		return
	}
	for i := range in.Claims {
		delete(o.refusals, in.Claims[i].Budget)
	}
}
