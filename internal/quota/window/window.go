// Package window says in which span of time a limit counts: seconds that are aligned or slide, days, weeks and
// months of a calendar in a time zone, a budget's whole life, what is open at once, or an even pace.
//
//	Window ─ Bounds(now, limit) ─► Bounds: what a store needs to find the window that holds its own time
//
// It computes starts and ends and keeps nothing. Which window is current is decided by the store, by its own
// clock, so that replicas whose clocks differ agree; this package only tells it where a calendar has its ends.
package window

import (
	"errors"
	"fmt"
	"time"
)

// Kind is how a window moves.
type Kind uint8

// Kinds. Day, Week (from Monday, ISO 8601) and Month are those of a calendar.
const (
	Fixed   Kind = iota + 1 // Length long, aligned to the epoch of Unix time
	Sliding                 // Length long and ending now: two fixed windows, the earlier weighted by what of it is left
	Day
	Week
	Month
	Life  // never ends: a prepaid amount
	Gauge // what is reserved at this moment, and nothing of the past
	Pace  // limit per Length, evenly: GCRA (ITU-T I.371) with a Burst
)

var names = [...]string{Fixed: "fixed", Sliding: "sliding", Day: "day", Week: "week", Month: "month", Life: "life", Gauge: "gauge", Pace: "pace"}

// String returns the kind's word in configuration and metrics.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind%d", k)
	}
	return names[k]
}

// Letter is the kind in the records of stores: F, S, C for the three of a calendar, L, G, P; 0 for none.
func (k Kind) Letter() byte {
	if int(k) < len(names) {
		return "\x00FSCCCLGP"[k]
	}
	return 0
}

// Window is a span of time. The zero value is none.
type Window struct {
	Kind   Kind
	Length time.Duration  // of Fixed, Sliding and Pace: whole milliseconds
	Zone   *time.Location // of Day, Week and Month; nil is UTC
	Burst  int64          // of Pace: units that may come at once; at least 1
}

// longest keeps milliseconds and microseconds exact in the doubles that scripts of Redis count with.
const longest = 10 * 366 * 24 * time.Hour

// Check says what is wrong with a window.
func (w Window) Check() error {
	timed := w.Kind == Fixed || w.Kind == Sliding || w.Kind == Pace
	switch {
	case w.Kind.Letter() == 0:
		return errors.New("the window has no kind")
	case timed && (w.Length < time.Millisecond || w.Length > longest || w.Length%time.Millisecond != 0):
		return fmt.Errorf("a %s window is from a millisecond to ten years long, in whole milliseconds", w.Kind)
	case !timed && w.Length != 0:
		return fmt.Errorf("a %s window has no length of its own", w.Kind)
	case w.Kind == Pace && w.Burst < 1:
		return errors.New("a pace has a burst of at least 1")
	case w.Kind != Pace && w.Burst != 0:
		return fmt.Errorf("a %s window has no burst", w.Kind)
	}
	return nil
}

// Bounds are a window's numbers for a store.
//
//	Fixed, Sliding   A = length in milliseconds
//	Day, Week, Month A = start of the current one, B = its end, C = end of the next; Unix milliseconds
//	Pace             A = microseconds between two units, B = microseconds that may be used ahead
//	Life, Gauge      nothing
type Bounds struct{ A, B, C int64 }

// Bounds returns the window's numbers at a time of the caller's clock. limit is the budget's, which only Pace
// needs. The window must pass Check.
func (w Window) Bounds(now time.Time, limit int64) Bounds {
	switch w.Kind {
	case Fixed, Sliding:
		return Bounds{A: w.Length.Milliseconds()}
	case Pace:
		return w.pace(limit)
	case Day, Week, Month:
		zone := w.Zone
		if zone == nil {
			zone = time.UTC
		}
		return w.calendar(now.In(zone), zone)
	}
	return Bounds{}
}

// Span returns when the window that a time is in begins and ends, in Unix milliseconds, as records of the ledger name it.
// Of Life, Gauge and Pace, which have no windows, it is 0 and 0.
func (w Window) Span(at time.Time) (from, until int64) {
	switch w.Kind {
	case Fixed, Sliding:
		ms, length := at.UnixMilli(), w.Length.Milliseconds()
		from = ms - ms%length
		return from, from + length
	case Day, Week, Month:
		b := w.Bounds(at, 0)
		return b.A, b.B
	}
	return 0, 0
}

// pace spreads a limit over the length. The interval is rounded up, so that never more than the limit passes in
// the long run; a burst too large for exact arithmetic is cut.
func (w Window) pace(limit int64) Bounds {
	limit = max(limit, 1)
	each := max(1, (w.Length.Microseconds()+limit-1)/limit)
	most := longest.Microseconds()
	if w.Burst > most/each {
		return Bounds{A: each, B: most}
	}
	return Bounds{A: each, B: w.Burst * each}
}

func (w Window) calendar(now time.Time, zone *time.Location) Bounds {
	y, m, d := now.Date()
	step := func(n int) (int, time.Month, int) { return y, m, d + n }
	switch w.Kind {
	case Week:
		back := (int(now.Weekday()) + 6) % 7
		step = func(n int) (int, time.Month, int) { return y, m, d - back + 7*n }
	case Month:
		step = func(n int) (int, time.Month, int) { return y, m + time.Month(n), 1 }
	}
	var out [3]int64
	n := 0
	for i := range out {
		for {
			at := begin(zone)(step(n)).UnixMilli()
			n++
			// A zone that crosses the date line leaves a day out: then two begin at once.
			if i == 0 || at > out[i-1] { //nolint:gosec // i is not 0 there
				out[i] = at
				break
			}
		}
	}
	return Bounds{out[0], out[1], out[2]}
}

// begin returns the function that gives the first instant of a day. That is midnight but for days whose clock
// change leaves midnight out (they begin at the change) or brings it twice (the first counts).
func begin(zone *time.Location) func(int, time.Month, int) time.Time {
	return func(y int, m time.Month, d int) time.Time {
		wall := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		t := time.Date(y, m, d, 0, 0, 0, 0, zone)
		ty, tm, td := t.Date()
		if got := time.Date(ty, tm, td, 0, 0, 0, 0, time.UTC); !got.Equal(wall) {
			if _, end := t.ZoneBounds(); got.Before(wall) && !end.IsZero() {
				return end
			}
			return t
		}
		change, _ := t.ZoneBounds()
		if change.IsZero() {
			return t
		}
		_, offset := change.Add(-time.Second).Zone()
		if earlier := wall.Add(-time.Duration(offset) * time.Second); earlier.Before(change) && earlier.Before(t) {
			return earlier.In(zone)
		}
		return t
	}
}
