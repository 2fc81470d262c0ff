package observer

import (
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// Options of an Observer.
type Options struct {
	Metrics *telemetry.Metrics
	Spans   otlp.Sink // nil: none are made
	Errors  bool      // spans are also made of what failed and is not sampled
}

// Observer counts what happens to exchanges, and hands in spans.
type Observer struct {
	metrics *telemetry.Metrics
	spans   otlp.Sink
	errors  bool
}

var _ exchange.Observer = (*Observer)(nil)

// New makes an Observer.
func New(o Options) *Observer {
	return &Observer{metrics: o.Metrics, spans: o.Spans, errors: o.Errors}
}

// keeps reports whether a span is made of something in a trace.
func (o *Observer) keeps(t ticket.Trace, failed bool) bool {
	return o.spans != nil && t != "" && (t.Sampled() || o.errors && failed)
}

// example is the trace that a measurement points to, "" where there is no span to be found.
func (o *Observer) example(t ticket.Trace, failed bool) string {
	if o.keeps(t, failed) {
		return t.ID()
	}
	return ""
}

// Refused implements exchange.Observer.
func (o *Observer) Refused(r exchange.Refusal) {
	failed := r.Code != llm.CodeNone
	e := telemetry.Exchange{Dialect: string(r.Ticket.Dialect), Outcome: "answered", Took: r.Took, Tags: r.Ticket.Tags, Arm: r.Ticket.Rules.Arm, Trace: o.example(r.Ticket.Trace, failed)}
	if by := &r.Ticket.By; by.Own() {
		if e.Outcome = "refused"; !by.Probes() {
			o.metrics.Copy(&e)
		}
		return
	}
	switch {
	case failed:
		e.Outcome, e.Error = "refused", r.Code.String()
		o.metrics.Error(r.Code, "plan")
	case r.Again != nil:
		e.Route, e.Outcome = r.Ticket.Route, "replayed"
	}
	if r.Denied != "" {
		o.metrics.AuthFailure(r.Denied)
	}
	o.metrics.Exchange(&e)
	if o.keeps(r.Ticket.Trace, failed) {
		o.spans.Add(refusal(r))
	}
}

// Planned implements exchange.Observer.
func (o *Observer) Planned(p exchange.Planned) {
	o.metrics.Planned(p.Path.String(), p.Took)
	if p.Least {
		o.metrics.Health.LeastBad(p.Route)
	}
}

// Attempt implements exchange.Observer.
func (o *Observer) Attempt(a exchange.AttemptSeen) {
	if a.Unmade != "" {
		o.metrics.Unmade(a.Provider, a.Unmade)
		return
	}
	o.metrics.LogEntry("attempt")
	if a.Code != llm.CodeNone {
		o.metrics.Error(a.Code, "attempt")
	}
	m := telemetry.Attempt{Provider: a.Provider, Code: a.Code, Path: a.Path.String(), Took: a.Took, First: a.First}
	if t := a.Ticket; t != nil {
		failed := a.Code != llm.CodeNone
		m.Trace = o.example(t.Trace, failed)
		l := &t.Steps[a.N-1]
		m.Call = call(t, *l, a.At)
		if l.Same {
			o.metrics.Failover.Same(a.Provider, a.Code)
		}
		if l.Spare {
			o.metrics.Failover.Repair(a.Provider, a.Code)
		}
		if o.keeps(t.Trace, failed) {
			o.spans.Add(attempt(a))
		}
	}
	o.metrics.Attempt(&m)
}

// Lost implements exchange.Observer.
func (o *Observer) Lost(from, to dialect.Name, n int) {
	o.metrics.Losses(string(from), string(to), n)
}

// Closed implements exchange.Observer.
func (o *Observer) Closed(c exchange.Closed) {
	if c.Ending == exchange.EndedUnseen.String() {
		o.metrics.Swept(1)
	} else {
		o.metrics.LogEntry("request")
	}
	t, failed := c.Ticket, c.Ending != exchange.EndedWell.String()
	e := telemetry.Exchange{
		Route: t.Route, Dialect: string(t.Dialect), Outcome: c.Ending, Took: c.Took, First: c.First,
		Call: call(t, c.Last, c.At), Tags: t.Tags, Arm: t.Rules.Arm, Trace: o.example(t.Trace, failed),
	}
	if failed {
		e.Error = c.Ending
	}
	if c.Usage.Output.Known && !c.Partial {
		e.Output = c.Usage.Output.N
	}
	if t.By.Own() {
		if !t.By.Probes() {
			o.metrics.Copy(&e)
		}
		o.metrics.Usage(&e.Call, string(c.Source), &c.Usage, nil)
	} else {
		o.metrics.Exchange(&e)
		o.metrics.Usage(&e.Call, string(c.Source), &c.Usage, t.Tags)
	}
	o.metrics.Failover.Rounds(t.Route, c.Rounds)
	if c.Mended != "" {
		o.metrics.Failover.Mended(c.Last.Provider, c.Mended)
	}
	if o.keeps(t.Trace, failed) {
		o.spans.Add(closed(c))
	}
}

// call is what a leg's provider was asked for. p is nil where it is not configured any more.
func call(t *ticket.Ticket, l ticket.Leg, p *providers.Provider) telemetry.Call {
	c := telemetry.Call{Operation: operation(t.Op, t.Dialect), Model: l.Model, Provider: l.Provider, Stream: t.Stream}
	if p != nil {
		c.System = system(p.Kind)
	}
	return c
}
