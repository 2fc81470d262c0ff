package accounts

import (
	"context"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/config"
	"github.com/signalbox-ai/signalbox/internal/ledger/writer"
	"github.com/signalbox-ai/signalbox/internal/quota/journal"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/trouble"
)

// measures is what the writer of the ledger has counted so far, and where that shows.
type measures struct {
	count   *telemetry.Metrics
	trouble *trouble.Log // may be nil
	store   string       // the ledger's: sqlite or postgres
	was     writer.Stats
}

// storeOf is the metrics' word for the ledger's store.
func storeOf(cfg *config.Config) string {
	if strings.HasPrefix(cfg.Ledger.Store, "postgres") {
		return "postgres"
	}
	return "sqlite"
}

// slow is how long the journal may take to reach the disk: requests under hard limits wait for it.
const slow = 100 * time.Millisecond

// disk is what the journal tells of its disk.
func (m *measures) disk() journal.Seen {
	if m.count == nil {
		return journal.Seen{}
	}
	return journal.Seen{
		Synced: func(took time.Duration) {
			m.count.Ledger.Synced(took)
			m.trouble.Rate(trouble.Slow, took > slow)
		},
		Fault: func(reason string) {
			m.count.Ledger.JournalError(reason)
			m.trouble.Note(trouble.What{Kind: trouble.Disk, Subject: reason}, 1)
		},
	}
}

// wrote counts a transaction of the ledger.
func (m *measures) wrote(took time.Duration, err error) {
	if m.count == nil {
		return
	}
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.count.Ledger.Wrote(m.store, result, took)
}

// turned counts that a store lost its counters, or that they were put back.
func (m *measures) turned(organization string) {
	if m.count != nil {
		m.count.Quota.Epoch("redis")
	}
	m.trouble.Note(trouble.What{Kind: trouble.Epoch, Organization: organization}, 1)
}

// measure shows what is open and what waits, about once a second, until the context ends.
func (a *Accounts) measure(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		a.count.Quota.Open(a.Open())
		if a.leases != nil {
			a.count.Quota.Leases(a.leases.Held())
		}
		if a.journal != nil {
			a.count.Ledger.Pending(a.journal.Waiting())
		}
		if a.writer != nil {
			a.show(a.writer.Stats())
		}
		select {
		case <-ctx.Done():
			if a.writer != nil {
				a.show(a.writer.Stats())
			}
			return
		case <-t.C:
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
			if c.result == "lost" || c.result == "refused" {
				m.trouble.Note(trouble.What{Kind: trouble.Lost, Subject: c.result}, c.is-c.was)
			}
			ledger.Records(m.store, c.result, int(c.is-c.was))
		}
	}
	ledger.Waiting(int(now.Waiting+now.Held), now.Spool)
	ledger.Up(m.store, !now.Away)
	m.was = now
}
