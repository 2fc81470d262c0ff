// Package books writes down what exchanges used and cost: each end, refusal and expiry becomes a record of the
// ledger.
//
//	metering.Meter ─ Keep ─────────┐
//	exchange.Core ─ Refused ───────┴─► ledger.Record ─► Writer, behind the traffic
//
// It computes nothing and waits for nothing. A request that nobody was let in for has no owner, and no record.
package books

import (
	"cmp"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
)

// Adder takes records, and never waits.
type Adder interface{ Add(r *ledger.Record) }

// Books is safe for concurrent use.
type Books struct {
	to      Adder
	version string // of the catalog's price cards, for attempts whose line says none
	budget  func(id string) *quota.Budget
}

var _ metering.Books = (*Books)(nil)

// New makes Books. version says where price cards are from: the day of the catalog. budget finds a budget by its id, or
// returns nil.
func New(to Adder, version string, budget func(id string) *quota.Budget) *Books {
	return &Books{to: to, version: version, budget: budget}
}

// Write implements metering.Books.
func (b *Books) Write(e *metering.Ended, c *metering.Charge) *ledger.Record {
	r := &ledger.Record{
		Key:  ledger.Key{Organization: e.Party.Organization, ID: metering.ID(e.Hold)},
		At:   e.Began,
		Who:  ledger.Who{Team: e.Party.Team, Project: e.Party.Project, Key: cmp.Or(e.KeyName, e.Party.Key), KeyID: e.Party.Key, User: e.Party.EndUser},
		Tags: e.Tags,
		Asked: ledger.Asked{
			Op: e.Op.String(), Dialect: e.Dialect, Model: e.Model, Route: e.Route, Stream: e.Stream, Arm: e.Arm, Shadows: e.Shadows, Request: e.ID, Config: metering.ConfigOf(e.Config),
		},
		Result: ledger.Result{Status: status(e), HTTP: e.Status, Took: ledger.Ms(e.Took), First: ledger.Ms(e.First), Waited: ledger.Ms(e.Waited), Trace: e.Trace},
	}
	if n := len(e.Attempts); n > 0 {
		r.Asked.Path = e.Attempts[n-1].Path
		r.Result.Why = e.Attempts[n-1].Code
	}
	if e.Least {
		r.Result.Flags = append(r.Result.Flags, leastBad)
	}
	b.money(r, c, e.Began.Add(e.Waited))
	var began time.Duration
	for i := range e.Attempts {
		r.Attempts = append(r.Attempts, b.attempt(e, i, &c.Lines[i], began))
		began += e.Attempts[i].Took
	}
	return r
}

// leastBad is the flag of an exchange for which no target of its route was well.
const leastBad ledger.Flag = "least_bad"

// Keep implements metering.Books.
func (b *Books) Keep(r *ledger.Record, c *metering.Charge) {
	if c.Outcome.Over || c.Lost || c.Outcome.From == quota.Expired {
		r.Line = ""
	}
	if c.Outcome.Over {
		r.Result.Flags = append(r.Result.Flags, ledger.Overrun)
	}
	if c.Lost {
		r.Result.Flags = append(r.Result.Flags, ledger.Degraded)
	}
	if c.Outcome.From == quota.Expired {
		late(r, c)
	}
	b.to.Add(r)
}

// late makes a record the correction of the one that was written when the reservation expired, at the same time.
func late(r *ledger.Record, c *metering.Charge) {
	r.TellLate()
	r.At = lapsed(r.ID, r.At)
	r.Money.Cost, r.Money.List = r.Money.Cost-r.Money.Reserved, r.Money.List-r.Money.Reserved
	r.Money.Reserved, r.Money.Overrun = 0, 0
	n := 0
	for i := range c.Reserved {
		if c.Reserved[i].Budget.Window.Kind != window.Gauge {
			r.Money.Charges[n].Amount -= c.Reserved[i].Amount
			n++
		}
	}
}

// money writes what was reserved, at a time, and charged.
func (b *Books) money(r *ledger.Record, c *metering.Charge, reserved time.Time) {
	r.Money.Cost = ledger.Nano(c.Nano)
	for i := range c.Lines {
		r.Money.List += ledger.Nano(c.Lines[i].Bill.List)
		r.Money.Saved += ledger.Nano(c.Lines[i].Bill.Saved)
	}
	for i := range c.Charged {
		was, is := c.Reserved[i], c.Charged[i]
		if is.Budget.Unit == quota.Money {
			r.Money.Reserved = max(r.Money.Reserved, ledger.Nano(was.Amount))
			r.Money.Overrun = max(r.Money.Overrun, ledger.Nano(is.Amount-was.Amount))
		}
		if is.Budget.Window.Kind != window.Gauge {
			r.Money.Charges = append(r.Money.Charges, ledger.Charge{Budget: is.Budget.ID, Window: start(is.Budget, reserved), Unit: is.Budget.Unit.String(), Amount: is.Amount})
		}
	}
}

// start is when the window begins that an exchange is charged to, by our clock, in Unix seconds; 0: it has none.
func start(b *quota.Budget, at time.Time) int64 {
	from, _ := b.Window.Span(at)
	return from / 1000
}

func (b *Books) attempt(e *metering.Ended, i int, l *metering.Line, began time.Duration) ledger.Attempt {
	a := &e.Attempts[i]
	out := ledger.Attempt{
		Number: i + 1,
		Target: ledger.Target{Provider: a.Provider.Name, Kind: a.Provider.Kind, Model: a.Model, Region: a.Provider.Region},
		Began:  ledger.Ms(began), Took: ledger.Ms(a.Took), First: ledger.Ms(a.First), HTTP: a.Status, Code: a.Code,
		Units: ledger.Units(l.Units), Bill: ledger.BillOf(&l.Bill, l.Card, cmp.Or(l.Version, b.version)), Flags: append(ledger.FlagsOf(l.Bill.Flags), a.Flags...),
	}
	t := &l.Terms
	out.Service, out.Priced = t.Service, ledger.Priced{Region: t.Region, Switches: t.Switches, Search: t.Search, Size: t.Look.Size, Quality: t.Look.Quality}
	last := i == len(e.Attempts)-1
	switch {
	case l.Reserved:
		out.Source = ledger.Reserved
	case last && e.Usage.Known():
		out.Source = ledger.Provider
	case last && out.Units.Prompt()+out.Units.Answer() > 0:
		out.Source = ledger.Bytes
	}
	if last {
		out.Service = cmp.Or(e.Service, out.Service)
	}
	out.Exact = last && e.Whole && !l.Reserved
	return out
}

// status is how an exchange ended, in the ledger's words.
func status(e *metering.Ended) ledger.Status {
	switch {
	case e.Ending == "client_abort":
		return ledger.ClientAbort
	case e.Ending == "timeout":
		return ledger.Timeout
	case e.Ending == "ok" && e.Status < 400:
		return ledger.OK
	}
	return ledger.UpstreamError
}

// Lapsed implements metering.Books. The record is at the time that its id was minted, whenever it is made: sums of days hold
// the charge and its correction together, and a record that is made again is the same.
func (b *Books) Lapsed(organization string, l quota.Lapse) *ledger.Record {
	r := &ledger.Record{Key: ledger.Key{Organization: organization, ID: l.ID}, At: lapsed(l.ID, time.Now()), Result: ledger.Result{Status: ledger.Expired}}
	for _, p := range l.Parts {
		c := ledger.Charge{Budget: p.Budget, Window: p.Start / 1000, Amount: p.Amount}
		unit := budgets.UnitOf(p.Budget)
		if found := b.budget(p.Budget); found != nil {
			unit = found.Unit
			owned(&r.Who, found)
		}
		if unit != 0 {
			c.Unit = unit.String()
		}
		if unit == quota.Money {
			r.Money.Cost = max(r.Money.Cost, ledger.Nano(p.Amount))
			r.Money.Reserved, r.Money.List = r.Money.Cost, r.Money.Cost
		}
		if p.Kind != window.Gauge.Letter() {
			r.Money.Charges = append(r.Money.Charges, c)
		}
	}
	return r
}

// lapsed is the time of what is written of a reservation that expired: when its id was minted. Of one that has no such id, as that
// of a lease, it is another.
func lapsed(id string, other time.Time) time.Time {
	if at, ok := metering.Minted(id); ok {
		return at
	}
	return other
}

// owned adds what a budget says of who had a reservation. No budget names more than one of them.
func owned(w *ledger.Who, b *quota.Budget) {
	switch b.Owner.Level {
	case "team":
		w.Team = b.Owner.Name
	case "project":
		w.Project = b.Owner.Name
	case "key":
		w.Key, w.KeyID = b.Owner.Name, b.Owner.Name
	case "end_user":
		w.User = b.Owner.Name
	}
}

// Refused writes down a request that was refused in the plan stage, or got the answer of an earlier one.
func (b *Books) Refused(r exchange.Refusal) {
	t := r.Ticket
	if r.Code == llm.CodeNone && r.Again == nil || r.Code == llm.CodeUnauthenticated || t.Who == "" || t.By.Own() { // nobody asked for it
		return
	}
	owner, key := t.Owner()
	status, why := ledger.Refused, r.Code.String()
	if r.Again != nil {
		status, why = ledger.Replayed, cmp.Or(r.Again.Record, r.Again.Exchange)
	}
	b.to.Add(&ledger.Record{
		Key:    ledger.Key{Organization: owner.Organization, ID: metering.NewID()},
		At:     r.Began,
		Who:    ledger.Who{Team: owner.Team, Project: owner.Project, Key: t.Who, KeyID: key, User: t.By.User},
		Tags:   t.Tags,
		Asked:  ledger.Asked{Op: t.Op.String(), Dialect: string(t.Dialect), Model: t.Model, Route: t.Route, Stream: t.Stream, Arm: t.Rules.Arm, Request: t.ID, Config: metering.ConfigOf(t.Version)},
		Result: ledger.Result{Status: status, HTTP: r.Status, Took: ledger.Ms(r.Took), Waited: ledger.Ms(t.Waited.D()), Trace: t.Trace.ID(), Why: why},
	})
}
