// Package slo keeps count of what was promised of exchanges: how many were as fast, as successful and as cheap as their
// objective says, how much of the error budget is left, and how fast it is used up.
//
//	exchanges, attempts, costs ─► Tracker ─ Status ─► metrics, alerts, signalbox slo
//	                                 └───── Burn ─► routing
//
// The arithmetic is that of the workbook of site reliability engineering (sre.google/workbook/alerting-on-slos): burn 1
// uses the budget up exactly at the end of the window, and an alert needs a long and a short window, so that it comes
// soon, and goes soon when the cause is gone. The package decides nothing, reads no clock and starts no goroutine.
package slo

import (
	"maps"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/glob"
)

// Kind is what an objective is about.
type Kind uint8

// Kinds.
const (
	FirstToken Kind = iota // time from a request to the first byte of its stream
	Total                  // time from a request to the last byte of its answer
	Success                // exchanges that do not fail by the service's or a provider's fault
	Cost                   // money for tokens
)

var kinds = [...]string{"first_token", "total", "success", "cost"}

// String returns the word used in metrics.
func (k Kind) String() string { return kinds[min(int(k), len(kinds)-1)] }

// Objective is a promise. For each kind its error budget is a share: of exchanges that may be slow or fail, or of the
// money that tokens may cost.
type Objective struct {
	Name   string // of the route, or of its own
	Kind   Kind
	Within time.Duration // FirstToken, Total: what is slower is bad
	Allow  float64       // the share of exchanges that may be bad; Cost: nano-USD for a token
	Window time.Duration // over which the promise holds, whole days
	Scope  Scope
}

// Scope is which exchanges an objective is about. What it does not name is not looked at.
type Scope struct {
	Routes []string
	Tags   map[string][]string // each must have one of its values, or patterns; empty: it is missing
}

// Holds reports whether an exchange is meant.
func (s *Scope) Holds(route string, tags map[string]string) bool {
	if len(s.Routes) > 0 && !slices.Contains(s.Routes, route) {
		return false
	}
	for name, values := range s.Tags {
		if !among(values, tags[name]) {
			return false
		}
	}
	return true
}

func among(patterns []string, value string) bool {
	for _, p := range patterns {
		if glob.Match(p, value) {
			return true
		}
	}
	return false
}

func (s *Scope) equal(o *Scope) bool {
	return slices.Equal(s.Routes, o.Routes) && maps.EqualFunc(s.Tags, o.Tags, slices.Equal[[]string])
}

// same reports whether what was counted for one objective counts for another.
func (o *Objective) same(p *Objective) bool {
	return o.Name == p.Name && o.Kind == p.Kind && o.Within == p.Within && o.Scope.equal(&p.Scope)
}

// Sum is what was counted in some time.
type Sum struct {
	N   int64 // exchanges
	Bad int64 // exchanges; Cost: nano-USD
	All int64 // exchanges; Cost: tokens
}

func (s *Sum) add(o Sum) { s.N, s.Bad, s.All = s.N+o.N, s.Bad+o.Bad, s.All+o.All }

// Burn is how many times faster than evenly the budget was used up: 1 uses it up exactly at the end of the window.
func (o *Objective) Burn(s Sum) float64 {
	if s.All == 0 || o.Allow <= 0 {
		return 0
	}
	return float64(s.Bad) / (float64(s.All) * o.Allow)
}

// Attained is the share of exchanges that were good; of Cost, nano-USD for a token. Without any there is none.
func (o *Objective) Attained(s Sum) float64 {
	switch {
	case o.Kind == Cost && s.All == 0:
		return 0
	case o.Kind == Cost:
		return float64(s.Bad) / float64(s.All)
	case s.All == 0:
		return 1
	}
	return 1 - float64(s.Bad)/float64(s.All)
}

// Windows of which burn is told, shortest first.
const (
	Minutes5 = iota
	Minutes30
	Hour1
	Hours6
	Days3
	Windows // how many there are
)

const day = 24 * time.Hour

var spans = [Windows]struct {
	name string
	of   time.Duration
}{{"5m", 5 * time.Minute}, {"30m", 30 * time.Minute}, {"1h", time.Hour}, {"6h", 6 * time.Hour}, {"3d", 3 * day}}

// WindowName returns the name of a window as metrics have it.
func WindowName(w int) string { return spans[w].name }

// WindowLength returns how long a window is.
func WindowLength(w int) time.Duration { return spans[w].of }

// Alarm is a pair of windows whose burn is alerted of.
type Alarm struct {
	Short, Long int
	Severity    string
	Share       float64 // of the budget of the window, which is used up by then
}

// alarms are the pairs of the workbook, worst first.
var alarms = [...]Alarm{{Minutes5, Hour1, "critical", .02}, {Minutes30, Hours6, "critical", .05}, {Hours6, Days3, "warning", .1}}

// Alarms returns the pairs of windows that are alerted of, worst first.
func Alarms() []Alarm { return slices.Clone(alarms[:]) }

// Over returns the burn from which on a pair is alerted of: in its long window so much of the whole budget is used up as
// the pair stands for. It is not under 1, which harms nobody, and not beyond what nine of ten bad exchanges make: a
// generous objective could not be alerted of at all.
func (o *Objective) Over(a Alarm) float64 {
	over := max(a.Share*float64(o.Window)/float64(spans[a.Long].of), 1)
	if o.Kind != Cost && o.Allow > 0 {
		over = min(over, .9/o.Allow)
	}
	return over
}

// Enough is how many exchanges say enough to alert, or to steer by.
const Enough = 10

// Status is how an objective stands.
type Status struct {
	Objective
	Sum      // of its window
	Attained float64
	Left     float64 // share of the error budget that is left; below 0: more than all was used
	Burn     [Windows]float64
	Alarm    *Alarm // that is due; nil: none
	Over     float64
}

// status judges sums, by the window.
func (o *Objective) status(whole Sum, by *[Windows]Sum) (s Status) {
	s = Status{Objective: *o, Sum: whole, Attained: o.Attained(whole), Left: 1 - o.Burn(whole)}
	for w := range by {
		s.Burn[w] = o.Burn(by[w])
	}
	for i := range alarms {
		a := &alarms[i]
		over := o.Over(*a)
		if by[a.Long].N >= Enough && s.Burn[a.Long] > over && s.Burn[a.Short] > over {
			s.Alarm, s.Over = a, over
			break
		}
	}
	return s
}
