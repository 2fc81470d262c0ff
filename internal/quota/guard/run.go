package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// Run probes, settles what waits and follows epochs until the context ends.
func (g *Guard) Run(ctx context.Context) {
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.Upkeep(ctx, n%2 == 0)
		}
	}
}

// Upkeep does at once what Run does from time to time.
func (g *Guard) Upkeep(ctx context.Context, epochs bool) {
	if epochs {
		g.organizations.Range(func(_, v any) bool {
			g.follow(ctx, v.(*organization))
			return ctx.Err() == nil
		})
	}
	g.pay(ctx)
}

// Waiting returns how many settlements wait for the store.
func (g *Guard) Waiting() int { return g.debts.len() }

// follow asks for an organization's epoch where something is open or the store is away, and puts back what is open
// where it changed.
func (g *Guard) follow(ctx context.Context, o *organization) {
	g.forget(o)
	o.mu.Lock()
	busy, last := len(o.open) > 0, o.epoch
	o.mu.Unlock()
	if !busy && !o.breaker.isOpen() || !o.breaker.allows(g.p.Now()) {
		return
	}
	epoch, err := g.epoch(ctx, o)
	g.judge(o, err)
	if err == nil && epoch != last {
		_ = g.putBack(ctx, o) // the next round tries again
	}
}

// epoch asks the store, or probes one that has no epochs.
func (g *Guard) epoch(ctx context.Context, o *organization) (string, error) {
	if s, ok := g.p.Store.(fenced); ok {
		return s.Epoch(ctx, o.name)
	}
	_, err := g.p.Store.Peek(ctx, o.name, []*quota.Budget{{ID: "probe"}})
	return "always", err
}

// forget drops what nobody touches any more: in the store it expires, and what the store never knew is charged as it
// was reserved.
func (g *Guard) forget(o *organization) {
	now := g.p.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, h := range o.open {
		if !now.After(h.until) {
			continue
		}
		if h.absent {
			s := &quota.Settlement{Organization: o.name, ID: id, Born: now, Claims: h.claims}
			if !g.debts.add(s, false) {
				continue // when there is room
			}
		}
		delete(o.open, id)
	}
}

// putBack reserves again what is open, whatever the limits: it was admitted, and what is there already stays as it
// is. It is nil where the store knows all of it.
func (g *Guard) putBack(ctx context.Context, o *organization) error {
	epoch, err := g.epoch(ctx, o)
	if err != nil {
		return err
	}
	o.mu.Lock()
	if o.back {
		o.mu.Unlock()
		return quota.ErrUnknown
	}
	o.back = true
	all := maps.Clone(o.open)
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.back = false
		o.mu.Unlock()
	}()
	if err := g.putAllBack(ctx, o, all); err != nil {
		return err
	}
	o.mu.Lock()
	o.epoch = epoch
	o.mu.Unlock()
	return nil
}

// together is how many reservations are put back at once: there may be thousands, and the store waits two seconds for them.
const together = 8

func (g *Guard) putAllBack(ctx context.Context, o *organization, all map[string]*held) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ids := make(chan string)
	var workers sync.WaitGroup
	for range min(together, len(all)) {
		workers.Go(func() {
			for id := range ids {
				if err := g.putOneBack(ctx, o, id, all[id]); err != nil {
					stop(err)
				}
			}
		})
	}
	for id := range all {
		select {
		case ids <- id:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(ids)
	workers.Wait()
	return context.Cause(ctx)
}

func (g *Guard) putOneBack(ctx context.Context, o *organization, id string, h *held) error {
	now := g.p.Now()
	o.mu.Lock()
	hold := max(h.until.Sub(now)-reaped, time.Second).Truncate(time.Millisecond)
	o.mu.Unlock()
	_, _, err := g.p.Store.Reserve(ctx, &quota.Request{Organization: o.name, ID: id, Claims: h.claims, Hold: hold, Force: true})
	if err != nil && !errors.Is(err, quota.ErrMisuse) {
		return fmt.Errorf("putting back what is open: %w", err)
	}
	g.present(ctx, o, id, h)
	return nil
}

// present notes that the store knows a reservation, and gives its local shares back.
func (g *Guard) present(ctx context.Context, o *organization, id string, h *held) {
	o.mu.Lock()
	gone, voided := o.open[id] != h, h.voided
	local := h.local && !gone
	if !gone {
		h.absent, h.local = false, false
	}
	o.mu.Unlock()
	s := &quota.Settlement{Organization: o.name, ID: id, Born: g.p.Now(), Void: true, Claims: h.claims}
	if gone && voided { // meanwhile, and this would be left of it; a truth ends it by itself, and what expired is charged
		g.debts.add(s, true)
	}
	if local {
		g.settleLocal(ctx, s)
	}
}

// pay settles what waits, oldest first. Of an organization whose store does not answer the rest keeps waiting.
func (g *Guard) pay(ctx context.Context) {
	away := map[string]bool{}
	paid := map[string]bool{}
	for _, d := range g.debts.all() {
		s := d.settlement
		if ctx.Err() != nil || away[s.Organization] {
			continue
		}
		o := g.of(s.Organization)
		if !o.breaker.allows(g.p.Now()) {
			away[s.Organization] = true
			continue
		}
		g.drawn(o, s) // it may have waited for longer than what it tells of was kept in mind
		out, err := g.p.Store.Settle(ctx, s)
		g.judge(o, err)
		if errors.Is(err, quota.ErrUnavailable) || errors.Is(err, quota.ErrUnknown) {
			away[s.Organization] = true
			continue
		}
		g.debts.done(d)
		paid[s.Organization] = true
		if !d.doubt {
			g.p.Settled(s, out, err)
		}
	}
	for name := range paid {
		if !away[name] {
			g.synced(ctx, name)
		}
	}
}

// synced empties the local counters of an organization: all that they counted is in the store.
func (g *Guard) synced(ctx context.Context, name string) {
	o := g.of(name)
	o.mu.Lock()
	running := false
	for _, h := range o.open {
		running = running || h.local
	}
	o.mu.Unlock()
	if r, ok := g.p.Local.(quota.Rebuilder); ok && !running {
		_ = r.Rebuild(ctx, name, nil) // within the process it cannot fail
	}
}
