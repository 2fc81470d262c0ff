package routing

import "strings"

// KeysPerTarget is how many credentials of one provider an exchange tries before it moves on: a key that
// is refused or used up says nothing about the next one, an outage does.
const KeysPerTarget = 2

// MaxSteps bounds a plan.
const MaxSteps = 8

// Decision makes plans. What it holds is used again, so that a decision needs no memory of its own: one Decision serves
// one request after the other, and the Plan that it returned is gone with the next.
type Decision struct {
	plan    Plan
	set     Candidates
	resting []Step
	keys    []string
	dropped []Dropped
	lasting bool
}

// Plan orders the targets of route r: its policies narrow and order them; of what they leave, those that can do the
// request are taken with their keys until the plan is full. A target whose keys all rest, or whose breaker is open, comes
// after those that are ready, and is never left out when it is the last. The error is a *NoTarget.
func (r *Route) Plan(v *View) (*Plan, error) {
	return new(Decision).Plan(r, v, nil)
}

// Plan does what Route.Plan does. Where e is not nil, it says why.
func (d *Decision) Plan(r *Route, v *View, e *Explained) (*Plan, error) {
	d.begin(r, v, e)
	if e != nil {
		e.estimate(v, &d.set)
	}
	for i := range r.Policies {
		p := &r.Policies[i]
		d.set.name = p.Name
		if e != nil {
			e.begin(p.Name, &d.set)
		}
		had := d.set.Len()
		p.Apply(v, &d.set)
		if had > 0 && d.set.Len() == 0 {
			l, ok := p.Policy.(Lasting)
			d.lasting = ok && l.Lasting()
		}
		if e != nil {
			e.end(&d.set)
		}
	}
	most := MaxSteps
	if r.Failover.Attempts > 0 {
		most = min(most, r.Failover.Attempts)
	}
	d.fill(v, most)
	p := &d.plan
	if len(p.Steps) == 0 && len(d.resting) > 0 {
		p.Flags |= LeastBad
		most = 1 // an outage of all is no time to try each
	}
	p.Steps = append(p.Steps, d.resting...)
	if len(p.Steps) > most {
		p.Steps = p.Steps[:most]
	}
	if e != nil {
		e.Unusable = append([]Dropped(nil), d.dropped...)
		for i := range p.Steps {
			e.Plan = append(e.Plan, p.Steps[i].Target())
		}
	}
	if len(p.Steps) > 0 {
		return p, nil
	}
	if e == nil && d.set.Len() < len(r.Targets) { // the same again, to tell what the policies left out
		e = &Explained{}
		return d.Plan(r, v, e)
	}
	return nil, &NoTarget{Route: r.Name, Lasting: d.lasting, Trace: d.reasons(e)}
}

// Resting returns the steps of the last plan's targets that can do the request and rest, the best first: of a plan of which
// no target is well, that is all there are. They are valid until the next plan.
func (d *Decision) Resting() []Step { return d.resting }

// reasons are why each target was left out, in the words of what left it out.
func (d *Decision) reasons(e *Explained) []Dropped {
	var all []Dropped
	if e != nil {
		for i := range e.Policies {
			all = append(all, e.Policies[i].Dropped...)
		}
	}
	return append(all, d.dropped...)
}

// begin makes candidates of a route's targets.
func (d *Decision) begin(r *Route, v *View, e *Explained) {
	v.drawn, v.At, v.route = 0, v.Now, r.Name
	d.plan = Plan{Route: r, Steps: d.plan.Steps[:0]}
	d.lasting = false
	d.resting, d.dropped = d.resting[:0], d.dropped[:0]
	c := &d.set
	c.all, c.at, c.trace = c.all[:0], c.at[:0], e
	for i := range r.Targets {
		c.all = append(c.all, Candidate{Target: r.Targets[i], N: i})
		k := &c.all[i]
		if k.Model == "*" {
			k.Model = strings.TrimPrefix(v.Model, k.Provider+"/") // provider/model is how a client may name it
		}
		k.About = v.about(&k.Target)
		k.Signals = k.About.Health.Signals(v.Now)
		c.at = append(c.at, int32(i))
	}
}

// fill takes the candidates, best first, that can do the request, until the plan has enough of those that are ready.
func (d *Decision) fill(v *View, most int) {
	p := &d.plan
	for n := range d.set.at {
		if len(p.Steps) >= most {
			return
		}
		k := d.set.At(n)
		if v.Usable != nil {
			if ok, why := v.Usable(&k.Target); !ok {
				d.dropped = append(d.dropped, Dropped{k.Target.String(), why})
				continue
			}
		}
		ids, rested := v.Keys(d.keys[:0], k.Provider, k.Model)
		d.keys = ids
		closed := rested && k.Signals.Share > 0 && (k.Signals.Share >= 1 || v.Draw() < k.Signals.Share)
		if !closed && d.set.trace != nil {
			d.dropped = append(d.dropped, Dropped{k.Target.String(), restsFor(rested)})
		}
		for _, id := range ids[:min(len(ids), KeysPerTarget)] {
			s := Step{Provider: k.Provider, Model: k.Model, Like: k.Like, Key: id}
			if closed {
				p.Steps = append(p.Steps, s)
			} else {
				d.resting = append(d.resting, s)
			}
		}
	}
}

func restsFor(rested bool) string {
	if !rested {
		return "its keys rest: last choice"
	}
	return "it failed of late: last choice"
}
