// Package experiment assigns requests to the arms of experiments. An assignment is a function of the experiment, its shares
// and what the request belongs to, so that every replica finds the same without asking another.
//
// It reads no clock and does no I/O. What arms mean is the configuration's, what came of them internal/experiment/results'.
package experiment

import "math"

// Ways in which requests belong together: what Experiment.By may be.
const (
	ByKey     = "key"
	ByUser    = "user"
	BySession = "session"
	ByRequest = "request"
)

// Experiment is a comparison of arms. It does not change.
type Experiment struct {
	Name   string
	By     string  // what keeps its arm: a key, a user, a session, or nothing beyond a request
	Arms   []Arm   // the first is the control, which the others are compared with
	Ramp   *Ramp   // in place of the weights of its two arms; nil: there is none
	Shadow *Shadow // every request gets the control, and some are sent to the other arms, too; nil: arms are assigned
}

// Arm is one way of answering.
type Arm struct {
	Name   string
	Weight int // share of what is assigned
}

// Weights returns the weights of the arms at a phase, nil: those that they have.
func (e *Experiment) Weights(at Phase) []int {
	if e.Ramp == nil {
		return nil
	}
	return e.Ramp.weights(at.Step)
}

// Assign returns the index of the arm of a unit: a key, a user, a session. weights stand in place of the arms' own; nil:
// they do not. It is weighted rendezvous hashing: when an arm's weight rises, units move to it from all others, and none
// between the others; what a replica calls the unit must be the same everywhere. Without any weight the control is taken.
func (e *Experiment) Assign(unit string, weights []int) int {
	best, least := 0, math.Inf(1)
	for i := range e.Arms {
		w := e.Arms[i].Weight
		if weights != nil {
			w = weights[i]
		}
		if w <= 0 {
			continue
		}
		if s := score(e.Name, e.Arms[i].Name, unit) / float64(w); s < least {
			best, least = i, s
		}
	}
	return best
}

// score is a number from the exponential distribution of rate 1, by the hash of three texts. Of such numbers, each over its
// weight, the least is that of an arm with the probability of its share.
func score(parts ...string) float64 { return -math.Log(uniform(parts...)) }

// uniform is a number between 0 and 1 by the hash of texts.
func uniform(parts ...string) float64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	for _, p := range parts {
		for i := range len(p) {
			h = (h ^ uint64(p[i])) * prime
		}
		h = (h ^ 0xff) * prime // no text in UTF-8 has it
	}
	h ^= h >> 30 // the finalizer of SplitMix64
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	h ^= h >> 31
	return (float64(h>>11) + 0.5) / (1 << 53)
}
