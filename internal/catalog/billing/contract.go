// Package billing holds how a provider bills one customer: negotiated discounts, what becomes of models without a
// known price, and what is charged for attempts that did not end well. The arithmetic is internal/catalog/cost's.
package billing

import (
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/catalog/price"
)

// Unknown says what becomes of a model whose price is not known.
type Unknown uint8

// Policies.
const (
	Deny   Unknown = iota // refused where a limit of money applies; else as Record
	Record                // charged what is known of it, and flagged
	Gratis                // it costs nothing: a provider of one's own
)

// Contract is what was agreed with one provider, and what is known of how it bills. The zero value, and nil,
// is the list price.
type Contract struct {
	Discounts []Discount
	Unknown   Unknown
	Service   string      // tier of what asks for none
	Ceiling   price.Rates // taken where no rate is known, in place of the policy
	Rules     Rules
}

// Discount is a negotiated share of the list price. Of several that fit, the first holds.
type Discount struct {
	Fits        func(model string) bool // nil: every model
	Paid        int64                   // thousandths of the list price
	From, Until time.Time               // [From, Until); zero: no end
}

// Terms returns the terms of a model for an exchange that was admitted at a time. The caller adds what the
// exchange itself decides: service tier, where another than the account's, region, switches, search size, images.
func (c *Contract) Terms(model string, at time.Time) cost.Terms {
	t := cost.Terms{At: at}
	if c == nil {
		return t
	}
	t.Ceiling, t.Free, t.Service = c.Ceiling, c.Unknown == Gratis, c.Service
	for _, d := range c.Discounts {
		if !at.Before(d.From) && (d.Until.IsZero() || at.Before(d.Until)) && (d.Fits == nil || d.Fits(model)) {
			t.Paid = d.Paid
			break
		}
	}
	return t
}

// Denies reports whether an exchange whose bill or bound has these flags is to be refused where a limit of
// money applies.
func (c *Contract) Denies(f cost.Flags) bool {
	return f&cost.Unpriced != 0 && (c == nil || c.Unknown == Deny)
}
