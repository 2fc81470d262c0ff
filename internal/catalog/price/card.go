package price

import (
	"iter"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Item is what a rate is for.
type Item uint8

// Items, and how many there are.
const (
	Input                Item = iota
	Output                    // reasoning included, where Reasoning has no rate
	CacheRead                 // input that was found in the provider's prompt cache
	CacheWrite                // input that was written to it, for five minutes where there is a choice
	CacheWrite1h              // input that was written to it for an hour
	Reasoning                 // output that is reasoning, where it is billed apart
	AudioInput                // input that is audio
	AudioOutput               // output that is audio
	AudioCacheRead            // cached input that is audio
	ImageInput                // input that is an image
	PerImage                  // an image in the input
	PerQuery                  // a query of a rerank request
	PerRequest                // a request
	WebSearch                 // a web search of the provider's own tool
	WebSearchLow              // one with a small search context
	WebSearchMedium           // one with a medium search context
	WebSearchHigh             // one with a large search context
	ImageCacheRead            // cached input that is an image
	ImageOutput               // output that is an image
	PerImageOutput            // an image made; Rates.Image has those by size and quality
	PerAudioSecond            // a second of audio in the input
	PerAudioSecondOutput      // a second of audio made
	PerCharacter              // a character of a text to be spoken
	FileSearch                // a search of the provider's own tool in stored files
	Items                = iota
)

var itemNames = [Items]string{
	"input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning_output", "audio_input", "audio_output", "audio_cache_read",
	"image_input", "per_image", "per_query", "per_request", "web_search", "web_search_low", "web_search_medium", "web_search_high",
	"image_cache_read", "image_output", "per_image_output", "per_audio_second", "per_audio_second_output", "per_character", "file_search",
}

// String returns the item's name, as configurations and lists have it.
func (i Item) String() string {
	if int(i) < len(itemNames) {
		return itemNames[i]
	}
	return "unknown"
}

// Tokens reports whether the item counts tokens.
func (i Item) Tokens() bool { return i <= ImageInput || i == ImageCacheRead || i == ImageOutput }

// Rates are the rates of one list of prices. The zero value states none. It does not change once made.
type Rates struct {
	set    uint32 // a bit for each stated item
	list   []Rate // of the stated items, in their order
	images []Image
}

// NewRates makes Rates from what is stated. list[i] belongs to the i-th bit of set that is 1; the list is kept.
func NewRates(set uint32, list []Rate) Rates { return Rates{set: set, list: list} }

// RatesOf makes Rates from a map.
func RatesOf(m map[Item]Rate) Rates {
	var r Rates
	for i := range Item(Items) {
		if v, ok := m[i]; ok {
			r.set |= 1 << i
			r.list = append(r.list, v)
		}
	}
	return r
}

// Get returns the rate of an item. ok is false where none is stated, which does not mean free.
func (r Rates) Get(i Item) (rate Rate, ok bool) {
	bit := uint32(1) << i
	if r.set&bit == 0 {
		return 0, false
	}
	return r.list[bits.OnesCount32(r.set&(bit-1))], true
}

// Stated reports whether any rate is stated.
func (r Rates) Stated() bool { return r.set != 0 || len(r.images) > 0 }

// Equal reports whether both state the same.
func (r Rates) Equal(o Rates) bool {
	return r.set == o.set && slices.Equal(r.list, o.list) && slices.Equal(r.images, o.images)
}

// All yields the stated rates in the order of items.
func (r Rates) All() iter.Seq2[Item, Rate] {
	return func(yield func(Item, Rate) bool) {
		n := 0
		for i := range Item(Items) {
			if r.set&(1<<i) != 0 {
				if !yield(i, r.list[n]) {
					return
				}
				n++
			}
		}
	}
}

// With returns the rates with those of over in their place.
func (r Rates) With(over Rates) Rates {
	if r.set&^over.set == 0 && len(r.images) == 0 {
		return over
	}
	out := Rates{set: r.set | over.set, images: withImages(r.images, over.images), list: make([]Rate, 0, bits.OnesCount32(r.set|over.set))}
	for i := range Item(Items) {
		if v, ok := over.Get(i); ok {
			out.list = append(out.list, v)
		} else if v, ok := r.Get(i); ok {
			out.list = append(out.list, v)
		}
	}
	return out
}

// Card is all that is known of what a model costs. What a tier or a service does not state is as in the
// list that was valid at the time.
type Card struct {
	Rates    Rates     // in the beginning
	Changes  []Change  // later lists of prices, oldest first
	Tiers    []Tier    // by the size of the prompt
	Services []Service // by the service tier
	Factors  []Factor  // on the whole price
	Hours    []Hours   // by the time of day
}

// Hours is the rates of a part of each day, as off-peak discounts have it. From and Until are minutes since
// 00:00 UTC; where Until is not later than From, it is that of the next day. What it does not state is as in
// the list that is valid.
type Hours struct {
	From, Until int
	Rates       Rates
}

// Holds reports whether a time lies within the hours.
func (h *Hours) Holds(t time.Time) bool {
	hour, minute, _ := t.UTC().Clock()
	m := hour*60 + minute
	if h.From < h.Until {
		return h.From <= m && m < h.Until
	}
	return m >= h.From || m < h.Until
}

// Change is the list of prices from a day on, complete.
type Change struct {
	From  time.Time // 00:00 UTC
	Rates Rates
}

// Tier is the rates of the WHOLE request where its prompt, cached tokens included, is longer than Above and
// at most UpTo tokens; UpTo 0: no end.
type Tier struct {
	Above, UpTo int64
	Rates       Rates
}

// Holds reports whether the tier is that of a prompt.
func (t *Tier) Holds(prompt int64) bool {
	return (prompt > t.Above || t.Above == 0) && (t.UpTo == 0 || prompt <= t.UpTo)
}

// Service is the rates at a service tier: batch, flex or priority.
type Service struct {
	Name  string
	Rates Rates
}

// Factor multiplies the whole price, in thousandths. With Region it is for processing within the region
// Name, or within any whose name begins so where it ends with *; else Name is a switch of the provider's, as us
// (inference in the US) or fast.
type Factor struct {
	Name   string
	Region bool
	Milli  int64
}

// At returns the list of prices at a time, which is the request's.
func (c *Card) At(t time.Time) Rates {
	r := c.Rates
	for i := range c.Changes {
		if t.Before(c.Changes[i].From) {
			break
		}
		r = c.Changes[i].Rates
	}
	return r
}

// AtHour returns the list of prices at a time with those of its hour of the day: of several that hold, the
// first.
func (c *Card) AtHour(t time.Time) Rates {
	r := c.At(t)
	for i := range c.Hours {
		if c.Hours[i].Holds(t) {
			return r.With(c.Hours[i].Rates)
		}
	}
	return r
}

// Tier returns the tier of a prompt, where the card has one for it: the one that begins highest.
func (c *Card) Tier(prompt int64) (Tier, bool) {
	best := -1
	for i := range c.Tiers {
		if c.Tiers[i].Holds(prompt) && (best < 0 || c.Tiers[i].Above > c.Tiers[best].Above) {
			best = i
		}
	}
	if best < 0 {
		return Tier{}, false
	}
	return c.Tiers[best], true
}

// Service returns the rates at a service tier, where the card has them.
func (c *Card) Service(name string) (Rates, bool) {
	i := slices.IndexFunc(c.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Rates{}, false
	}
	return c.Services[i].Rates, true
}

// global is the region of a provider that promises none: no pattern of regions means it.
const global = "global"

// Regional returns the factor of processing within a region, in thousandths: that of its own name, or else the first of a
// pattern that fits.
func (c *Card) Regional(region string) (milli int64, ok bool) {
	for i := range c.Factors {
		f := &c.Factors[i]
		switch begin, pattern := strings.CutSuffix(f.Name, "*"); {
		case !f.Region:
		case f.Name == region:
			return f.Milli, true
		case pattern && !ok && region != global && strings.HasPrefix(region, begin):
			milli, ok = f.Milli, true
		}
	}
	return milli, ok
}

// Switch returns the factor of a switch, in thousandths.
func (c *Card) Switch(name string) (milli int64, ok bool) {
	for i := range c.Factors {
		if f := &c.Factors[i]; !f.Region && f.Name == name {
			return f.Milli, true
		}
	}
	return 0, false
}
