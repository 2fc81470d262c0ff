package alert

import (
	"fmt"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
)

// Canary is a canary that has come to an end by itself.
type Canary struct {
	Experiment string
	Route      string // "": the configuration does not have the experiment any more
	Arm        string // that every request gets from then on; "": the canary was stopped
	Why        string
	At         time.Time
}

// ended finds canaries that came to an end within a day.
func ended(all []Canary, now time.Time) (out []*Alert) {
	for i := range all {
		c := &all[i]
		if now.Sub(c.At) >= lapse {
			continue
		}
		a := &Alert{}
		a.Message = channel.Message{ID: fmt.Sprintf("experiment/%s/%d", c.Experiment, c.At.Unix()), At: now, Kind: "experiment", Severity: "warning"}
		a.Title = fmt.Sprintf("the canary %s was stopped: %s", c.Experiment, c.Why)
		a.Text = "Every request gets the route as it is without the experiment. signalbox experiments show " + c.Experiment + " says what the arms did; start begins it anew."
		if c.Arm != "" {
			a.Severity = "info"
			a.Title = fmt.Sprintf("the canary %s is over: every request gets the arm %s", c.Experiment, c.Arm)
			a.Text = "It holds until the route has what the arm has. signalbox experiments show " + c.Experiment + " says what the arms did; stop goes back."
			a.Facts = append(a.Facts, channel.Fact{Name: "arm", Value: c.Arm})
		}
		a.Facts = append(a.Facts, channel.Fact{Name: "experiment", Value: c.Experiment}, channel.Fact{Name: "since", Value: c.At.UTC().Format(time.RFC3339)})
		if c.Route != "" {
			a.Facts = append(a.Facts, channel.Fact{Name: "route", Value: c.Route})
		}
		out = append(out, a)
	}
	return out
}
