package accounts

import (
	"context"
	"slices"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// amend makes corrections of those records of the journal whose exchange the ledger has as expired: its end was told after all, and
// the process that heard it crashed before the ledger knew. The journal has a record as it was before the store said so.
func (a *Accounts) amend(ctx context.Context, records []*ledger.Record) error {
	ids := map[string][]string{}
	for _, r := range records {
		if r.Sequence == 0 && r.Result.Status != ledger.Expired {
			ids[r.Organization] = append(ids[r.Organization], r.ID)
		}
	}
	for organization, list := range ids {
		known, err := a.ledger.Known(ctx, organization, list)
		if err != nil {
			return err
		}
		for _, id := range known {
			all, err := a.ledger.Find(ctx, organization, "", id)
			if err != nil {
				return err
			}
			if len(all) == 0 || all[0].Result.Status != ledger.Expired || slices.ContainsFunc(all, (*ledger.Record).ToldLate) {
				continue // it has the record itself, or the correction
			}
			for _, r := range records {
				if r.Organization == organization && r.ID == id {
					late(r, all[0])
				}
			}
		}
	}
	return nil
}

// late makes a record the correction of the one that was written when the reservation expired.
func late(r, lapse *ledger.Record) {
	r.TellLate()
	r.At = lapse.At
	r.Money.Cost, r.Money.List = r.Money.Cost-lapse.Money.Cost, r.Money.List-lapse.Money.List
	r.Money.Reserved, r.Money.Overrun = 0, 0
	for _, was := range lapse.Money.Charges {
		i := slices.IndexFunc(r.Money.Charges, func(c ledger.Charge) bool { return c.Budget == was.Budget && c.Window == was.Window })
		if i < 0 {
			i = len(r.Money.Charges)
			r.Money.Charges = append(r.Money.Charges, ledger.Charge{Budget: was.Budget, Window: was.Window, Unit: was.Unit})
		}
		r.Money.Charges[i].Amount -= was.Amount
	}
}
