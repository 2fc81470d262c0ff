package sqlite

import "time"

const (
	// breath is a pause between statements. A transaction runs beside the traffic, and Go takes a processor from a goroutine
	// after 10 ms only: on a machine with one, every request that came meanwhile would wait that long.
	breath = 100 * time.Microsecond
	// alone is how long a breath takes where no event ends it: what waits for the network and for timers wakes for an event, or in
	// whole milliseconds. As long may go by until the next breath, as nobody wanted the processor.
	alone = time.Millisecond
)

// pace says when to pause: the zero value begins with a breath.
type pace struct {
	since time.Time // the end of the last breath
	alone bool      // nothing happened in it
}

// rest is called between statements.
func (p *pace) rest() {
	if p.alone && time.Since(p.since) < alone {
		return
	}
	began := time.Now()
	time.Sleep(breath)
	p.since = time.Now()
	p.alone = p.since.Sub(began) >= alone
}
