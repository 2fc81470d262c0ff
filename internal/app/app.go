package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"sync"
	"time"

	grpchealth "google.golang.org/grpc/health"

	"github.com/signalbox-ai/signalbox/envoy"
	"github.com/signalbox-ai/signalbox/extproc"
	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/observer"
	"github.com/signalbox-ai/signalbox/internal/accounts"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/control"
	"github.com/signalbox-ai/signalbox/internal/gctune"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/sending"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/trouble"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/sign"
)

// Options of an App.
type Options struct {
	Path    string    // of the configuration; "": the default, made from the environment
	Errors  io.Writer // where the log goes
	Version string
}

// App is a running Signalbox.
type App struct {
	opts    Options
	kinds   *providers.Registry
	log     *slog.Logger
	core    *exchange.Core
	metrics *telemetry.Metrics
	sends   *sending.Sender
	xds     *envoy.Server
	rpc     *rpc
	health  *grpchealth.Server
	build   *builder
	mock    *embedded // nil: no provider needs it
	ready   readiness

	mu    sync.Mutex // one reload at a time
	cfg   *config.Config
	creds credentials
}

// credentials are what is kept fresh for signing. A process has one pool, and a lease for each configuration
// that exchanges may still have.
type credentials struct {
	pool  *sign.Pool
	lease *sign.Lease // of the configuration in use
}

// Load reads the configuration at path, or makes the default one.
func Load(path string) (*config.Config, error) {
	kinds := all.Kinds()
	if path == "" {
		return config.Default(kinds, os.LookupEnv), nil
	}
	return config.Load(path, kinds)
}

// New builds everything from the configuration and opens the embedded mock where it is needed. Errors of
// the configuration are config.Errors.
func New(ctx context.Context, o Options) (*App, error) {
	a, err := begin(o)
	if err != nil {
		return nil, err
	}
	cfg := a.cfg
	a.metrics = sending.Metrics(&cfg.Telemetry)
	a.metrics.Build(o.Version)
	set, err := vocabularies(cfg)
	if err != nil {
		return nil, err
	}
	a.warn(cfg)
	a.build = &builder{kinds: a.kinds, count: counting.New(set), trouble: &trouble.Log{}, line: queue.New(nil, &a.metrics.Queue)}
	a.build.count.Off = a.off
	a.build.access.Failures = cfg.Auth.Failures.Limiter()
	a.build.learnt = &counting.Keeper{Path: cfg.Tokenizer.File(), Counter: a.build.count, Log: a.log}
	a.build.learnt.Restore()
	rests, targets := health.NewCooldowns(), health.NewTargets()
	if a.build.health, err = openHealth(cfg, health.Known{Targets: targets, Rests: rests}, a.log, a.metrics); err != nil {
		return nil, err
	}
	a.openObjectives(cfg)
	if a.build.accounts, err = accounts.Open(ctx, cfg, accounts.Options{Version: o.Version, Log: a.log, Budget: a.budget, Limits: a.limits, Metrics: a.metrics, Trouble: a.build.trouble, SLO: a.build.slo.Tracker}); err != nil {
		return nil, err
	}
	if a.build.control, err = control.Open(ctx, cfg, a.kinds, a.log); err != nil {
		return nil, err
	}
	a.build.control.Use(a.Config, a.relimit, a.retemplate)
	a.build.access.Issued, a.build.access.Provided = a.build.control.Issued(), a.build.control.Provided()
	if a.build.replays, err = a.openReplays(ctx, cfg); err != nil {
		return nil, err
	}
	a.build.own, err = a.openOwn(ctx, cfg, health.Known{Targets: targets, Rests: rests})
	if err := cmp.Or(err, a.openMock(cfg)); err != nil {
		return nil, err
	}
	if a.sends, err = sending.New(ctx, &cfg.Telemetry, sending.Options{Version: o.Version, Metrics: a.metrics, Log: a.log}); err != nil {
		return nil, config.Errors{cfg.Fault("telemetry.otlp", err.Error())}
	}
	a.creds.pool = sign.NewPool(a.log, nil)
	a.creds.lease = a.creds.pool.Lease()
	snap, err := a.build.snapshot(ctx, cfg, a.creds.lease)
	if err != nil {
		a.close()
		return nil, err
	}
	seen := &observer.Objectives{Tracker: a.build.slo.Tracker, Observer: observer.New(observer.Options{Metrics: a.metrics, Spans: a.sends.Spans(), Errors: cfg.Telemetry.Traces.Errors})}
	a.core = exchange.New(snap, exchange.Options{Log: a.log, Rests: rests, Health: targets, Burn: a.build.slo.Tracker.Burn, Board: a.build.control.Board(), Shadows: a.build.own.shadows, Passes: a.build.own.passes, Strays: a.armless, Observer: a.build.accounts.Watch(seen)})
	cfg.Settle(snap.Table)
	a.follow(cfg, snap)
	a.xds = envoy.NewServer(nodeID)
	a.health = grpchealth.NewServer()
	a.rpc = newRPC(extproc.NewServer(a.core, a.log), a.health, a.xds)
	return a, nil
}

// begin reads the configuration and opens the log.
func begin(o Options) (*App, error) {
	gctune.Start()
	cfg, err := Load(o.Path)
	if err != nil {
		return nil, err
	}
	a := &App{opts: o, kinds: all.Kinds(), cfg: cfg}
	a.log, err = telemetry.NewLogger(o.Errors, cfg.Log.Format, cfg.Log.Level)
	return a, err
}

// nodeID is Envoy's id toward the xDS server.
const nodeID = "signalbox"

// Core returns the exchanges of the process.
func (a *App) Core() *exchange.Core { return a.core }

// Config returns the configuration in use.
func (a *App) Config() *config.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cfg
}

// ackWait is how long a reload waits for Envoy to know what plans will name.
const ackWait = 10 * time.Second

// Reload reads the configuration again and puts it in place. On any error everything stays as it is.
// Providers that are gone leave plans at once, and Envoy when no exchange can need them any more.
func (a *App) Reload(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.reload(ctx)
	a.metrics.Reload(err == nil)
	if err != nil {
		a.log.Error("configuration refused, the old one stays", "error", err)
		return err
	}
	a.warn(a.cfg)
	a.cfg.Settle(a.core.Snapshot().Table)
	a.log.Info("configuration in place", "version", a.core.Snapshot().Version)
	return nil
}

func (a *App) reload(ctx context.Context) error {
	cfg, err := Load(a.opts.Path)
	if err != nil {
		return err
	}
	if err := fixed(a.cfg, cfg); err != nil {
		return err
	}
	if err := a.sends.Renew(ctx, &cfg.Telemetry); err != nil {
		return config.Errors{cfg.Fault("telemetry.otlp.headers", err.Error())}
	}
	if err := a.openMock(cfg); err != nil {
		return err
	}
	lease := a.creds.pool.Lease()
	snap, err := a.build.snapshot(ctx, cfg, lease)
	if err != nil {
		lease.Release()
		return err
	}
	if err := a.toEnvoy(ctx, cfg, snap.Version); err != nil {
		lease.Release()
		if back := a.toEnvoy(ctx, a.cfg, a.core.Snapshot().Version); back != nil {
			a.log.Error("envoy keeps what it has", "error", back)
		}
		return err
	}
	if err := a.build.control.Adopt(ctx, cfg); err != nil {
		a.log.Error("owners or issuers of the configuration are not taken up", "error", err)
	}
	a.build.slo.Set(cfg.Objectives(), time.Now())
	a.core.Swap(snap)
	a.follow(cfg, snap)
	time.AfterFunc(linger(a.cfg), a.creds.lease.Release) // running exchanges keep the old snapshot
	a.cfg, a.creds.lease = cfg, lease
	return nil
}

// follow has what lives longer than a configuration go by one that is in use.
func (a *App) follow(cfg *config.Config, snap *exchange.Snapshot) {
	a.build.queueing(cfg, a.core)
	a.build.probing(cfg, a.core)
	a.arms(snap)
}

// warn says what a configuration may have and its user should know.
func (a *App) warn(cfg *config.Config) {
	for _, w := range cfg.Warnings() {
		a.log.Warn("configuration", "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "path", w.Path, "what", w.Message)
	}
}

// close ends what New has begun.
func (a *App) close() {
	a.sends.Close()
	a.creds.pool.Close()
	a.build.accounts.Close()
	a.build.control.Close()
	a.build.replays.close()
	a.closeMock()
}

// toEnvoy hands a configuration to Envoy and waits until it is taken, so that plans never name a cluster
// that Envoy does not know. Without an Envoy nothing is waited for.
func (a *App) toEnvoy(ctx context.Context, cfg *config.Config, version string) error {
	spec, err := a.spec(cfg)
	if err != nil {
		return err
	}
	if err := a.xds.Set(ctx, spec, version); err != nil {
		return err
	}
	if a.xds.Connected() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	if err := a.xds.Acked(ctx, version); err != nil {
		return fmt.Errorf("the configuration at Envoy: %w", err)
	}
	return nil
}

// fixed refuses changes that need a restart.
func fixed(old, now *config.Config) error {
	var errs []error
	differs := func(what string, same bool) {
		if !same {
			errs = append(errs, fmt.Errorf("%s can only change with a restart", what))
		}
	}
	differs("listen.service", old.Listen.Service == now.Listen.Service)
	differs("listen.own", old.Listen.Own == now.Listen.Own)
	differs("listen.admin", old.Listen.Admin == now.Listen.Admin)
	differs("envoy", old.Envoy == now.Envoy)
	differs("tokenizer", old.Tokenizer.State == now.Tokenizer.State && maps.Equal(old.Tokenizer.Vocab, now.Tokenizer.Vocab))
	differs("quota", old.Quota == now.Quota)
	differs("health", old.Health.Same(&now.Health))
	differs("slo_state", old.SLOState == now.SLOState)
	differs("ledger", reflect.DeepEqual(old.Ledger, now.Ledger))
	differs("idempotency", old.Idempotency == now.Idempotency)
	differs("telemetry, but for traces.sample, follow_parent and propagate,", sending.Same(old.Telemetry, now.Telemetry))
	differs("listen.control", old.Listen.Control == now.Listen.Control)
	differs("store", old.Store == now.Store)
	differs("auth.secrets", reflect.DeepEqual(old.Auth.Secrets, now.Auth.Secrets))
	differs("auth.failures", old.Auth.Failures == now.Auth.Failures)
	differs("log", old.Log == now.Log)
	return errors.Join(errs...)
}
