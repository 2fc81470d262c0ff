package accounts

import (
	"context"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// measures is what the writer of the ledger has counted so far, and where that shows.
type measures struct {
	count *telemetry.Metrics
	store string // the ledger's: sqlite or postgres
	was   writer.Stats
}

// storeOf is the metrics' word for the ledger's store.
func storeOf(cfg *config.Config) string {
	if strings.HasPrefix(cfg.Ledger.Store, "postgres") {
		return "postgres"
	}
	return "sqlite"
}

// measure shows what the writer does, about once a second, until the context ends.
func (a *Accounts) measure(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			a.show(a.writer.Stats())
			return
		case <-t.C:
			a.show(a.writer.Stats())
		}
	}
}

// show counts what is new in the writer's counts.
func (a *Accounts) show(now writer.Stats) {
	m := &a.measures
	ledger := &m.count.Ledger
	for _, c := range []struct {
		result  string
		was, is int64
	}{{"written", m.was.Written, now.Written}, {"duplicate", m.was.Known, now.Known}, {"lost", m.was.Lost, now.Lost}, {"refused", m.was.Rejected, now.Rejected}} {
		if c.is > c.was {
			ledger.Records(m.store, c.result, int(c.is-c.was))
		}
	}
	ledger.Waiting(int(now.Waiting+now.Held), now.Spool)
	ledger.Up(m.store, !now.Away)
	m.was = now
}
