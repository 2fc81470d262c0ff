package observer

import (
	"net/http"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/slo"
)

// Objectives counts exchanges and attempts for what was promised of them, but for what the gateway sends by itself, beside an observer that is told all.
type Objectives struct {
	exchange.Observer
	Tracker *slo.Tracker
	Now     func() time.Time // nil: time.Now
}

var _ exchange.Observer = (*Objectives)(nil)

func (o *Objectives) now() time.Time {
	if o.Now != nil {
		return o.Now()
	}
	return time.Now()
}

// Refused implements exchange.Observer. What is refused by our own fault, or as no provider could be asked, failed.
func (o *Objectives) Refused(r exchange.Refusal) {
	if o.Tracker.On() && !r.Ticket.By.Own() && r.Status >= http.StatusInternalServerError {
		o.Tracker.Exchange(&slo.Event{Route: r.Ticket.Route, Tags: r.Ticket.Tags, Failed: true, Stream: r.Ticket.Stream, Total: r.Took}, o.now())
	}
	o.Observer.Refused(r)
}

// Attempt implements exchange.Observer.
func (o *Objectives) Attempt(a exchange.AttemptSeen) {
	if t := a.Ticket; t != nil && !t.By.Own() && a.N > 0 && a.Unmade == "" && o.Tracker.On() {
		at := &t.Steps[a.N-1]
		o.Tracker.Attempt(&slo.Event{
			Route: t.Route, Tags: t.Tags, Target: slo.Target{Provider: at.Provider, Model: at.Model}, Stream: t.Stream, First: a.First, Total: a.Took,
			Failed: a.Code.Harms(), Left: a.Left || a.Code != llm.CodeNone && !a.Code.Harms(),
		}, o.now())
	}
	o.Observer.Attempt(a)
}

// Closed implements exchange.Observer. Of an exchange whose end nobody saw nothing is known.
func (o *Objectives) Closed(c exchange.Closed) {
	if t := c.Ticket; o.Tracker.On() && !t.By.Own() && c.Ending != exchange.EndedUnseen.String() {
		e := slo.Event{Route: t.Route, Tags: t.Tags, Stream: t.Stream, First: c.First, Total: c.Took}
		switch c.Ending {
		case exchange.EndedWell.String():
		case exchange.EndedByClient.String():
			e.Left = true
		case "error":
			e.Failed = slo.Faulty(c.Status) || c.Status < http.StatusBadRequest // one that broke in its middle
			e.Left = !e.Failed
		default:
			e.Failed = true
		}
		if e.Failed && c.Status >= http.StatusBadRequest {
			e.First = 0 // it is the error's
		}
		o.Tracker.Exchange(&e, o.now())
	}
	o.Observer.Closed(c)
}

// spent counts what an exchange cost for what was promised of it.
func spent(t *slo.Tracker, e *metering.Ended, c *metering.Charge) {
	if !t.On() || e.Own() {
		return
	}
	now := e.Began.Add(e.Took)
	t.Spent(e.Route, e.Tags, c.Prompt+c.Answer, c.Nano, now)
	for i := range min(len(e.Attempts), len(c.Lines)) {
		at, l := &e.Attempts[i], &c.Lines[i]
		if at.Provider != nil {
			t.SpentAt(e.Route, e.Tags, slo.Target{Provider: at.Provider.Name, Model: at.Model}, l.Units.Prompt()+l.Units.Answer(), l.Bill.Nano, now)
		}
	}
}
