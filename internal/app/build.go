package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/signalbox-ai/signalbox/extproc/counting"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/probing"
	"github.com/signalbox-ai/signalbox/extproc/tagging"
	"github.com/signalbox-ai/signalbox/internal/accounts"
	"github.com/signalbox-ai/signalbox/internal/auth/pass"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/config/access"
	"github.com/signalbox-ai/signalbox/internal/control"
	"github.com/signalbox-ai/signalbox/internal/experiment/shadow"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/health/upkeep"
	"github.com/signalbox-ai/signalbox/internal/idempotency"
	"github.com/signalbox-ai/signalbox/internal/idempotency/stores"
	"github.com/signalbox-ai/signalbox/internal/queue"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/sending"
	"github.com/signalbox-ai/signalbox/internal/slo/keeper"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/trouble"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/providers/sign"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// builder makes snapshots. It fetches secrets and opens nothing else.
type builder struct {
	kinds    *providers.Registry
	mock     *url.URL           // where the embedded mock is served
	count    *counting.Counter  // lives longer than a snapshot: vocabularies stay
	learnt   *counting.Keeper   // of the running program
	accounts *accounts.Accounts // of the running program; nil: nothing is limited or written down
	access   access.Live        // of the running program
	health   *upkeep.Upkeep     // of the running program
	slo      *keeper.Keeper     // of the running program
	trouble  *trouble.Log       // of the running program
	built    int                // snapshots so far: two never share a version
	control  *control.Control   // of the running program; nil: there is no store
	replays  replays            // of the running program
	own      ownTraffic         // of the running program
	dry      bool               // nothing is sent: no secret is fetched, and limits are known but not counted
	line     *queue.Queue       // of the running program
}

// replays are where idempotent answers are kept. The zero value is nowhere.
type replays struct {
	desk *idempotency.Desk // nil: nowhere
	end  func()
}

// openReplays opens the store that the configuration names. Answers are sealed with what own keys of providers are sealed
// with, where there is that, beside what tenant and key give.
func (a *App) openReplays(ctx context.Context, cfg *config.Config) (replays, error) {
	c := &cfg.Idempotency
	store, remote, end, err := stores.Open(stores.Settings{
		Store: c.Store, Password: c.Password, TLS: redis.Security{CA: c.CA, Cert: c.Cert, Key: c.Key, Name: c.ServerName}, Timeout: c.Timeout, Most: int64(c.MaxTotal),
	})
	if err != nil {
		return replays{}, config.Errors{cfg.Fault("idempotency.store", "store: "+err.Error())}
	}
	out := replays{end: end}
	if store == nil {
		return out, nil
	}
	p := idempotency.Params{Store: store, Remote: remote, Keep: c.TTL, Timeout: c.Timeout, Most: int64(c.MaxAnswer), Log: a.log, Count: &a.metrics.Idempotency}
	if ref := cfg.Auth.Secrets.ProviderKeys; ref != "" {
		if p.Secret, err = ref.Resolve(ctx); err != nil {
			return out, config.Errors{cfg.Fault("auth.secrets.provider_keys", err.Error())}
		}
	}
	out.desk = idempotency.New(p)
	return out, nil
}

// ownTraffic is what the gateway sends by itself.
type ownTraffic struct {
	passes  *pass.Issuer
	shadows *shadow.Sender
	probes  *probe.Prober
}

// run sends it until the context ends.
func (o *ownTraffic) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { o.shadows.Run(ctx) })
	o.probes.Run(ctx)
	wg.Wait()
}

// probing says what is probed.
func (b *builder) probing(c *config.Config, core *exchange.Core) {
	s := core.Snapshot()
	of := &probing.Source{Settings: &c.Health.Probe, Table: s.Table, Providers: s.Providers}
	if !of.Settings.On() {
		b.own.probes.Set(probe.Rules{}, nil, nil)
		return
	}
	b.own.probes.Set(of.Settings.Rules(), of.Targets(), of.Other)
}

// openOwn makes what sends copies of requests. Replicas that share what keys are hashed with let in each
// other's.
func (a *App) openOwn(ctx context.Context, cfg *config.Config, known health.Known) (own ownTraffic, err error) {
	var shared secret.Value
	if ref := cfg.Auth.Secrets.Keys; ref != "" {
		if shared, err = ref.Resolve(ctx); err != nil {
			return own, config.Errors{cfg.Fault("auth.secrets.keys", err.Error())}
		}
	}
	socket, err := absolute(cfg.Listen.Own)
	if err != nil {
		return own, err
	}
	socket = strings.TrimPrefix(socket, "unix:")
	own.passes = pass.New(shared)
	m := &a.metrics.Shadows
	own.shadows = shadow.New(shadow.Params{
		Socket: socket, Passes: own.passes, Log: a.log, Held: m.Held,
		Count: func(arm string, r shadow.Result) { m.Copied(arm, string(r)) },
	})
	own.probes = probe.New(probe.Params{
		Client: pass.NewClient(socket, own.passes, probe.Most), Known: known, Turn: a.build.health.Turn(), Log: a.log,
		Count: func(provider, model string, r probe.Result) { a.metrics.Health.Probed(provider, model, string(r)) },
	})
	return own, nil
}

// run keeps leases, and stores answers, until the context ends.
func (r *replays) run(ctx context.Context) {
	if r.desk != nil {
		r.desk.Run(ctx)
	}
}

// close ends the connection to the store.
func (r *replays) close() {
	if r.end != nil {
		r.end()
	}
}

// queueing puts the settings of the queue in place.
func (b *builder) queueing(c *config.Config, core *exchange.Core) {
	s := c.Line()
	s.Mine = core.Ours
	b.line.Configure(s)
}

// openHealth takes back what the process before this one knew of targets.
func openHealth(cfg *config.Config, known health.Known, log *slog.Logger, m *telemetry.Metrics) (*upkeep.Upkeep, error) {
	settings := cfg.Health // its own: it outlives the configuration
	p := upkeep.Params{Settings: &settings, Known: known, Log: log, Metrics: &m.Health}
	if q := &cfg.Quota; q.Remote() {
		p.Quota = upkeep.Place{URL: q.Store, Password: q.Password, Security: redis.Security{CA: q.CA, Cert: q.Cert, Key: q.Key, Name: q.ServerName}}
	}
	u, err := upkeep.Open(p)
	if err != nil {
		return nil, config.Errors{cfg.Fault("health", "health: "+err.Error())}
	}
	return u, nil
}

// vocabularies makes the set of counters, with the vocabularies that the configuration brings.
func vocabularies(cfg *config.Config) (*tokenizer.Set, error) {
	loaded := map[string]tokenizer.Text{}
	for name, path := range cfg.Tokenizer.Vocab {
		var err error
		if loaded[name], err = vocabulary(name, path); err != nil {
			return nil, config.Errors{cfg.Fault("tokenizer.vocab."+name, "vocab: "+name+": "+err.Error())}
		}
	}
	return tokenizer.NewSet(loaded), nil
}

func vocabulary(name, path string) (tokenizer.Text, error) {
	return tokenizer.Load(name, func() ([]byte, error) { return os.ReadFile(path) })
}

// snapshot builds everything that exchanges need from a configuration. What its providers keep fresh in the
// background belongs to the lease.
func (b *builder) snapshot(ctx context.Context, c *config.Config, lease *sign.Lease) (*exchange.Snapshot, error) {
	s := &exchange.Snapshot{
		Table:     c.Table(),
		Providers: make(map[string]*providers.Provider, len(c.Providers)),
		Registry:  b.kinds,
		Servers:   all.Servers(),
		MaxBody:   int64(c.Limits.Body),
		MaxAnswer: int64(c.Limits.Answer),
		MaxHeader: c.Limits.HeaderCount,
		Marks:     tagging.Marks{Tags: tagging.New(c.Tags.Headers, c.Tags.Metadata), Trace: sending.Tracing(&c.Telemetry)},
	}
	s.Probe = c.Probe()
	s.Count, s.Templates = b.count, b.control.Prompts(c)
	s.Templates.Bind(s.Servers)
	version := sha256.New()
	version.Write(c.Text())
	var faults config.Errors
	for i := range c.Providers {
		p, err := b.provider(ctx, &c.Providers[i], lease)
		if err != nil {
			faults = append(faults, c.Fault("providers["+strconv.Itoa(i)+"]", err.Error()))
			continue
		}
		s.Providers[p.Name] = p
		fmt.Fprintf(version, "%s %s %s\n", p.Name, p.Kind, p.Base)
	}
	if !b.dry {
		faults = append(append(faults, probeAlerts(ctx, c)...), sending.ProbeExports(ctx, c)...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	for _, r := range s.Table.Routes() {
		fmt.Fprintf(version, "%s %q %+v\n", r.Name, r.Models, r.Deadlines) // policies are pointers: the text of the file has them
	}
	for _, t := range s.Templates.Versions() {
		fmt.Fprintf(version, "%s %+v\n", t, t.File)
	}
	b.built++
	s.Version = hex.EncodeToString(version.Sum(nil)[:4]) + "-" + strconv.Itoa(b.built)
	if err := b.limit(ctx, s, c); err != nil {
		return nil, err
	}
	s.Once = b.replays.desk
	if s.Line = b.line; c.Queue.Wait == 0 {
		s.Line = nil
	}
	var err error
	s.Keys, err = c.Gate(b.access, c.Envoy.TrustedHops)
	return s, err
}

// limit puts the limits of the configuration and of the store into a snapshot.
func (b *builder) limit(ctx context.Context, s *exchange.Snapshot, c *config.Config) error {
	table, err := budgets.Load(c.Owned(), b.control.Owned(ctx))
	if err != nil {
		return err
	}
	s.Meter, s.Limits, s.Feedback = nil, nil, nil
	if b.dry && !table.Empty() {
		s.Limits = table
	}
	if b.accounts != nil {
		s.Feedback = b.accounts.Note()
	}
	if b.accounts != nil && (!table.Empty() || b.accounts.On()) {
		s.Meter, s.Limits = b.accounts.Meter, table
		s.Slow = c.Quota.Remote() || table.Strict()
	}
	return nil
}

// provider makes one provider with its credentials. The ID of a credential is its reference, which may be
// shown, and stays the same when the secret behind it is rotated.
func (b *builder) provider(ctx context.Context, c *config.Provider, lease *sign.Lease) (*providers.Provider, error) {
	kind, ok := b.kinds.Kind(c.Kind)
	if !ok {
		return nil, fmt.Errorf("unknown kind %q", c.Kind)
	}
	base := c.Base
	if base == nil {
		if base = b.mock; base == nil {
			return nil, fmt.Errorf("base_url is missing")
		}
	}
	if b.dry {
		return dryProvider(c, kind, base)
	}
	for _, ref := range c.ParamRefs() { // adapters fetch these by themselves, and later: a fault should show now
		if _, err := ref.Document(ctx); err != nil {
			return nil, fmt.Errorf("the credential cannot be fetched: %w", err)
		}
	}
	a, err := kind.New(providers.Env{Name: c.Name, BaseURL: base, Region: c.Region, Sources: lease}, c.Params)
	if err != nil {
		return nil, err
	}
	var keys []providers.Key
	for _, ref := range c.Refs() {
		v, err := ref.Resolve(ctx)
		if err != nil {
			return nil, fmt.Errorf("the credential cannot be fetched: %w", err)
		}
		keys = append(keys, providers.Key{ID: keyID(ref), Secret: v})
	}
	return madeProvider(c, kind, base, a, keys), nil
}

func madeProvider(c *config.Provider, kind providers.Kind, base *url.URL, a providers.Adapter, keys []providers.Key) *providers.Provider {
	return &providers.Provider{Name: c.Name, Kind: c.Kind, Base: base, Region: c.Region, Traits: kind.Traits(c.Traits), Adapter: a, Keys: providers.NewKeyring(keys...), Models: c.Deployment(), Contract: c.Contract()}
}

// dryProvider makes a provider that is asked nothing: its credentials are named and not fetched.
func dryProvider(c *config.Provider, kind providers.Kind, base *url.URL) (*providers.Provider, error) {
	a, err := kind.New(providers.Env{Name: c.Name, BaseURL: base, Region: c.Region}, c.Params)
	if err != nil {
		return nil, err
	}
	var keys []providers.Key
	for _, ref := range c.Refs() {
		keys = append(keys, providers.Key{ID: keyID(ref)})
	}
	return madeProvider(c, kind, base, a, keys), nil
}

// keyID names a credential by its reference. A command may hold what should not be shown: it is hashed.
func keyID(r secret.Ref) string {
	if _, err := secret.Parse(string(r)); err != nil || len(r) > 64 || r[:5] == "exec:" {
		sum := sha256.Sum256([]byte(r))
		return "key-" + hex.EncodeToString(sum[:4])
	}
	return string(r)
}

// relimit puts the store's budgets into the snapshot in use. On an error the limits stay as they were.
func (a *App) relimit(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := *a.core.Snapshot()
	if err := a.build.limit(ctx, &s, a.cfg); err != nil {
		return err
	}
	a.core.Swap(&s)
	var known bool
	a.ready.set(func(r *readiness) { known = r.limits })
	if known { // an organization without limits until now may be new to the counters
		if err := a.build.accounts.Missing(ctx, a.organizations()); err != nil {
			a.log.Error("the counters of limits are not known", "error", err)
		}
	}
	return nil
}

// retemplate puts the store's templates into the snapshot in use. Its version stays: what Envoy has is the same.
func (a *App) retemplate(context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := *a.core.Snapshot()
	s.Templates = a.build.control.Prompts(a.cfg)
	s.Templates.Bind(s.Servers)
	a.core.Swap(&s)
	a.arms(&s)
	return nil
}
