package app

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/envoy"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// margin is added to every time that Envoy waits for us, so that our own deadlines come first.
const margin = 5 * time.Second

// spec is what Envoy has to know of a configuration.
func (a *App) spec(c *config.Config) (envoy.Spec, error) {
	s, err := specOf(c, a.build)
	if path, own := strings.CutPrefix(s.Service.Own, "unix:"); own && err == nil { // Envoy makes the socket, and no folder
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	return s, err
}

func specOf(c *config.Config, b *builder) (envoy.Spec, error) {
	_, listen := c.Listen.HTTP.Split()
	s := envoy.Spec{
		Node:   nodeID,
		Listen: listen,
		TLS:    envoy.TLS(c.Listen.TLS),
		Usage:  c.Envoy.Usage,
		Limits: envoy.Limits{
			Body: int64(c.Limits.Body), HeaderKiB: int(c.Limits.Headers >> 10), Headers: c.Limits.HeaderCount,
			Connections: c.Limits.Connections, Heap: int64(c.Envoy.Heap),
		},
	}
	var err error
	if s.Identity, err = identity(c); err != nil {
		return s, err
	}
	if s.Service.Address, err = absolute(c.Listen.Service); err != nil {
		return s, err
	}
	if s.Admin, err = absolute(c.Envoy.Admin); err != nil {
		return s, err
	}
	if c.Shadows() || c.Probe() != nil {
		if s.Service.Own, err = absolute(c.Listen.Own); err != nil {
			return s, err
		}
	}
	for _, r := range c.Table().Routes() {
		if d := r.Deadlines.BetweenTokens; d > 0 {
			s.Deadlines.Idle = append(s.Deadlines.Idle, (d + time.Millisecond - 1).Truncate(time.Millisecond))
		}
		s.AnswerHeaders = s.AnswerHeaders || r.Show
		s.Service.Room = s.Service.Room || slices.ContainsFunc(r.Policies, func(p routing.Named) bool { return p.Name == "limits" })
	}
	if table, err := c.Budgets(); err == nil {
		s.Limited = !table.Empty() || c.Stores()
	}
	s.Deadlines.Attempt, s.Deadlines.Linger = linger(c), linger(c)
	if c.Idempotency.On() {
		s.Deadlines.Wait = patience(c)
	}
	if line := c.Line(); line.Longest() > 0 {
		s.Service.Room = true // what answers say of limits sets the pace of lanes
		s.Deadlines.Wait = max(s.Deadlines.Wait, min(line.Longest()+margin, time.Hour), time.Minute)
	}
	for i := range c.Providers {
		u, err := upstream(&c.Providers[i], b)
		if err != nil {
			return s, err
		}
		s.Providers = append(s.Providers, u)
	}
	return s, nil
}

// identity is what Envoy has to find out of clients. Files of public keys are read here: they are watched with the
// configuration, and Envoy gets them whole.
func identity(c *config.Config) (envoy.Identity, error) {
	id := envoy.Identity{TrustedHops: c.Envoy.TrustedHops, Certificates: len(c.Auth.Certificates) > 0}
	for i := range c.Auth.JWT {
		j := &c.Auth.JWT[i]
		if j.Header != "" {
			id.Claimed = append(id.Claimed, j.Header)
			continue
		}
		n := envoy.Issuer{Name: j.Name, Issuer: j.Issuer, Audiences: j.Audiences, CAFile: j.CA}
		if j.JWKSFile != "" {
			b, err := os.ReadFile(j.JWKSFile)
			if err != nil {
				return id, fmt.Errorf("issuer %s: %w", j.Name, err)
			}
			n.Keys = string(b)
		} else {
			u, err := url.Parse(j.JWKS)
			if err != nil {
				return id, fmt.Errorf("issuer %s: %w", j.Name, err)
			}
			n.URL = u
		}
		id.Issuers = append(id.Issuers, n)
	}
	return id, nil
}

// linger is how long an exchange may go on that began with a configuration.
func linger(c *config.Config) time.Duration {
	var longest time.Duration
	for _, r := range c.Table().Routes() {
		longest = max(longest, r.Deadlines.Total, r.Deadlines.FirstToken, r.Deadlines.Answer)
	}
	return longest + margin
}

// patience is how long a request may wait for another with its idempotency key, at least a minute and at most an hour, which
// is the most that Envoy takes.
func patience(c *config.Config) time.Duration {
	longest := time.Minute
	for _, r := range c.Table().Routes() {
		if r.Deadlines.Total == 0 {
			return time.Hour
		}
		longest = max(longest, r.Deadlines.Total+margin)
	}
	return min(longest, time.Hour)
}

func upstream(p *config.Provider, b *builder) (envoy.Upstream, error) {
	kind, _ := b.kinds.Kind(p.Kind)
	base := p.Base
	if base == nil {
		base = b.mock
	}
	u := envoy.Upstream{Name: p.Name, Host: base.Hostname(), TLS: base.Scheme == "https", CAFile: p.CA, Sessions: kind.Sessions, ConnectTimeout: p.ConnectTimeout}
	u.Port = 80
	if u.TLS {
		u.Port = 443
	}
	if port := base.Port(); port != "" {
		n, err := strconv.Atoi(port)
		if err != nil {
			return u, fmt.Errorf("provider %s: port %q: %w", p.Name, port, err)
		}
		u.Port = n
	}
	return u, nil
}

// absolute makes the path of a Unix socket one that Envoy finds from any folder.
func absolute(a config.Address) (string, error) {
	path, ok := a.Unix()
	if !ok {
		_, address := a.Split()
		return address, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("the socket %s: %w", a, err)
	}
	return "unix:" + abs, nil
}

// Bootstrap renders the bootstrap for the configuration at path.
func Bootstrap(path string) ([]byte, error) {
	c, err := Load(path)
	if err != nil {
		return nil, err
	}
	s, err := specOf(c, &builder{kinds: all.Kinds(), mock: nowhere()}) // a bootstrap names no provider
	if err != nil {
		return nil, err
	}
	return envoy.Bootstrap(s)
}

// Static renders everything for the configuration at path as one static file.
func Static(path string) ([]byte, error) {
	c, err := Load(path)
	if err != nil {
		return nil, err
	}
	for i := range c.Providers {
		if c.Providers[i].Base == nil {
			return nil, config.Errors{c.Fault("providers["+strconv.Itoa(i)+"]", "an embedded mock has no address before the program runs; give it a base_url (signalbox mock)")}
		}
	}
	s, err := specOf(c, &builder{kinds: all.Kinds()})
	if err != nil {
		return nil, err
	}
	return envoy.Static(s)
}

// nowhere stands for the address of an embedded mock that is not served.
func nowhere() *url.URL { return &url.URL{Scheme: "http", Host: "127.0.0.1:9"} }
