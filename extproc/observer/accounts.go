package observer

import (
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// Accounts counts what exchanges cost, on the way to the books.
type Accounts struct {
	cost    *telemetry.CostMeters
	trouble *trouble.Log
	next    metering.Books

	Objectives *slo.Tracker // nil: nothing was promised of costs
}

var _ metering.Books = (*Accounts)(nil)

// NewAccounts makes Accounts. What must not happen goes into a log, which may be nil. next gets everything as it is; nil:
// nobody does.
func NewAccounts(c *telemetry.CostMeters, t *trouble.Log, next metering.Books) *Accounts {
	return &Accounts{cost: c, trouble: t, next: next}
}

// Write implements metering.Books.
func (a *Accounts) Write(e *metering.Ended, c *metering.Charge) *ledger.Record {
	for i := range min(len(e.Attempts), len(c.Lines)) {
		at, bill := &e.Attempts[i], &c.Lines[i].Bill
		x := telemetry.Cost{Route: e.Route, Model: at.Model, Tags: tagsOf(e), Nano: bill.Nano, Saved: bill.Saved, Unpriced: bill.Flags&cost.Unpriced != 0}
		if at.Provider != nil {
			x.Provider = at.Provider.Name
		}
		a.cost.Charged(x)
		if x.Unpriced {
			a.trouble.Note(trouble.What{Kind: trouble.Unpriced, Subject: x.Provider + "/" + x.Model}, 1)
		}
	}
	spent(a.Objectives, e, c)
	a.trouble.Rate(trouble.Expired, false)
	for i := range min(len(c.Charged), len(c.Reserved)) {
		b, over := c.Charged[i].Budget, c.Charged[i].Amount-c.Reserved[i].Amount
		if b.Unit != quota.Money || b.Soft || b.Shadow || over <= 0 {
			continue
		}
		a.cost.Overrun(b.Owner.Level, over)
		a.trouble.Note(trouble.What{Kind: trouble.Overrun, Organization: e.Party.Organization, Subject: b.ID}, over)
	}
	if a.next == nil {
		return nil
	}
	return a.next.Write(e, c)
}

// tagsOf are the tags whose owners pay for an exchange: of what the gateway sends by itself none.
func tagsOf(e *metering.Ended) map[string]string {
	if e.Own() {
		return nil
	}
	return e.Tags
}

// Keep implements metering.Books.
func (a *Accounts) Keep(r *ledger.Record, c *metering.Charge) {
	if a.next != nil {
		a.next.Keep(r, c)
	}
}

// Lapsed implements metering.Books.
func (a *Accounts) Lapsed(organization string, l quota.Lapse) *ledger.Record {
	a.trouble.Bad(trouble.Expired, 1)
	if a.next == nil {
		return nil
	}
	return a.next.Lapsed(organization, l)
}
