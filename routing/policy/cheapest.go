package policy

import (
	"math"

	"github.com/signalbox-ai/signalbox/routing"
)

// Cheapest orders by what the request is expected to cost: the prompt, counted where that is possible, at the price of the
// day and hour, with the share of it that the target's cache held of late, and an answer of the length that answers of the
// target had of late, within what the client allows. A target without a known price comes last.
type Cheapest struct {
	Within int `yaml:"within" max:"1000" doc:"Targets that cost no more than this above the cheapest, in percent, count as equal: the next policy decides among them."`
}

// Apply orders by cost.
func (p *Cheapest) Apply(v *routing.View, c *routing.Candidates) {
	least := int64(math.MaxInt64)
	for i := range c.Len() {
		if n, ok := v.Cost(c.At(i)); ok {
			least = min(least, n)
		}
	}
	near := least
	if least < math.MaxInt64 {
		near += int64(float64(least) * float64(p.Within) / 100)
	}
	c.Sort(func(k *routing.Candidate) int64 {
		n, ok := v.Cost(k)
		switch {
		case !ok:
			return math.MaxInt64
		case n <= near:
			return least
		}
		return n
	}, func(k *routing.Candidate) string {
		n, ok := v.Cost(k)
		if !ok {
			return "no price is known"
		}
		return dollars(n)
	})
}
