package routing

import "strings"

// keysPerTarget is how many credentials of one provider an exchange tries before it moves on: a key that
// is refused or used up says nothing about the next one, an outage does.
const keysPerTarget = 2

// MaxSteps bounds a plan.
const MaxSteps = 8

// Plan orders the targets of route r. A target that cannot do the request is left out; one whose keys all
// rest comes after those that are ready, and is never left out when it is the last. The error is a
// *NoTarget.
func (r *Route) Plan(v View) (*Plan, error) {
	p := &Plan{Route: r}
	var resting []Step
	for _, t := range r.order(v.Draw) {
		if t.Model == "*" {
			t.Model = strings.TrimPrefix(v.Model, t.Provider+"/") // provider/model is how a client may name it
		}
		if v.Usable != nil {
			if ok, why := v.Usable(t); !ok {
				p.Trace = append(p.Trace, Trace{t.String(), why})
				continue
			}
		}
		ids, rested := v.Keys(t.Provider, t.Model, keysPerTarget)
		for _, id := range ids {
			s := Step{Provider: t.Provider, Model: t.Model, Like: t.Like, Key: id}
			if rested {
				p.Steps = append(p.Steps, s)
			} else {
				p.Trace = append(p.Trace, Trace{t.String(), "its keys rest: last choice"})
				resting = append(resting, s)
			}
		}
	}
	p.Steps = append(p.Steps, resting...)
	most := MaxSteps
	if r.Failover.Attempts > 0 {
		most = min(most, r.Failover.Attempts)
	}
	if len(p.Steps) > most {
		p.Steps = p.Steps[:most]
	}
	if len(p.Steps) == 0 {
		return nil, &NoTarget{r.Name, p.Trace}
	}
	return p, nil
}

// order returns the targets as they are tried: as written, or the first drawn by weight and the others
// drawn by weight from what remains.
func (r *Route) order(draw func(int) int) []Target {
	if !r.Weighted || len(r.Targets) < 2 {
		return r.Targets
	}
	left := append([]Target(nil), r.Targets...)
	out := make([]Target, 0, len(left))
	for len(left) > 0 {
		sum := 0
		for _, t := range left {
			sum += t.Weight
		}
		i := 0
		if sum > 0 {
			n := draw(sum)
			for n >= left[i].Weight {
				n -= left[i].Weight
				i++
			}
		}
		out = append(out, left[i])
		left = append(left[:i], left[i+1:]...)
	}
	return out
}
