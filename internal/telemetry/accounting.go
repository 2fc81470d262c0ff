package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// nano is the unit of money: a billionth of a US dollar.
const nano = 1e-9

// CostMeters count money. Amounts are in nano-USD and never negative.
type CostMeters struct {
	cost, saved, unpriced, overrun *family[prometheus.Counter]
	tags                           *tagMeters
}

func newCost(k *maker, m *Metrics) CostMeters {
	return CostMeters{
		cost: k.counterFamily("signalbox_cost_usd_total"), saved: k.counterFamily("signalbox_cost_saved_usd_total"),
		unpriced: k.counterFamily("signalbox_unpriced_total"), overrun: k.counterFamily("signalbox_overrun_usd_total"), tags: &m.tags,
	}
}

// Cost is what an exchange cost at one provider.
type Cost struct {
	Route, Provider, Model string
	Tags                   map[string]string
	Nano                   int64 // nano-USD
	Saved                  int64 // nano-USD that cached input cost less than uncached
	Unpriced               bool  // a price is unknown, and not in the amounts
}

// Charged counts what an exchange cost.
func (c *CostMeters) Charged(x Cost) {
	if x.Unpriced {
		c.unpriced.get(key{x.Provider, x.Model}).Inc()
	}
	if x.Nano > 0 {
		dollars(c.cost.get(key{x.Route, x.Provider, x.Model}), x.Nano)
	}
	if x.Saved > 0 {
		dollars(c.saved.get(key{x.Provider, x.Model}), x.Saved)
	}
	for i := 0; x.Nano > 0 && i < len(c.tags.names); i++ {
		n := c.tags.names[i]
		dollars(c.tags.cost.get(key{n, x.Tags[n]}), x.Nano)
	}
}

// Overrun counts nano-USD that were charged beyond what a hard limit of a level had reserved: organization, team,
// project, key, end_user.
func (c *CostMeters) Overrun(level string, nanoUSD int64) {
	if nanoUSD > 0 {
		dollars(c.overrun.get(key{level}), nanoUSD)
	}
}

func dollars(c prometheus.Counter, nanoUSD int64) {
	if nanoUSD > 0 {
		c.Add(float64(nanoUSD) * nano)
	}
}

// QuotaMeters count what limits do.
type QuotaMeters struct {
	reserve, settle                 *family[prometheus.Observer]
	refusals, near, degraded, epoch *family[prometheus.Counter]
	open, oldest, leases            prometheus.Gauge
	expired, late                   prometheus.Counter
	drift, up                       *family[prometheus.Gauge]
}

func newQuota(k *maker) QuotaMeters {
	return QuotaMeters{
		reserve: k.histogramFamily("signalbox_quota_reserve_duration_seconds"), settle: k.histogramFamily("signalbox_quota_settle_duration_seconds"),
		refusals: k.counterFamily("signalbox_quota_refusals_total"), near: k.counterFamily("signalbox_quota_near_total"),
		degraded: k.counterFamily("signalbox_quota_degraded_total"), epoch: k.counterFamily("signalbox_quota_epochs_total"),
		open: k.gauge("signalbox_quota_reservations"), oldest: k.gauge("signalbox_quota_oldest_reservation_seconds"), leases: k.gauge("signalbox_quota_leases"),
		expired: k.counter("signalbox_quota_expired_total"), late: k.counter("signalbox_quota_late_total"),
		drift: k.gaugeFamily("signalbox_quota_drift"), up: k.gaugeFamily("signalbox_quota_store_up"),
	}
}

// Reserved records a reservation; result is granted, refused or error.
func (q *QuotaMeters) Reserved(store, result string, took time.Duration) {
	q.reserve.get(key{store, result}).Observe(took.Seconds())
}

// Settled records a settlement; result is ok or error.
func (q *QuotaMeters) Settled(store, result string, took time.Duration) {
	q.settle.get(key{store, result}).Observe(took.Seconds())
}

// Refused counts an exchange that a limit refused, by whose limit and what it counts.
func (q *QuotaMeters) Refused(level, unit string) { q.refusals.get(key{level, unit}).Inc() }

// Near counts a reservation that found a limit nearly reached.
func (q *QuotaMeters) Near(level, unit string) { q.near.get(key{level, unit}).Inc() }

// Degraded counts an exchange that was decided without the store; policy is deny, local or allow, result admitted or
// refused.
func (q *QuotaMeters) Degraded(policy, result string) { q.degraded.get(key{policy, result}).Inc() }

// Open says how many reservations are open, and how old the oldest is.
func (q *QuotaMeters) Open(n int, oldest time.Duration) {
	q.open.Set(float64(n))
	q.oldest.Set(oldest.Seconds())
}

// Expired counts n reservations that were charged because nobody settled them.
func (q *QuotaMeters) Expired(n int) { q.expired.Add(float64(n)) }

// Late counts n settlements that came after their reservation had expired.
func (q *QuotaMeters) Late(n int) { q.late.Add(float64(n)) }

// Leases says how many shares of limits the process holds.
func (q *QuotaMeters) Leases(n int) { q.leases.Set(float64(n)) }

// Drift says by how much that counter of a unit is off that differs most from the ledger.
func (q *QuotaMeters) Drift(unit string, by int64) { q.drift.get(key{unit}).Set(float64(by)) }

// Epoch counts a change of a store's epoch.
func (q *QuotaMeters) Epoch(store string) { q.epoch.get(key{store}).Inc() }

// Up says whether a store answers.
func (q *QuotaMeters) Up(store string, up bool) {
	q.up.get(key{store}).Set(yes(up))
}

func yes(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// LedgerMeters count what is written of exchanges.
type LedgerMeters struct {
	records               *family[prometheus.Counter]
	writes                *family[prometheus.Observer]
	queue, spool, pending prometheus.Gauge
	overdue               prometheus.Gauge
	up                    *family[prometheus.Gauge]
	sync                  prometheus.Observer
	errors                *family[prometheus.Counter]
	exported              *family[prometheus.Counter]
	backlog, lag, taking  *family[prometheus.Gauge]
}

func newLedger(k *maker) LedgerMeters {
	return LedgerMeters{
		records: k.counterFamily("signalbox_ledger_records_total"), writes: k.histogramFamily("signalbox_ledger_write_duration_seconds"),
		queue: k.gauge("signalbox_ledger_queue"), up: k.gaugeFamily("signalbox_ledger_store_up"), spool: k.gauge("signalbox_ledger_spool_bytes"),
		overdue: k.gauge("signalbox_ledger_overdue"),
		sync:    k.histogram("signalbox_journal_sync_duration_seconds"), pending: k.gauge("signalbox_journal_pending"), errors: k.counterFamily("signalbox_journal_errors_total"),
		exported: k.counterFamily("signalbox_ledger_export_records_total"), backlog: k.gaugeFamily("signalbox_ledger_export_waiting"),
		lag: k.gaugeFamily("signalbox_ledger_export_lag_seconds"), taking: k.gaugeFamily("signalbox_ledger_export_up"),
	}
}

// Records counts n records by what became of them: written, duplicate, refused or lost.
func (l *LedgerMeters) Records(store, result string, n int) {
	l.records.get(key{store, result}).Add(float64(n))
}

// Wrote records the writing of a batch; result is ok or error.
func (l *LedgerMeters) Wrote(store, result string, took time.Duration) {
	l.writes.get(key{store, result}).Observe(took.Seconds())
}

// Waiting says how many records wait to be written, and how many bytes of them lie on disk.
func (l *LedgerMeters) Waiting(records int, spooled int64) {
	l.queue.Set(float64(records))
	l.spool.Set(float64(spooled))
}

// Overdue says of how many exchanges that ended minutes ago the ledger has no record.
func (l *LedgerMeters) Overdue(n int) { l.overdue.Set(float64(n)) }

// Up says whether a store answers.
func (l *LedgerMeters) Up(store string, up bool) { l.up.get(key{store}).Set(yes(up)) }

// Synced records a sync of the journal.
func (l *LedgerMeters) Synced(took time.Duration) { l.sync.Observe(took.Seconds()) }

// Pending says how many exchanges have lines in the journal that are still needed.
func (l *LedgerMeters) Pending(n int) { l.pending.Set(float64(n)) }

// JournalError counts a failed write or sync of the journal, by why: write, sync, full, open or lost.
func (l *LedgerMeters) JournalError(reason string) { l.errors.get(key{reason}).Inc() }

// Exported counts n records that came off the list of a sink: delivered, refused or expired.
func (l *LedgerMeters) Exported(sink, result string, n int) {
	if n > 0 {
		l.exported.get(key{sink, result}).Add(float64(n))
	}
}

// Backlog says how many records wait for a sink, and for how long the oldest does.
func (l *LedgerMeters) Backlog(sink string, records int64, lag time.Duration) {
	l.backlog.get(key{sink}).Set(float64(records))
	l.lag.get(key{sink}).Set(max(lag, 0).Seconds())
}

// Taking says whether a sink takes records.
func (l *LedgerMeters) Taking(sink string, up bool) { l.taking.get(key{sink}).Set(yes(up)) }

// ExportMeters count what is sent to a collector.
type ExportMeters struct {
	sent, dropped *family[prometheus.Counter]
	queue         prometheus.Gauge
}

func newExport(k *maker) ExportMeters {
	return ExportMeters{sent: k.counterFamily("signalbox_telemetry_sent_total"), dropped: k.counterFamily("signalbox_telemetry_dropped_total"), queue: k.gauge("signalbox_telemetry_queue")}
}

// Sent counts n things that a collector accepted; signal is traces or metrics.
func (e *ExportMeters) Sent(signal string, n int) { e.sent.get(key{signal}).Add(float64(n)) }

// Dropped counts n things that were not sent, by why: queue_full, refused, unreachable or stopped.
func (e *ExportMeters) Dropped(signal, reason string, n int) {
	if n > 0 {
		e.dropped.get(key{signal, reason}).Add(float64(n))
	}
}

// Queue says how many spans wait to be sent.
func (e *ExportMeters) Queue(n int) { e.queue.Set(float64(n)) }

// IdempotencyMeters count requests with an idempotency key.
type IdempotencyMeters struct {
	asked, stored *family[prometheus.Counter]
	bytes         prometheus.Counter
	running       prometheus.Gauge
}

func newIdempotency(k *maker) IdempotencyMeters {
	return IdempotencyMeters{
		asked: k.counterFamily("signalbox_idempotency_requests_total"), stored: k.counterFamily("signalbox_idempotency_answers_total"),
		bytes: k.counter("signalbox_idempotency_answer_bytes_total"), running: k.gauge("signalbox_idempotency_running"),
	}
}

// Asked counts a request by what was found of its key: first, replayed, joined, taken_over, mismatch, timeout,
// left or unavailable.
func (i *IdempotencyMeters) Asked(result string) { i.asked.get(key{result}).Inc() }

// Stored counts an answer by what became of it: stored, too_large, late or failed. size is that of what was stored.
func (i *IdempotencyMeters) Stored(result string, size int) {
	i.stored.get(key{result}).Inc()
	i.bytes.Add(float64(size))
}

// Running says how many requests with a key run in this process.
func (i *IdempotencyMeters) Running(n int) { i.running.Set(float64(n)) }

// QueueMeters count requests that wait for room at a provider.
type QueueMeters struct {
	waiting, bytes prometheus.Gauge
	waits          *family[prometheus.Observer]
}

func newQueue(k *maker) QueueMeters {
	return QueueMeters{
		waiting: k.gauge("signalbox_queue_waiting"), bytes: k.gauge("signalbox_queue_held_bytes"),
		waits: k.histogramFamily("signalbox_queue_wait_seconds"),
	}
}

// Waiting says how many requests wait, and how many bytes of bodies they hold.
func (q *QueueMeters) Waiting(n int, bytes int64) {
	q.waiting.Set(float64(n))
	q.bytes.Set(float64(bytes))
}

// Waited records a wait of a request of a class, by how it ended: admitted, queue_too_long, queue_full, expired,
// displaced or left.
func (q *QueueMeters) Waited(class, result string, took time.Duration) {
	q.waits.get(key{class, result}).Observe(took.Seconds())
}
