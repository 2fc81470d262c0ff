package policy

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/glob"
	"github.com/signalbox-ai/signalbox/routing"
)

// Schedule prefers, avoids or allows targets at some hours of some days: only leaves out all others, never leaves out
// these, prefer tries these first, and avoid tries them last. At other times it does nothing. Several schedules
// stand one behind the other.
//
// Hours run from the first to the second, without it; where to is not later than from, over midnight, and then days are those on which
// they begin. Changes to summer time and back are kept to.
type Schedule struct {
	From   string   `yaml:"from" form:"hour" zero:"the whole day" doc:"When it begins, as 22:00."`
	To     string   `yaml:"to" form:"hour" zero:"the whole day" doc:"When it ends, as 06:00."`
	Days   []string `yaml:"days" enum:"mon,tue,wed,thu,fri,sat,sun" max:"7" zero:"every day" doc:"On which days."`
	Zone   string   `yaml:"zone" doc:"The time zone of the hours and days, as Europe/Berlin."`
	Only   []string `yaml:"only" form:"matching" max:"64" doc:"Targets that are left, as PROVIDER/MODEL, and patterns of them; so with the next."`
	Never  []string `yaml:"never" form:"matching" max:"64" doc:"Targets that are left out."`
	Prefer []string `yaml:"prefer" form:"matching" max:"64" doc:"Targets that come first."`
	Avoid  []string `yaml:"avoid" form:"matching" max:"64" doc:"Targets that come last."`

	zone     *time.Location
	from, to int      // minutes of the day; equal: all of it
	on       [7]bool  // by time.Weekday
	clock    []string // for explanations
}

var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Check parses the hours.
func (p *Schedule) Check() error {
	if (p.From == "") != (p.To == "") {
		return errors.New("from and to stand together")
	}
	if len(p.Only)+len(p.Never)+len(p.Prefer)+len(p.Avoid) == 0 {
		return errors.New("no targets are named; say only, never, prefer or avoid")
	}
	if p.From == "" && len(p.Days) == 0 {
		return errors.New("it would hold at all times; say from and to, or days")
	}
	if p.From != "" && p.From == p.To {
		return errors.New("from and to are the same; leave them out for whole days")
	}
	p.from, p.to = minutes(p.From), minutes(p.To)
	for i, d := range weekdays {
		p.on[i] = len(p.Days) == 0 || slices.Contains(p.Days, d)
	}
	var err error
	if p.zone, err = time.LoadLocation(p.Zone); err != nil {
		return errors.New("zone: there is no such time zone, or this system has no data of time zones")
	}
	p.clock = nil
	for _, s := range []string{strings.Join(p.Days, ", "), strings.TrimPrefix(p.From+"–"+p.To, "–"), p.zone.String()} {
		if s != "" {
			p.clock = append(p.clock, s)
		}
	}
	return nil
}

// minutes of the day that an hour stands for.
func minutes(hour string) int {
	t, err := time.Parse("15:04", hour)
	if err != nil {
		return 0
	}
	return t.Hour()*60 + t.Minute()
}

// holds reports whether the schedule is on at a time.
func (p *Schedule) holds(now time.Time) bool {
	if p.zone == nil {
		return false // not checked
	}
	t := now.In(p.zone)
	at, day := t.Hour()*60+t.Minute(), t.Weekday()
	switch {
	case p.from == p.to:
		return p.on[day]
	case p.from < p.to:
		return p.on[day] && at >= p.from && at < p.to
	case at >= p.from:
		return p.on[day]
	}
	return at < p.to && p.on[(day+6)%7] // it began the day before
}

// Apply does what the schedule says, while it is on.
func (p *Schedule) Apply(v *routing.View, c *routing.Candidates) {
	if !p.holds(v.Now) {
		return
	}
	if len(p.Only)+len(p.Never) > 0 {
		c.Keep(func(k *routing.Candidate) bool {
			return (len(p.Only) == 0 || listed(p.Only, k)) && !listed(p.Never, k)
		}, func(*routing.Candidate) string { return "not at this time (" + strings.Join(p.clock, " ") + ")" })
	}
	if len(p.Prefer)+len(p.Avoid) == 0 {
		return
	}
	c.Sort(func(k *routing.Candidate) int64 {
		switch {
		case listed(p.Avoid, k):
			return 1
		case listed(p.Prefer, k):
			return -1
		}
		return 0
	}, func(k *routing.Candidate) string {
		switch {
		case listed(p.Avoid, k):
			return "avoided at this time"
		case listed(p.Prefer, k):
			return "preferred at this time"
		}
		return "as at all times"
	})
}

// listed reports whether a target is in a list of PROVIDER/MODEL and patterns.
func listed(list []string, k *routing.Candidate) bool {
	for _, p := range list {
		if n := len(k.Provider); len(p) == n+1+len(k.Model) && p[:n] == k.Provider && p[n] == '/' && p[n+1:] == k.Model {
			return true
		}
		if !glob.Is(p) {
			continue
		}
		provider, model, both := strings.Cut(p, "/")
		if both && glob.Match(provider, k.Provider) && glob.Match(model, k.Model) || !both && p == "*" {
			return true
		}
	}
	return false
}
