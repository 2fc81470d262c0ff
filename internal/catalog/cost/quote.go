package cost

import (
	"math"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Terms are what decides, beside the units, which rates hold.
type Terms struct {
	At       time.Time   // when the exchange was admitted: however long it streams, the prices of then hold
	Service  string      // service tier that served it: "" or standard, batch, flex, priority
	Region   string      // region within which the provider promised to process it, where that was asked for
	Switches []string    // switches of the provider's that were on, such as fast
	Search   string      // search context size of web searches: low, medium, high, or "" where not known
	Paid     int64       // thousandths of the list price that are paid under the contract; 0: all of it
	Ceiling  price.Rates // taken where no rate is known
	Free     bool        // what no rate is known for costs nothing
}

// quote finds rates.
type quote struct {
	base, tier, service price.Rates
	tiered, served      bool
	sort                service
	terms               *Terms
}

// service says how a service tier's price lies to the standard one.
type service uint8

const (
	standard service = iota
	cheaper
	dearer
	strange
)

// serviceOf reads the name of a service tier, as vendors spell them.
func serviceOf(name string) service {
	switch name {
	case "", "standard", "default", "auto", "on_demand", "standard_only":
		return standard
	case "batch", "flex":
		return cheaper
	case "priority":
		return dearer
	}
	return strange
}

// at makes the quote of a prompt of a length.
func at(c *price.Card, prompt int64, t *Terms) quote {
	q := quote{terms: t, sort: serviceOf(t.Service)}
	if c == nil {
		return q
	}
	q.base = c.AtHour(t.At)
	var tier price.Tier
	tier, q.tiered = c.Tier(prompt)
	q.tier = tier.Rates
	if q.sort != standard {
		q.service, q.served = c.Service(t.Service)
	}
	return q
}

// rate returns the rate of an item and what was assumed for it. Where it is not known, flags has Unpriced and
// the rate is the best that is known, or 0.
func (q *quote) rate(i price.Item) (price.Rate, Flags) {
	r, flags, ok := q.list(i)
	if !ok && i == price.PerRequest || !ok && q.unbilled(i) {
		return 0, 0
	}
	if ok {
		return r, flags
	}
	if q.terms.Free {
		return 0, 0
	}
	if c, _, ok := fallback(q.terms.Ceiling, i); ok {
		return c, Ceilinged
	}
	return 0, Unpriced
}

// unbilled reports whether an item is none that the card charges by: tokens where it charges by the query,
// queries where it charges by the token.
func (q *quote) unbilled(i price.Item) bool {
	byUnit := stated(q.base, price.PerQuery) || stated(q.base, price.PerRequest) || stated(q.base, price.PerImage)
	byToken := stated(q.base, price.Input) || stated(q.tier, price.Input)
	switch {
	case i == price.PerQuery, i == price.PerImage:
		return byToken
	case i.Tokens():
		return byUnit && !byToken
	}
	return false
}

func stated(r price.Rates, i price.Item) bool {
	_, ok := r.Get(i)
	return ok
}

// list returns the list price of an item at the service tier.
func (q *quote) list(i price.Item) (price.Rate, Flags, bool) {
	if i == price.WebSearch {
		i = q.search()
	}
	r, flags, ok := q.standard(i)
	if q.sort == standard || !ok {
		return r, flags, ok
	}
	if !q.served {
		if q.sort == cheaper {
			return r, flags | PricedUp, true
		}
		return r, flags | Unpriced, true
	}
	v, told := q.service.Get(i)
	if !told && i == price.Reasoning && !stated(q.base, i) {
		v, told = q.service.Get(price.Output)
		i = price.Output
	}
	switch {
	case !told && !i.Tokens():
		return r, flags, true // a fee is the same at every service tier
	case !told && q.sort == cheaper:
		return r, flags | PricedUp, true
	case !told:
		if m, _, ok := fallback(q.service, i); ok {
			r = max(r, m)
		}
		return r, flags | PricedUp, true
	case !q.tiered || !stated(q.tier, i):
		return v, flags, true
	case q.sort == cheaper: // what a long prompt costs at this service is not stated; not more than at the standard one
		return max(v, r), flags | PricedUp, true
	}
	base, _ := q.base.Get(i)
	return scale(v, r, base), flags | PricedUp, true
}

// standard returns an item's price at no service tier.
func (q *quote) standard(i price.Item) (price.Rate, Flags, bool) {
	if !q.tiered {
		return fallback(q.base, i)
	}
	if r, ok := q.tier.Get(i); ok {
		return r, 0, true
	}
	if !i.Tokens() {
		return fallback(q.base, i)
	}
	b, told := q.base.Get(i)
	m, flags, ok := fallback(q.tier, i)
	switch {
	case told && ok:
		return max(b, m), PricedUp, true
	case told:
		return b, 0, true
	case ok:
		return m, flags, true
	}
	return fallback(q.base, i)
}

// search returns the item of a web search.
func (q *quote) search() price.Item {
	for _, s := range [...]struct {
		size string
		item price.Item
	}{{"low", price.WebSearchLow}, {"medium", price.WebSearchMedium}, {"high", price.WebSearchHigh}} {
		if q.terms.Search == s.size && stated(q.base, s.item) {
			return s.item
		}
	}
	return price.WebSearch
}

// fallback returns the rate of an item within one list, or what is taken where the list has none: never a
// lower one. A cache read costs what input costs; a cache write twice as much, the dearest known (an hour at
// Anthropic). Reasoning costs what output costs, which is what a card without a rate of its own means, so it
// is not flagged.
func fallback(l price.Rates, i price.Item) (price.Rate, Flags, bool) {
	if r, ok := l.Get(i); ok {
		return r, 0, true
	}
	other, times := i, price.Rate(1)
	switch i {
	case price.CacheRead:
		other = price.Input
	case price.CacheWrite, price.CacheWrite1h:
		other, times = price.Input, 2
	case price.Reasoning:
		r, ok := l.Get(price.Output)
		return r, 0, ok
	case price.AudioCacheRead:
		other = price.AudioInput
	case price.WebSearch:
		var most price.Rate
		found := false
		for _, s := range [...]price.Item{price.WebSearchLow, price.WebSearchMedium, price.WebSearchHigh} {
			r, ok := l.Get(s)
			most, found = max(most, r), found || ok
		}
		return most, PricedUp, found
	}
	r, ok := l.Get(other)
	if !ok || other == i {
		return 0, 0, false
	}
	if times > 1 && r > math.MaxInt64/times {
		return math.MaxInt64, PricedUp, true
	}
	r *= times
	if w, ok := l.Get(price.CacheWrite); ok && i == price.CacheWrite1h {
		r = max(r, w)
	}
	return r, PricedUp, true
}

// scale returns ⌈v·up/base⌉, and no less than v and up.
func scale(v, up, base price.Rate) price.Rate {
	n := max(v, up)
	if base > 0 {
		w := product(uint64(v), uint64(up))
		if w.hi >= uint64(base) {
			return math.MaxInt64
		}
		if s, capped := w.per(uint64(base)); !capped {
			n = max(n, price.Rate(s))
		} else {
			return math.MaxInt64
		}
	}
	return n
}

// factors appends the thousandths that multiply the whole price, and says whether a switch is not on the card.
func factors(dst []uint64, c *price.Card, t *Terms) (out []uint64, flags Flags) {
	out = dst
	find := func(region bool, name string) bool {
		if c == nil {
			return false
		}
		i := slices.IndexFunc(c.Factors, func(f price.Factor) bool { return f.Region == region && f.Name == name })
		if i >= 0 {
			out = append(out, uint64(max(c.Factors[i].Milli, 0)))
		}
		return i >= 0
	}
	if t.Region != "" {
		find(true, t.Region) // a card that states none charges nothing for it
	}
	for _, s := range t.Switches {
		if !find(false, s) && !t.Free {
			flags |= Unpriced
		}
	}
	return out, flags
}
