package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Model declares what is known of a model at a provider.
type Model struct {
	Name      string   `yaml:"name" form:"model" short:"true" required:"true" doc:"The provider's name of it."`
	Like      string   `yaml:"like" form:"model" doc:"A known model that this one is like: its limits and abilities hold where nothing else is said. Its price does not."`
	Context   int      `yaml:"context" min:"1" zero:"as known" doc:"Context window in tokens."`
	MaxOutput int      `yaml:"max_output" min:"1" zero:"as known" doc:"Largest output in tokens."`
	Abilities []string `yaml:"abilities" form:"ability" doc:"All that it can do, in place of what is known."`
	Retires   string   `yaml:"retires" form:"day" doc:"The day on which its service ends, as YYYY-MM-DD."`
	Price     Price    `yaml:"price" doc:"What it costs, in place of what is known. A price that is not said anywhere is unknown; none is guessed."`
}

// Dollars is a price in US dollars, as the file has it: a decimal number, exact to the last digit. Of tokens it
// is that of a million; "" is not said, and 0 is free.
type Dollars string

// Price is a card of prices.
type Price struct {
	Rates    `yaml:",inline"`
	Changes  []Change  `yaml:"changes" max:"64" doc:"Other prices from a day on, oldest first, under the same names. What one does not say stays as it was."`
	Tiers    []Tier    `yaml:"tiers" max:"16" doc:"Other prices of a whole request by the length of its prompt, under the same names."`
	Services []Service `yaml:"services" max:"8" doc:"Other prices at a service tier, under the same names."`
	Factors  []Factor  `yaml:"factors" max:"16" doc:"What multiplies the whole price."`
}

// Rates are prices of one list.
type Rates struct {
	TokenRates `yaml:",inline"`
	UnitRates  `yaml:",inline"`
}

// TokenRates are the prices of tokens.
type TokenRates struct {
	Input          Dollars `yaml:"input" form:"million" doc:"A million input tokens."`
	Output         Dollars `yaml:"output" form:"million" doc:"A million output tokens."`
	CacheRead      Dollars `yaml:"cache_read" form:"million" doc:"A million input tokens that were found in the provider's cache."`
	CacheWrite     Dollars `yaml:"cache_write" form:"million" doc:"A million input tokens that were written to it, for five minutes where there is a choice."`
	CacheWrite1h   Dollars `yaml:"cache_write_1h" form:"million" doc:"A million input tokens that were written to it for an hour."`
	Reasoning      Dollars `yaml:"reasoning_output" form:"million" doc:"A million tokens of reasoning, where they are not billed as output."`
	AudioInput     Dollars `yaml:"audio_input" form:"million" doc:"A million input tokens of audio."`
	AudioOutput    Dollars `yaml:"audio_output" form:"million" doc:"A million output tokens of audio."`
	AudioCacheRead Dollars `yaml:"audio_cache_read" form:"million" doc:"A million cached input tokens of audio."`
	ImageInput     Dollars `yaml:"image_input" form:"million" doc:"A million input tokens of images."`
}

// UnitRates are the prices of what is no token.
type UnitRates struct {
	PerImage        Dollars `yaml:"per_image" form:"unit" doc:"An image in the input."`
	PerQuery        Dollars `yaml:"per_query" form:"unit" doc:"A query of a rerank request."`
	PerRequest      Dollars `yaml:"per_request" form:"unit" doc:"A request."`
	WebSearch       Dollars `yaml:"web_search" form:"unit" doc:"A web search of the provider's own tool."`
	WebSearchLow    Dollars `yaml:"web_search_low" form:"unit" doc:"One with a small search context."`
	WebSearchMedium Dollars `yaml:"web_search_medium" form:"unit" doc:"One with a medium search context."`
	WebSearchHigh   Dollars `yaml:"web_search_high" form:"unit" doc:"One with a large search context."`
}

// Change is other prices from a day on.
type Change struct {
	From  string `yaml:"from" form:"day" required:"true" doc:"The first day, as YYYY-MM-DD, in UTC."`
	Rates `yaml:",inline"`
}

// Tier is other prices by the size of the prompt.
type Tier struct {
	Above int `yaml:"above" doc:"Prompts longer than this, in tokens, have these prices."`
	UpTo  int `yaml:"up_to" zero:"no end" doc:"Up to this length."`
	Rates `yaml:",inline"`
}

// Service is other prices at a service tier.
type Service struct {
	Name  string `yaml:"name" enum:"batch,flex,priority" required:"true" doc:"The service tier."`
	Rates `yaml:",inline"`
}

// Factor multiplies the whole price.
type Factor struct {
	Name   string `yaml:"name" form:"name" required:"true" doc:"A region, or a switch of the provider's, such as us or fast."`
	Region bool   `yaml:"region" doc:"Whether it is for processing within the region of that name."`
	Times  Times  `yaml:"times" required:"true" doc:"The factor, to three decimal places, such as 1.1."`
}

// Times is a factor as the file has it: a decimal number with at most three places.
type Times string

// milli gives thousandths; ok is false where the text is no factor.
func (t Times) milli() (n int64, ok bool) {
	r, err := price.Parse(string(t))
	const thousandth = 1_000_000_000_000
	return int64(r) / thousandth, err == nil && r%thousandth == 0 && r > 0
}

// list gives the rates in the form that is reckoned with.
func (r *Rates) list() price.Rates {
	m := map[price.Item]price.Rate{}
	for i, d := range []Dollars{
		r.Input, r.Output, r.CacheRead, r.CacheWrite, r.CacheWrite1h, r.Reasoning, r.AudioInput, r.AudioOutput, r.AudioCacheRead, r.ImageInput,
		r.PerImage, r.PerQuery, r.PerRequest, r.WebSearch, r.WebSearchLow, r.WebSearchMedium, r.WebSearchHigh,
	} {
		item := price.Item(i)
		parse := price.Parse
		if item.Tokens() {
			parse = price.ParseMillion
		}
		if v, err := parse(string(d)); err == nil { // "" is none, and anything else was checked
			m[item] = v
		}
	}
	return price.RatesOf(m)
}

// card gives the card, or nil where nothing is said.
func (p *Price) card() *price.Card {
	c := &price.Card{Rates: p.list()}
	for i := range p.Changes {
		from, _ := time.Parse(time.DateOnly, p.Changes[i].From)
		c.Changes = append(c.Changes, price.Change{From: from, Rates: c.At(from).With(p.Changes[i].list())})
	}
	for i := range p.Tiers {
		t := &p.Tiers[i]
		c.Tiers = append(c.Tiers, price.Tier{Above: int64(t.Above), UpTo: int64(t.UpTo), Rates: t.list()})
	}
	for i := range p.Services {
		c.Services = append(c.Services, price.Service{Name: p.Services[i].Name, Rates: p.Services[i].list()})
	}
	for _, f := range p.Factors {
		milli, _ := f.Times.milli()
		c.Factors = append(c.Factors, price.Factor{Name: f.Name, Region: f.Region, Milli: milli})
	}
	if !c.Rates.Stated() && c.Changes == nil && c.Tiers == nil && c.Services == nil {
		return nil
	}
	return c
}

// Deployment returns the provider's models: what is known of them and what is declared.
func (p *Provider) Deployment() *catalog.Deployment {
	var all []catalog.Declared
	for i := range p.Models {
		m := &p.Models[i]
		d := catalog.Declared{
			Name: m.Name, Like: m.Like, Context: int64(m.Context), MaxOutput: int64(m.MaxOutput), Stated: m.Abilities != nil, Card: m.Price.card(), Retires: m.Retires,
		}
		for _, n := range m.Abilities {
			a, _ := ability.Parse(n)
			d.Can |= a
		}
		all = append(all, d)
	}
	return catalog.NewDeployment(p.Kind, all)
}

// declares reports whether the provider declares a model of this name.
func (p *Provider) declares(name string) bool {
	return slices.ContainsFunc(p.Models, func(m Model) bool { return m.Name == name })
}

// checkDeclared checks what no single field of declared models shows.
func (d *decoder) checkDeclared(p *Provider, path string) {
	unique(d, path+".models", "model", p.Models, func(m Model) string { return m.Name })
	for i := range p.Models {
		m, at := &p.Models[i], fmt.Sprintf("%s.models[%d]", path, i)
		if m.Like != "" && m.Like == m.Name && !d.bad[at+".like"] {
			d.fail(at+".like", "like: a model is always like itself")
		}
		d.checkLike(m.Like, p.Kind, at+".like")
		d.checkPrice(&m.Price, at+".price")
	}
}

// checkLike refuses a model to be like one that nobody knows.
func (d *decoder) checkLike(like, kind, path string) {
	if like == "" || d.bad[path] {
		return
	}
	if _, match := catalog.Find(kind, like); match == catalog.None {
		d.fail(path, "like: nothing is known of %s; signalbox models lists what is", d.src.quote(like))
	}
}

func (d *decoder) checkPrice(p *Price, path string) {
	if d.has(path) && p.card() == nil && !d.within(path) {
		d.fail(path, "price: no price is said")
	}
	says := func(r *Rates, at string) {
		if !r.list().Stated() && !d.within(at) {
			d.fail(at, "no price is said")
		}
	}
	for i := range p.Changes {
		c, at := &p.Changes[i], fmt.Sprintf("%s.changes[%d]", path, i)
		says(&c.Rates, at)
		if i > 0 && c.From <= p.Changes[i-1].From && !d.bad[at+".from"] {
			d.fail(at+".from", "from: not later than the change before")
		}
	}
	for i := range p.Tiers {
		t, at := &p.Tiers[i], fmt.Sprintf("%s.tiers[%d]", path, i)
		says(&t.Rates, at)
		switch {
		case d.within(at):
		case t.UpTo > 0 && t.UpTo <= t.Above:
			d.fail(at+".up_to", "up_to: not more than above")
		case t.UpTo == 0 && t.Above == 0:
			d.fail(at, "a tier needs above or up_to")
		}
	}
	seen := map[string]bool{}
	for i := range p.Services {
		s, at := &p.Services[i], fmt.Sprintf("%s.services[%d]", path, i)
		says(&s.Rates, at)
		if seen[s.Name] && !d.bad[at+".name"] {
			d.fail(at+".name", "name: the service tier is given twice")
		}
		seen[s.Name] = true
	}
}
