// Package outlet hands the ledger's records over to others as they are written: to a webhook before a queue, to a collector of
// OpenTelemetry, to a file. Each sink gets every record at least once.
//
//	ledger (book.Outbox) ─ Outlet ─► Sink: Webhook | Collector | File
//	        ▲                 └─ away: later and later, from where it was
//	        └─ what was taken leaves the outbox
//
// What a sink has not taken stays in the ledger's database, so that a restart loses nothing, and a sink that is away holds
// up nobody: at most one batch of it is in memory. It decides nothing about what a record says.
package outlet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// Sink is where records go. One goroutine uses it.
type Sink interface {
	// Send hands over records from the first on, at least one, and says what became of how many. An error that Is ErrRefused
	// says that the sink works, and does not want what it was given; after any other the same may be sent again.
	Send(ctx context.Context, records []*ledger.Record) (Sent, error)
	Close() error
}

// Sent is what became of records.
type Sent struct {
	Settled int // that need not be sent again, from the first on
	Refused int // of them, that the sink did not want
}

// ErrRefused is that a sink does not want what it was given, whenever it is.
var ErrRefused = errors.New("the sink refuses the records")

// Away is a sink that is not there. It says when to ask again.
type Away struct {
	After time.Duration // 0: it did not say
	Err   error
}

// Error says why.
func (a *Away) Error() string { return a.Err.Error() }

// Unwrap returns the cause.
func (a *Away) Unwrap() error { return a.Err }

// Params of an Outlet. What is zero gets what a running service uses.
type Params struct {
	Name  string
	Store book.Outbox
	Sink  Sink
	Batch int           // most records in memory; 0: 500
	Every time.Duration // how often the ledger is asked for more; 0: 1 s
	Wait  time.Duration // longest that handing over a batch may take; 0: 30 s
	Retry time.Duration // first pause after the sink failed, doubled up to Longest; 0: 1 s
	Count *telemetry.LedgerMeters
	Log   *slog.Logger
}

// Longest is the longest pause before a sink is tried again.
const Longest = time.Minute

// grace is how long a batch that is being handed over when the program ends has left.
const grace = 3 * time.Second

// Outlet hands over to one sink.
type Outlet struct {
	p     Params
	pause time.Duration // until the sink is tried again; 0: it is there
	said  time.Time     // when it was last said that it is away
}

// New makes an Outlet. Run hands over.
func New(p Params) *Outlet {
	if p.Batch <= 0 {
		p.Batch = 500
	}
	for _, d := range []struct {
		to *time.Duration
		v  time.Duration
	}{{&p.Every, time.Second}, {&p.Wait, 30 * time.Second}, {&p.Retry, time.Second}} {
		if *d.to <= 0 {
			*d.to = d.v
		}
	}
	return &Outlet{p: p}
}

// Name returns the sink's.
func (o *Outlet) Name() string { return o.p.Name }

// Close closes the sink.
func (o *Outlet) Close() error { return o.p.Sink.Close() }

// Run hands over what waits until the context ends.
func (o *Outlet) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { o.watch(ctx) })
	for {
		wait := o.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// watch keeps the ledger in mind that the sink is wanted, and shows what waits for it.
func (o *Outlet) watch(ctx context.Context) {
	const show, name = 10 * time.Second, time.Hour
	var named time.Time
	for {
		now := time.Now()
		if now.Sub(named) >= name && o.p.Store.Name(ctx, []string{o.p.Name}, now) == nil {
			named = now
		}
		if b, err := o.p.Store.Backlog(ctx, o.p.Name); err == nil {
			lag := time.Duration(0)
			if b.Records > 0 {
				lag = now.Sub(b.Oldest)
			}
			o.p.Count.Backlog(o.p.Name, b.Records, lag)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(show):
		}
	}
}

// round hands one batch over, and returns how long to wait before the next.
func (o *Outlet) round(ctx context.Context) time.Duration {
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.p.Wait)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	var failed error
	moved := 0
	given, err := o.p.Store.Pass(ctx, o.p.Name, o.p.Batch, func(all []book.Waiting) int {
		moved, failed = o.deliver(work, all)
		return moved
	})
	switch {
	case ctx.Err() != nil:
		return 0
	case err != nil:
		return o.away(fmt.Errorf("the ledger: %w", err))
	case failed != nil:
		return o.away(failed)
	case given == 0:
		return o.p.Every
	}
	if o.pause > 0 {
		o.p.Log.Info("a sink of the ledger takes records again", "sink", o.p.Name)
	}
	o.pause = 0
	o.p.Count.Taking(o.p.Name, true)
	if given < o.p.Batch && moved == given {
		return o.p.Every
	}
	return 0
}

// away notes a failure, and returns how long to wait.
func (o *Outlet) away(err error) time.Duration {
	if o.pause == 0 || time.Since(o.said) > time.Hour {
		o.p.Log.Warn("a sink of the ledger does not take records: they wait in the ledger", "sink", o.p.Name, "error", err)
		o.said = time.Now()
	}
	o.p.Count.Taking(o.p.Name, false)
	if o.pause == 0 {
		o.pause = o.p.Retry
	} else {
		o.pause = min(2*o.pause, max(Longest, o.p.Retry))
	}
	wait := o.pause/2 + rand.N(o.pause/2+1)
	if e, ok := errors.AsType[*Away](err); ok {
		wait = max(wait, min(e.After, 10*Longest))
	}
	return wait
}

// deliver returns how many of all, from the first on, need not be handed over again.
func (o *Outlet) deliver(ctx context.Context, all []book.Waiting) (done int, err error) {
	records, at := make([]*ledger.Record, 0, len(all)), make([]int, 0, len(all))
	for i := range all {
		if all[i].Record != nil {
			records, at = append(records, all[i].Record), append(at, i)
		}
	}
	n, err := o.hand(ctx, records)
	done = len(all)
	if n < len(records) {
		done = at[n]
	}
	if gone := done - n; gone > 0 {
		o.p.Count.Exported(o.p.Name, "expired", gone)
		o.p.Log.Error("records left the ledger before a sink took them", "sink", o.p.Name, "records", gone)
	}
	return done, err
}

// doubted is how many records a sink may refuse one after another before it is taken for one that refuses everything.
const doubted = 3

// hand hands records over, and returns how many from the first on need not be handed over again. Of a batch that is
// refused the record is looked for that is the cause. It is given up when the sink takes another after it: one that
// refuses everything is set up wrongly, and loses nothing.
func (o *Outlet) hand(ctx context.Context, records []*ledger.Record) (settled int, err error) {
	next, limit, refused := 0, len(records), 0
	for next < len(records) {
		end := min(next+limit, len(records))
		sent, err := o.p.Sink.Send(ctx, records[next:end])
		switch {
		case err == nil && sent.Settled <= 0:
			return settled, errors.New("the sink took nothing")
		case err == nil:
			o.giveUp(records[settled:next])
			next += min(sent.Settled, end-next)
			o.p.Count.Exported(o.p.Name, "delivered", next-settled-refused-sent.Refused)
			o.p.Count.Exported(o.p.Name, "refused", sent.Refused)
			settled, limit, refused = next, len(records), 0
		case !errors.Is(err, ErrRefused):
			return settled, err
		case end-next > 1:
			limit = (end - next) / 2
		case refused == doubted:
			return settled, err
		default:
			refused, limit = refused+1, len(records)
			next++
		}
		if next == len(records) && refused > 0 {
			return settled, fmt.Errorf("%w, and none is there that it takes", ErrRefused)
		}
	}
	return settled, nil
}

// giveUp counts records that a sink does not want.
func (o *Outlet) giveUp(records []*ledger.Record) {
	o.p.Count.Exported(o.p.Name, "refused", len(records))
	for _, r := range records {
		o.p.Log.Error("a sink of the ledger refuses a record, and does not get it", "sink", o.p.Name, "organization", r.Organization, "exchange", r.ID, "sequence", r.Sequence)
	}
}
