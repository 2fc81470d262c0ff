package policy

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/routing"
)

// SLO spares targets that burn the error budget of what is promised of the request: by its route's slo, or by what slos
// promise of its route and tags, the worst of them. Burn is counted from the target's own attempts of the last five
// minutes, or half hour, or hour, whichever is the shortest that had ten; 1 would use the budget up exactly at the end of
// its window. From above on, the faster a target burns, the more requests pass it over; from twice that, all but those of
// explore, by which it is seen when it is well again. A target that is passed over is tried after the others. Without
// objectives the policy changes nothing. See [Objectives](slo.md).
type SLO struct {
	Above   int `yaml:"above" min:"1" max:"100" short:"any" doc:"The burn rate above which requests begin to pass a target over."`
	Explore int `yaml:"explore" min:"1" max:"50" doc:"Share of requests, in percent, that do not look at burn, however fast it is."`
}

// Apply puts what is passed over last.
func (p *SLO) Apply(v *routing.View, c *routing.Candidates) {
	c.Sort(func(k *routing.Candidate) int64 {
		over := v.Burns(k)/float64(p.Above) - 1
		if v.Draw() < min(over, 1-float64(p.Explore)/100) {
			return 1
		}
		return 0
	}, func(k *routing.Candidate) string {
		return fmt.Sprintf("it burns the budget at %.1f times the even pace", v.Burns(k))
	})
}
