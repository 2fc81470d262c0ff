package exchange

import (
	"context"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// codec returns the codec toward a leg's provider.
func (x *Exchange) codec(l Leg) (dialect.Client, bool) {
	p := x.snap.Providers[l.Provider]
	if p == nil {
		return nil, false
	}
	return p.Adapter.Speaks(x.Op, l.Model, x.Dialect)
}

// target returns the model as a codec needs it.
func (x *Exchange) target(l Leg) dialect.Target {
	known := l.Like
	if known == "" {
		known = l.Model
	}
	return dialect.Target{Model: l.Model, Facts: x.snap.Providers[l.Provider].Adapter.Facts(known)}
}

// path chooses the cheapest path that the leg's features allow. more says that another target is left.
func (x *Exchange) path(l Leg, more bool) Path {
	c, ok := x.codec(l)
	switch {
	case !ok || c.Name() != x.Dialect, x.strips(c):
		return Worked
	case more && x.Stream && x.Rules.Hold, more && !x.Stream && x.Rules.Judge:
		return Watched
	}
	return Direct
}

// asksUsage reports whether usage has to be asked for in a stream whose client did not.
func (x *Exchange) asksUsage() bool {
	return x.Stream && !x.Usage && x.Rules.Mode != routing.UsageEstimate
}

// strips reports whether the usage frame that we asked for has to be taken out of the stream again.
func (x *Exchange) strips(c dialect.Client) bool {
	_, can := c.(dialect.Stripper)
	return can && c.Name() == x.Dialect && x.asksUsage() && x.Rules.Mode == routing.UsageExact
}

// shown returns the target for x-signalbox-target, where the route shows it.
func (x *Exchange) shown(l Leg) string {
	if !x.Rules.Show {
		return ""
	}
	return l.Target()
}

// outbound addresses and signs a request for a leg. The key goes only into a request whose host is that of
// the key's own provider.
func (x *Exchange) outbound(ctx context.Context, l Leg, d dialect.Name, body []byte, h Header) (*providers.Outbound, error) {
	p := x.snap.Providers[l.Provider]
	path, err := p.Adapter.Address(x.Op, d, l.Model, x.Stream)
	if err != nil {
		return nil, err
	}
	if query := passing(x.Ticket.Path); query != "" && d == x.Dialect {
		path += "?" + query
	}
	key, _ := p.Keys.Find(l.Key)
	out := &providers.Outbound{
		Method: "POST", Host: p.Host(), Path: path, Dialect: d, Stream: x.Stream, Body: body, Key: key.Secret,
		Client: func(name string) string {
			if dialectHeaders[name] == d {
				return x.Keep[name]
			}
			return h.Get(name)
		},
	}
	for name, value := range x.Keep {
		if dialectHeaders[name] == d {
			out.Set(name, value)
		}
	}
	if err := p.Adapter.Sign(ctx, out); err != nil {
		return nil, &llm.Error{Code: llm.CodeCredential, Op: "providers.sign", Message: "the gateway could not sign the request to " + l.Provider, Cause: err}
	}
	if out.Host != p.Base.Host {
		return nil, &llm.Error{Code: llm.CodeInternal, Op: "providers.sign", Message: "internal error"}
	}
	return out, nil
}

// passing returns the query of a client's path that belongs to the dialect, as ?beta=true: all but what may
// be a credential.
func passing(path string) string {
	_, query, _ := strings.Cut(path, "?")
	if query == "" {
		return ""
	}
	var kept []string
	for _, q := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(strings.ToLower(q), "=")
		if !strings.Contains(name, "key") && !strings.Contains(name, "token") && !strings.Contains(name, "%") {
			kept = append(kept, q)
		}
	}
	return strings.Join(kept, "&")
}

// requestHeaders are the headers of a signed request, pseudo-headers included.
func requestHeaders(out *providers.Outbound) []providers.Header {
	return append([]providers.Header{
		{Name: ":path", Value: out.Path},
		{Name: ":authority", Value: out.Host},
		{Name: "content-type", Value: "application/json"},
	}, out.Header...)
}
