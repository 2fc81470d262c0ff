package observer

import (
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// Accounts counts what exchanges cost, on the way to the books.
type Accounts struct {
	cost *telemetry.CostMeters
	next metering.Books
}

var _ metering.Books = (*Accounts)(nil)

// NewAccounts makes Accounts. next gets everything as it is; nil: nobody does.
func NewAccounts(c *telemetry.CostMeters, next metering.Books) *Accounts {
	return &Accounts{cost: c, next: next}
}

// Write implements metering.Books.
func (a *Accounts) Write(e *metering.Ended, c *metering.Charge) *ledger.Record {
	for i := range min(len(e.Attempts), len(c.Lines)) {
		at, bill := &e.Attempts[i], &c.Lines[i].Bill
		x := telemetry.Cost{Route: e.Route, Model: at.Model, Tags: e.Tags, Nano: bill.Nano, Saved: bill.Saved, Unpriced: bill.Flags&cost.Unpriced != 0}
		if at.Provider != nil {
			x.Provider = at.Provider.Name
		}
		a.cost.Charged(x)
	}
	for i := range min(len(c.Charged), len(c.Reserved)) {
		if b := c.Charged[i].Budget; b.Unit == quota.Money && !b.Soft && !b.Shadow {
			a.cost.Overrun(b.Owner.Level, c.Charged[i].Amount-c.Reserved[i].Amount)
		}
	}
	if a.next == nil {
		return nil
	}
	return a.next.Write(e, c)
}

// Keep implements metering.Books.
func (a *Accounts) Keep(r *ledger.Record, c *metering.Charge) {
	if a.next != nil {
		a.next.Keep(r, c)
	}
}

// Lapsed implements metering.Books.
func (a *Accounts) Lapsed(organization string, l quota.Lapse) *ledger.Record {
	if a.next == nil {
		return nil
	}
	return a.next.Lapsed(organization, l)
}
