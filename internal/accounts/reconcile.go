package accounts

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/reconcile"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// Counters and records are compared so often, and records are missed so long after an exchange has ended.
const (
	reconcileEvery = time.Minute
	missedAfter    = 5 * time.Minute
)

// checking is what counters are compared by.
type checking struct {
	limits func() *budgets.Table // nil: nobody knows them
	counts quota.Store           // the store behind the journal, and what measures it
	known  atomic.Bool           // the counters are
}

// know says that the counters are known from now on.
func (a *Accounts) know() {
	a.Known()
	a.known.Store(true)
}

// Peek returns the counters of budgets as they are.
func (a *Accounts) Peek(ctx context.Context, organization string, of []*quota.Budget) ([]quota.Counter, error) {
	return a.counts.Peek(ctx, organization, of)
}

// reconcile compares counters with the ledger from time to time until the context ends.
func (a *Accounts) reconcile(ctx context.Context) {
	r := reconcile.New(reconcile.Params{Store: a.counts, Ledger: a.ledger, Epoch: a.epoch, Behind: a.behind})
	t := time.NewTicker(reconcileEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			a.compare(ctx, r, time.Now())
		}
	}
}

// compare compares once, and looks for records that should be there.
func (a *Accounts) compare(ctx context.Context, r *reconcile.Reconciler, now time.Time) {
	if a.journal != nil {
		n := a.journal.Overdue(now.Add(-missedAfter))
		if a.count != nil {
			a.count.Ledger.Overdue(n)
		}
		if n > 0 {
			a.alarm("", strconv.Itoa(n)+" exchanges ended over "+missedAfter.String()+" ago, and the ledger has no record of them")
			a.trouble.Stand(trouble.What{Kind: trouble.Overdue}, int64(n))
		}
	}
	if a.limits == nil || !a.known.Load() {
		return
	}
	found, units, err := r.Round(ctx, func(yield func(reconcile.Owned) bool) {
		for l := range a.limits().All() {
			if !yield(reconcile.Owned{Organization: l.Organization, Budget: l.Budget}) {
				return
			}
		}
	})
	if err != nil && ctx.Err() == nil {
		a.log.Warn("counters cannot be compared with the ledger for now", "error", err)
	}
	by := map[quota.Unit]int64{}
	for i := range found {
		d := &found[i]
		if abs(d.By) > abs(by[d.Budget.Unit]) {
			by[d.Budget.Unit] = d.By
		}
		a.alarm(d.Organization, described(d))
		a.trouble.Stand(trouble.What{Kind: trouble.Drift, Organization: d.Organization, Subject: d.Budget.ID}, d.By)
	}
	for _, u := range units {
		if a.count != nil {
			a.count.Quota.Drift(u.String(), by[u])
		}
	}
}

// described says what was found.
func described(d *reconcile.Drift) string {
	s := fmt.Sprintf("the counter of %s has %s more than the ledger", d.Budget.ID, quota.Amount(d.Budget.Unit, d.By))
	if d.By < 0 {
		s = fmt.Sprintf("the counter of %s has %s less than the ledger", d.Budget.ID, quota.Amount(d.Budget.Unit, -d.By))
	}
	if d.Debited {
		s += "; it was debited"
	}
	return s
}

func abs(n int64) int64 { return max(n, -n) }

// epoch says whether counters are known, and since when.
func (a *Accounts) epoch(ctx context.Context, organization string) (string, error) {
	if a.redis == nil {
		return "", nil
	}
	if err := a.redis.Known(ctx, organization); err != nil {
		return "", err
	}
	return a.redis.Epoch(ctx, organization)
}

// behind reports whether records wait to be written.
func (a *Accounts) behind() bool {
	s := a.writer.Stats()
	return s.Away || s.Held > 0 || s.Spool > 0
}
