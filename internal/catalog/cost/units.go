// Package cost computes what an exchange costs: what a provider says it used, in disjoint units, times the
// rates of the card that was valid when it was admitted. It is arithmetic alone, and exact: it knows no
// exchange, asks nobody and keeps nothing.
//
//	llm.Usage ─ Split ─► Units ─┐
//	price.Card, Terms ──────────┴─ Of ─► Bill (nano-USD, its lines, flags)
//	price.Card, Terms, Ask ────── Bound ─► what the exchange can cost at most
//
// Unknown is not zero: a unit that no rate is known for is flagged, and is never free unless the
// configuration says so.
package cost

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/catalog/price"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Max is the largest amount (nano-USD) and the largest number of units: 2⁵³−1, which every store and JSON
// reader holds exactly. As money it is 9.007 million dollars.
const Max = 1<<53 - 1

// Units are how many of each price.Item were used. They are disjoint: a token is counted in exactly one.
type Units [price.Items]int64

// Prompt returns the tokens of the prompt, cached ones included. Context tiers go by it.
func (u *Units) Prompt() int64 {
	return u.sum(price.Input, price.CacheRead, price.CacheWrite, price.CacheWrite1h, price.AudioInput, price.AudioCacheRead, price.ImageInput)
}

// Answer returns the tokens of the answer, reasoning included.
func (u *Units) Answer() int64 { return u.sum(price.Output, price.Reasoning, price.AudioOutput) }

func (u *Units) sum(items ...price.Item) (n int64) {
	for _, i := range items {
		n = min(n+u[i], Max)
	}
	return n
}

// Flags say what a bill had to assume.
type Flags uint16

// Flags.
const (
	PricedUp     Flags = 1 << iota // a rate is not stated, and one that is not lower was taken
	Unpriced                       // a rate is not known: what it would cost is missing in the sum
	Ceilinged                      // a rate is not known, and the configured ceiling was taken
	Inconsistent                   // the usage contradicts itself: a part is larger than its whole, or a number is out of range
	Capped                         // the sum is over Max
	Unmeasured                     // the usage does not say how many tokens the prompt or the answer had
)

var flagNames = [...]string{"priced_up", "unpriced", "ceiling", "inconsistent", "capped", "unmeasured"}

// Names returns the names of the flags that are set.
func (f Flags) Names() (out []string) {
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// String returns the names with commas between.
func (f Flags) String() string { return strings.Join(f.Names(), ",") }

// Split parts a usage into disjoint units. It relies on what all our codecs make of the vendors' different
// habits (Anthropic and Bedrock count cached tokens outside the input, OpenAI and Gemini inside; Gemini and
// xAI count reasoning outside the output, others inside): Input includes Cached and CacheWrite, Output includes
// Reasoning.
//
// Audio is taken to be fresh as far as the prompt has room for it beside what was cached, which never costs
// less. A part that is larger than its whole keeps its number, and the usage is flagged.
//
// Where a provider says apart what it bills (Cohere, whose own preamble is free), that alone is counted, as fresh
// input and output.
//
// The operation says what must be known: of a chat both prompt and answer, of a ranking its queries, of all
// others the prompt.
func Split(op llm.Op, u llm.Usage) (Units, Flags) {
	var out Units
	var flags Flags
	number := func(c llm.Count) int64 {
		n := min(max(c.N, 0), Max)
		if !c.Known {
			return 0
		}
		if n != c.N {
			flags |= Inconsistent
		}
		return n
	}
	rest := func(whole, part int64) int64 {
		if part > whole {
			flags |= Inconsistent
			return 0
		}
		return whole - part
	}
	if u.BilledIn.Known && u.BilledOut.Known {
		u = llm.Usage{Input: u.BilledIn, Output: u.BilledOut, WebSearches: u.WebSearches, Queries: u.Queries}
	}
	answers := op == llm.OpChat || op == llm.OpComplete
	if !u.Input.Known && !u.Queries.Known || answers && !u.Output.Known {
		flags |= Unmeasured
	}
	write, hour := number(u.CacheWrite), number(u.CacheWrite1h)
	out[price.CacheWrite1h] = hour
	if u.CacheWrite.Known || hour == 0 {
		out[price.CacheWrite] = rest(write, hour)
	}
	cached, audio := number(u.Cached), number(u.AudioIn)
	wrote := min(max(write, hour), Max)
	fresh := number(u.Input)
	if fresh > 0 || wrote > 0 || cached > 0 {
		fresh = rest(fresh, min(cached+wrote, Max))
	}
	heard := min(audio, fresh)
	again := min(audio-heard, cached)
	if heard+again < audio {
		flags |= Inconsistent
		heard = audio - again
	}
	out[price.AudioInput], out[price.AudioCacheRead] = heard, again
	out[price.Input] = max(fresh-heard, 0)
	out[price.CacheRead] = cached - again
	thought, spoken := number(u.Reasoning), number(u.AudioOut)
	out[price.Reasoning], out[price.AudioOutput] = thought, spoken
	out[price.Output] = rest(number(u.Output), min(thought+spoken, Max))
	out[price.WebSearch] = number(u.WebSearches)
	out[price.PerQuery] = number(u.Queries)
	out[price.PerRequest] = 1
	return out, flags
}
