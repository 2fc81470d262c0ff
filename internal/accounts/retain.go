package accounts

import (
	"context"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Old records are removed soon after the start, and then once an hour. Replicas may do so at once.
const (
	retainFirst = time.Minute
	retainEvery = time.Hour
)

// retain removes from the ledger what its retention no longer keeps, until the context ends. What fails is tried again
// the next time.
func (a *Accounts) retain(ctx context.Context, keep book.Retention) {
	t := time.NewTimer(retainFirst)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := a.ledger.Prune(ctx, keep, time.Now()); err != nil && ctx.Err() == nil {
				a.log.Warn("what is old stays in the ledger for now", "error", err)
			}
			t.Reset(retainEvery)
		}
	}
}
