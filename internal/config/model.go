package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/ability"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/glob"
)

// Model declares what is known of a model at a provider.
type Model struct {
	Name      string        `yaml:"name" form:"model" short:"true" required:"true" doc:"The provider's name of it."`
	Like      string        `yaml:"like" form:"model" doc:"A known model that this one is like: its limits and abilities hold where nothing else is said. Its price does not."`
	Context   int           `yaml:"context" min:"1" zero:"as known" doc:"Context window in tokens."`
	MaxOutput int           `yaml:"max_output" min:"1" zero:"as known" doc:"Largest output in tokens."`
	Abilities []string      `yaml:"abilities" form:"ability" doc:"All that it can do, in place of what is known."`
	Retires   string        `yaml:"retires" form:"day" doc:"The day on which its service ends, as YYYY-MM-DD."`
	Price     billing.Price `yaml:"price" doc:"What it costs, in place of what is known. A price that is not said anywhere is unknown; none is guessed."`
}

// Deployment returns the provider's models: what is known of them and what is declared.
func (p *Provider) Deployment() *catalog.Deployment {
	var all []catalog.Declared
	for i := range p.Models {
		m := &p.Models[i]
		d := catalog.Declared{
			Name: m.Name, Like: m.Like, Context: int64(m.Context), MaxOutput: int64(m.MaxOutput), Stated: m.Abilities != nil, Card: m.Price.Card(), Retires: m.Retires,
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

// checkBilling checks what no single field of a provider's billing shows.
func (d *decoder) checkBilling(s *billing.Settings, path string) {
	for i := range s.Discounts {
		a, at := &s.Discounts[i], fmt.Sprintf("%s.discounts[%d]", path, i)
		if a.From != "" && a.Until != "" && a.Until <= a.From && !d.within(at) {
			d.fail(at+".until", "until: not later than from")
		}
	}
}

// Contract returns what was agreed with the provider, and how it bills.
func (p *Provider) Contract() *billing.Contract { return p.Billing.Contract(glob.Match) }

// checkLike refuses a model to be like one that nobody knows.
func (d *decoder) checkLike(like, kind, path string) {
	if like == "" || d.bad[path] {
		return
	}
	if _, match := catalog.Find(kind, like); match == catalog.None {
		d.fail(path, "like: nothing is known of %s; signalbox models lists what is", d.src.quote(like))
	}
}

// checkImages checks the prices of images by size and quality: each is for something, and nothing is given twice.
func (d *decoder) checkImages(images []billing.Image, path string) {
	type look struct{ size, quality string }
	seen := map[look]bool{}
	for i := range images {
		m, at := look{images[i].Size, images[i].Quality}, fmt.Sprintf("%s.images[%d]", path, i)
		switch {
		case d.within(at):
		case m == look{}:
			d.fail(at, "an image needs a size or a quality; per_image_output is the price of any")
		case seen[m]:
			d.fail(at, "the size and the quality are given twice")
		}
		seen[m] = true
	}
}

// checkFactors checks that patterns are of regions, and nothing is given twice.
func (d *decoder) checkFactors(factors []billing.Factor, path string) {
	type kind struct {
		name   string
		region bool
	}
	seen := map[kind]bool{}
	for i := range factors {
		f, at := kind{factors[i].Name, factors[i].Region}, fmt.Sprintf("%s.factors[%d]", path, i)
		switch {
		case d.within(at):
		case !f.region && strings.HasSuffix(f.name, "*"):
			d.fail(at+".name", "name: only regions have patterns; say region: true")
		case seen[f]:
			d.fail(at+".name", "name: the factor is given twice")
		}
		seen[f] = true
	}
}

func (d *decoder) checkPrice(p *billing.Price, path string) {
	if d.has(path) && p.Card() == nil && !d.within(path) {
		d.fail(path, "price: no price is said")
	}
	d.checkImages(p.Images, path)
	d.checkFactors(p.Factors, path)
	says := func(r *billing.Rates, at string) {
		d.checkImages(r.Images, at)
		if !r.List().Stated() && !d.within(at) {
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
	for i := range p.Hours {
		h, at := &p.Hours[i], fmt.Sprintf("%s.hours[%d]", path, i)
		says(&h.Rates, at)
		if h.From != "" && h.From == h.Until && !d.within(at) {
			d.fail(at+".until", "until: the same time as from")
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
