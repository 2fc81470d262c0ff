package upkeep

import (
	"errors"
	"reflect"

	"github.com/signalbox-ai/signalbox/internal/health/probe"
	"github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Settings are the section health of the configuration.
type Settings struct {
	State      string     `yaml:"state" form:"path" doc:"File that keeps what was learnt of targets, so that it survives a restart; none: it is learnt anew."`
	Share      string     `yaml:"share" form:"share" doc:"Where replicas tell each other what they learn. quota: in the Redis of quota.store, where that is one; none: each goes by its own; or the address of a Redis as quota.store has it."`
	Password   secret.Ref `yaml:"password" doc:"The password of the Redis that share names, by reference."`
	CA         string     `yaml:"ca" form:"file" doc:"File of the authorities (PEM) that its certificate is verified with, in place of the system's."`
	Cert       string     `yaml:"cert" form:"file" doc:"File of the certificate (PEM) that is shown to it."`
	Key        string     `yaml:"cert_key" form:"file" doc:"File of its private key (PEM)."`
	ServerName string     `yaml:"server_name" zero:"the host in the address" doc:"The name that its certificate must have."`

	Probe probe.Settings `yaml:"probe" doc:"Requests of Signalbox's own to targets, to learn whether they answer."`
}

// Values of Share that are no address.
const (
	withQuota = "quota"
	alone     = "none"
)

// Preset returns what holds where the file says nothing.
func Preset() Settings {
	return Settings{State: "run/health.json", Share: withQuota, Probe: probe.Preset()}
}

// Form checks a value of Share.
func Form(s string) error {
	if s == withQuota || s == alone {
		return nil
	}
	if err := redis.CheckURL(s); err != nil {
		return errors.New("must be quota, none, or the address of a Redis: " + err.Error())
	}
	return nil
}

// Check calls fail for each field that does not fit the others.
func (s *Settings) Check(fail func(field, message string)) {
	if (s.Cert == "") != (s.Key == "") {
		fail("cert", "cert and cert_key belong together")
	}
	if s.Share != withQuota && s.Share != alone {
		return
	}
	for _, f := range []struct{ name, value string }{{"password", string(s.Password)}, {"ca", s.CA}, {"cert", s.Cert}, {"server_name", s.ServerName}} {
		if f.value != "" {
			fail(f.name, "is for the Redis that share names, and it names none")
		}
	}
}

// Same reports whether other settings differ in nothing that takes a restart.
func (s *Settings) Same(other *Settings) bool {
	a, b := *s, *other
	a.Probe, b.Probe = probe.Settings{}, probe.Settings{}
	return reflect.DeepEqual(a, b)
}

// Files lists the files whose change is a change of the configuration.
func (s *Settings) Files() []string { return []string{s.CA, s.Cert, s.Key} }

// File returns the path of State, "" where nothing is kept.
func (s *Settings) File() string {
	if s.State == "none" {
		return ""
	}
	return s.State
}

// Place is a Redis, and how it is connected to.
type Place struct {
	URL      string // "": there is none
	Password secret.Ref
	redis.Security
}

// Place returns where replicas tell each other. quota is where limits are counted.
func (s *Settings) Place(quota Place) Place {
	switch s.Share {
	case alone:
		return Place{}
	case withQuota:
		return quota
	}
	return Place{s.Share, s.Password, redis.Security{CA: s.CA, Cert: s.Cert, Key: s.Key, Name: s.ServerName}}
}
