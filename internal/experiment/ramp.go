package experiment

import "time"

// Ramp raises the share of an experiment's second arm by steps, and stops where that arm is worse than the control.
type Ramp struct {
	Steps     []int         // shares of the second arm in percent, rising
	Hold      time.Duration // least time of a step
	Exchanges int           // least exchanges of the second arm in a step
	Floor     float64       // share of success that the second arm must have, from 0 to 1; 0: none
	Worse     float64       // by how much its share of success may be lower than the control's
	Slower    float64       // by which part its answers may take longer
	Promote   bool          // the second arm gets everything after the last step
	SLOs      []string      // names of the objectives of which the second arm must not burn the error budgets
}

// weights are those of the arms at a step.
func (r *Ramp) weights(step int) []int {
	share := r.Steps[min(max(step, 0), len(r.Steps)-1)]
	return []int{100 - share, share}
}

// Seen is what a step of a ramp has shown so far.
type Seen struct {
	For       time.Duration // since the step began
	Exchanges int           // of the second arm
	// Most is the highest share of success that the second arm may have; it is nearly certain at a single look.
	Most float64
	// Worse and Slower are the differences from the control where they are certain at any number of looks; 0: they are not.
	Worse, Slower float64
	Burns         string // which error budget the second arm burns so fast that it is urgent, and how; "": none
	Spends        string // likewise, faster than it lasts
}

// Next says how an experiment at a phase stands after what was seen, and why it changed; "": it did not. What is promoted is the
// second arm, whatever Phase.Arm says.
func (r *Ramp) Next(now Phase, s Seen) (next Phase, why string) {
	stop := Phase{State: Stopped}
	switch {
	case now.State == Stopped || now.State == Promoted:
		return now, ""
	case s.Exchanges > 0 && s.Most < r.Floor:
		return stop, "the share of success is below the floor"
	case s.Burns != "":
		return stop, s.Burns
	case s.Worse > r.Worse:
		return stop, "the share of success is lower than the control's by more than is allowed"
	case s.Slower > r.Slower:
		return stop, "answers take longer than the control's by more than is allowed"
	case s.For < r.Hold || s.Exchanges < r.Exchanges:
		return now, ""
	case s.Spends != "":
		return stop, s.Spends
	case now.Step+1 < len(r.Steps):
		return Phase{State: Running, Step: now.Step + 1}, "the step before went well"
	case r.Promote:
		return Phase{State: Promoted}, "all steps went well"
	}
	return now, ""
}
