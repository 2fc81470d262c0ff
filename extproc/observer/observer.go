package observer

import (
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Observer counts what happens to exchanges.
type Observer struct {
	metrics *telemetry.Metrics
}

var _ exchange.Observer = (*Observer)(nil)

// New makes an Observer.
func New(m *telemetry.Metrics) *Observer { return &Observer{metrics: m} }

// Refused implements exchange.Observer.
func (o *Observer) Refused(r exchange.Refusal) {
	e := telemetry.Exchange{Dialect: string(r.Ticket.Dialect), Outcome: "answered", Took: r.Took, Tags: r.Ticket.Tags, Trace: example(r.Ticket)}
	if r.Code != llm.CodeNone {
		e.Outcome, e.Error = "refused", r.Code.String()
		o.metrics.Error(r.Code, "plan")
	}
	o.metrics.Exchange(&e)
}

// Planned implements exchange.Observer.
func (o *Observer) Planned(p exchange.Planned) { o.metrics.Planned(p.Path.String(), p.Took) }

// Attempt implements exchange.Observer.
func (o *Observer) Attempt(a exchange.AttemptSeen) {
	o.metrics.LogEntry("attempt")
	if a.Code != llm.CodeNone {
		o.metrics.Error(a.Code, "attempt")
	}
	m := telemetry.Attempt{Provider: a.Provider, Code: a.Code, Path: a.Path.String(), Took: a.Took, First: a.First}
	if t := a.Ticket; t != nil {
		m.Trace = example(t)
		c := call(t, t.Steps[a.N-1], a.At)
		m.Call = &c
	}
	o.metrics.Attempt(&m)
}

// Lost implements exchange.Observer.
func (o *Observer) Lost(from, to dialect.Name, n int) {
	o.metrics.Losses(string(from), string(to), n)
}

// Closed implements exchange.Observer.
func (o *Observer) Closed(c exchange.Closed) {
	if c.Swept {
		o.metrics.Swept(1)
	} else {
		o.metrics.LogEntry("request")
	}
	t := c.Ticket
	asked := call(t, c.Last, c.At)
	e := telemetry.Exchange{
		Route: t.Route, Dialect: string(t.Dialect), Outcome: c.Ending, Took: c.Took, First: c.First,
		Call: &asked, Tags: t.Tags, Trace: example(t),
	}
	if c.Ending != exchange.EndedWell.String() {
		e.Error = c.Ending
	}
	if c.Usage.Output.Known && !c.Partial {
		e.Output = c.Usage.Output.N
	}
	o.metrics.Exchange(&e)
	o.metrics.Usage(&asked, string(c.Source), &c.Usage, t.Tags)
}

// example is the trace that a measurement points to, where it is kept.
func example(t *ticket.Ticket) string {
	if t.Trace.Sampled() {
		return t.Trace.ID()
	}
	return ""
}

// call is what a leg's provider was asked for. p is nil where it is not configured any more.
func call(t *ticket.Ticket, l ticket.Leg, p *providers.Provider) telemetry.Call {
	c := telemetry.Call{Operation: operation(t.Op, t.Dialect), Model: l.Model, Provider: l.Provider, Stream: t.Stream}
	if p != nil {
		c.System = system(p.Kind)
	}
	return c
}
