package experiment

import "sync/atomic"

// State is whether an experiment assigns.
type State string

// States.
const (
	Running  State = "running"  // by its weights
	Stopped  State = "stopped"  // nothing: every request gets the route as it is without the experiment
	Promoted State = "promoted" // nothing: every request gets one arm
)

// Phase is how an experiment stands. The zero Phase is running.
type Phase struct {
	State State
	Arm   string // that is promoted
	Step  int    // of a ramp
}

// Board is how the experiments of a process stand. A nil Board says of all that they run. It is safe for concurrent use.
type Board struct {
	phases atomic.Pointer[map[string]Phase]
}

// Set puts phases in place by the names of experiments. The map is the Board's from then on.
func (b *Board) Set(phases map[string]Phase) { b.phases.Store(&phases) }

// Of returns how an experiment stands.
func (b *Board) Of(name string) Phase {
	if b == nil {
		return Phase{}
	}
	all := b.phases.Load()
	if all == nil {
		return Phase{}
	}
	return (*all)[name]
}
