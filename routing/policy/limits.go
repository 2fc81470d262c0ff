package policy

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/routing"
)

// Limits spares targets whose provider's rate limits are nearly used up, as its answers say. The less is left, the more
// requests pass such a target over, so that traffic moves away little by little and not all at once; one of which nothing
// is left is passed over by all. A target that is passed over is tried after the others.
type Limits struct {
	Below int `yaml:"below" min:"1" max:"100" short:"any" doc:"From which share of the limits on, in percent, requests begin to pass the target over."`
}

// Apply puts what is passed over last.
func (p *Limits) Apply(v *routing.View, c *routing.Candidates) {
	c.Sort(func(k *routing.Candidate) int64 {
		r := room(k)
		if d := v.Draw(); r >= 0 && d*float64(p.Below) >= r*100 {
			return 1
		}
		return 0
	}, func(k *routing.Candidate) string {
		r := room(k)
		if r < 0 {
			return "nothing is known of its limits"
		}
		return fmt.Sprintf("%s of its limits is left", percent(r))
	})
}

// room is the smaller of the shares of a target's limits that are left; below 0: not known.
func room(k *routing.Candidate) float64 {
	r := &k.Signals.Room
	switch {
	case r.Requests < 0:
		return r.Tokens
	case r.Tokens < 0:
		return r.Requests
	}
	return min(r.Requests, r.Tokens)
}
