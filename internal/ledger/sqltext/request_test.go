package sqltext_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/sqltext"
)

// slow lists as long as it may.
type slow struct{ book.Lister }

func (slow) List(ctx context.Context, _ book.Filter, _ *ledger.Record, _ bool, _ int) ([]*ledger.Record, error) {
	<-ctx.Done()
	return nil, errors.New("interrupted")
}

func TestALongSearchEndsAndSaysWhy(t *testing.T) {
	none := func(string) ([]*ledger.Record, error) { return nil, nil }
	for name, c := range map[string]struct {
		patience, takes time.Duration
		want            string
	}{
		"of itself":       {time.Minute, 10 * time.Second, book.ErrTooMany.Error()},
		"as nobody waits": {time.Second, time.Second, "interrupted"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.patience)
			defer cancel()
			began := time.Now()
			if _, err := sqltext.FindEither(ctx, slow{}, "acme", "", "a-request-id", began, none); err == nil || err.Error() != c.want || time.Since(began) != c.takes {
				t.Errorf("%s: after %v: %v", name, time.Since(began), err)
			}
		})
	}
}
