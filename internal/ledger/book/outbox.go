package book

import (
	"context"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
)

// Waiting is a record that a sink has not taken yet.
type Waiting struct {
	Number int64          // in the outbox
	Since  time.Time      // when it was written
	Record *ledger.Record // nil: retention has removed it
}

// Backlog is what waits for a sink.
type Backlog struct {
	Records int64     // at most a million, which stands for more
	Oldest  time.Time // when the oldest was written; zero where nothing waits
}

// Outbox is a store that knows which records which sinks have not taken yet. A record comes into it in the transaction
// that writes it, whoever writes it, and leaves it when the sink has it: what was written while a sink was away, or
// this program, is handed over later, and may be handed over twice.
type Outbox interface {
	// Name makes sinks known: what is written from then on is kept for them. It is repeated now and then; a sink that
	// nobody has named for Forgotten is forgotten by Prune, with what waits for it.
	Name(ctx context.Context, sinks []string, now time.Time) error
	// Pass gives f the oldest records that wait for a sink, at most n, and takes out as many of them, from the first on, as
	// f returns. Until then nobody else is given them, on this replica or another. What f took is taken out even where ctx
	// ends meanwhile. It returns how many f was given.
	Pass(ctx context.Context, sink string, n int, f func([]Waiting) (taken int)) (given int, err error)
	// Backlog says what waits for a sink.
	Backlog(ctx context.Context, sink string) (Backlog, error)
}

// Forgotten is how long a sink that nobody names is remembered.
const Forgotten = 7 * 24 * time.Hour

// Name implements Outbox.
func (l *Lazy) Name(ctx context.Context, sinks []string, now time.Time) error {
	s, err := l.Get(ctx)
	if err != nil {
		return err
	}
	return s.(Outbox).Name(ctx, sinks, now)
}

// Pass implements Outbox.
func (l *Lazy) Pass(ctx context.Context, sink string, n int, f func([]Waiting) int) (int, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return 0, err
	}
	return s.(Outbox).Pass(ctx, sink, n, f)
}

// Backlog implements Outbox.
func (l *Lazy) Backlog(ctx context.Context, sink string) (Backlog, error) {
	s, err := l.Get(ctx)
	if err != nil {
		return Backlog{}, err
	}
	return s.(Outbox).Backlog(ctx, sink)
}
