package health

import "time"

// The breaker of a key at a target (RELIABILITY §4).
const (
	breakRow    = 5                // harms in a row that open it
	breakLeast  = 20               // attempts in a window, of which
	breakShare  = 0.5              // this share of harms opens it
	breakWindow = 10 * time.Second //
	openFirst   = 5 * time.Second  // how long it stays open, doubled with each failed trial
	openLongest = 2 * time.Minute
	probes      = 3                // trials that must go well before it closes
	trialTime   = 30 * time.Second // after which others are tried in place of trials of which nothing was heard
	rampFrom    = 0.1
	rampTime    = 10 * time.Second // from rampFrom of the traffic to all of it, so that those who wait do not fall on it at once
)

// State is that of a breaker.
type State uint8

// States.
const (
	Closed  State = iota
	Open          // nobody is let in
	Trying        // a few are, to see
	Closing       // a growing share is
)

var stateNames = [...]string{"closed", "open", "half_open", "closing"}

// String returns the word used in logs and metrics.
func (s State) String() string { return stateNames[min(int(s), len(stateNames)-1)] }

// breaker is a state machine over the ends of attempts. Its zero value is closed.
type breaker struct {
	state     State
	since     time.Time // of the state
	row       int       // harms in a row
	opened    int       // times in a row
	trials    int       // that are under way, while trying
	passed    int       // trials that went well
	from      time.Time // of the window
	n, harmed int       // in the window
	old, bad  int       // in the window before
}

// at returns the state at a time: one that is open is tried when its time is over.
func (b *breaker) at(now time.Time) State {
	switch b.state {
	case Open:
		if now.Sub(b.since) >= b.rest() {
			return Trying
		}
	case Closing:
		if now.Sub(b.since) >= rampTime {
			return Closed
		}
	}
	return b.state
}

// rest is how long it stays open.
func (b *breaker) rest() time.Duration {
	return min(openFirst<<min(max(b.opened-1, 0), 10), openLongest)
}

// until is when an open breaker is tried.
func (b *breaker) until() time.Time { return b.since.Add(b.rest()) }

// share is what is let in of the traffic: all of it while there is room for trials.
func (b *breaker) share(now time.Time) float64 {
	switch b.at(now) {
	case Open:
		return 0
	case Trying:
		if b.state == Trying && b.trials+b.passed >= probes && now.Sub(b.since) < trialTime {
			return 0
		}
	case Closing:
		return rampFrom + (1-rampFrom)*float64(now.Sub(b.since))/float64(rampTime)
	}
	return 1
}

// begin counts an attempt that begins.
func (b *breaker) begin(now time.Time) {
	if b.at(now) != Trying {
		return
	}
	if b.state != Trying || now.Sub(b.since) >= trialTime {
		b.state, b.since, b.trials, b.passed = Trying, now, 0, 0
	}
	b.trials++
}

// end counts an attempt that ended, and reports whether the state is another since.
func (b *breaker) end(now time.Time, harmed bool) bool {
	was := b.state
	b.state = b.at(now)
	b.count(now, harmed)
	switch b.state {
	case Trying:
		b.trials = max(b.trials-1, 0)
		switch {
		case harmed:
			b.open(now)
		default:
			if b.passed++; b.passed >= probes {
				b.state, b.since = Closing, now
			}
		}
	case Closed, Closing:
		if b.fails() {
			b.open(now)
		} else if b.state == Closed && !harmed {
			b.opened = 0
		}
	}
	return b.state != was
}

func (b *breaker) open(now time.Time) {
	b.state, b.since = Open, now
	b.opened++
	b.row, b.n, b.harmed, b.old, b.bad, b.trials, b.passed = 0, 0, 0, 0, 0, 0, 0
}

// count keeps two windows, of which both count.
func (b *breaker) count(now time.Time, harmed bool) {
	switch age := now.Sub(b.from); {
	case age >= 2*breakWindow:
		b.from, b.n, b.harmed, b.old, b.bad = now, 0, 0, 0, 0
	case age >= breakWindow:
		b.from, b.old, b.bad, b.n, b.harmed = now, b.n, b.harmed, 0, 0
	}
	b.n++
	if harmed {
		b.harmed++
		b.row++
	} else {
		b.row = 0
	}
}

func (b *breaker) fails() bool {
	n, bad := b.n+b.old, b.harmed+b.bad
	return b.row >= breakRow || n >= breakLeast && float64(bad) >= breakShare*float64(n)
}
