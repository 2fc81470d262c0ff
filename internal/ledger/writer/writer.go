// Package writer writes the ledger behind the traffic: Add never waits, batches go to the store off the path. While
// the store is away, records go to files up to a limit, and from there into the store when it is back; what does not
// fit any more is lost, and counted. It knows no database.
package writer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
)

// Params of a Writer. Store is needed; what is zero gets what a running service uses.
type Params struct {
	Store book.Store
	Queue int           // records that wait in memory; 0: 16,384
	Batch int           // most records of a transaction; 0: 500
	Every time.Duration // longest that a record waits for others; 0: 200 ms
	Wait  time.Duration // longest that a transaction may take; 0: 10 s
	Retry time.Duration // first pause after the store failed, doubled up to 64 times; 0: 250 ms
	Spool string        // folder of the spool; "": none
	Limit int64         // of its bytes; 0: 1 GiB
	Log   *slog.Logger
	Wrote func(took time.Duration, err error) // told of each transaction; nil: nobody
	Kept  func(records []*ledger.Record)      // told of records that are in the store or on the disk, or that nobody will ever take; nil: nobody
}

// Stats are what became of all records, since the start. Whenever nothing is under way,
// Added = Written + Known + Lost + Rejected + Waiting + Held.
type Stats struct {
	Added    int64 // that Add was given, and that were found in the spool of an earlier run
	Written  int64 // that are in the store
	Known    int64 // that were there already
	Lost     int64 // for which there was no room
	Rejected int64 // that the store will never take
	Waiting  int64 // in memory
	Held     int64 // in the spool, of this run
	Spool    int64 // bytes of the spool
	Away     bool  // the store did not answer the last time
}

// Writer is safe for concurrent use.
type Writer struct {
	p      Params
	queue  chan *ledger.Record
	done   chan struct{} // closed when the writer has ended
	stop   func()        // asks the store for nothing more
	mu     sync.RWMutex
	closed bool // no more is added
	stats  struct {
		added, written, known, lost, rejected, held, inSpool atomic.Int64
		away                                                 atomic.Bool
	}
	spool *spool
	past  int           // records of the oldest segment that were written already
	pause time.Duration // until the store is tried again; 0: it is there
	again time.Time
}

// New makes a Writer and starts it. Records that a spool has from before are written first.
func New(p Params) (*Writer, error) {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if p.Queue <= 0 {
		p.Queue = 1 << 14
	}
	if p.Batch <= 0 {
		p.Batch = 500
	}
	if p.Limit <= 0 {
		p.Limit = 1 << 30
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	set(&p.Every, 200*time.Millisecond)
	set(&p.Wait, 10*time.Second)
	set(&p.Retry, 250*time.Millisecond)
	s, err := openSpool(p.Spool, p.Limit)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{p: p, queue: make(chan *ledger.Record, p.Queue), done: make(chan struct{}), stop: stop, spool: s}
	w.stats.inSpool.Store(s.size)
	go w.run(ctx)
	return w, nil
}

// Add takes a record, which is the writer's from now on: it is Normalized. It never waits: where the queue is full, the record is
// lost, and counted.
func (w *Writer) Add(r *ledger.Record) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	w.stats.added.Add(1)
	if w.closed {
		w.stats.lost.Add(1)
		return
	}
	select {
	case w.queue <- r:
	default:
		w.lose(1, "the queue is full")
	}
}

// lose counts records that are gone. One line in the log stands for many.
func (w *Writer) lose(n int, why string) {
	total := w.stats.lost.Add(int64(n))
	if was := total - int64(n); was == 0 || was/1000 != total/1000 {
		w.p.Log.Error("ledger records are lost", "lost", total, "why", why)
	}
}

// Stats returns the counts.
func (w *Writer) Stats() Stats {
	return Stats{
		Added: w.stats.added.Load(), Written: w.stats.written.Load(), Known: w.stats.known.Load(), Held: w.stats.held.Load(),
		Lost: w.stats.lost.Load(), Rejected: w.stats.rejected.Load(), Waiting: int64(len(w.queue)), Spool: w.stats.inSpool.Load(), Away: w.stats.away.Load(),
	}
}

// flush is how long Close waits for the spool, once its context has ended.
const flush = 5 * time.Second

// Close takes no more, writes what waits, and ends. What the store does not take before the context ends goes into the
// spool and stays there, or is lost. It does not close the store.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	w.stop()
	select {
	case <-w.done:
	case <-time.After(flush):
	}
	return ctx.Err()
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	defer w.stop()
	defer w.spool.release()
	open := true
	for open {
		var batch []*ledger.Record
		batch, open = w.collect()
		if len(batch) > 0 {
			w.keep(ctx, batch)
		}
		if !w.spool.empty() && (open || w.pause == 0) {
			w.drain(ctx)
		}
	}
}

// collect waits for records until there is a batch, the time is over, or nothing more comes.
func (w *Writer) collect() (batch []*ledger.Record, open bool) {
	timer := time.NewTimer(w.idle())
	defer timer.Stop()
	for len(batch) < w.p.Batch {
		select {
		case r, ok := <-w.queue:
			if !ok {
				return batch, false
			}
			if len(batch) == 0 {
				timer.Reset(w.p.Every)
			}
			batch = append(batch, r)
		case <-timer.C:
			return batch, true
		}
	}
	return batch, true
}

// idle is how long to wait for the first record: until the store may be tried again where something waits for it.
func (w *Writer) idle() time.Duration {
	if w.spool.empty() {
		return time.Hour
	}
	return max(time.Until(w.again), time.Millisecond)
}

func byKey(records []*ledger.Record) {
	slices.SortFunc(records, func(a, b *ledger.Record) int { return a.Key.Compare(b.Key) })
}

// keep writes a batch, into the store or, while that is away, into the spool.
func (w *Writer) keep(ctx context.Context, batch []*ledger.Record) {
	for _, r := range batch {
		r.Normalize()
	}
	byKey(batch)
	if w.pause == 0 || !time.Now().Before(w.again) || w.p.Spool == "" {
		if batch = batch[w.write(ctx, batch):]; len(batch) == 0 {
			return
		}
	}
	n, err := w.spool.add(batch)
	w.stats.held.Add(int64(n))
	w.stats.inSpool.Store(w.spool.size)
	w.kept(batch[:n])
	if err == nil {
		return
	}
	if batch = w.patient(ctx, batch[n:]); len(batch) > 0 {
		w.lose(len(batch), "the store is away, and "+err.Error())
	}
}

// patient keeps on trying the store with a batch that has no other place, as long as the queue has room for what comes
// meanwhile and nobody wants the writer to end. It returns what the store did not take.
func (w *Writer) patient(ctx context.Context, batch []*ledger.Record) []*ledger.Record {
	for len(w.queue) < cap(w.queue)*9/10 {
		w.mu.RLock()
		closed := w.closed
		w.mu.RUnlock()
		if closed {
			break
		}
		time.Sleep(min(w.p.Retry, max(time.Until(w.again), time.Millisecond)))
		if time.Now().Before(w.again) {
			continue
		}
		if batch = batch[w.write(ctx, batch):]; len(batch) == 0 {
			return nil
		}
	}
	return batch[w.write(ctx, batch):]
}

// write writes to the store. It returns how many of the batch, from its first on, are there or were refused: not all
// where the store is away.
func (w *Writer) write(ctx context.Context, batch []*ledger.Record) int {
	limited, cancel := context.WithTimeout(ctx, w.p.Wait)
	began := time.Now()
	n, err := w.p.Store.Write(limited, batch)
	cancel()
	if w.p.Wrote != nil {
		w.p.Wrote(time.Since(began), err)
	}
	switch {
	case err == nil:
		if w.pause > 0 {
			w.p.Log.Info("the ledger's store is back")
		}
		w.pause = 0
		w.stats.away.Store(false)
		w.stats.written.Add(int64(n))
		w.stats.known.Add(int64(len(batch) - n))
		w.kept(batch)
		return len(batch)
	case errors.Is(err, book.ErrRejected) && len(batch) == 1:
		w.stats.rejected.Add(1)
		w.kept(batch)
		w.p.Log.Error("a ledger record is refused by the store, and lost", "organization", batch[0].Organization, "exchange", batch[0].ID, "error", err)
		return 1
	case errors.Is(err, book.ErrRejected): // find the one
		half := len(batch) / 2
		if n = w.write(ctx, batch[:half]); n == half {
			n += w.write(ctx, batch[half:])
		}
		return n
	}
	if w.pause == 0 {
		w.p.Log.Warn("the ledger's store does not take records: they are kept aside until it does", "error", err)
		w.pause = w.p.Retry
	} else {
		w.pause = min(2*w.pause, 64*w.p.Retry)
	}
	w.again = time.Now().Add(w.pause)
	w.stats.away.Store(true)
	return 0
}

func (w *Writer) kept(records []*ledger.Record) {
	if w.p.Kept != nil && len(records) > 0 {
		w.p.Kept(records)
	}
}

// drain writes what is in the spool to the store, a segment at a time, as long as the store takes it.
func (w *Writer) drain(ctx context.Context) {
	if time.Now().Before(w.again) {
		return
	}
	before := w.spool.segs[0].before
	c, err := w.spool.oldest()
	if err != nil {
		w.p.Log.Error("the ledger's spool cannot be read", "error", err)
		w.again = time.Now().Add(64 * w.p.Retry)
		return
	}
	byKey(c.records) // all of them, so that past means the same ones the next time
	for batch := range slices.Chunk(c.records[min(w.past, len(c.records)):], w.p.Batch) {
		n := w.write(ctx, batch)
		w.past += n
		if before {
			w.stats.added.Add(int64(n))
		} else {
			w.stats.held.Add(-int64(n))
		}
		if n < len(batch) {
			return
		}
	}
	if c.damaged > 0 {
		w.p.Log.Warn("a crash left the end of the ledger's spool damaged", "bytes", c.damaged)
	}
	if err := w.spool.drop(); err != nil {
		w.p.Log.Error("the ledger's spool cannot be emptied", "error", err)
		w.again = time.Now().Add(64 * w.p.Retry)
		return
	}
	w.past = 0
	w.stats.inSpool.Store(w.spool.size)
	if c.unknown > 0 { // of another program: none of this one's
		w.stats.added.Add(int64(c.unknown))
		w.lose(c.unknown, "they are of a form that this program does not know")
	}
}
