// Package upkeep keeps what is known of health beyond a moment and a process: in a file for the next life of the process,
// in Redis for other replicas, and on the page of metrics.
//
//	file ─ Open ─► health.Known ─ Run ─┬─► file, every 15 s and at the end
//	                                   ├─◄► other replicas, every second
//	                                   └─► metrics
//
// It learns nothing itself, and decides nothing.
package upkeep

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/health/redis"
	"github.com/signalbox-ai/signalbox/internal/safefile"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// Params of Open.
type Params struct {
	Settings *Settings
	Quota    Place // where limits are counted; zero: in this process
	Known    health.Known
	Log      *slog.Logger
	Metrics  *telemetry.HealthMeters // nil: nothing is counted
}

// Upkeep is the part of a running program.
type Upkeep struct {
	p      Params
	path   string
	gossip *redis.Gossip // nil: health is not shared
	last   string        // what the file holds
}

// Turn is how replicas take turns at what only one of them is to do; nil: there is nothing that they could do so by.
func (u *Upkeep) Turn() func(ctx context.Context, what string, d time.Duration) (mine bool, left time.Duration, err error) {
	if u.gossip == nil {
		return nil
	}
	return u.gossip.Turn
}

// Times of Run.
const (
	saveEvery = 15 * time.Second
	showEvery = 2 * time.Second
)

// Open takes back what the process before this one knew. A file that cannot be read is of no harm: everything is learnt
// again.
func Open(p Params) (*Upkeep, error) {
	u := &Upkeep{p: p, path: p.Settings.File()}
	if at := p.Settings.Place(p.Quota); at.URL != "" {
		g := redis.Params{URL: at.URL, Known: p.Known, Log: p.Log}
		if at.Password != "" {
			g.Password = func(ctx context.Context) (secret.Value, error) { return at.Password.Resolve(ctx) }
		}
		var err error
		if g.TLS, err = at.Config(); err != nil {
			return nil, err
		}
		if m := p.Metrics; m != nil {
			g.Up = m.Shared
		}
		if u.gossip, err = redis.New(g); err != nil {
			return nil, err
		}
	}
	if m := p.Metrics; m != nil {
		p.Known.Targets.Watch(func(c health.Change) {
			m.Changed(c.Provider, c.Model, c.To.String())
			level := slog.LevelInfo
			if c.To == health.Open {
				level = slog.LevelWarn
			}
			p.Log.Log(context.Background(), level, "breaker", "target", c.Provider+"/"+c.Model, "key", c.Key, "state", c.To)
		})
	}
	u.restore()
	return u, nil
}

func (u *Upkeep) restore() {
	if u.path == "" {
		return
	}
	data, err := os.ReadFile(u.path)
	if err == nil {
		err = u.p.Known.Restore(data, time.Now())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.p.Log.Warn("what was known of targets cannot be read and is learnt anew", "file", u.path, "error", err)
	}
}

// Run keeps it until the context ends.
func (u *Upkeep) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if u.gossip != nil {
		wg.Go(func() { u.gossip.Run(ctx) })
	}
	save, show := time.NewTicker(saveEvery), time.NewTicker(showEvery)
	defer save.Stop()
	defer show.Stop()
	for {
		select {
		case <-ctx.Done():
			u.save()
			return
		case <-save.C:
			u.save()
		case <-show.C:
			u.show()
		}
	}
}

// show sets the gauges of all targets.
func (u *Upkeep) show() {
	m := u.p.Metrics
	if m == nil {
		return
	}
	for _, s := range u.p.Known.Targets.All(time.Now()) {
		m.Target(s.Provider, s.Model, telemetry.TargetHealth{Success: s.Success, Share: s.Share, First50: s.First.P50, First95: s.First.P95, InFlight: s.InFlight})
	}
}

// save writes the file where there is something to keep.
func (u *Upkeep) save() {
	if u.path == "" || len(u.p.Known.Targets.All(time.Now())) == 0 {
		return
	}
	data, err := u.p.Known.Summary(time.Now())
	if err == nil && string(data) != u.last {
		if err = safefile.Write(u.path, data); err == nil {
			u.last = string(data)
		}
	}
	if err != nil {
		u.p.Log.Warn("what is known of targets cannot be written", "file", u.path, "error", err)
	}
}
