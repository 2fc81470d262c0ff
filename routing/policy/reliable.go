package policy

import (
	"fmt"
	"math"

	"github.com/signalbox-ai/signalbox/routing"
)

// Reliable orders by the share of attempts that went well of late, as far as few attempts can tell: a target with few of
// them is taken to be nearly as good as any. What counts as going wrong is what is the provider's fault: outages,
// timeouts, overload, refused credentials. A target with an open breaker comes last.
type Reliable struct {
	Within int `yaml:"within" max:"100" doc:"Targets that are no more than this below the best, in percent of attempts, count as equal: the next policy decides among them."`
}

// How a target is judged that was hardly tried.
const (
	prior       = 0.99
	priorWeight = 5
)

// likely is the share of attempts that is likely to go well.
func likely(k *routing.Candidate) float64 {
	s := &k.Signals
	return (s.Success*s.Weight + prior*priorWeight) / (s.Weight + priorWeight)
}

// Apply orders by success.
func (p *Reliable) Apply(_ *routing.View, c *routing.Candidates) {
	of := func(k *routing.Candidate) float64 {
		if k.Signals.Share <= 0 {
			return 0
		}
		return likely(k)
	}
	best := 0.0
	for i := range c.Len() {
		best = max(best, of(c.At(i)))
	}
	const fine = 1e6
	c.Sort(func(k *routing.Candidate) int64 {
		s := of(k)
		if s > 0 && best-s <= float64(p.Within)/100 {
			s = best
		}
		return -int64(math.Round(s * fine))
	}, func(k *routing.Candidate) string {
		if k.Signals.Share <= 0 {
			return "its breaker is open"
		}
		return fmt.Sprintf("%s likely to go well, by %.0f attempts", percent(likely(k)), k.Signals.Weight)
	})
}
