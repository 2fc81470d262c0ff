package policy

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/signalbox-ai/signalbox/routing"
)

// Balanced orders by a score of what the request is expected to cost, how long its answer is expected to take and how
// likely it is to go well, each by its weight. With a weight of 1, twice the cost counts as much as twice the time, and as
// 7 % fewer attempts that go well; the scores of two targets do not depend on which others there are.
//
// What is not known of a target is taken to be as the mean of the others, but for a price, which is taken to be as the
// dearest's.
type Balanced struct {
	Cost    int    `yaml:"cost" max:"100" doc:"Weight of the cost."`
	Latency int    `yaml:"latency" max:"100" doc:"Weight of the time."`
	Success int    `yaml:"success" max:"100" doc:"Weight of the share of attempts that go well."`
	By      string `yaml:"by" enum:"auto,first_token,total" doc:"Which time counts: see fastest."`
	Explore int    `yaml:"explore" max:"50" doc:"How many of a hundred requests first go to a target that was measured too seldom, while there is one."`
}

// harm is how much more a failed attempt counts than its cost and time: the client waits, and another target is paid.
const harm = 10

// Check refuses a policy without weights.
func (p *Balanced) Check() error {
	if p.Cost+p.Latency+p.Success == 0 {
		return errors.New("all weights are 0")
	}
	return nil
}

// middle is what stands for what is not known.
type middle struct {
	sum, most float64
	n         int
}

func (m *middle) add(v float64) {
	if m.n == 0 || v > m.most {
		m.most = v
	}
	m.sum, m.n = m.sum+v, m.n+1
}

func (m *middle) mean() float64 {
	if m.n == 0 {
		return 0
	}
	return m.sum / float64(m.n)
}

// Apply orders by score.
func (p *Balanced) Apply(v *routing.View, c *routing.Candidates) {
	explore(v, c, p.Explore)
	speed := Fastest{By: p.By}
	var cost, time middle
	for i := range c.Len() {
		k := c.At(i)
		if n, ok := v.Cost(k); ok {
			cost.add(logOf(n))
		}
		if d := speed.takes(v, k); d > 0 {
			time.add(logOf(int64(d)))
		}
	}
	const fine = 1e6
	c.Sort(func(k *routing.Candidate) int64 {
		s := p.score(v, k, &speed, cost.most, time.mean())
		return int64(math.Round(s * fine))
	}, func(k *routing.Candidate) string { return p.explain(v, k, &speed, cost.most, time.mean()) })
}

// logOf is the logarithm of a cost or a time; what is below a thousandth of a micro-unit is as good as nothing.
func logOf(n int64) float64 { return math.Log(float64(max(n, 1))) }

// score is the sum of the weighted logarithms; less is better.
func (p *Balanced) score(v *routing.View, k *routing.Candidate, f *Fastest, cost, time float64) float64 {
	if n, ok := v.Cost(k); ok {
		cost = logOf(n)
	}
	if d := f.takes(v, k); d > 0 {
		time = logOf(int64(d))
	}
	return float64(p.Cost)*cost + float64(p.Latency)*time - float64(p.Success)*harm*math.Log(max(likely(k), 0.001))
}

func (p *Balanced) explain(v *routing.View, k *routing.Candidate, f *Fastest, cost, mean float64) string {
	money, takes := "no price is known", "not measured"
	if n, ok := v.Cost(k); ok {
		money = dollars(n)
	}
	if d := f.takes(v, k); d > 0 {
		takes = d.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%.3f of %s, %s, %s likely to go well", p.score(v, k, f, cost, mean), money, takes, percent(likely(k)))
}
