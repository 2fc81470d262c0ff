package policy

import (
	"fmt"
	"math"

	"github.com/signalbox-ai/signalbox/routing"
)

// LeastBusy begins with a target that has few attempts under way. It draws some of the targets and takes the one of them
// with the fewest, for its weight where it has one: so requests that come at the same time do not all go to the same target.
// The others keep their order.
type LeastBusy struct {
	Choices int `yaml:"choices" min:"1" max:"64" short:"any" doc:"How many targets are drawn. 64 takes the least busy of all."`
}

// Apply puts the least busy of those drawn first.
func (p *LeastBusy) Apply(v *routing.View, c *routing.Candidates) {
	n := c.Equals()
	if n < 2 {
		return
	}
	left, least := min(p.Choices, n), math.Inf(1)
	var first *routing.Candidate
	for i := range n { // each as likely as any (Knuth's algorithm S)
		if left == 0 {
			break
		}
		if v.Draw()*float64(n-i) >= float64(left) {
			continue
		}
		left--
		if b := busy(c.At(i)); b < least {
			first, least = c.At(i), b
		}
	}
	c.Lead(first, func(k *routing.Candidate) string {
		return fmt.Sprintf("%d attempts under way, the fewest of %d that were drawn", k.Signals.InFlight, min(p.Choices, n))
	})
}

// busy is how much a target would have to do with one more, for its weight.
func busy(k *routing.Candidate) float64 {
	return float64(k.Signals.InFlight+1) / float64(max(k.Weight, 1))
}
