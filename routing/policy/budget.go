package policy

import (
	"fmt"
	"math"

	"github.com/signalbox-ai/signalbox/routing"
)

// Budget moves requests to cheaper targets when money runs low: when less than a share is left of any limit of money that
// holds for the request (of its key, project, team, organization or end user), the targets of use come first or, with only,
// are all that is left. Without use, targets are ordered by what the request is expected to cost.
//
// What is left is what the last request on a route with this policy found, and is not asked of a store: the first request
// after a start takes it that there is enough. Several of these policies, each with a smaller share and a cheaper tier, stand
// one behind the other.
type Budget struct {
	Below int      `yaml:"below" min:"1" max:"100" short:"any" doc:"Below which share of a limit, in percent, money is low."`
	Use   []string `yaml:"use" form:"matching" max:"64" doc:"The targets of the cheaper tier, as PROVIDER/MODEL, and patterns of them."`
	Only  bool     `yaml:"only" doc:"Leaves out all targets but those of use, while any of them is left."`
}

// Apply prefers the cheaper tier while money is low.
func (p *Budget) Apply(v *routing.View, c *routing.Candidates) {
	if v.Left == nil {
		return
	}
	left := v.Left()
	if left*100 >= float64(p.Below) {
		return
	}
	if len(p.Use) == 0 {
		c.Sort(func(k *routing.Candidate) int64 {
			if n, ok := v.Cost(k); ok {
				return n
			}
			return math.MaxInt64
		}, func(k *routing.Candidate) string {
			if n, ok := v.Cost(k); ok {
				return fmt.Sprintf("%s, as %s of a limit of money is left", dollars(n), percent(left))
			}
			return "no price is known"
		})
		return
	}
	why := func(k *routing.Candidate) string {
		if listed(p.Use, k) {
			return fmt.Sprintf("of the cheaper tier, as %s of a limit of money is left", percent(left))
		}
		return fmt.Sprintf("not of the cheaper tier, and %s of a limit of money is left", percent(left))
	}
	if p.Only {
		for i := range c.Len() {
			if listed(p.Use, c.At(i)) {
				c.Keep(func(k *routing.Candidate) bool { return listed(p.Use, k) }, why)
				return
			}
		}
	}
	c.Sort(func(k *routing.Candidate) int64 {
		if listed(p.Use, k) {
			return 0
		}
		return 1
	}, why)
}
