package policy

import (
	"slices"
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/region"
	"github.com/signalbox-ai/signalbox/routing"
)

// Region leaves out targets whose provider does not run in one of the regions. It holds whatever happens: a provider of
// which no region is stated is in none, and where no target is left the request is refused.
//
// A region is the name that the provider has for it (eu-west-1, westeurope), a country (de), or a group: eu for the members
// of the European Union, eea, europe, northamerica, apac. Groups go by where a cloud's region is and not by its name: eu-west-2,
// in London, is in europe and not in eu. A name that no cloud has is in what stands before its dash: eu-onprem is in eu.
type Region struct {
	In []string `yaml:"in" form:"region" short:"any" required:"true" max:"100" doc:"The regions."`
}

// Lasting implements routing.Lasting.
func (*Region) Lasting() bool { return true }

// Apply leaves out what is elsewhere.
func (p *Region) Apply(_ *routing.View, c *routing.Candidates) {
	c.Keep(func(k *routing.Candidate) bool { return within(k.About.Region, p.In) }, func(k *routing.Candidate) string {
		if k.About.Region == "" {
			return "nobody knows its region"
		}
		return "its region is " + k.About.Region
	})
}

// within reports whether a region is in one of others.
func within(is string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(r string) bool { return region.In(is, r) })
}

// Residency leaves out targets of which it is not certain that data stays within the regions: the provider's region must be
// one of them or, where the configuration states none, all that is known of where its vendor hosts; and where its
// configuration has a trait residency, that must be one too. It holds whatever happens, as region does. Regions are written
// as there.
type Residency struct {
	In []string `yaml:"in" form:"region" short:"any" required:"true" max:"100" doc:"The regions."`
}

// Lasting implements routing.Lasting.
func (*Residency) Lasting() bool { return true }

// Apply leaves out what may be elsewhere.
func (p *Residency) Apply(_ *routing.View, c *routing.Candidates) {
	c.Keep(func(k *routing.Candidate) bool {
		where, _ := resides(k)
		stated, ok := trait(k, "residency")
		return within(where, p.In) && (!ok || within(stated, p.In))
	}, func(k *routing.Candidate) string {
		where, by := resides(k)
		if s, ok := trait(k, "residency"); ok && !within(s, p.In) {
			where, by = s, "trait"
		}
		if where == "" {
			return "nobody knows where it keeps data"
		}
		return "it keeps data in " + where + " (" + by + ")"
	})
}

// resides is where a target's data is, and what says so.
func resides(k *routing.Candidate) (where, by string) {
	if k.About.Region != "" {
		return k.About.Region, "region"
	}
	if h, ok := trait(k, "hosted"); ok && h != "several" && h != "unknown" && h != "self" {
		return h, "vendor"
	}
	return "", ""
}

// trait returns the value of a trait, "" of one that has none.
func trait(k *routing.Candidate, name string) (value string, ok bool) {
	for _, t := range k.About.Traits {
		n, v, _ := strings.Cut(t, "=")
		if n == name {
			return v, true
		}
	}
	return "", false
}
