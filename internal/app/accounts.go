package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/signalbox-ai/signalbox/extproc/books"
	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/ledger/book"
	"github.com/signalbox-ai/signalbox/internal/ledger/stores"
	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/quota/budgets"
	"github.com/signalbox-ai/signalbox/internal/quota/guard"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
	"github.com/signalbox-ai/signalbox/internal/quota/memory"
	"github.com/signalbox-ai/signalbox/internal/quota/redis"
	"github.com/signalbox-ai/signalbox/internal/secret"
)

// accounts are the limits of a running program, and its books: the store that counts, the journal, the ledger.
type accounts struct {
	*metering.Meter
	log     *slog.Logger
	guard   *guard.Guard     // nil: the store is in this process
	redis   *redis.Store     // the same
	journal *journal.Journal // nil: there is none
	left    *journal.Left    // of the process before this one
	ledger  book.Store       // nil: there is none
	writer  *writer.Writer   // the same
	books   *books.Books     // the same
}

// run keeps reservations alive, and the store in mind while it is away.
func (q *accounts) run(ctx context.Context, organizations func() []string) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if q.guard != nil {
		wg.Go(func() { q.guard.Run(ctx) })
	}
	q.Run(ctx, organizations)
}

// missing says why limits cannot be held to; nil: they can, and what the process before this one left is settled.
func (q *accounts) missing(ctx context.Context, organizations []string) error {
	if q.redis != nil {
		if err := q.redis.Ready(ctx); err != nil {
			return err
		}
		for _, o := range organizations {
			if err := q.redis.Known(ctx, o); err != nil {
				return err
			}
		}
	}
	return q.resume(ctx)
}

// resume takes up what the process before this one left in the journal.
func (q *accounts) resume(ctx context.Context) error {
	if q.left == nil {
		return nil
	}
	if err := q.Resume(ctx, q.left); err != nil {
		return err
	}
	if n := len(q.left.Open) + len(q.left.Unsettled) + len(q.left.Unwritten) + q.left.Broken; n > 0 {
		q.log.Info("taken up from the journal", "open", len(q.left.Open), "unsettled", len(q.left.Unsettled), "unwritten", len(q.left.Unwritten), "cut_off", q.left.Broken)
	}
	if q.writer != nil {
		for i := range q.left.Unwritten {
			if r, err := ledger.Decode(q.left.Unwritten[i].Note); err == nil {
				q.writer.Add(r)
			}
		}
	}
	q.left = nil
	return nil
}

// close ends what was opened. What the ledger does not take in time is in the spool.
func (q *accounts) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	if q.writer != nil {
		_ = q.writer.Close(ctx)
	}
	if q.journal != nil {
		_ = q.journal.Close()
	}
	if q.ledger != nil {
		_ = q.ledger.Close()
	}
	if q.redis != nil {
		_ = q.redis.Close()
	}
}

// closing is how long the end of a program waits for the ledger.
const closing = 10 * time.Second

// openAccounts opens the stores that the configuration names.
func (a *App) openAccounts(ctx context.Context, cfg *config.Config) (_ *accounts, err error) {
	q := &accounts{log: a.log}
	defer func() {
		if err != nil {
			q.close()
		}
	}()
	if err := a.openLedger(ctx, q, cfg); err != nil {
		return nil, config.Errors{cfg.Fault("ledger", "ledger: "+err.Error())}
	}
	p := metering.Params{Log: a.log}
	if q.books != nil {
		p.Books = q.books
	}
	if cfg.Quota.Remote() {
		if q.redis, err = a.openRedis(&cfg.Quota); err != nil {
			return nil, config.Errors{cfg.Fault("quota", "quota: "+err.Error())}
		}
		q.guard = guard.New(guard.Params{
			Store: q.redis, Local: memory.New(memory.Params{}), Replicas: cfg.Quota.Replicas, Timeout: cfg.Quota.Timeout, Alarm: a.alarm,
			Settled: func(st *quota.Settlement, out quota.Outcome, err error) { q.Settled(st, out, err) },
		})
		p.Store, p.Remote = q.guard, true
	} else {
		p.Store = memory.New(memory.Params{})
	}
	if folder := cfg.Quota.Journal; folder != "none" && (q.ledger != nil || len(a.organizationsOf(cfg)) > 0) {
		q.journal, q.left, err = journal.Open(journal.Params{Dir: folder, Ledger: q.ledger != nil, Alarm: func(err error) {
			if err != nil {
				a.alarm("", "the journal's disk fails: "+err.Error())
			}
		}})
		if err != nil {
			return nil, config.Errors{cfg.Fault("quota.journal", "journal: "+err.Error())}
		}
		p.Journal = q.journal
	}
	q.Meter = metering.New(p)
	return q, nil
}

// openLedger opens the ledger, where there is one.
func (a *App) openLedger(ctx context.Context, q *accounts, cfg *config.Config) error {
	if !cfg.Ledger.On() {
		return nil
	}
	store := stores.Later(cfg.Ledger.Store, cfg.Ledger.Password)
	if at, err := book.Locate(cfg.Ledger.Store); err != nil || at.SQLite != "" { // a file is there, or never will be
		if err == nil {
			_, err = store.Get(ctx)
		}
		if err != nil {
			return err
		}
	}
	q.ledger = store
	var err error
	q.writer, err = writer.New(writer.Params{Store: q.ledger, Spool: cfg.Ledger.Folder(), Limit: int64(cfg.Ledger.SpoolSize), Log: a.log, Kept: q.written})
	q.books = books.New(q.writer, catalog.AsOf(), a.budget)
	return err
}

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

// watch has the books told what an observer is told.
func (q *accounts) watch(o exchange.Observer) exchange.Observer {
	if q.books == nil {
		return o
	}
	return watched{o, q.books}
}

// written notes in the journal what the ledger has.
func (q *accounts) written(records []*ledger.Record) {
	if q.journal == nil {
		return
	}
	for _, r := range records {
		if r.Sequence == 0 || r.Cause == "late" {
			_ = q.journal.Written(r.Organization, r.ID)
		}
	}
}

// budget finds a budget of the configuration in use.
func (a *App) budget(id string) *quota.Budget {
	if l := a.core.Snapshot().Limits; l != nil {
		return l.Budget(id)
	}
	return nil
}

func (a *App) openRedis(s *budgets.Service) (*redis.Store, error) {
	p := redis.Params{
		URL: s.Store, Timeout: s.Timeout, Keep: s.Keep,
		Source: func(context.Context, string) ([]quota.Balance, error) { return nil, nil },
		Alarm:  a.alarm,
	}
	if s.Password != "" {
		p.Password = func(ctx context.Context) (secret.Value, error) { return s.Password.Resolve(ctx) }
	}
	if s.CA != "" || s.Cert != "" {
		c := &tls.Config{MinVersion: tls.VersionTLS12}
		if s.CA != "" {
			pem, err := os.ReadFile(s.CA)
			if err != nil {
				return nil, err
			}
			c.RootCAs = x509.NewCertPool()
			if !c.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s holds no certificate", s.CA)
			}
		}
		if s.Cert != "" {
			pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
			if err != nil {
				return nil, err
			}
			c.Certificates = []tls.Certificate{pair}
		}
		p.TLS = c
	}
	return redis.New(p)
}

// alarm is for what somebody should look at.
func (a *App) alarm(organization, what string) {
	a.log.Error("limits", "organization", organization, "what", what)
}

// organizations are those whose reservations may expire.
func (a *App) organizations() []string { return a.organizationsOf(a.Config()) }

func (a *App) organizationsOf(cfg *config.Config) []string {
	t, err := cfg.Budgets()
	if err != nil {
		return nil
	}
	return t.Organizations()
}
