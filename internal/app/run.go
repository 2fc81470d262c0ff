package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/control"
	"github.com/signalbox-ai/signalbox/internal/cpusched"
	"github.com/signalbox-ai/signalbox/internal/gctune"
	"github.com/signalbox-ai/signalbox/internal/mapped"
	"github.com/signalbox-ai/signalbox/routing"
)

// group runs the parts of a running App. The first that fails ends all.
type group struct {
	sync.WaitGroup
	end context.CancelCauseFunc
}

func (g *group) start(what string, f func() error) {
	g.Go(func() {
		if err := f(); err != nil {
			g.end(fmt.Errorf("%s: %w", what, err))
		}
	})
}

// Run serves until the context ends or the process is told to stop, then drains. withEnvoy says whether an
// Envoy is run as a child. It returns nil after an orderly stop.
func (a *App) Run(ctx context.Context, withEnvoy bool) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	defer a.close()
	work, end := context.WithCancelCause(context.WithoutCancel(ctx)) // outlives ctx by the drain
	g := &group{end: end}
	defer g.Wait()
	defer end(nil)
	if err := cpusched.Batch(); err != nil { // it serves all the same
		a.log.Debug("the service is scheduled as any process", "error", err)
	}
	g.start("garbage", func() error { gctune.Run(work); return nil })
	page, err := a.serve(work, g)
	if err != nil {
		return err
	}
	defer page.Close()
	defer a.rpc.stop()
	defer a.xds.Close()
	var c *child
	if withEnvoy {
		spec, err := a.spec(a.cfg)
		if err != nil {
			return err
		}
		if err := vacant(a.cfg.Listen.HTTP); err != nil {
			return err
		}
		if c, err = a.startEnvoy(work, a.cfg, spec); err != nil {
			return err
		}
		defer c.Stop()
	}
	a.log.Info("signalbox serves", "version", a.opts.Version, "config", a.core.Snapshot().Version, "service", a.cfg.Listen.Service, "admin", a.cfg.Listen.Admin)
	g.start("catalog", func() error { catalog.Find("", "any"); return nil }) // it is read once, and not while a request waits
	g.start("readiness", func() error {
		a.awaitReady(work, c)
		// A start reads much, such as all that a store holds, and a process that is idle collects no garbage for minutes.
		debug.FreeOSMemory()
		if err := mapped.Forget(); err != nil { // it takes a little more memory
			a.log.Debug("what the start alone needed stays mapped", "error", err)
		}
		return nil
	})
	g.start("reload", func() error { a.watch(ctx); return nil })
	select {
	case <-ctx.Done():
		stop() // a second signal ends the process at once
		a.drain(c)
		return nil
	case <-work.Done():
		return context.Cause(work)
	}
}

// serve opens the sockets and starts everything but Envoy. The admin address is opened last: who finds it served finds
// the others too.
func (a *App) serve(ctx context.Context, g *group) (_ *http.Server, err error) {
	var opened []net.Listener
	defer func() {
		for _, l := range opened {
			if err != nil {
				_ = l.Close()
			}
		}
	}()
	open := func(addr config.Address) net.Listener {
		if err != nil {
			return nil
		}
		var l net.Listener
		if l, err = listen(addr); err == nil {
			opened = append(opened, l)
		}
		return l
	}
	service := open(a.cfg.Listen.Service)
	api := a.api()
	var local net.Listener
	if api != nil {
		local = open(a.cfg.Listen.Control)
	}
	admin := open(a.cfg.Listen.Admin)
	if err != nil {
		return nil, err
	}
	spec, err := a.spec(a.cfg)
	if err == nil {
		err = a.xds.Set(ctx, spec, a.core.Snapshot().Version)
	}
	if err != nil {
		return nil, err
	}
	page := &http.Server{Handler: a.admin(), ReadHeaderTimeout: 5 * time.Second, Protocols: control.Protocols()}
	if api != nil {
		g.start("control", func() error { return a.build.control.Serve(ctx, local, api) })
		g.start("canaries", func() error { a.build.control.Ramps(ctx, a.routes, a.build.accounts.Ledger()); return nil })
		g.start("keys", func() error { a.build.control.Run(ctx); return nil })
	}
	g.start("service", func() error { return a.rpc.Serve(service) })
	g.start("admin", func() error {
		if err := page.Serve(admin); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.start("telemetry", func() error { a.sends.Run(ctx); return nil })
	g.start("sweep", func() error { a.sweep(ctx); return nil })
	g.start("quotas", func() error { a.build.accounts.Run(ctx, a.organizations); return nil })
	g.start("alerts", func() error { a.alert(ctx); return nil })
	g.start("answers", func() error { a.build.replays.run(ctx); return nil })
	g.start("objectives", func() error { a.build.slo.Run(ctx); return nil })
	g.start("health", func() error { a.build.health.Run(ctx); return nil })
	g.start("own traffic", func() error { a.build.own.run(ctx); return nil })
	g.start("tokens", func() error { a.build.learnt.Run(ctx); return nil })
	return page, nil
}

func (a *App) sweep(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	var failed map[*routing.Route]uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			a.core.Sweep()
			a.metrics.Live(a.core.Live())
			failed = a.failures(failed)
		}
	}
}

// failures counts what expressions of routes failed at since the last time, when it was before.
func (a *App) failures(before map[*routing.Route]uint64) (now map[*routing.Route]uint64) {
	for _, r := range a.core.Snapshot().Table.Routes() {
		n := r.Failed()
		if n == 0 {
			continue
		}
		if now == nil {
			now = map[*routing.Route]uint64{}
		}
		now[r] = n
		a.metrics.ExpressionsFailed(r.Name, n-before[r])
	}
	return now
}

// watch reloads when the configuration or a file that it names changes, and on SIGHUP.
func (a *App) watch(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var wg sync.WaitGroup
	defer wg.Wait()
	if a.opts.Path != "" {
		wg.Go(func() {
			files := func() []string { return a.Config().Files() }
			if err := config.Watch(ctx, a.opts.Path, func() { _ = a.Reload(ctx) }, files); err != nil {
				a.log.Error("the configuration is not watched", "error", err)
			}
		})
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			_ = a.Reload(ctx)
		}
	}
}

// drain lets running exchanges end, up to the configured time. New requests are refused: by Envoy where it
// is ours, by another replica's being preferred where it is not.
func (a *App) drain(c *child) {
	d := a.Config().Drain
	a.ready.set(func(r *readiness) { r.draining = true })
	a.log.Info("draining", "live", a.core.Live(), "at_most", d)
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if c != nil {
		a.drainEnvoy(ctx, c)
	} else {
		a.health.Shutdown()
	}
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for a.core.Planning() > 0 || a.core.Live() > 0 { // in this order: what has left the one is in the other
		select {
		case <-ctx.Done():
			a.log.Warn("drain time is over", "live", a.core.Live(), "planning", a.core.Planning())
			return
		case <-t.C:
		}
	}
	<-t.C // the last answer is on its way
}

// listen opens an address. A Unix socket lies in a folder that only its owner may enter: providers'
// credentials cross it.
func listen(addr config.Address) (net.Listener, error) {
	network, address := addr.Split()
	if path, ok := addr.Unix(); ok {
		if err := clearSocket(path); err != nil {
			return nil, fmt.Errorf("listening on %s: %w", addr, err)
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	if path, ok := addr.Unix(); ok {
		if err := os.Chmod(path, 0o600); err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("listening on %s: %w", addr, err)
		}
	}
	return l, nil
}
