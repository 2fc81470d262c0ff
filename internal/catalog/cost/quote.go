package cost

import (
	"math"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Terms are what decides, beside the units, which rates hold.
type Terms struct {
	At       time.Time   // when the exchange was admitted: however long it streams, the prices of then hold
	Service  string      // service tier that served it: "" or standard, batch, flex, priority
	Region   string      // region within which the provider promised to process it; "": nothing was promised
	Switches []string    // switches of the provider's that were on, such as fast
	Search   string      // search context size of web searches: low, medium, high, or "" where not known
	Look     price.Look  // of images made, as far as it is known
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
	if i == price.PerImageOutput {
		r, flags, ok = q.image()
	}
	if !ok && i == price.PerRequest || !ok && q.unbilled(i) {
		return 0, 0
	}
	if ok && flags&Unpriced == 0 {
		return r, flags
	}
	switch c, _, stated := fallback(q.terms.Ceiling, i); {
	case ok && stated: // the best that is known is no price of it
		return max(r, c), flags&^Unpriced | Ceilinged
	case ok:
		return r, flags
	case q.terms.Free:
		return 0, 0
	case stated:
		return c, Ceilinged
	}
	return 0, Unpriced
}

// unbilled reports whether an item is none that the card charges by: tokens where it charges by the query, queries
// where it charges by the token, and what the same image or sound is counted in otherwise.
func (q *quote) unbilled(i price.Item) bool {
	in, out := q.states(price.Input), q.states(price.Output)
	images := q.states(price.PerImageOutput) || len(q.base.Images()) > 0
	spoken := q.states(price.PerAudioSecondOutput) || q.states(price.PerCharacter)
	byUnit := images || spoken || q.states(price.PerQuery) || q.states(price.PerRequest) || q.states(price.PerImage) || q.states(price.PerAudioSecond)
	switch i {
	case price.PerQuery, price.PerImage:
		return in
	case price.PerAudioSecond:
		return in || q.states(price.AudioInput)
	case price.PerCharacter:
		return in || spoken
	case price.PerAudioSecondOutput:
		return q.states(price.AudioOutput) || out || spoken
	case price.PerImageOutput:
		return q.states(price.ImageOutput) || out
	case price.Output, price.ImageOutput, price.AudioOutput:
		return !out && (images || spoken || q.states(price.PerAudioSecond) || byUnit && !in)
	}
	return i.Tokens() && byUnit && !in
}

func (q *quote) states(i price.Item) bool { return stated(q.base, i) || stated(q.tier, i) }

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

// image returns the list price of an image made, by its look.
func (q *quote) image() (price.Rate, Flags, bool) {
	at := func(l price.Rates) (price.Rate, Flags, bool) {
		r, sure, ok := l.Image(q.terms.Look)
		if ok && !sure {
			return r, PricedUp, true
		}
		return r, 0, ok
	}
	over := func(r, v price.Rate, f Flags) (price.Rate, Flags) {
		if q.terms.Look.Known() || v == r {
			return v, f
		}
		return max(r, v), PricedUp // it may be of a look that the second list does not state
	}
	r, flags, ok := at(q.base)
	if v, f, found := at(q.tier); found && ok {
		r, flags = over(r, v, f)
	} else if found {
		r, flags, ok = v, f, true
	}
	if q.sort == standard || !ok {
		return r, flags, ok
	}
	switch v, f, found := at(q.service); {
	case found:
		r, flags = over(r, v, f)
		return r, flags, true
	case q.sort == cheaper:
		return r, flags | PricedUp, true
	case q.served:
		return r, flags, true // a fee is the same at every service tier
	}
	return r, flags | Unpriced, true
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
		if r, ok := l.Get(price.Output); ok {
			return r, 0, true
		}
		return ofMedia(l)
	case price.Output:
		return ofMedia(l)
	case price.AudioCacheRead:
		other = price.AudioInput
	case price.ImageOutput: // may be dearer by far
		r, ok := l.Get(price.Output)
		return r, Unpriced, ok
	case price.ImageInput: // what cards without a price for it mean
		r, ok := l.Get(price.Input)
		return r, 0, ok
	case price.ImageCacheRead:
		return cachedImage(l)
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

// ofMedia returns what output costs of a model that makes only images or sounds.
func ofMedia(l price.Rates) (price.Rate, Flags, bool) {
	image, drawn := l.Get(price.ImageOutput)
	audio, spoken := l.Get(price.AudioOutput)
	return max(image, audio), PricedUp, drawn || spoken
}

// cachedImage returns what a cached token of an image costs where no rate is stated: what one costs that was not cached,
// or, where images have no price of their own, what other cached tokens cost.
func cachedImage(l price.Rates) (price.Rate, Flags, bool) {
	if r, ok := l.Get(price.ImageInput); ok {
		return r, PricedUp, true
	}
	if r, ok := l.Get(price.CacheRead); ok {
		return r, 0, true
	}
	r, ok := l.Get(price.Input)
	return r, PricedUp, ok
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
	if t.Region != "" && c != nil { // a card that states none charges nothing for it
		if milli, ok := c.Regional(t.Region); ok {
			out = append(out, uint64(max(milli, 0)))
		}
	}
	for _, s := range t.Switches {
		milli, ok := int64(0), false
		if c != nil {
			milli, ok = c.Switch(s)
		}
		switch {
		case ok:
			out = append(out, uint64(max(milli, 0)))
		case !t.Free:
			flags |= Unpriced
		}
	}
	return out, flags
}
