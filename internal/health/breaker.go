package health

import "time"

// The breaker of a key at a target (RELIABILITY §4).
const (
	breakRow    = 5                // harms in a row that open it
	breakLeast  = 20               // attempts in a window, of which
	breakShare  = 0.5              // this share of harms opens it
	breakWindow = 10 * time.Second // in parts, of which the oldest is forgotten whole
	breakParts  = 10
	openFirst   = 5 * time.Second // how long it stays open, doubled with each failed trial
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
	state  State
	since  time.Time // of the state
	broke  time.Time // when it opened last
	row    int       // harms in a row
	opened int       // times in a row
	trials int       // that are under way, while trying
	passed int       // trials that went well
	heard  bool      // another replica opened it
	from   int64     // the opening of another that was taken over last
	kept   time.Time // until when its trials are for probes alone
	tried  time.Time // when its trials began
	proved bool      // probes were among the trials that went well
	window
}

// window counts the attempts of the last breakWindow.
type window struct {
	part   int64 // number of the newest part
	ends   [breakParts]int32
	harmed [breakParts]int32
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

// until is when one that is open is tried, or when one whose trials are all under way is tried again.
func (b *breaker) until() time.Time {
	if b.state == Trying {
		return b.since.Add(trialTime)
	}
	return b.since.Add(b.rest())
}

// share is what is let in of clients' traffic: all of it while there is room for trials that is theirs.
func (b *breaker) share(now time.Time) float64 {
	switch b.at(now) {
	case Open:
		return 0
	case Trying:
		if b.full(now) || now.Before(b.kept) {
			return 0
		}
	case Closing:
		return rampFrom + (1-rampFrom)*max(0, float64(now.Sub(b.since))/float64(rampTime))
	}
	return 1
}

// full reports whether the trials of one that is tried are all under way or done.
func (b *breaker) full(now time.Time) bool {
	return b.state == Trying && b.trials+b.passed >= probes && now.Sub(b.since) < trialTime
}

// begin counts an attempt that begins, and reports whether the state is another since.
func (b *breaker) begin(now time.Time) bool {
	if b.at(now) != Trying {
		return false
	}
	was := b.state
	switch {
	case was != Trying:
		b.state, b.since, b.trials, b.passed, b.tried = Trying, now, 0, 0, now
	case now.Sub(b.since) >= trialTime: // those that went well count on
		b.since, b.trials = now, 0
	}
	b.trials++
	return was != Trying
}

// drop takes back a begin of which no end is known.
func (b *breaker) drop() {
	if b.state == Trying {
		b.trials = max(b.trials-1, 0)
	}
}

// end counts an attempt that began and ended, and reports whether the state is another since. What was sent before it
// opened says nothing of whether the target is well again.
func (b *breaker) end(began, now time.Time, harmed bool) bool {
	was := b.state
	if s := b.at(now); s == Open || s == Trying && (was == Open || began.Before(b.broke)) {
		return false
	} else if s != was {
		b.state, b.since = s, now
	}
	b.count(now, harmed)
	switch b.state {
	case Trying:
		b.trials = max(b.trials-1, 0)
		if harmed {
			b.open(now)
		} else if b.passed++; b.passed >= probes {
			b.state, b.since = Closing, now
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
	b.state, b.since, b.broke = Open, now, now
	b.opened++
	b.row, b.trials, b.passed, b.heard, b.proved = 0, 0, 0, false, false
	b.window = window{}
}

// adopt opens it as another replica's is, or its own in an earlier life: for the opened-th time in a row, for so long
// still. One that knows of the same opening or a later one stays as it is. It reports whether it opened anew.
func (b *breaker) adopt(opened int, left time.Duration, now time.Time) bool {
	from := breaker{opened: min(max(opened, 1), 12)}
	if left = min(left, from.rest()); left <= 0 {
		return false
	}
	broke := now.Add(left - from.rest())
	if !broke.After(b.broke.Add(sameOpening)) {
		return false
	}
	b.open(broke)
	b.opened = from.opened
	return true
}

// sameOpening is within what time two replicas open for the same reason.
const sameOpening = time.Second

// count keeps the window and the row.
func (b *breaker) count(now time.Time, harmed bool) {
	w := &b.window
	part := now.UnixNano() / int64(breakWindow/breakParts)
	for n := range min(max(part-w.part, 0), breakParts) {
		i := (part - n) % breakParts
		w.ends[i], w.harmed[i] = 0, 0
	}
	w.part = max(w.part, part)
	i := w.part % breakParts
	w.ends[i]++
	if !harmed {
		b.row = 0
		return
	}
	w.harmed[i]++
	b.row++
}

// fails reports whether what was counted opens it. Only what harmed can.
func (b *breaker) fails() bool {
	if b.row == 0 {
		return false
	}
	if b.row >= breakRow {
		return true
	}
	n, bad := int32(0), int32(0)
	for i := range breakParts {
		n += b.window.ends[i]
		bad += b.window.harmed[i]
	}
	return n >= breakLeast && float64(bad) >= breakShare*float64(n)
}
