package routing

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/routing/match"
)

// View is what a decision is made of, and all that it is made of: the same View gives the same plan. Functions that it
// holds are asked during the decision and must answer alike each time.
type View struct {
	match.Request
	Now    time.Time
	Seed   uint64                                                                 // of everything that is drawn
	About  func(provider, model, like string) *About                              // nil, or returning nil: nothing is known
	Keys   func(dst []string, provider, model string) (ids []string, rested bool) // appends keys to use, best first; rested is false where all rest
	Usable func(t *Target) (ok bool, why string)                                  // whether the target can do the request at all; asked last, in the order of the plan
	Left   func() float64                                                         // the smallest share that is left of a limit of money; nil: nobody knows
	Loses  func(t *Target) string                                                 // what of the request the target cannot carry, "" where it carries all; nil: nobody can tell

	// Burn is how fast a target burns the error budgets of what is promised of a route and tags; nil: nothing is promised.
	Burn func(route string, tags map[string]string, provider, model string) float64

	drawn uint64
	route string // of the decision
}

// About is what is known of a model at a provider while a configuration holds. It does not change.
type About struct {
	Kind     string // of the provider
	Region   string
	Traits   []string // certifications, retention and whatever else the provider's configuration states, as NAME or NAME=VALUE
	Facts    catalog.Facts
	Card     *price.Card // nil: no price is known
	Contract *billing.Contract
	Health   *health.Target
}

// nothing is what is known of a target that nobody knows.
var nothing = &About{}

// about returns what is known of a target.
func (v *View) about(t *Target) *About {
	if t.About != nil {
		return t.About
	}
	if v.About != nil {
		if a := v.About(t.Provider, t.Model, t.Like); a != nil {
			return a
		}
	}
	return nothing
}

// Losses names what of the request a candidate cannot carry; "": nothing.
func (v *View) Losses(k *Candidate) string {
	if v.Loses == nil {
		return ""
	}
	return v.Loses(&k.Target)
}

// Burns returns how fast a candidate burns the error budgets of what is promised of the request: 1 uses them up exactly at
// the end of their window. 0: nothing is promised, or nothing is known.
func (v *View) Burns(k *Candidate) float64 {
	if v.Burn == nil {
		return 0
	}
	return v.Burn(v.route, v.Tags, k.Provider, k.Model)
}

// Draw returns the next number in [0, 1) of the View's seed.
func (v *View) Draw() float64 {
	v.drawn++
	return float64(Mix(v.Seed+v.drawn*0x9e3779b97f4a7c15)>>11) / (1 << 53)
}

// Mix spreads a number over all bits (the finalizer of SplitMix64).
func Mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Hash gives a number for a text, the same in every process (FNV-1a, spread by Mix).
func Hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return Mix(h)
}
