package policy

import (
	"fmt"

	"github.com/signalbox-ai/signalbox/routing"
)

// Healthy leaves out targets whose breaker is open while others are left, and those that too many attempts failed at of
// late. Where no target is left, all stay: the least bad is better than nothing. A target whose breaker is about to close
// stays, and gets its growing share of requests.
//
// Without this policy a target with an open breaker is tried last.
type Healthy struct {
	Success  int `yaml:"success" max:"100" doc:"Least share of attempts that went well, in percent."`
	Attempts int `yaml:"attempts" min:"1" max:"1000000" doc:"How many attempts of late it takes to judge a target by success."`
}

// Apply leaves out what is not well.
func (p *Healthy) Apply(_ *routing.View, c *routing.Candidates) {
	well := func(k *routing.Candidate) bool { return k.Signals.Share > 0 && !p.fails(k) }
	for i := range c.Len() {
		if well(c.At(i)) {
			c.Keep(well, p.why)
			return
		}
	}
}

func (p *Healthy) fails(k *routing.Candidate) bool {
	return p.Success > 0 && k.Signals.Weight >= float64(p.Attempts) && k.Signals.Success*100 < float64(p.Success)
}

func (p *Healthy) why(k *routing.Candidate) string {
	if k.Signals.Share <= 0 {
		return "its breaker is open"
	}
	return fmt.Sprintf("%s of its last attempts went well, less than %d %%", percent(k.Signals.Success), p.Success)
}
