package probe

import (
	"slices"
	"time"
)

// Settings are the section health.probe of the configuration.
type Settings struct {
	When      string        `yaml:"when" enum:"none,resting,idle,always" short:"true" zero:"idle where there is the section, otherwise none" doc:"Which targets are probed. resting: those whose breaker waits for trials. idle: those, and whom nobody has asked for the time of every. always: all of them, however often they are asked. none: no target."`
	Every     time.Duration `yaml:"every" doc:"How often a target is probed that does not rest, up to a fifth more, at random. One that rests is probed when its breaker lets trials in."`
	Timeout   time.Duration `yaml:"timeout" doc:"How long an answer may take."`
	Ask       string        `yaml:"ask" enum:"chat,models" doc:"What is asked. chat: one word of the model itself, an answer of one token. models: the provider's list of models, which costs nothing and says nothing of the single model. Providers without one are not probed then."`
	Budget    string        `yaml:"budget" form:"money" doc:"What all probes together may cost in a day (UTC), as 1 USD."`
	Providers []string      `yaml:"providers" form:"name" max:"256" zero:"all" doc:"The providers whose targets are probed, by name."`
}

// Words of Settings.
const (
	Off      = "none"
	quietly  = "idle"
	AsksChat = "chat"
	AsksList = "models"
)

// Preset returns what holds where the file says nothing.
func Preset() Settings {
	return Settings{Every: 30 * time.Second, Timeout: 5 * time.Second, Ask: AsksChat, Budget: "1 USD"}
}

// Use puts in what follows from the section being there.
func (s *Settings) Use() {
	if s.When == "" {
		s.When = quietly
	}
}

// On reports whether anything is probed.
func (s *Settings) On() bool { return s.When != "" && s.When != Off }

// least is how often targets are probed at most.
const least = time.Second

// most of Timeout: what takes longer is no sign of life.
const longest = 10 * time.Minute

// Check calls fail for each field that is not within bounds.
func (s *Settings) Check(fail func(field, message string)) {
	if s.Every < least {
		fail("every", "must be at least 1s")
	}
	if s.Timeout > longest {
		fail("timeout", "must be at most 10m")
	}
}

// Rules returns what a Prober goes by.
func (s *Settings) Rules() Rules {
	if !s.On() {
		return Rules{}
	}
	r := Rules{When: When(slices.Index([]string{Off, "resting", quietly, "always"}, s.When)), Every: s.Every, Timeout: s.Timeout}
	return r
}

// Covers reports whether targets of a provider are probed.
func (s *Settings) Covers(provider string) bool {
	return len(s.Providers) == 0 || slices.Contains(s.Providers, provider)
}
