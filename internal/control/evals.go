package control

import (
	"context"
	"time"

	"github.com/signalbox-ai/signalbox/internal/evals/stored"
	"github.com/signalbox-ai/signalbox/internal/store"
)

// expiry is how often runs of evaluations are looked at.
const expiry = time.Hour

// expire deletes runs of evaluations that are kept long enough by the configuration in use, until the context ends. Every
// replica looks; what one has deleted is gone for the others.
func (c *Control) expire(ctx context.Context) {
	t := time.NewTicker(expiry)
	defer t.Stop()
	for {
		if err := c.clear(ctx, time.Now()); err != nil && ctx.Err() == nil {
			c.log.Warn("old runs of evaluations stay", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// clear deletes the runs that are too old at a time.
func (c *Control) clear(ctx context.Context, now time.Time) error {
	keep := c.config().Evals.Keep()
	if keep == 0 {
		return nil
	}
	all := 0
	for {
		n := 0
		if err := c.store.Change(ctx, store.Actor{Name: "retention"}, func(tx *store.Tx) (err error) {
			n, err = stored.Expire(tx, now.Add(-keep))
			return err
		}); err != nil {
			return err
		}
		if all += n; n == 0 {
			break
		}
	}
	if all > 0 {
		c.log.Info("old runs of evaluations are deleted", "count", all)
	}
	return nil
}
