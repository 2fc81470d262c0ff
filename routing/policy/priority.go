package policy

import (
	"fmt"
	"math"

	"github.com/signalbox-ai/signalbox/routing"
)

// Priority orders by the priority of the route's targets: those with 1 first, then those with 2 and so on; one without
// comes last. Where no target has a priority, they keep the order in which they are written, so that nothing is left for a
// policy behind it to decide.
type Priority struct{}

// Apply orders by priority.
func (*Priority) Apply(_ *routing.View, c *routing.Candidates) {
	tiers := false
	for i := range c.Len() {
		tiers = tiers || c.At(i).Priority > 0
	}
	c.Sort(func(k *routing.Candidate) int64 {
		switch {
		case !tiers:
			return int64(k.N)
		case k.Priority == 0:
			return math.MaxInt64
		}
		return int64(k.Priority)
	}, func(k *routing.Candidate) string {
		switch {
		case !tiers:
			return fmt.Sprintf("number %d as written", k.N+1)
		case k.Priority == 0:
			return "no priority"
		}
		return fmt.Sprintf("priority %d", k.Priority)
	})
}
