package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/signalbox-ai/signalbox/envoy"
	"github.com/signalbox-ai/signalbox/envoy/binary"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
)

// FindEnvoy returns the path of an Envoy, fetching one when there is none.
func FindEnvoy(ctx context.Context) (string, error) { return binary.Find(ctx, binary.Options{}) }

// child is the Envoy that this process runs.
type child struct {
	*binary.Process
	dir string // of its bootstrap
}

// Stop ends it and removes its folder.
func (c *child) Stop() {
	c.Process.Stop()
	_ = os.RemoveAll(c.dir)
}

// startEnvoy runs Envoy as a child. It is started again whenever it dies.
func (a *App) startEnvoy(ctx context.Context, c *config.Config, spec envoy.Spec) (*child, error) {
	path := c.Envoy.Path
	if path == "" {
		var err error
		if path, err = binary.Find(ctx, binary.Options{Logf: func(f string, args ...any) { a.log.Info(fmt.Sprintf(f, args...)) }}); err != nil {
			return nil, err
		}
	}
	bootstrap, err := envoy.Bootstrap(spec)
	if err != nil {
		return nil, err
	}
	if admin, ok := c.Envoy.Admin.Unix(); ok {
		if err := os.MkdirAll(filepath.Dir(admin), 0o700); err != nil {
			return nil, fmt.Errorf("a folder for Envoy's admin socket: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "signalbox-envoy-")
	if err != nil {
		return nil, fmt.Errorf("a folder for Envoy: %w", err)
	}
	p, err := binary.Start(ctx, binary.Child{
		Path: path, Bootstrap: bootstrap, Dir: dir, Admin: spec.Admin, Concurrency: c.Envoy.Concurrency,
		LogLevel: c.Envoy.LogLevel, Grace: c.Drain, Log: a.log, Ended: a.core.Died,
	})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("running Envoy %s: %w", path, err)
	}
	a.log.Info("envoy runs", "path", path, "pid", p.Pid())
	return &child{p, dir}, nil
}

// retry is the pause between questions to Envoy that failed.
const retry = 100 * time.Millisecond

// awaitReady notes when Envoy has taken its configuration, and answers where it is our child. It asks on
// when a configuration is refused or replaced by another before that.
func (a *App) awaitReady(ctx context.Context, c *child) {
	if !a.awaitLimits(ctx) {
		return
	}
	last := ""
	for {
		err := a.xds.Acked(ctx, a.core.Snapshot().Version)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		if err.Error() != last {
			last = err.Error()
			a.log.Warn("no envoy has taken its configuration yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
	}
	a.ready.set(func(r *readiness) { r.envoy = true })
	if c == nil {
		a.ready.set(func(r *readiness) { r.child = answers })
		return
	}
	if err := c.Await(ctx); err == nil {
		a.ready.set(func(r *readiness) { r.child = c.Ready })
	}
}

// answers stands for an Envoy that somebody else runs and watches.
func answers(context.Context) error { return nil }

// drainEnvoy makes Envoy refuse new connections while what runs goes on.
func (a *App) drainEnvoy(ctx context.Context, c *child) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, step := range []func(context.Context) error{c.Drain, c.Shut} {
		if err := step(ctx); err != nil {
			a.log.Warn("envoy cannot be drained", "error", err)
			return
		}
	}
}

// awaitLimits notes when limits can be held to, and reports false where the context ends before.
func (a *App) awaitLimits(ctx context.Context) bool {
	last := ""
	for {
		err := a.build.accounts.Missing(ctx, a.organizations())
		if err == nil {
			a.ready.set(func(r *readiness) { r.limits = true })
			return true
		}
		if err.Error() != last {
			last = err.Error()
			a.log.Warn("limits cannot be checked yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(retry):
		}
	}
}

// organizations are those whose limits must be known.
func (a *App) organizations() []string {
	if t := a.limits(); t != nil {
		return t.Organizations()
	}
	return nil
}

// limits returns the limits of the configuration in use, nil where there are none.
func (a *App) limits() *budgets.Table {
	t, _ := a.core.Snapshot().Limits.(*budgets.Table)
	return t
}

// budget finds a budget of the configuration in use.
func (a *App) budget(id string) *quota.Budget {
	if l := a.core.Snapshot().Limits; l != nil {
		return l.Budget(id)
	}
	return nil
}
