package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
	"github.com/signalbox-ai/signalbox/internal/quota/window"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// longestPast is how far back windows begin that may still count: the month before this one.
const longestPast = 63 * 24 * time.Hour

// flushed is how long records may be on their way to the ledger's database.
const flushed = time.Second

// balances are what budgets have used by the ledger. Without one nothing is known to have been used: limits begin anew,
// which docs/quotas.md says.
func (a *Accounts) balances(ctx context.Context, organization string) ([]quota.Balance, error) {
	if a.ledger == nil {
		return nil, nil
	}
	charged, err := a.ledger.Charged(ctx, organization, time.Now().Add(-longestPast))
	if err != nil {
		return nil, err
	}
	return balancesOf(charged), nil
}

// settledBalances are balances with what other replicas' exchanges still bring.
func (a *Accounts) settledBalances(ctx context.Context, organization string) ([]quota.Balance, error) {
	select {
	case <-time.After(flushed):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return a.balances(ctx, organization)
}

// balancesOf takes the latest window of each budget and, for those that slide, the one before. A window that is over is
// seen to be by the store, which knows how long it is.
func balancesOf(charged []book.Charged) (out []quota.Balance) {
	for i, c := range charged { // in the order of budget and window
		if i+1 < len(charged) && charged[i+1].Budget == c.Budget {
			continue
		}
		b := quota.Balance{Budget: c.Budget, Kind: kindOf(c.Budget), Start: c.Window * 1000, Used: max(c.Amount, 0)}
		if b.Kind == 0 || b.Kind == window.Gauge.Letter() || b.Kind == window.Pace.Letter() {
			continue
		}
		if i > 0 && charged[i-1].Budget == c.Budget && b.Kind == window.Sliding.Letter() {
			b.Previous = max(charged[i-1].Amount, 0)
		}
		out = append(out, b)
	}
	return out
}

// kindOf reads the kind of a budget's window from its id: LEVEL_UNIT_KIND_HASH.
func kindOf(id string) byte {
	parts := strings.Split(id, "_")
	if len(parts) < 4 {
		return 0
	}
	word := parts[len(parts)-2]
	for k := window.Fixed; k.Letter() != 0; k++ {
		if k.String() == word {
			return k.Letter()
		}
	}
	return 0
}

// recall puts into the ledger what the process before this one did not, and the counters of this process to what the
// ledger has.
func (a *Accounts) recall(ctx context.Context, organizations []string) error {
	if a.left != nil && a.ledger != nil {
		var records []*ledger.Record
		for i := range a.left.Unwritten {
			u := &a.left.Unwritten[i]
			r, err := ledger.Decode(u.Note)
			if err != nil { // it stays in the journal
				a.alarm(u.Settlement.Organization, "a record in the journal cannot be read: exchange "+u.Settlement.ID+": "+err.Error())
				continue
			}
			records = append(records, r)
		}
		for len(records) > 0 {
			n := min(len(records), 500)
			err := a.amend(ctx, records[:n])
			if err == nil {
				err = a.bring(ctx, records[:n])
			}
			if err != nil {
				return fmt.Errorf("the ledger does not take what is in the journal: %w", err)
			}
			records = records[n:]
		}
		a.left.Unwritten = nil
		if err := a.dropEnded(ctx); err != nil {
			return fmt.Errorf("the ledger does not say what ended: %w", err)
		}
	}
	if a.local == nil {
		return nil
	}
	for _, o := range organizations {
		b, err := a.balances(ctx, o)
		if err != nil {
			return fmt.Errorf("the ledger does not say what was used: %w", err)
		}
		if err := a.local.Rebuild(ctx, o, b); err != nil {
			return err
		}
	}
	return nil
}

// bring writes records of the journal into the ledger. One that its database refuses for good holds up no other: it is lost, as it
// is where the writer meets it.
func (a *Accounts) bring(ctx context.Context, records []*ledger.Record) error {
	_, err := a.ledger.Write(ctx, records)
	switch half := len(records) / 2; {
	case err == nil:
	case !errors.Is(err, book.ErrRejected):
		return err
	case half > 0: // find the one
		if err := a.bring(ctx, records[:half]); err != nil {
			return err
		}
		return a.bring(ctx, records[half:])
	default:
		a.alarm(records[0].Organization, "a record in the journal is refused by the ledger's database, and lost: exchange "+records[0].ID+": "+err.Error())
		a.trouble.Note(trouble.What{Kind: trouble.Lost, Subject: "refused"}, 1)
	}
	a.written(records)
	return nil
}

// dropEnded drops, of what the process before this one had open, what the ledger has a record of: another replica heard
// its end, or charged it when it expired. A store that forgot that would take it for new, and it would be charged twice.
func (a *Accounts) dropEnded(ctx context.Context) error {
	type key struct{ organization, id string }
	ids := map[string][]string{}
	for i := range a.left.Open {
		r := &a.left.Open[i].Request
		ids[r.Organization] = append(ids[r.Organization], r.ID)
	}
	ended := map[key]bool{}
	for organization, list := range ids {
		known, err := a.ledger.Known(ctx, organization, list)
		if err != nil {
			return err
		}
		for _, id := range known {
			ended[key{organization, id}] = true
			if err := a.journal.Settled(organization, id); err != nil {
				return err
			}
		}
	}
	a.left.Open = slices.DeleteFunc(a.left.Open, func(r journal.Reservation) bool { return ended[key{r.Request.Organization, r.Request.ID}] })
	return nil
}
