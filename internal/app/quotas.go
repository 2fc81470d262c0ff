package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// quotas are the limits of a running program: the store that counts, and what holds exchanges to them.
type quotas struct {
	*metering.Meter
	close func()
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
		p.Store, p.Remote = s, true
		q.close = func() { _ = s.Close() }
	}
	q.Meter = metering.New(p)
	return q, nil
}

func (a *App) openRedis(s *budgets.Service) (*redis.Store, error) {
	p := redis.Params{
		URL: s.Store, Timeout: s.Timeout, Keep: s.Keep,
		Source: func(context.Context, string) ([]quota.Balance, error) { return nil, nil },
		Alarm: func(organization, what string) {
			a.log.Warn("counters of limits", "organization", organization, "what", what)
		},
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

// organizations are those whose reservations may expire.
func (a *App) organizations() []string {
	t, err := a.Config().Budgets()
	if err != nil {
		return nil
	}
	return t.Organizations()
}
