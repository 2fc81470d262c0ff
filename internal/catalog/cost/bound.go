package cost

import (
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Ask is what a request can use at most. Tokens must be upper bounds that hold: a prompt is bounded by its
// count or its bytes, an answer by the cap that the provider enforces, times the choices asked for.
type Ask struct {
	Input, Output int64
	Writes        bool  // the prompt may be written to the provider's cache
	WritesHour    bool  // for an hour
	AudioIn       bool  // the prompt may have audio that is counted in tokens
	AudioOut      bool  // the answer may
	ImageIn       bool  // the prompt may have images that are counted in tokens
	ImageOut      bool  // the answer may
	Fees          Units // what is no token: searches, queries, images made and so on. The request itself is counted without
}

// whole is a factor that changes nothing, in thousandths.
const whole = 1000

// Limit is the most that one step of a plan can cost, in nano-USD.
type Limit struct {
	Full   int64 // of a whole answer
	Prompt int64 // of the prompt alone, as a provider bills an attempt that was cut before its answer
	Flags  Flags // Unpriced: there is no bound, since a rate is not known
}

// Bound returns the most that a request can cost under a card. Every token is taken at the dearest rate that
// may apply: of all context tiers that the prompt can reach, of the service tier that was asked for and the
// standard one (a provider may serve at either), and, where it may be so, as cache write, audio or reasoning.
// Fees are taken at their maximum. For all units within the ask, and the same terms, Of is never more.
func Bound(c *price.Card, a Ask, t Terms) Limit {
	var l Limit
	var byBuf [most + 1]uint64
	by, flags := factors(byBuf[:0], c, &t)
	if c != nil {
		l.Flags |= flags
	}
	for i := range by { // a provider may serve without what was asked for
		by[i] = max(by[i], whole)
	}
	if t.Paid > 0 {
		by = append(by, uint64(t.Paid))
	}
	var inBuf, outBuf [8]price.Item
	in, out := a.items(inBuf[:0], outBuf[:0])
	plain := t
	plain.Service = ""
	var buf [6]quote
	quotes := quotes(buf[:0], c, a.Input, &t, &plain)
	add := func(sum wide, n int64, items ...price.Item) wide {
		if n = min(max(n, 0), Max); n == 0 {
			return sum
		}
		r, flags := dearest(quotes, items)
		l.Flags |= flags
		return sum.plus(product(uint64(n), uint64(r)))
	}
	prompt := add(wide{}, a.Input, in...)
	for _, i := range [...]price.Item{price.PerImage, price.PerAudioSecond, price.PerCharacter} {
		prompt = add(prompt, a.Fees[i], i)
	}
	prompt = add(prompt, 1, price.PerRequest)
	full := add(prompt, a.Output, out...)
	for _, i := range [...]price.Item{price.WebSearch, price.FileSearch, price.PerQuery, price.PerImageOutput, price.PerAudioSecondOutput} {
		full = add(full, a.Fees[i], i)
	}
	var capped bool
	l.Prompt, _ = nano(prompt, by)
	if l.Full, capped = nano(full, by); capped {
		l.Flags |= Capped
	}
	return l
}

// items appends what a token of the prompt, and one of the answer, may be charged as.
func (a *Ask) items(in, out []price.Item) (_, _ []price.Item) {
	in = append(in, price.Input, price.CacheRead)
	if a.Writes || a.WritesHour {
		in = append(in, price.CacheWrite)
	}
	if a.WritesHour {
		in = append(in, price.CacheWrite1h)
	}
	if a.AudioIn {
		in = append(in, price.AudioInput, price.AudioCacheRead)
	}
	if a.ImageIn {
		in = append(in, price.ImageInput, price.ImageCacheRead)
	}
	out = append(out, price.Output, price.Reasoning)
	if a.AudioOut {
		out = append(out, price.AudioOutput)
	}
	if a.ImageOut {
		out = append(out, price.ImageOutput)
	}
	return in, out
}

// quotes appends the quotes of every context tier that a prompt of up to a length can be in, at the service tier asked
// for and at the standard one.
func quotes(dst []quote, c *price.Card, longest int64, t, plain *Terms) []quote {
	add := func(n int64) {
		if n < 0 || n > max(longest, 0) {
			return
		}
		dst = append(dst, at(c, n, t))
		if serviceOf(t.Service) != standard {
			dst = append(dst, at(c, n, plain))
		}
	}
	add(0)
	if longest > 0 {
		add(longest)
	}
	if c != nil { // at each end of a tier, since between them nothing changes
		for i := range c.Tiers {
			if above := c.Tiers[i].Above; above < Max {
				add(above + 1)
			}
			if upTo := c.Tiers[i].UpTo; upTo > 0 && upTo < Max {
				add(upTo)
				add(upTo + 1)
			}
		}
	}
	return dst
}

// dearest returns the highest rate of any of the items.
func dearest(quotes []quote, items []price.Item) (price.Rate, Flags) {
	var most price.Rate
	var flags Flags
	for i := range quotes {
		for _, item := range items {
			r, f := quotes[i].rate(item)
			if item == price.WebSearch && quotes[i].terms.Search == "" {
				for _, s := range [...]price.Item{price.WebSearchLow, price.WebSearchMedium, price.WebSearchHigh} {
					if v, ok := quotes[i].base.Get(s); ok {
						r = max(r, v)
					}
				}
			}
			most, flags = max(most, r), flags|f
		}
	}
	return most, flags
}

// Step is a step of a plan, in nano-USD.
type Step struct {
	Full int64 // its cost as the one that answers
	Cut  int64 // what its provider may bill where the attempt fails and the next step is taken (billing.Rules.Cut)
}

// Sum is what has to be reserved for steps that come one after the other, so that no failover needs money that it does not
// have: the largest, over them, of a step's full cost and what every step before it may have cost. The zero value is of none.
type Sum struct{ most, before int64 }

// Add adds the next step.
func (s *Sum) Add(step Step) {
	s.most = max(s.most, add(s.before, step.Full))
	s.before = add(s.before, step.Cut)
}

// Most is what has to be reserved.
func (s *Sum) Most() int64 { return s.most }
