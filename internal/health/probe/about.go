package probe

import (
	"strings"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/owner"
)

// Route is the route of probes in the ledger and in limits. No configured route has this name.
const Route = "signalbox.probe"

// kind is what a pass says first of a probe.
const kind = "probe"

// About is what the pass of a probe says of it.
func About(s health.Subject) string {
	return strings.Join([]string{kind, s.Provider, s.Model, s.Key}, "\n")
}

// ReadAbout reads what a pass says; ok is false where it is about something else.
func ReadAbout(about string) (s health.Subject, ok bool) {
	f := strings.Split(about, "\n")
	if len(f) != 4 || f[0] != kind || f[1] == "" || f[2] == "" {
		return s, false
	}
	return health.Subject{Provider: f[1], Model: f[2], Key: f[3]}, true
}

// Who is whom probes are on behalf of: nobody but the gateway itself.
func Who() auth.Identity {
	k := &auth.Key{ID: kind, Name: kind, Role: auth.RoleMember, Owner: auth.Owner{Organization: owner.OwnTraffic}}
	who, _ := auth.NewGate([]*auth.Key{k}, auth.Options{}).Assume(kind)
	return who
}
