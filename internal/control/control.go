// Package control joins the store of owners and keys to a running process: it opens what the configuration names, keeps
// the keys in memory as the store is, and serves the admin API, on the admin address and on the local socket.
//
// It does not decide who may what; internal/admin does.
package control

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/admin"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/experiment"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/store"
	"github.com/signalbox-ai/signalbox/internal/template"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/routing"
)

// Control is an open store with its index of keys. A nil Control is that of a configuration without a store.
type Control struct {
	store  *store.Store
	issued *auth.Directory
	follow *store.Follower
	brings *auth.Provided
	limits func(context.Context) error // called when budgets may have changed; nil: nobody asks
	board  experiment.Board
	config func() *config.Config // in use
	prompts
	token  secret.Value
	verify atomic.Pointer[admin.Verifier] // of the configuration in use
	log    *slog.Logger
}

// Open opens the store that the configuration names; nil: it names none. Owners that the file lists are put into the
// store, so that keys can be issued for them. Errors of the configuration are config.Errors.
func Open(ctx context.Context, cfg *config.Config, kinds *providers.Registry, log *slog.Logger) (*Control, error) {
	if !cfg.Stores() {
		return nil, nil
	}
	c := &Control{log: log, brings: &auth.Provided{}, prompts: prompts{kinds: kinds}, config: func() *config.Config { return cfg }}
	s := &cfg.Auth.Secrets
	peppers, err := resolve(ctx, s.Keys, s.KeysBefore)
	if err != nil {
		return nil, fault(cfg, "auth.secrets.keys", err)
	}
	c.issued = auth.NewDirectory(peppers...)
	var o store.Options
	if o.Sealer, err = sealer(ctx, s.ProviderKeys, s.ProviderKeysBefore); err != nil {
		return nil, fault(cfg, "auth.secrets.provider_keys", err)
	}
	if t := s.Admin; t != "" {
		if c.token, err = t.Resolve(ctx); err == nil && len(c.token.Reveal()) < 16 {
			err = errors.New("the admin token must have at least 16 bytes")
		}
		if err != nil {
			return nil, fault(cfg, "auth.secrets.admin", err)
		}
	}
	if err := c.take(ctx, cfg); err != nil {
		return nil, err
	}
	address, err := cfg.StoreAddress(ctx)
	if err == nil {
		c.store, err = store.Open(ctx, address, o)
	}
	if err != nil {
		return nil, fault(cfg, "store", err)
	}
	c.follow = &store.Follower{Store: c.store, Issued: c.issued, Log: log, Changed: c.changed}
	if err := errors.Join(c.adopt(ctx, cfg), c.reseal(ctx, o.Sealer), c.follow.Load(ctx), c.bring(ctx), c.stand(ctx), c.stock(ctx, cfg)); err != nil {
		c.Close()
		return nil, fault(cfg, "store", err)
	}
	return c, nil
}

// Look reads the store that the configuration names beside the service that works with it, for who decides without one: its
// keys, which nobody can prove here, its templates, budgets, and how experiments stand. Nothing is written, and no secret fetched but where the store is. nil: there is
// no store. It cannot be run, and serves nothing.
func Look(ctx context.Context, cfg *config.Config, kinds *providers.Registry, log *slog.Logger) (*Control, error) {
	if !cfg.Stores() {
		return nil, nil
	}
	c := &Control{log: log, prompts: prompts{kinds: kinds}, config: func() *config.Config { return cfg }, issued: auth.NewDirectory()}
	address, err := cfg.StoreAddress(ctx)
	if err != nil {
		return nil, err
	}
	if c.store, err = store.Open(ctx, address, store.Options{ReadOnly: true}); err != nil {
		return nil, err
	}
	c.follow = &store.Follower{Store: c.store, Issued: c.issued, Log: log}
	if err := errors.Join(c.follow.Load(ctx), c.stand(ctx), c.stock(ctx, cfg)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// fault places an error in the file.
func fault(cfg *config.Config, path string, err error) error {
	return config.Errors{cfg.Fault(path, err.Error())}
}

// resolve fetches a secret and those that were in its place before. Without the first there is none.
func resolve(ctx context.Context, now secret.Ref, before []secret.Ref) ([]secret.Value, error) {
	if now == "" {
		return nil, nil
	}
	var all []secret.Value
	for _, r := range append([]secret.Ref{now}, before...) {
		v, err := r.Resolve(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func sealer(ctx context.Context, now secret.Ref, before []secret.Ref) (*store.Sealer, error) {
	all, err := resolve(ctx, now, before)
	if err != nil || all == nil {
		return nil, err
	}
	return store.NewSealer(all...)
}

// adopt puts the owners of the file into the store.
func (c *Control) adopt(ctx context.Context, cfg *config.Config) error {
	var orgs []store.Organization
	var ts []store.Team
	var ps []store.Project
	for i := range cfg.Organizations {
		orgs = append(orgs, store.Organization{Name: cfg.Organizations[i].Name})
	}
	if len(orgs) == 0 {
		orgs = append(orgs, store.Organization{Name: auth.DefaultOrganization})
	}
	for i := range cfg.Teams {
		t := &cfg.Teams[i]
		ts = append(ts, store.Team{Name: t.Name, Organization: cmp.Or(t.Organization, orgs[0].Name)})
	}
	for i := range cfg.Projects {
		ps = append(ps, store.Project{Name: cfg.Projects[i].Name, Team: cfg.Projects[i].Team})
	}
	return c.store.Change(ctx, store.Actor{Name: "configuration"}, func(tx *store.Tx) error {
		return tx.Adopt(orgs, ts, ps)
	})
}

// reseal seals anew what a secret sealed that was replaced.
func (c *Control) reseal(ctx context.Context, s *store.Sealer) error {
	if s == nil {
		return nil
	}
	return c.store.Change(ctx, store.Actor{Name: "configuration"}, func(tx *store.Tx) error {
		n, err := tx.Reseal()
		if err == nil && n > 0 {
			c.log.Info("provider keys sealed anew", "count", n)
		}
		return err
	})
}

// Adopt takes up the issuers of tokens of a new configuration, and puts its owners into the store.
func (c *Control) Adopt(ctx context.Context, cfg *config.Config) error {
	if c == nil {
		return nil
	}
	return errors.Join(c.take(ctx, cfg), c.adopt(ctx, cfg))
}

// Issued returns the index of the keys that the store has issued, nil: there is no store.
func (c *Control) Issued() *auth.Directory {
	if c == nil {
		return nil
	}
	return c.issued
}

// Provided returns the index of the provider keys that teams have brought, nil: there is no store.
func (c *Control) Provided() *auth.Provided {
	if c == nil {
		return nil
	}
	return c.brings
}

// bring reads the provider keys of teams.
func (c *Control) bring(ctx context.Context) error {
	all, err := c.store.OpenProviderKeys(ctx)
	if err != nil {
		return err
	}
	c.brings.Replace(all)
	return nil
}

// stand reads how experiments stand.
func (c *Control) stand(ctx context.Context) error {
	all, err := c.store.Experiments(ctx)
	if err != nil {
		return err
	}
	phases := make(map[string]experiment.Phase, len(all))
	for i := range all {
		phases[all[i].Name] = experiment.Phase{State: experiment.State(all[i].State), Arm: all[i].Arm, Step: all[i].Step}
	}
	c.board.Set(phases)
	return nil
}

// Board returns how experiments stand, nil: there is no store.
func (c *Control) Board() *experiment.Board {
	if c == nil {
		return nil
	}
	return &c.board
}

// changed takes up what was changed in the store, but for keys, which the follower does. After an error it is called
// again.
func (c *Control) changed(ctx context.Context, kind store.Kind) error {
	switch kind {
	case store.KindProviderKey:
		return c.bring(ctx)
	case store.KindExperiment:
		return c.stand(ctx)
	case store.KindTemplate:
		if err := c.stock(ctx, c.config()); err != nil || c.renew == nil {
			return err
		}
		return c.renew(ctx)
	case store.KindBudget: // a key, team or project stays with its owners, and is not deleted before its budgets
		if c.limits != nil {
			return c.limits(ctx)
		}
	}
	return nil
}

// Use says what the control works for, before it runs: the configuration in use, what is called when budgets may have changed,
// and what is called when templates have. Both are called again after an error.
func (c *Control) Use(cfg func() *config.Config, limits, templates func(context.Context) error) {
	if c != nil {
		c.config, c.limits, c.renew = cfg, limits, templates
	}
}

// Run keeps what is in memory as the store is, and lets runs of evaluations expire, until the context ends.
func (c *Control) Run(ctx context.Context) {
	if c == nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { c.expire(ctx) })
	c.follow.Run(ctx)
	wg.Wait()
}

// Close closes the store.
func (c *Control) Close() {
	if c != nil {
		_ = c.store.Close()
	}
}

// Handler returns what serves the admin API, nil: there is none. gate is that of the configuration in use; usage, nil where there
// is no ledger, is what was used, and rerate prices it anew. routes and version are those of the configuration in use.
func (c *Control) Handler(gate func() *auth.Gate, failures *auth.Limiter, usage *book.Lazy, rerate admin.Rerate, explain admin.Explain, routes func() []*routing.Route, version func() string) http.Handler {
	if c == nil {
		return nil
	}
	o := admin.Options{Store: c.store, Keys: c.issued, Token: c.token, Gate: gate, Tokens: c.verify.Load, Failures: failures, Routes: routes, Log: c.log}
	o.Prompts = admin.Prompts{
		Check: func(name, body string) error { return c.checkTemplate(c.config(), name, body) },
		Read:  func(body string) (*template.File, error) { return c.config().ReadTemplate(body, c.kinds) },
		Hides: func(name string) bool { return hides(c.config(), name) },
	}
	o.Evals = admin.Evals{Version: version, Content: func() bool { return c.config().Evals.Content }}
	if usage != nil {
		o.Ledger, o.Rerate, o.Explain = usage, rerate, explain
	}
	return admin.New(o).Handler()
}

// Serve serves the admin API on the local socket until the context ends. Only the user of the process, and root, get in.
func (c *Control) Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if uid, ok := userOf(conn); ok && (uid == os.Geteuid() || uid == 0) {
				return admin.Local(ctx, uid)
			}
			return ctx
		},
	}
	s.Protocols = Protocols()
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Protocols are HTTP/1.1 and, for gRPC, HTTP/2 without TLS.
func Protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return p
}
