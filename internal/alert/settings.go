// Package alert says what somebody should look at: limits that are nearly used up, will be, or burn too fast; hours out
// of the ordinary; keys that end; promises of service that
// are broken; and what must not happen at all. It reads the ledger, and says everything once.
//
//	ledger, counters, trouble ─ Watcher ─► alerts ─ rules ─► channels (internal/alert/channel)
//	                               └─ claims in the ledger: neither restarts nor replicas repeat one
//
// Nothing is kept of an alert but that it was said: each minute they are found anew, so that one that could not be
// delivered is tried again for as long as it holds.
package alert

import (
	"fmt"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/alert/channel"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
)

// Settings say who is told what.
type Settings struct {
	Channels  []channel.Settings `yaml:"channels" max:"32" doc:"Where alerts go. Due where there is the section."`
	Rules     []Rule             `yaml:"rules" max:"100" zero:"everything goes to every channel" doc:"Which alerts go to which channels: to those of every rule that they fit."`
	Every     time.Duration      `yaml:"every" doc:"How often the ledger is read."`
	Anomalies string             `yaml:"anomalies_from" form:"money" doc:"What an hour of a key at a model has cost at least before it can be out of the ordinary."`
	Expiry    int                `yaml:"expiry_days" max:"365" doc:"Days before its end that a key is alerted of; 0: only when it has ended."`
}

// Rule sends alerts that fit all it says to channels.
type Rule struct {
	On            []string `yaml:"on" enum:"threshold,burn,forecast,anomaly,key,fault,slo,experiment" max:"8" zero:"every kind" doc:"The kinds of alerts."`
	From          string   `yaml:"from" enum:"info,warning,critical" zero:"info" doc:"The least severity."`
	Organizations []string `yaml:"organizations" form:"name" max:"1000" zero:"every organization" doc:"The organizations that they are about."`
	Teams         []string `yaml:"teams" form:"name" max:"1000" zero:"every team" doc:"The teams that they are about, with their projects and keys."`
	Projects      []string `yaml:"projects" form:"name" max:"1000" zero:"every project" doc:"The projects that they are about."`
	Channels      []string `yaml:"channels" form:"name" max:"32" zero:"every channel" doc:"The channels that get them."`
}

// Preset returns what holds where the file says nothing.
func Preset() Settings { return Settings{Every: time.Minute, Anomalies: "1 USD", Expiry: 7} }

// On reports whether there is anybody to tell.
func (s *Settings) On() bool { return len(s.Channels) > 0 }

// Channel returns a channel by its name, or nil.
func (s *Settings) Channel(name string) *channel.Settings {
	i := slices.IndexFunc(s.Channels, func(c channel.Settings) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Channels[i]
}

// Check finds what no single field shows. Paths are within the section.
func (s *Settings) Check(fail func(path, message string)) {
	for i := range s.Channels {
		at := fmt.Sprintf("channels[%d]", i)
		s.Channels[i].Check(func(path, message string) {
			if path != "" {
				path = "." + path
			}
			fail(at+path, message)
		})
	}
	for i := range s.Rules {
		for j, name := range s.Rules[i].Channels {
			if s.Channel(name) == nil {
				fail(fmt.Sprintf("rules[%d].channels[%d]", i, j), "no channel has this name")
			}
		}
	}
	if s.Every < 10*time.Second || s.Every > time.Hour {
		fail("every", "every: must be from 10s to 1h")
	}
}

// Files returns the files that are named.
func (s *Settings) Files() (out []string) {
	for i := range s.Channels {
		out = append(out, s.Channels[i].Files()...)
	}
	return out
}

// least returns the least cost of an anomaly, in nano-USD.
func (s *Settings) least() int64 {
	n, _ := budgets.ParseMoney(s.Anomalies)
	return n
}

// receivers returns the channels that get an alert, by their place. A fault that no rule fits goes to all of them.
func (s *Settings) receivers(a *Alert) []int {
	got := make([]bool, len(s.Channels))
	fit := false
	for i := range s.Rules {
		r := &s.Rules[i]
		if !r.fits(a) {
			continue
		}
		fit = true
		for j := range s.Channels {
			got[j] = got[j] || len(r.Channels) == 0 || slices.Contains(r.Channels, s.Channels[j].Name)
		}
	}
	var out []int
	for j := range got {
		if got[j] || len(s.Rules) == 0 || !fit && a.Kind == "fault" {
			out = append(out, j)
		}
	}
	return out
}

func (r *Rule) fits(a *Alert) bool {
	among := func(names []string, name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	return among(r.On, a.Kind) && severity(a.Severity) >= severity(r.From) &&
		among(r.Organizations, a.Organization) && among(r.Teams, a.Team) && among(r.Projects, a.Project)
}

func severity(s string) int { return slices.Index([]string{"info", "warning", "critical"}, s) }
