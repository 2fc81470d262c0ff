package exchange

import (
	"sync"

	"github.com/signalbox-ai/signalbox/extproc/asking"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/routing"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// sight is what a planner sees of its request.
type sight struct {
	view   routing.View
	needs  ability.Set // found once looked
	looked bool
	spends bool // the share of money that is left was asked for
	hosted bool // the provider may run tools of its own, which it bills
}

// see makes the view of a request for a model, aliases resolved.
func (p *planner) see(model string) {
	x := p.x
	o, key := x.Owner()
	p.view = routing.View{
		Request: match.Request{
			Asked: p.head.Model, Model: model, Op: x.Op, Dialect: string(x.Dialect), Stream: p.head.Stream, Bytes: int64(len(p.in.Body)), Output: p.head.MaxTokens,
			Owner: match.Owner{Organization: o.Organization, Team: o.Team, Project: o.Project, Key: key, EndUser: x.By.User},
			Tags:  x.Tags, More: p,
		},
		Now: x.in.began, Seed: x.core.seed(), About: x.snap.about.of, Keys: x.keys, Loses: p.loses, Burn: x.core.burn, Left: p.left,
	}
}

// Header returns a header of the request.
func (p *planner) Header(name string) string { return p.x.in.head.Get(name) }

// Needs returns the abilities that the request asks for.
func (p *planner) Needs() ability.Set {
	if !p.looked {
		p.needs, p.looked = asking.Needs(p.head.Doc, p.in.Body), true
	}
	return p.needs
}

// Tokens counts the prompt for a target, where its vocabulary has been read.
func (p *planner) Tokens(provider, model, like string) int64 {
	if !p.x.countable() || p.x.snap.Providers[provider] == nil {
		return 0
	}
	e, _ := p.estimate(ticket.Leg{Provider: provider, Model: model, Like: like})
	return e.Input
}

// Session returns what ties the request to others.
func (p *planner) Session(by string) string { return asking.Session(by, p.head.Doc, p.x.in.head.Get) }

// left is the smallest share that is left of the limits of money that hold for the request.
func (p *planner) left() float64 {
	if p.x.snap.Meter == nil {
		return 1
	}
	p.spends = true
	return p.x.snap.Meter.Left(p.terms.Budgets)
}

// loses names what of the request a target cannot carry, "" where it can carry nothing: that is said elsewhere.
func (p *planner) loses(t *routing.Target) string {
	if ok, _ := p.usable(t); !ok {
		return ""
	}
	losses := p.trimmed[t.String()]
	if w := p.written[t.String()]; w != nil {
		losses = w.losses
	}
	return lossPaths(losses)
}

// abouts is what is known of targets, found once.
type abouts struct {
	snap   *Snapshot
	health *health.Targets
	found  sync.Map // of ticket.Leg
	n      int
	mu     sync.Mutex
}

// mostAbouts bounds what is kept: names of models may come from clients.
const mostAbouts = 8192

func (a *abouts) of(provider, model, like string) *routing.About {
	at := ticket.Leg{Provider: provider, Model: model, Like: like}
	if k, ok := a.found.Load(at); ok {
		return k.(*routing.About)
	}
	p := a.snap.Providers[provider]
	if p == nil {
		return nil
	}
	m, _ := p.Models.Find(model)
	k := &routing.About{Kind: p.Kind, Region: p.Region, Traits: p.Traits, Facts: p.Facts(model, like), Card: m.Card, Contract: p.Contract, Health: a.health.Of(provider, model)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n < mostAbouts {
		a.found.Store(at, k)
		a.n++
	}
	return k
}
