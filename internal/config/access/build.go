package access

import (
	"cmp"
	"fmt"

	"github.com/signalbox-ai/signalbox/internal/auth"
)

// Live is what outlives a version of the configuration.
type Live struct {
	Issued   *auth.Directory // nil: there is no store
	Provided *auth.Provided  // nil: the same
	Failures *auth.Limiter
}

// Gate makes what lets clients in. hops is the number of proxies in front of Envoy that are believed.
func (a *Access) Gate(l Live, hops int) (*auth.Gate, error) {
	o := auth.Options{Issued: l.Issued, Provided: l.Provided, Hops: hops, UserHeader: a.EndUser.Header, UserFields: a.EndUser.Body, Issuers: a.issuers(), Certificates: a.certificates()}
	if !a.Auth.Failures.Off {
		o.Failures = l.Failures
	}
	if !a.Asks() {
		return auth.Open(o), nil
	}
	keys, err := a.StaticKeys()
	if err != nil {
		return nil, err
	}
	return auth.NewGate(keys, o), nil
}

// Limiter makes the limiter of wrong keys.
func (f *Failures) Limiter() *auth.Limiter { return auth.NewLimiter(f.Allow, f.Longest, f.Addresses) }

// KeyTags returns the tags that keys of the file give, by where they stand: keys[0].tags.
func (a *Access) KeyTags() map[string]map[string]string {
	out := map[string]map[string]string{}
	for i := range a.Keys {
		if t := a.Keys[i].Tags; t != nil {
			out[fmt.Sprintf("keys[%d].tags", i)] = t
		}
	}
	return out
}

// StaticKeys returns the keys of the file, ready to check.
func (a *Access) StaticKeys() ([]*auth.Key, error) {
	keys, names := make([]*auth.Key, len(a.Keys)), a.names()
	for i := range a.Keys {
		k := &a.Keys[i]
		h, err := auth.ParseHash(k.Hash)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.Name, err)
		}
		keys[i] = names.key(k.Name, &k.Grant)
		keys[i].Hash = h
	}
	return keys, nil
}

// issuers gives the form of issuers that is decided with.
func (a *Access) issuers() []auth.Issuer {
	names, known := a.names(), make(map[string]string, len(a.Teams))
	for i := range a.Teams {
		known[a.Teams[i].Name] = cmp.Or(a.Teams[i].Organization, names.usual)
	}
	var out []auth.Issuer
	for i := range a.Auth.JWT {
		s := &a.Auth.JWT[i]
		k := names.key(s.Name, &s.Grant)
		k.ID = "jwt:" + s.Name
		c := &s.Claims
		out = append(out, auth.Issuer{
			Name: s.Name, Header: s.Header, Key: k, Teams: known,
			Claims: auth.Claims{Organization: c.Organization, Team: c.Team, Project: c.Project, Role: c.Role, User: c.EndUser, Require: c.Require},
		})
	}
	return out
}

// certificates gives the form of certificates that is decided with.
func (a *Access) certificates() []auth.Certificate {
	names := a.names()
	var out []auth.Certificate
	for i := range a.Auth.Certificates {
		c := &a.Auth.Certificates[i]
		k := names.key(c.Name, &c.Grant)
		k.ID = "certificate:" + c.Name
		out = append(out, auth.Certificate{URI: c.URI, DNS: c.DNS, Subject: c.Subject, Key: k})
	}
	return out
}
