package quota

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// message says which limit refused, what is left, and when there is more.
func (r *Refusal) message() string {
	b := r.Budget
	var s strings.Builder
	fmt.Fprintf(&s, "the %s limit of %s is reached: ", b.label(), b.Owner)
	fmt.Fprintf(&s, "%s %s, this request needs up to %s and %s is left", Amount(b.Unit, b.Limit), span(b.Window), Amount(b.Unit, r.Amount), Amount(b.Unit, r.Left))
	switch {
	case r.Hopeless():
		s.WriteString("; a request of this size is over the whole limit")
	case r.Wait > 0:
		fmt.Fprintf(&s, "; it resets within %s", round(r.Wait))
	case b.Window.Kind == window.Gauge:
		s.WriteString("; try again when another has ended")
	}
	return s.String()
}

// label is the unit with what narrows it.
func (b *Budget) label() string {
	s := strings.ReplaceAll(b.Unit.String(), "_", " ")
	switch b.Unit {
	case Money:
		s = "spending"
	case Parallel:
		s = "parallel requests"
	}
	if b.Model != "" {
		s += " (model " + strconv.Quote(b.Model) + ")"
	}
	if b.Target != "" {
		s += " (" + strings.Replace(b.Target, ":", " ", 1) + ")"
	}
	return s
}

// String names an owner in messages. An end user is not named: it is the client's own word.
func (o Owner) String() string {
	switch {
	case o.Level == "end_user":
		return "this end user"
	case o.Name == "":
		return "this " + o.Level
	}
	return o.Level + " " + strconv.Quote(o.Name)
}

func span(w window.Window) string {
	switch w.Kind {
	case window.Fixed, window.Sliding, window.Pace:
		switch w.Length {
		case time.Second:
			return "per second"
		case time.Minute:
			return "per minute"
		case time.Hour:
			return "per hour"
		case 24 * time.Hour:
			return "per 24 hours"
		}
		return "per " + w.Length.String()
	case window.Day, window.Week, window.Month:
		return "per " + w.Kind.String()
	case window.Life:
		return "in total"
	}
	return "at once"
}

// round shows a wait in whole seconds, at least one, and beyond hours in minutes.
func round(d time.Duration) string {
	d = (d + time.Second - 1).Truncate(time.Second)
	if d > 2*time.Hour {
		d = (d + time.Minute - 1).Truncate(time.Minute)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	return s
}

// Amount writes an amount of a unit for people: money in dollars, exact to the last digit.
func Amount(u Unit, n int64) string {
	if u != Money {
		return strconv.FormatInt(n, 10)
	}
	sign := ""
	if n < 0 {
		sign = "-"
	}
	whole, nano := bits.Div64(0, magnitude(n), 1_000_000_000)
	frac := strings.TrimRight(fmt.Sprintf("%09d", nano), "0")
	for len(frac) < 2 {
		frac += "0"
	}
	return fmt.Sprintf("%s%d.%s USD", sign, whole, frac)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}
