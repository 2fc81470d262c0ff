package accounts

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// pruned is a store that notes when it is pruned.
type pruned struct {
	book.Store
	at   []time.Time
	keep book.Retention
	err  error
}

func (p *pruned) Prune(_ context.Context, keep book.Retention, now time.Time) error {
	p.at, p.keep = append(p.at, now), keep
	return p.err
}

func TestWhatIsOldIsRemovedOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pruned{err: errors.New("away")}
		a := &Accounts{log: slog.New(slog.DiscardHandler), ledger: &book.Lazy{Open: func(context.Context) (book.Store, error) { return p, nil }}}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour+2*time.Minute)
		defer cancel()
		a.retain(ctx, book.Retention{Records: time.Hour})
		if len(p.at) != 3 || p.at[0].Sub(began) != time.Minute || p.at[2].Sub(began) != 2*time.Hour+time.Minute || p.keep.Records != time.Hour {
			t.Errorf("it was pruned at %v, keeping %v", p.at, p.keep)
		}
	})
}
