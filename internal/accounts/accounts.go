// Package accounts opens what limits and books need, by the configuration: the store that counts, the journal, the
// ledger and its writer. It takes up what the process before this one left, and closes everything in order.
//
//	Config ─ Open ─► Accounts ─┬─ Meter ─► exchange.Snapshot
//	                           ├─ Watch ─► exchange.Options.Observer
//	                           └─ Run, Missing ─ counters known? ─► readiness
//
// It decides nothing about an exchange: extproc/metering does.
package accounts

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/books"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/observer"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/stores"
	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/outlet"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/guard"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
	"github.com/signalbox-ai/signalbox/internal/quota/measured"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/redis"
	connection "github.com/signalbox-ai/signalbox/internal/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/sending"
	"github.com/signalbox-ai/signalbox/internal/slo"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// Accounts are the limits of a running program, and its books.
type Accounts struct {
	*metering.Meter
	log     *slog.Logger
	guard   *guard.Guard     // nil: the store is in this process
	redis   *redis.Store     // the same
	local   *memory.Store    // nil: the store is elsewhere, or the counters are recalled
	journal *journal.Journal // nil: there is none
	left    *journal.Left    // of the process before this one
	ledger  *book.Lazy       // nil: there is none
	writer  *writer.Writer   // the same
	books   *books.Books     // the same
	kept    book.Retention
	outlets []*outlet.Outlet
	measures
	checking
	leasing
}

// Run keeps reservations alive, and the store in mind while it is away.
func (a *Accounts) Run(ctx context.Context, organizations func() []string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if a.guard != nil {
		wg.Go(func() { a.guard.Run(ctx) })
	}
	if a.count != nil {
		wg.Go(func() { a.measure(ctx) })
	}
	if a.ledger != nil {
		wg.Go(func() { a.reconcile(ctx) })
		wg.Go(func() { a.retain(ctx, a.kept) })
	}
	for _, o := range a.outlets {
		wg.Go(func() { o.Run(ctx) })
	}
	if a.leases != nil {
		wg.Go(func() { a.leases.Run(ctx) })
		defer func() { // when the last exchange has settled; what still runs is another's from then on
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
			defer cancel()
			a.leases.Close(end)
		}()
	}
	a.Meter.Run(ctx, organizations)
}

// Missing says why limits cannot be held to; nil: they can, and what the process before this one left is settled.
func (a *Accounts) Missing(ctx context.Context, organizations []string) error {
	if a.redis != nil {
		if err := a.redis.Ready(ctx); err != nil {
			return err
		}
		for _, o := range organizations {
			if err := a.redis.Known(ctx, o); err != nil {
				return err
			}
		}
	}
	return a.resume(ctx, organizations)
}

// resume takes up what the process before this one left in the journal.
func (a *Accounts) resume(ctx context.Context, organizations []string) error {
	a.partLeases()
	n := 0
	if a.left != nil {
		n = len(a.left.Unwritten)
	}
	if err := a.recall(ctx, organizations); err != nil {
		return err
	}
	a.local = nil
	if a.left == nil {
		a.know()
		return nil
	}
	if err := a.Resume(ctx, a.left); err != nil {
		return err
	}
	if err := a.undoLeases(ctx); err != nil {
		return err
	}
	if n += len(a.left.Open) + len(a.left.Unsettled) + a.left.Broken; n > 0 {
		a.log.Info("taken up from the journal", "open", len(a.left.Open), "unsettled", len(a.left.Unsettled), "lines", n, "cut_off", a.left.Broken)
	}
	a.left = nil
	a.know()
	return nil
}

// Close ends what was opened. What the ledger does not take in time is in the spool.
func (a *Accounts) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	if a.writer != nil {
		_ = a.writer.Close(ctx)
	}
	if a.journal != nil {
		_ = a.journal.Close()
	}
	for _, o := range a.outlets {
		_ = o.Close()
	}
	if a.ledger != nil {
		_ = a.ledger.Close()
	}
	if a.redis != nil {
		_ = a.redis.Close()
	}
}

// closing is how long the end of a program waits for the ledger.
const closing = 10 * time.Second

// Options of Open.
type Options struct {
	Version string // of the program
	Log     *slog.Logger
	Budget  func(id string) *quota.Budget // of the configuration in use; nil where it has none
	Metrics *telemetry.Metrics            // nil: nothing is counted
	Limits  func() *budgets.Table         // of the configuration in use; nil where there are none
	Trouble *trouble.Log                  // for what must not happen; nil: it is only counted
	SLO     *slo.Tracker                  // counts what exchanges cost; nil: nobody does
}

// Open opens the stores that the configuration names. Its errors are config.Errors.
func Open(ctx context.Context, cfg *config.Config, o Options) (_ *Accounts, err error) {
	a := &Accounts{log: o.Log, measures: measures{count: o.Metrics, trouble: o.Trouble, store: storeOf(cfg)}, checking: checking{limits: o.Limits}}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if err := a.openLedger(ctx, cfg, o.Budget); err != nil {
		return nil, config.Errors{cfg.Fault("ledger", "ledger: "+err.Error())}
	}
	if a.ledger != nil {
		if a.outlets, err = sending.Outlets(ctx, cfg, a.ledger, sending.Options{Version: o.Version, Metrics: o.Metrics, Log: o.Log}); err != nil {
			return nil, err
		}
	}
	p := metering.Params{Log: a.log}
	if a.books != nil {
		p.Books = a.books
	}
	if cfg.Quota.Remote() {
		if a.redis, err = a.openRedis(&cfg.Quota); err != nil {
			return nil, config.Errors{cfg.Fault("quota", "quota: "+err.Error())}
		}
		a.guard = guard.New(guard.Params{
			Store: a.redis, Local: memory.New(memory.Params{}), Replicas: cfg.Quota.Replicas, Timeout: cfg.Quota.Timeout, Alarm: a.alarm,
			Settled: a.settledLater,
		})
		p.Store, p.Remote = a.guard, true
	} else {
		a.local = memory.New(memory.Params{})
		p.Store, p.Unknown = a.local, true
	}
	if err := a.openJournal(cfg); err != nil {
		return nil, config.Errors{cfg.Fault("quota.journal", "journal: "+err.Error())}
	}
	if p.Remote && cfg.Quota.Leases > 0 {
		p.Store = a.lend(a.guard, &cfg.Quota)
	}
	p.Journal, a.counts = a.journal, p.Store
	if m := o.Metrics; m != nil {
		name := "memory"
		if p.Remote {
			name = "redis"
		}
		counted := observer.NewAccounts(&m.Cost, o.Trouble, p.Books)
		counted.Objectives = o.SLO
		p.Store, p.Books = measured.New(p.Store, name, &m.Quota, o.Trouble), counted
	}
	a.Meter = metering.New(p)
	return a, nil
}

// openJournal opens the journal where there is something to write into it, or will be: limits also come with the store
// of the admin API, and whoever names a Redis is to have some.
func (a *Accounts) openJournal(cfg *config.Config) error {
	table, err := cfg.Budgets()
	if err != nil {
		return err
	}
	if cfg.Quota.Journal == "none" || a.ledger == nil && table.Empty() && !cfg.Stores() && !cfg.Quota.Remote() {
		return nil
	}
	a.journal, a.left, err = journal.Open(journal.Params{Dir: cfg.Quota.Journal, Ledger: a.ledger != nil, Seen: a.disk(), Alarm: func(err error) {
		if err != nil {
			a.alarm("", "the journal's disk fails: "+err.Error())
		}
	}})
	return err
}

// openLedger opens the ledger, where there is one.
func (a *Accounts) openLedger(ctx context.Context, cfg *config.Config, budget func(string) *quota.Budget) error {
	if !cfg.Ledger.On() {
		return nil
	}
	store := stores.Later(cfg.Ledger.Store, cfg.Ledger.Password, cfg.Ledger.Sinks()...)
	at, err := book.Locate(cfg.Ledger.Store)
	if err == nil && at.SQLite != "" { // a file is there, or never will be
		_, err = store.Get(ctx)
	}
	if err != nil {
		return err
	}
	a.ledger, a.kept = store, cfg.Ledger.Retention.Keep()
	a.writer, err = writer.New(writer.Params{Store: a.ledger, Spool: cfg.Ledger.Folder(), Limit: int64(cfg.Ledger.SpoolSize), Every: time.Second, Log: a.log, Wrote: a.wrote, Kept: a.written})
	a.books = books.New(a.writer, catalog.AsOf(), budget)
	return err
}

// On reports whether exchanges are written down.
func (a *Accounts) On() bool { return a.ledger != nil }

// Note returns what writes a record down, nil: nothing does. It does not wait.
func (a *Accounts) Note() func(*ledger.Record) {
	if a.writer == nil {
		return nil
	}
	return a.writer.Add
}

// Ledger returns where exchanges are written down, or nil.
func (a *Accounts) Ledger() *book.Lazy { return a.ledger }

// watched is an observer that has refusals written down, too.
type watched struct {
	exchange.Observer
	books *books.Books
}

// Refused implements exchange.Observer.
func (w watched) Refused(r exchange.Refusal) {
	w.Observer.Refused(r)
	w.books.Refused(r)
}

// Watch has the books told what an observer is told.
func (a *Accounts) Watch(o exchange.Observer) exchange.Observer {
	if a.books == nil {
		return o
	}
	return watched{o, a.books}
}

// written notes in the journal what the ledger has.
func (a *Accounts) written(records []*ledger.Record) {
	if a.journal == nil {
		return
	}
	for _, r := range records {
		if r.Sequence == 0 || r.ToldLate() {
			_ = a.journal.Written(r.Organization, r.ID)
		}
	}
}

func (a *Accounts) openRedis(s *budgets.Service) (*redis.Store, error) {
	p := redis.Params{
		URL: s.Store, Timeout: s.Timeout, Keep: s.Keep,
		Source: a.settledBalances,
		Alarm:  a.alarm,
		Turned: a.turned,
	}
	if s.Password != "" {
		p.Password = func(ctx context.Context) (secret.Value, error) { return s.Password.Resolve(ctx) }
	}
	if s.CA != "" || s.Cert != "" || s.ServerName != "" {
		var err error
		if p.TLS, err = (connection.Security{CA: s.CA, Cert: s.Cert, Key: s.Key, Name: s.ServerName}).Config(); err != nil {
			return nil, err
		}
	}
	return redis.New(p)
}

// alarm is for what somebody should look at.
func (a *Accounts) alarm(organization, what string) {
	a.log.Error("limits", "organization", organization, "what", what)
}
