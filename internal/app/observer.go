package app

import (
	"io"
	"log/slog"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func newLogger(w io.Writer, c *config.Config) (*slog.Logger, error) {
	return telemetry.NewLogger(w, c.Log.Format, c.Log.Level)
}

// observer counts what happens to exchanges.
type observer struct{ *telemetry.Metrics }

var _ exchange.Observer = observer{}

// Refused implements exchange.Observer.
func (o observer) Refused(r exchange.Refusal) {
	outcome := "answered"
	if r.Code != llm.CodeNone {
		outcome = "refused"
		o.Metrics.Error(r.Code, "plan")
	}
	o.Metrics.Exchange(telemetry.Exchange{Dialect: string(r.Dialect), Outcome: outcome, Took: r.Took})
}

// Planned implements exchange.Observer.
func (o observer) Planned(p exchange.Planned) { o.Metrics.Planned(p.Path.String(), p.Took) }

// Attempt implements exchange.Observer.
func (o observer) Attempt(a exchange.AttemptSeen) {
	o.Metrics.LogEntry("attempt")
	if a.Code != llm.CodeNone {
		o.Metrics.Error(a.Code, "attempt")
	}
	o.Metrics.Attempt(telemetry.Attempt{Provider: a.Provider, Code: a.Code, Path: a.Path.String(), First: a.First})
}

// Lost implements exchange.Observer.
func (o observer) Lost(from, to dialect.Name, n int) {
	o.Metrics.Losses(string(from), string(to), n)
}

// Closed implements exchange.Observer.
func (o observer) Closed(c exchange.Closed) {
	if c.Swept {
		o.Metrics.Swept(1)
	} else {
		o.Metrics.LogEntry("request")
	}
	o.Metrics.Exchange(telemetry.Exchange{Route: c.Route, Dialect: string(c.Dialect), Outcome: c.Ending, Took: c.Took})
	o.Metrics.Usage(c.Provider, string(c.Source), &c.Usage)
}
