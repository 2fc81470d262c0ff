package policy

import (
	"math"
	"time"

	"github.com/signalbox-ai/signalbox/routing"
)

// Fastest orders by how long answers take, as was measured of late: to the first token where the client asks for a stream,
// to the end elsewhere. The time to the end is that of the first token and of as many tokens as answers of the target had of
// late, within what the client allows. A target that was not measured comes last.
//
// Of each hundred requests, a few first go to a target that was measured too seldom, in turn by chance, so that a new or
// recovered target becomes known. A target runs in one region: to have the fastest of several, list the model at a provider
// of each.
type Fastest struct {
	By       string `yaml:"by" enum:"auto,first_token,total" short:"true" doc:"What is compared. auto is first_token for streams and total for whole answers."`
	Quantile string `yaml:"quantile" enum:"p50,p95" doc:"Which of the measured times: the median, or the time that one in twenty exceeds."`
	Within   int    `yaml:"within" max:"1000" doc:"Targets that take no more than this longer than the fastest, in percent, count as equal: the next policy decides among them."`
	Explore  int    `yaml:"explore" max:"50" doc:"How many of a hundred requests first go to a target that was measured too seldom, while there is one."`
}

// seldom is the weight of attempts below which a target is measured too seldom.
const seldom = 5

// Apply orders by time.
func (p *Fastest) Apply(v *routing.View, c *routing.Candidates) {
	explore(v, c, p.Explore)
	least := time.Duration(math.MaxInt64)
	for i := range c.Len() {
		if d := p.takes(v, c.At(i)); d > 0 {
			least = min(least, d)
		}
	}
	near := least
	if least < math.MaxInt64 {
		near += time.Duration(float64(least) * float64(p.Within) / 100)
	}
	c.Sort(func(k *routing.Candidate) int64 {
		d := p.takes(v, k)
		switch {
		case d == 0:
			return math.MaxInt64
		case d <= near:
			return int64(least)
		}
		return int64(d)
	}, func(k *routing.Candidate) string {
		d := p.takes(v, k)
		if d == 0 {
			return "not measured"
		}
		return d.Round(time.Millisecond).String()
	})
}

// takes is how long an answer of a candidate is expected to take; 0: not known.
func (p *Fastest) takes(v *routing.View, k *routing.Candidate) time.Duration {
	first, s := p.By == "first_token" || p.By != "total" && v.Stream, &k.Signals
	switch {
	case first && p.Quantile == "p95":
		return s.First.P95
	case first:
		return s.First.P50
	case p.Quantile != "p95":
		return v.Takes(k)
	case s.First.P95 > 0 && s.PerToken > 0: // the answer that is asked for, and not those that were measured
		return max(s.First.P95+time.Duration(v.Answer(k))*s.PerToken, v.Takes(k))
	}
	return s.Total.P95
}

// explore puts a target that was measured too seldom before its equals, for some of a hundred requests.
func explore(v *routing.View, c *routing.Candidates, percent int) {
	if percent == 0 || v.Draw()*100 >= float64(percent) {
		return
	}
	cold := 0
	for i := range c.Equals() {
		if isCold(c.At(i)) {
			cold++
		}
	}
	if cold == 0 {
		return
	}
	n := int(v.Draw() * float64(cold))
	for i := range c.Equals() {
		if k := c.At(i); isCold(k) {
			if n == 0 {
				c.Lead(k, func(*routing.Candidate) string { return "first this time, to be measured" })
				return
			}
			n--
		}
	}
}

// isCold reports whether a target is to be measured: one that fails is not sought.
func isCold(k *routing.Candidate) bool {
	return k.Signals.Weight < seldom && k.Signals.Share > 0 && k.Signals.Success > 0.5
}
