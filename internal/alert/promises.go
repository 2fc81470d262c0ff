package alert

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/slo"
)

// unkept finds objectives whose error budget burns too fast, or is used up.
func unkept(all []slo.Status, now time.Time) (out []*Alert) {
	for i := range all {
		s := &all[i]
		if s.Alarm != nil {
			out = append(out, burns(s, now))
		}
		if s.N >= slo.Enough && s.Left <= 0 {
			a := promise(s, "spent", "warning", 24*time.Hour, now)
			a.Title = fmt.Sprintf("%s has used up its error budget", goal(s))
			a.Text = fmt.Sprintf("Over the last %d days it is %s.", int(s.Window.Hours()/24), attained(s))
			out = append(out, a)
		}
	}
	return out
}

// burns says that a budget burns too fast: of what is urgent every six hours, else once a day.
func burns(s *slo.Status, now time.Time) *Alert {
	every := 24 * time.Hour
	if s.Alarm.Severity == "critical" {
		every = 6 * time.Hour
	}
	a := promise(s, "burn", s.Alarm.Severity, every, now)
	long, short := s.Burn[s.Alarm.Long], s.Burn[s.Alarm.Short]
	a.Title = fmt.Sprintf("%s burns its error budget at %.1f times the even pace", goal(s), min(long, short))
	a.Text = fmt.Sprintf("In the last %s it was %.1f times the pace that would use it up exactly in %d days, in the last %s %.1f times; %.1f is too much. %s.",
		slo.WindowName(s.Alarm.Long), long, int(s.Window.Hours()/24), slo.WindowName(s.Alarm.Short), short, s.Over, left(s))
	a.Facts = append(a.Facts, channel.Fact{Name: "burn_" + slo.WindowName(s.Alarm.Short), Value: factor(short)}, channel.Fact{Name: "burn_" + slo.WindowName(s.Alarm.Long), Value: factor(long)})
	return a
}

func promise(s *slo.Status, what, severity string, every time.Duration, now time.Time) *Alert {
	a := &Alert{}
	a.Message = channel.Message{ID: fmt.Sprintf("slo/%s/%s/%s/%s/%d", s.Name, s.Kind, what, severity, now.Truncate(every).Unix()), At: now, Kind: "slo", Severity: severity}
	a.Facts = []channel.Fact{{Name: "slo", Value: s.Name}, {Name: "objective", Value: s.Kind.String()}, {Name: "attained", Value: attained(s)}, {Name: "budget_left", Value: share(s.Left)}}
	return a
}

// goal names an objective.
func goal(s *slo.Status) string {
	switch s.Kind {
	case slo.FirstToken:
		return fmt.Sprintf("%s's promise of a first token within %s", s.Name, s.Within)
	case slo.Total:
		return fmt.Sprintf("%s's promise of an answer within %s", s.Name, s.Within)
	case slo.Cost:
		return fmt.Sprintf("%s's promise of %s for 1000 tokens", s.Name, dollars(s.Allow))
	}
	return fmt.Sprintf("%s's promise of %s successes", s.Name, share(1-s.Allow))
}

// attained says how it stands.
func attained(s *slo.Status) string {
	switch s.Kind {
	case slo.FirstToken, slo.Total:
		return share(s.Attained) + " in time"
	case slo.Cost:
		return dollars(s.Attained) + " for 1000 tokens"
	}
	return share(s.Attained) + " successes"
}

func left(s *slo.Status) string {
	if s.Left <= 0 {
		return "Nothing of the budget is left"
	}
	return share(s.Left) + " of the budget is left"
}

// share writes a share as percent, with at most three places.
func share(f float64) string {
	s := strconv.FormatFloat(f*100, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "%"
}

// dollars writes what a thousand tokens cost, of which one costs so many nano-USD.
func dollars(nano float64) string { return ledger.Nano(nano*1000).String() + " USD" }

func factor(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
