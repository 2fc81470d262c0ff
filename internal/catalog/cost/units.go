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
)

// Max is the largest amount (nano-USD) and the largest number of units: 2⁵³−1, which every store and JSON
// reader holds exactly. As money it is 9.007 million dollars.
const Max = 1<<53 - 1

// Units are how many of each price.Item were used. They are disjoint: a token is counted in exactly one.
type Units [price.Items]int64

// Prompt returns the tokens of the prompt, cached ones included. Context tiers go by it.
func (u *Units) Prompt() int64 {
	return u.sum(price.Input, price.CacheRead, price.CacheWrite, price.CacheWrite1h, price.AudioInput, price.AudioCacheRead, price.ImageInput, price.ImageCacheRead)
}

// Answer returns the tokens of the answer, reasoning included.
func (u *Units) Answer() int64 {
	return u.sum(price.Output, price.Reasoning, price.AudioOutput, price.ImageOutput)
}

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
