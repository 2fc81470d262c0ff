package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/guard"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// quotas are the limits of a running program: the store that counts, and what holds exchanges to them.
type quotas struct {
	*metering.Meter
	guard *guard.Guard // nil: the store is in this process
	redis *redis.Store // the same
	close func()
}

// run keeps reservations alive, and the store in mind while it is away.
func (q *quotas) run(ctx context.Context, organizations func() []string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if q.guard != nil {
		wg.Go(func() { q.guard.Run(ctx) })
	}
	q.Run(ctx, organizations)
}

// missing says why limits cannot be held to; nil: they can.
func (q *quotas) missing(ctx context.Context, organizations []string) error {
	if q.redis == nil {
		return nil
	}
	if err := q.redis.Ready(ctx); err != nil {
		return err
	}
	for _, o := range organizations {
		if err := q.redis.Known(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// openQuotas opens the store that the configuration names.
func (a *App) openQuotas(cfg *config.Config) (*quotas, error) {
	q := &quotas{close: func() {}}
	p := metering.Params{Log: a.log}
	if !cfg.Quota.Remote() {
		p.Store = memory.New(memory.Params{})
	} else {
		s, err := a.openRedis(&cfg.Quota)
		if err != nil {
			return nil, config.Errors{cfg.Fault("quota", "quota: "+err.Error())}
		}
		q.guard = guard.New(guard.Params{
			Store: s, Local: memory.New(memory.Params{}), Replicas: cfg.Quota.Replicas, Timeout: cfg.Quota.Timeout, Alarm: a.alarm,
			Settled: func(st *quota.Settlement, out quota.Outcome, err error) { q.Settled(st, out, err) },
		})
		p.Store, p.Remote, q.redis = q.guard, true, s
		q.close = func() { _ = s.Close() }
	}
	q.Meter = metering.New(p)
	return q, nil
}

func (a *App) openRedis(s *budgets.Service) (*redis.Store, error) {
	p := redis.Params{
		URL: s.Store, Timeout: s.Timeout, Keep: s.Keep,
		Source: func(context.Context, string) ([]quota.Balance, error) { return nil, nil },
		Alarm:  a.alarm,
	}
	if s.Password != "" {
		p.Password = func(ctx context.Context) (secret.Value, error) { return s.Password.Resolve(ctx) }
	}
	if s.CA != "" || s.Cert != "" {
		c := &tls.Config{MinVersion: tls.VersionTLS12}
		if s.CA != "" {
			pem, err := os.ReadFile(s.CA)
			if err != nil {
				return nil, err
			}
			c.RootCAs = x509.NewCertPool()
			if !c.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s holds no certificate", s.CA)
			}
		}
		if s.Cert != "" {
			pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
			if err != nil {
				return nil, err
			}
			c.Certificates = []tls.Certificate{pair}
		}
		p.TLS = c
	}
	return redis.New(p)
}

// alarm is for what somebody should look at.
func (a *App) alarm(organization, what string) {
	a.log.Error("limits", "organization", organization, "what", what)
}

// organizations are those whose reservations may expire.
func (a *App) organizations() []string {
	t, err := a.Config().Budgets()
	if err != nil {
		return nil
	}
	return t.Organizations()
}
