// Package ticket is what must survive to continue or close an exchange anywhere: it is made when the exchange
// is planned, travels through Envoy as dynamic metadata, and comes back with every attempt and with the log
// entry. It is data alone: extproc/exchange gives it its meaning.
package ticket

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/jsonx"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/owner"
	"github.com/signalbox-ai/signalbox/providers/dialect"
	"github.com/signalbox-ai/signalbox/routing"
)

// MaxLegs bounds the steps of a ticket: those of a plan, each with a spare one and one more, and further rounds as far as they fit.
const MaxLegs = 4 * routing.MaxSteps

// Version changes when an older process could not serve the ticket.
const Version = 1

// Ticket is what must survive to continue or close an exchange anywhere. It travels as dynamic metadata,
// which clients cannot write, and holds no credential and nothing of the conversation.
type Ticket struct {
	V       int          `json:"v"`
	ID      string       `json:"id"` // the exchange's, and the client's x-request-id
	Dialect dialect.Name `json:"d"`
	Asked
	Route   string            `json:"r"`
	Rules   Rules             `json:"l"`
	Began   int64             `json:"t"`          // Unix milliseconds
	Version string            `json:"c"`          // of the configuration that planned it
	Who     string            `json:"k,omitzero"` // name of the client's key
	By      Charged           `json:"w,omitzero"` // whom the exchange is charged to, beside its key's name
	Hold    string            `json:"q,omitzero"` // what is reserved: metering.Granted; "": nothing is metered
	Tags    map[string]string `json:"g,omitzero"` // by name; nil: none
	Trace   Trace             `json:"x,omitzero"` // "": it is not traced
	Keep    map[string]string `json:"h,omitzero"` // client headers that a target of the dialect gets back
	Steps   []Leg             `json:"p"`
}

// Charged is whom an exchange is charged to. What is usual is left out: see Charge and Ticket.Owner.
type Charged struct {
	Organization string `json:"o,omitzero"` // "": auth.DefaultOrganization
	Team         string `json:"t,omitzero"`
	Project      string `json:"p,omitzero"`
	Key          string `json:"k,omitzero"` // id of the key; "": its name
	User         string `json:"u,omitzero"` // the end user, as the client says
	Shadows      string `json:"s,omitzero"` // the exchange that it is a copy of, ORGANIZATION/ID: then Organization is owner.OwnTraffic; "": it is none
}

// Own reports whether the gateway sent it by itself.
func (c *Charged) Own() bool { return c.Organization == owner.OwnTraffic }

// Probes reports whether it is a probe of the gateway's own, on behalf of nobody.
func (c *Charged) Probes() bool { return c.Own() && c.Shadows == "" }

// Home returns whose team it is: of a copy the one of the exchange that it copies.
func (c *Charged) Home() auth.Owner {
	o := auth.Owner{Organization: cmp.Or(c.Organization, auth.DefaultOrganization), Team: c.Team, Project: c.Project}
	if c.Shadows != "" {
		o.Organization, _, _ = strings.Cut(c.Shadows, "/")
	}
	return o
}

// Charge writes down whom an exchange of an identity is charged to.
func Charge(who auth.Identity) Charged {
	o := who.Owner()
	c := Charged{Organization: o.Organization, Team: o.Team, Project: o.Project, Key: who.KeyID(), User: who.EndUser()}
	if c.Organization == auth.DefaultOrganization {
		c.Organization = ""
	}
	if c.Key == who.Name() {
		c.Key = ""
	}
	return c
}

// Owner returns whom the exchange is charged to, with nothing left out, and the id of the key.
func (t *Ticket) Owner() (o auth.Owner, key string) {
	return auth.Owner{Organization: cmp.Or(t.By.Organization, auth.DefaultOrganization), Team: t.By.Team, Project: t.By.Project}, cmp.Or(t.By.Key, t.Who)
}

// Asked is what the client asked for.
type Asked struct {
	Op     llm.Op `json:"o"`
	Method string `json:"e,omitzero"` // "": POST
	Path   string `json:"a"`          // of the request, with query
	Type   string `json:"y,omitzero"` // content-type of the body; "": JSON
	Model  string `json:"m"`          // as the client named it
	Stream bool   `json:"s,omitzero"`
	Usage  bool   `json:"u,omitzero"` // the client asked for usage in its stream
	Waited Millis `json:"n,omitzero"` // for room at a provider
	Lease  string `json:"i,omitzero"` // by which it runs for its idempotency key: idempotency.Lease; "": it has none
}

// Rules are the route's rules as they were when the exchange was planned.
type Rules struct {
	First   Millis        `json:"f,omitzero"`
	Between Millis        `json:"b,omitzero"`
	Total   Millis        `json:"t,omitzero"`
	Lossy   routing.Lossy `json:"l,omitzero"`
	Mode    routing.Usage `json:"u,omitzero"`
	Show    bool          `json:"s,omitzero"`
	Hold    bool          `json:"h,omitzero"` // first-token failover
	Judge   bool          `json:"j,omitzero"` // read error bodies of whole answers
	Arm     string        `json:"a,omitzero"` // of an experiment: EXPERIMENT/ARM; "": there is none
	Least   bool          `json:"w,omitzero"` // no target was well when it was planned: the least bad is tried
}

// Millis is a duration in the ticket, in milliseconds. 0: none.
type Millis int64

// D returns the duration.
func (m Millis) D() time.Duration { return time.Duration(m) * time.Millisecond }

// Ms rounds up, so that a deadline never becomes none.
func Ms(d time.Duration) Millis {
	return Millis((d + time.Millisecond - 1) / time.Millisecond)
}

// Leg is a step of the plan with its path.
type Leg struct {
	Provider string `json:"p"`
	Model    string `json:"m"`
	Like     string `json:"l,omitzero"`
	Key      string `json:"k,omitzero"`
	Path     Path   `json:"w,omitzero"`
	Taped    bool   `json:"r,omitzero"` // worked to be recorded alone: nothing of its answer is changed
	Spare    bool   `json:"a,omitzero"` // it is no attempt unless the one before it gives an answer that is to be repaired
	Same     bool   `json:"s,omitzero"` // the target of the step before, once more: no attempt unless that failed in a way of which the route says so
	Turn     bool   `json:"u,omitzero"` // no target: Envoy comes to the service, which sees what failed and says how to go on
	Round    int    `json:"n,omitzero"` // from 0
}

// Target returns provider/model.
func (l Leg) Target() string { return l.Provider + "/" + l.Model }

// Read reads a ticket. One that is foreign, damaged or of another version is refused whole.
func Read(s string) (*Ticket, error) {
	if s == "" {
		return nil, fmt.Errorf("no ticket")
	}
	t, err := parse(s)
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func parse(s string) (*Ticket, error) {
	t := new(Ticket)
	if err := jsonx.DecodeStrict([]byte(s), t); err != nil {
		return nil, fmt.Errorf("ticket: %w", err)
	}
	return t, nil
}

// check says why a ticket cannot be served, or nil.
func (t *Ticket) check() error {
	switch {
	case t.V != Version:
		return fmt.Errorf("ticket of version %d", t.V)
	case t.ID == "" || t.Dialect == "" || len(t.Steps) == 0 || len(t.Steps) > MaxLegs:
		return errors.New("incomplete ticket")
	case !t.Trace.valid():
		return errors.New("ticket with a damaged trace")
	}
	return nil
}

// Path is how much of an answer visits the service.
type Path uint8

// Paths, cheapest first.
const (
	Direct   Path = iota // nothing
	Watched              // head and first content
	Worked               // everything
	Listened             // everything, and nothing waits for it or is changed
)

var pathNames = [...]string{"direct", "watched", "worked", "listened"}

// String returns the name used in logs and metrics.
func (p Path) String() string { return pathNames[min(int(p), len(pathNames)-1)] }
