package routing

// Explained is why a decision came out as it did. A decision that is explained is made exactly as one that is not.
type Explained struct {
	Policies []Verdict // in the order in which they were applied
	Unusable []Dropped // targets that were next and cannot do the request, or of which all keys rest
	Plan     []string  // targets in the order of the plan
}

// Verdict is what one policy did.
type Verdict struct {
	Policy  string
	In, Out []string // targets before and after, best first
	Dropped []Dropped
	Scores  []Scored // what the order was made of
}

// Dropped is a target that a decision left out, or put last, and why.
type Dropped struct{ Target, Why string }

// Scored is what a policy thinks of a target.
type Scored struct{ Target, Score string }

func (e *Explained) begin(name string, c *Candidates) {
	e.Policies = append(e.Policies, Verdict{Policy: name, In: c.names()})
}

func (e *Explained) end(c *Candidates) {
	e.Policies[len(e.Policies)-1].Out = c.names()
}

func (e *Explained) drop(_ string, k *Candidate, why string) {
	v := &e.Policies[len(e.Policies)-1]
	v.Dropped = append(v.Dropped, Dropped{k.Target.String(), why})
}

func (e *Explained) score(_ string, k *Candidate, why string) {
	v := &e.Policies[len(e.Policies)-1]
	v.Scores = append(v.Scores, Scored{k.Target.String(), why})
}

func (c *Candidates) names() []string {
	out := make([]string, len(c.at))
	for n := range c.at {
		out[n] = c.At(n).Target.String()
	}
	return out
}
