package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/config/access"
	"github.com/signalbox-ai/signalbox/internal/config/observe"
	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/tokenizer"
)

// embedded is the kind whose address, where none is configured, is the program itself.
const embedded = "mock"

// check finds what no single field shows.
func (d *decoder) check(c *Config) {
	d.checkListen(c)
	for i := range c.Providers {
		d.checkProvider(&c.Providers[i], fmt.Sprintf("providers[%d]", i))
	}
	unique(d, "providers", "provider", c.Providers, func(p Provider) string { return p.Name })
	unique(d, "routes", "route", c.Routes, func(r Route) string { return r.Name })
	d.checkReserved(c)
	d.checkAccess(c)
	d.checkObservation(c)
	d.checkHandling(&c.Defaults, "")
	d.provide(c)
	for i := range c.Routes {
		d.checkRoute(c, i)
	}
	d.checkExperiments(c)
	d.checkObjectives(c)
	d.checkModels(c)
	d.checkQueue(c)
	if c.Limits.Headers%(1<<10) != 0 && !d.bad["limits.headers"] {
		d.fail("limits.headers", "headers: must be a whole number of KiB")
	}
	d.checkLedger(&c.Ledger, d.report())
	c.Quota.Check(len(c.Money()) > 0, func(field, message string) {
		if at := "quota." + field; !d.bad[at] {
			d.fail(at, "%s: %s", field, message)
		}
	})
	d.checkIdempotency(&c.Idempotency)
	d.checkHealth(c)
	d.checkAlerts(c)
	d.checkVocab(c.Tokenizer.Vocab)
	d.checkBare(c)
	if !c.Envoy.Admin.Loopback() && !d.bad["envoy.admin"] {
		d.fail("envoy.admin", "admin: Envoy's admin interface must be a Unix socket or on loopback")
	}
}

// checkHealth checks what is kept, shared and asked of the health of targets.
func (d *decoder) checkHealth(c *Config) {
	c.Health.Check(func(field, message string) {
		if at := "health." + field; !d.bad[at] {
			d.fail(at, "%s: %s", field, message)
		}
	})
	const at = "health.probe"
	s := &c.Health.Probe
	if d.nodes[at] == nil {
		return
	}
	s.Use()
	s.Check(func(field, message string) {
		if !d.bad[at+"."+field] {
			d.fail(at+"."+field, "%s: %s", field, message)
		}
	})
	var names []string
	for i := range c.Providers {
		names = append(names, c.Providers[i].Name)
	}
	for i, name := range s.Providers {
		if p := fmt.Sprintf("%s.providers[%d]", at, i); !d.bad[p] {
			if err := d.among(name, names); err != nil {
				d.fail(p, "providers: %v", err)
			}
		}
	}
	if s.On() && s.Ask == probe.AsksChat && !c.Ledger.On() && !d.within("ledger") && !d.within(at) {
		d.fail(at, "ask: what such probes cost is told by the ledger, and there is none; add one, as ledger: { store: \"sqlite:run/ledger.db\" }, or say ask: models")
	}
}

// checkIdempotency checks where answers are kept.
func (d *decoder) checkIdempotency(i *Idempotency) {
	fail := func(field, message string) {
		if at := "idempotency." + field; !d.within(at) && !d.within("idempotency.store") {
			d.fail(at, "%s: %s", field, message)
		}
	}
	remote := i.Store != "none" && i.Store != "memory"
	switch {
	case !remote && i.Password != "":
		fail("password", "only Redis has one")
	case !strings.HasPrefix(i.Store, "rediss") && (i.CA != "" || i.Cert != "" || i.Key != "" || i.ServerName != ""):
		fail("store", "only rediss:// has certificates")
	case (i.Cert == "") != (i.Key == ""):
		fail("cert", "cert and cert_key belong together")
	}
	if i.Timeout < time.Millisecond || i.Timeout > 5*time.Second {
		fail("timeout", "must be from 1ms to 5s: every request with a key waits for it when Redis hangs")
	}
	if i.TTL < time.Second || i.TTL > 30*24*time.Hour {
		fail("ttl", "must be from 1s to 720h")
	}
	if i.MaxAnswer > i.MaxTotal {
		fail("max_answer", "must not be more than max_total, which all answers share")
	}
}

// checkAlerts checks who is told of what.
func (d *decoder) checkAlerts(c *Config) {
	unique(d, "alerts.channels", "channel", c.Alerts.Channels, func(s channel.Settings) string { return s.Name })
	if c.Alerts.On() && !c.Ledger.On() && !d.within("ledger") {
		d.fail("alerts", "alerts: are made of what the ledger has, and there is none; add one, as ledger: { store: \"sqlite:run/ledger.db\" }")
	}
	c.Alerts.Check(func(path, message string) {
		if at := "alerts." + path; !d.within(at) {
			d.fail(at, "%s", message)
		}
	})
	for i := range c.Alerts.Channels {
		s := &c.Alerts.Channels[i]
		for kind, ca := range map[string]string{"webhook": s.Webhook.CA, "slack": s.Slack.CA, "email": s.Email.CA} {
			at := fmt.Sprintf("alerts.channels[%d].%s.ca", i, kind)
			if ca == "" || d.bad[at] {
				continue
			}
			if err := authorities(ca); err != nil {
				d.fail(at, "ca: %v", err)
			}
		}
	}
}

// checkLedger checks where records are kept, and where they go.
func (d *decoder) checkLedger(l *Ledger, r observe.Report) {
	if l.Password != "" && !strings.HasPrefix(l.Store, "postgres") && !d.within("ledger") {
		d.fail("ledger.password", "password: only PostgreSQL has one")
	}
	if len(l.Export) > 0 && !l.On() && !d.bad["ledger.export"] && !d.bad["ledger.store"] {
		d.fail("ledger.export", "export: hands over what the ledger has, and there is none; add one, as store: \"sqlite:run/ledger.db\"")
	}
	unique(d, "ledger.export", "sink", l.Export, func(e Export) string { return e.Name })
	for i := range l.Export {
		e, at := &l.Export[i], fmt.Sprintf("ledger.export[%d]", i)
		if e.Kind() == "" && !d.within(at) {
			d.fail(at, "a sink has one of webhook, otlp and file")
		}
		if e.Kind() == "otlp" && d.has(at+".format") {
			d.fail(at+".format", "format: a collector gets log records; it is for webhooks and files")
		}
		if e.Webhook.Given() {
			e.Webhook.Check(func(path, message string) {
				if path = at + "." + path; !d.within(path) {
					d.fail(path, "%s", message)
				}
			})
		}
		if ca := at + ".webhook.ca"; e.Webhook.CA != "" && !d.bad[ca] {
			if err := authorities(e.Webhook.CA); err != nil {
				d.fail(ca, "ca: %v", err)
			}
		}
		if d.nodes[at+".otlp"] != nil {
			e.OTLP.Check(at+".otlp", r)
		}
	}
}

// checkVocab refuses vocabularies that nothing counts by, and files that cannot be read.
func (d *decoder) checkVocab(vocab map[string]string) {
	for name, path := range vocab {
		at := "tokenizer.vocab." + name
		if known := tokenizer.Loadable(); !slices.Contains(known, name) {
			d.fail(at, "vocab: no vocabulary %s can be loaded; possible: %s", d.src.quote(name), strings.Join(known, ", "))
		} else if f, err := os.Open(path); err != nil && !d.bad[at] {
			d.fail(at, "vocab: the file of %s cannot be read: %v", name, err)
		} else {
			_ = f.Close()
		}
	}
}

// unique reports a second element of a name.
func unique[T any](d *decoder, path, what string, all []T, name func(T) string) {
	first := map[string]int{}
	for i, e := range all {
		n := name(e)
		if n == "" {
			continue
		}
		at := fmt.Sprintf("%s[%d].name", path, i)
		if j, twice := first[n]; twice {
			where := d.nodes[fmt.Sprintf("%s[%d].name", path, j)]
			d.fail(at, "the %s %s is already there, in line %d", what, d.src.quote(n), where.line)
			continue
		}
		first[n] = i
	}
}

// checkListen refuses to serve strangers without authentication.
func (d *decoder) checkListen(c *Config) {
	l := c.Listen
	for _, a := range []struct {
		name    string
		address Address
	}{{"http", l.HTTP}, {"admin", l.Admin}} {
		path := "listen." + a.name
		if !d.bad[path] && !a.address.Loopback() && !c.Asks() && !d.within("keys") && !d.within("auth") && !d.within("store") {
			d.fail(path, "%s: listening beyond loopback needs keys; add keys, or listen on 127.0.0.1", a.name)
		}
	}
	if !d.bad["listen.service"] && !l.Service.Loopback() {
		d.fail("listen.service", "service: must be a Unix socket or on loopback, for it gives out providers' credentials")
	}
	if _, ok := l.Control.Unix(); !ok && !d.bad["listen.control"] {
		d.fail("listen.control", "control: must be unix:PATH")
	}
	if _, ok := l.Own.Unix(); !ok && !d.bad["listen.own"] {
		d.fail("listen.own", "own: must be unix:PATH")
	}
	t := l.TLS
	switch {
	case d.bad["listen.tls.cert"] || d.bad["listen.tls.key"]:
	case (t.Cert == "") != (t.Key == ""):
		d.fail("listen.tls", "tls: cert and key belong together")
	case t == (TLS{}) && d.sound("listen.tls"):
		d.fail("listen.tls", "cert and key are missing: clients would be served without TLS")
	case t.Cert == "" && t.ClientCA != "":
		d.fail("listen.tls.client_ca", "client_ca: needs cert and key")
	case t.Cert != "":
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			d.fail("listen.tls.cert", "cert: certificate and key do not fit: %v", err)
		}
	}
	if t.ClientCA != "" && !d.bad["listen.tls.client_ca"] {
		if err := authorities(t.ClientCA); err != nil {
			d.fail("listen.tls.client_ca", "client_ca: %v", err)
		}
	}
}

// checkAccess checks who may use what.
func (d *decoder) checkAccess(c *Config) {
	unique(d, "organizations", "organization", c.Organizations, func(o access.Organization) string { return o.Name })
	for i := range c.Organizations {
		if c.Organizations[i].Name == owner.OwnTraffic {
			d.fail(fmt.Sprintf("organizations[%d].name", i), "name: %s is what traffic of the gateway's own is charged to", d.src.quote(owner.OwnTraffic))
		}
	}
	unique(d, "teams", "team", c.Teams, func(t access.Team) string { return t.Name })
	unique(d, "projects", "project", c.Projects, func(p access.Project) string { return p.Name })
	unique(d, "keys", "key", c.Keys, func(k access.Key) string { return k.Name })
	unique(d, "auth.jwt", "issuer", c.Auth.JWT, func(i access.Issuer) string { return i.Name })
	unique(d, "auth.certificates", "certificate", c.Auth.Certificates, func(c access.Certificate) string { return c.Name })
	c.Access.Check(access.Report{Fail: d.fail, Bad: func(path string) bool { return d.bad[path] }, Say: d.src.quote, Sound: d.sound})
}

// checkObservation checks what is seen of exchanges.
func (d *decoder) checkObservation(c *Config) {
	names := make([]string, len(c.Providers))
	for i := range c.Providers {
		names[i] = c.Providers[i].Name
	}
	c.Observation.Check(d.report(), names, c.KeyTags())
}

// report takes faults that the parts below find.
func (d *decoder) report() observe.Report {
	return observe.Report{Fail: d.fail, Bad: func(path string) bool { return d.bad[path] }, Say: d.src.quote, Near: near, CA: authorities}
}

// checkProvider checks one provider, and makes an adapter of it to see whether it can be made.
func (d *decoder) checkProvider(p *Provider, path string) {
	kind, ok := d.kinds.Kind(p.Kind)
	if !ok {
		return
	}
	before := len(d.errs)
	d.params(p, &kind, path)
	unread := len(d.errs) > before
	d.checkBase(p, &kind, path)
	d.checkRefs(p, &kind, path)
	if p.CA != "" && !d.bad[path+".ca"] {
		if err := authorities(p.CA); err != nil {
			d.fail(path+".ca", "ca: %v", err)
		} else if p.Base != nil && p.Base.Scheme == "http" {
			d.fail(path+".ca", "ca: plain HTTP has no certificate")
		}
	}
	d.checkDeclared(p, path)
	d.checkBilling(&p.Billing, path+".billing")
	if unread || d.bad[path+".base_url"] {
		return
	}
	base := p.Base
	if base == nil {
		base = &url.URL{Scheme: "http", Host: "127.0.0.1"}
	}
	if _, err := kind.New(providers.Env{Name: p.Name, BaseURL: base, Region: p.Region}, p.Params); err != nil {
		at, message := path, err.Error()
		if e, ok := errors.AsType[*llm.Error](err); ok {
			message = e.Message
			if e.Param != "" {
				at, message = path+"."+e.Param, e.Param+": "+e.Message
			}
		}
		d.fail(at, "%s", message)
	}
}

// params decodes what only the kind has.
func (d *decoder) params(p *Provider, kind *providers.Kind, path string) {
	n := d.nodes[path+".params"]
	if kind.Params == nil {
		if n != nil {
			d.hideAll(n)
			d.fail(path+".params", "the kind %s has no params", kind.Name)
		}
		return
	}
	p.Params = kind.Params()
	if n != nil && n.shape != null {
		d.value(n, reflect.ValueOf(p.Params).Elem(), path+".params", "")
	}
}

// checkBase finds out where the provider is.
func (d *decoder) checkBase(p *Provider, kind *providers.Kind, path string) {
	at := path + ".base_url"
	raw := p.BaseURL
	if raw == "" {
		var err error
		if raw, err = kind.Locate(p.Region, p.Params); err != nil {
			if e, ok := errors.AsType[*llm.Error](err); ok {
				d.fail(path+"."+e.Param, "%s", e.Message)
			}
			return
		}
	}
	switch {
	case d.bad[at] || raw == "" && kind.Name == embedded:
		return
	case raw == "":
		d.fail(at, "base_url is missing: the kind %s has no address of its own", kind.Name)
		return
	}
	u, err := providers.ParseBase(raw)
	if err == nil {
		err = baseForm(u)
	}
	if err != nil {
		d.src.hide(raw)
		d.fail(at, "base_url: %v", err)
		return
	}
	if u.Scheme == "http" && !p.PlainHTTP && !near(u.Hostname()) {
		d.fail(at, "base_url: http:// sends the key and all content unencrypted; use https://, or allow it with plain_http: true")
		return
	}
	p.Base = u
}

// baseForm checks the parts of a base URL that become an address and the beginning of paths.
func baseForm(u *url.URL) error {
	_, ip := netip.ParseAddr(u.Hostname())
	port, portErr := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case ip != nil && !hostname.MatchString(u.Hostname()):
		return errors.New("the host is neither a name nor an IP address")
	case strings.HasSuffix(u.Host, ":") || u.Port() != "" && (portErr != nil || port == 0):
		return errors.New("the port must be a number from 1 to 65535")
	case strings.ContainsFunc(u.Path+u.RawPath, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`@\%`, r) }):
		return errors.New(`the path has no spaces, letters beyond ASCII, or any of @ \ %`)
	case strings.Contains(u.Path, "..") || strings.Contains(u.Path, "//"):
		return errors.New("the path has no empty part and no two dots in a row")
	}
	return nil
}

// near reports whether a host is this machine or a private address.
func near(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.Unmap().IsLoopback() || ip.Unmap().IsPrivate())
}

// checkRefs checks a provider's credentials.
func (d *decoder) checkRefs(p *Provider, kind *providers.Kind, path string) {
	key, keys := d.nodes[path+".key"] != nil, d.nodes[path+".keys"] != nil
	switch {
	case key && keys:
		d.fail(path+".keys", "key and keys cannot both be given")
	case !key && !keys && kind.KeyEnv != "" && !kind.KeyOptional && p.BaseURL == "":
		d.fail(path+".key", "key is missing; usual for the kind %s is env:%s", kind.Name, kind.KeyEnv)
	}
	seen := map[secret.Ref]bool{}
	for i, r := range p.Keys {
		if r != "" && seen[r] {
			d.fail(fmt.Sprintf("%s.keys[%d]", path, i), "the reference is given twice")
		}
		seen[r] = true
	}
}

// checkHandling checks deadlines. One that is inherited gives way to a shorter total; one that is written
// beside it must fit.
func (d *decoder) checkHandling(h *Handling, path string) {
	if b := &h.Failover.Backoff; b.Base > b.Max && !d.bad[path+".failover.backoff.base"] && !d.bad[path+".failover.backoff.max"] {
		d.fail(path+".failover.backoff", "backoff: base (%s) is over max (%s)", Duration(b.Base), Duration(b.Max))
	}
	if path == "" {
		path = "defaults"
	}
	total := path + ".deadlines.total"
	for _, f := range []struct {
		name string
		v    *time.Duration
	}{{"first_token", &h.Deadlines.FirstToken}, {"answer", &h.Deadlines.Answer}, {"between_tokens", &h.Deadlines.BetweenTokens}} {
		at := path + ".deadlines." + f.name
		switch {
		case *f.v <= h.Deadlines.Total || d.bad[at] || d.bad[total]:
		case d.has(at):
			d.fail(at, "%s: longer than total (%s)", f.name, Duration(h.Deadlines.Total))
		default:
			*f.v = h.Deadlines.Total
		}
	}
}
