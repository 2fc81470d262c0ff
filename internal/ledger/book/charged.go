package book

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Charged is what all records together charge a budget in one of its windows.
type Charged struct {
	Budget string
	Window int64 // its start, Unix seconds; 0: it has no windows
	Amount int64 // in the budget's unit; money is in nano-USD
}

// Charger is a store that knows what budgets were charged, for rebuilding their counters. Retention does not touch
// these sums until their windows are long over.
type Charger interface {
	// Charged returns the sums of an organization's budgets whose windows begin at a time or later, and of those
	// without windows, in the order of budget and window.
	Charged(ctx context.Context, organization string, since time.Time) ([]Charged, error)
	// ChargedOf does so for some budgets.
	ChargedOf(ctx context.Context, organization string, budgets []string, since time.Time) ([]Charged, error)
}

// Knower is a store that tells which exchanges it has.
type Knower interface {
	// Known returns those ids of an organization's exchanges that have a record; corrections do not count.
	Known(ctx context.Context, organization string, ids []string) ([]string, error)
}

// Charge is a Charged of an organization.
type Charge struct {
	Organization string
	Charged
}

// Charges adds up what records charge, in one order, so that transactions at once lock alike.
func Charges(records []*ledger.Record) []Charge {
	sums := map[Charge]int64{}
	for _, r := range records {
		for _, c := range r.Money.Charges {
			sums[Charge{r.Organization, Charged{Budget: c.Budget, Window: c.Window}}] += c.Amount
		}
	}
	out := make([]Charge, 0, len(sums))
	for c, n := range sums {
		c.Amount = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Charge) int {
		return cmp.Or(cmp.Compare(a.Organization, b.Organization), cmp.Compare(a.Budget, b.Budget), cmp.Compare(a.Window, b.Window))
	})
	return out
}

// KeptCharges is how long sums of windows are kept: the longest has a month, and the one before still counts.
const KeptCharges = 100 * 24 * time.Hour

// Charged implements Charger.
func (l *Lazy) Charged(ctx context.Context, organization string, since time.Time) ([]Charged, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.(Charger).Charged(ctx, organization, since)
}

// ChargedOf implements Charger.
func (l *Lazy) ChargedOf(ctx context.Context, organization string, budgets []string, since time.Time) ([]Charged, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.(Charger).ChargedOf(ctx, organization, budgets, since)
}

// Known implements Knower.
func (l *Lazy) Known(ctx context.Context, organization string, ids []string) ([]string, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.(Knower).Known(ctx, organization, ids)
}
