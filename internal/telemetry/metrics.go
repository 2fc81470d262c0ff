package telemetry

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Bounds of what labels may take. Words are the code's own; the values of open labels come from configurations and
// clients.
const (
	maxWords      = 64
	DefaultValues = 500
	DefaultSeries = 5000
)

// Options of the metrics. Zero fields get the defaults.
type Options struct {
	Values int      // most values of an open label; what goes past is counted as "other"
	Series int      // most combinations of labels of a metric
	Tags   []string // tags that have metrics of their own
}

// Metrics are what a process counts. Its methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	exchanges *family[exchangeMeters]
	attempts  *family[prometheus.Counter]
	firstByte *family[prometheus.Observer]
	paths     *family[prometheus.Counter]
	tokens    *family[tokenMeters]
	errors    *family[prometheus.Counter]
	losses    *family[prometheus.Counter]
	genAI     genAIMeters
	tags      tagMeters
	self      selfMeters

	Cost   CostMeters
	Quota  QuotaMeters
	Ledger LedgerMeters
	besideMeters
}

// besideMeters are what stands beside the exchanges.
type besideMeters struct {
	Export      ExportMeters
	Idempotency IdempotencyMeters
	Health      HealthMeters
	SLO         SLOMeters
	Queue       QueueMeters
	Shadows     ShadowMeters
	Failover    FailoverMeters
}

// FailoverMeters count what is done beside trying the next target.
type FailoverMeters struct {
	same, repairs, mended, rounds *family[prometheus.Counter]
}

// exchangeMeters are the counter of exactly these labels and the histogram of their route.
type exchangeMeters struct {
	total prometheus.Counter
	took  prometheus.Observer
}

// examples choose the traces that exchanges and attempts are examples of.
type examples struct{ served, called chooser }

// selfMeters are about the service itself.
type selfMeters struct {
	plans        prometheus.Observer
	live         prometheus.Gauge
	swept        prometheus.Counter
	build        *prometheus.GaugeVec
	reloads      *family[prometheus.Counter]
	entries      *family[prometheus.Counter]
	off          *family[prometheus.Counter]
	unmade       *family[prometheus.Counter]
	authFailures *family[prometheus.Counter]
	expressions  *family[prometheus.Counter]
	examples
}

// New makes the metrics of the table and registers them, with those of the Go runtime and the process, at r.
func New(r *prometheus.Registry, o Options) *Metrics {
	if o.Values <= 0 {
		o.Values = DefaultValues
	}
	if o.Series <= 0 {
		o.Series = DefaultSeries
	}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	k := &maker{registry: r, values: o.Values, series: o.Series, made: map[string]bool{}}
	m := &Metrics{registry: r}
	took, _ := k.histograms("signalbox_exchange_duration_seconds")
	total, labels := k.counters("signalbox_exchanges_total")
	m.exchanges = familyOf(k, labels, func(at key) exchangeMeters {
		return exchangeMeters{total.WithLabelValues(at[:3]...), took.WithLabelValues(at[0])}
	})
	m.attempts = k.counterFamily("signalbox_attempts_total")
	m.firstByte = k.histogramFamily("signalbox_first_byte_seconds")
	m.paths = k.counterFamily("signalbox_paths_total")
	m.tokens = tokenFamily(k)
	m.errors = k.counterFamily("signalbox_errors_total")
	m.losses = k.counterFamily("signalbox_losses_total")
	m.genAI = newGenAI(k)
	m.tags = newTags(k, o.Tags)
	m.self.plans, m.self.live, m.self.swept = k.histogram("signalbox_plan_duration_seconds"), k.gauge("signalbox_live_exchanges"), k.counter("signalbox_swept_total")
	m.self.build, _ = k.gauges("signalbox_build_info")
	m.self.reloads, m.self.entries = k.counterFamily("signalbox_reload_total"), k.counterFamily("signalbox_log_entries_total")
	m.self.off = k.counterFamily("signalbox_usage_off_total")
	m.self.unmade = k.counterFamily("signalbox_unmade_attempts_total")
	m.self.expressions = k.counterFamily("signalbox_expression_failures_total")
	m.self.authFailures = k.counterFamily("signalbox_auth_failures_total")
	m.Cost, m.Quota, m.Ledger, m.Export, m.Idempotency = newCost(k, m), newQuota(k), newLedger(k), newExport(k), newIdempotency(k)
	m.Shadows, m.Failover = newShadows(k), newFailover(k)
	m.SLO = newSLO(k)
	m.Health, m.Queue = newHealth(k), newQueue(k)
	return m
}

// Registry returns what the metrics are registered at.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Build says which program this is. version is its release; the revision is read from the binary.
func (m *Metrics) Build(version string) {
	revision := ""
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	m.self.build.Reset()
	m.self.build.WithLabelValues(version, revision, runtime.Version()).Set(1)
}

// Handler serves the metrics in the formats that Prometheus reads. Exemplars are shown to a scraper that asks for
// OpenMetrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4, EnableOpenMetrics: true})
}

// Exchange is one that ended.
type Exchange struct {
	Route   string            // "": none was found
	Dialect string            // the client's
	Outcome string            // how it ended, a word of the caller's closed set
	Took    time.Duration     // 0: not known
	First   time.Duration     // to the first byte of the answer; 0: not known, or no stream
	Error   string            // class of the error, a word of the caller's closed set; "": it went well
	Output  int64             // tokens of the answer; 0: not known
	Call    Call              // what was asked for; zero: it was refused before that was known
	Tags    map[string]string // its own
	Arm     string            // of an experiment, as EXPERIMENT/ARM; "": of none
	Trace   string            // id of its trace, where that is kept; "": no exemplar
}

// Call is what a provider was asked for, in the words of OpenTelemetry's conventions for generative AI.
type Call struct {
	Operation string // gen_ai.operation.name
	System    string // gen_ai.provider.name
	Model     string // gen_ai.request.model
	Provider  string // by its name in the configuration
	Stream    bool
}

// Exchange counts an exchange that ended.
func (m *Metrics) Exchange(e *Exchange) {
	trace := m.self.served.pick(e.Trace, e.Took)
	v := m.exchanges.get(key{e.Route, e.Dialect, e.Outcome})
	v.total.Inc()
	if e.Took > 0 {
		observe(v.took, e.Took.Seconds(), trace)
	}
	if e.Call.Operation != "" {
		m.genAI.served(e, trace)
	}
	m.tags.exchange(e.Tags, e.Outcome)
	if e.Arm != "" {
		m.tags.arms.get(key{e.Arm, e.Outcome}).Inc()
	}
}

// Attempt is one that ended.
type Attempt struct {
	Provider string
	Code     llm.Code      // CodeNone: it went well
	Path     string        // direct, watched, worked or listened
	Took     time.Duration // 0: not known
	First    time.Duration // from its start to the first byte of the answer; 0: none came
	Call     Call          // zero: not known
	Trace    string        // as an Exchange's
}

// Attempt counts an attempt that ended.
func (m *Metrics) Attempt(a *Attempt) {
	m.attempts.get(key{a.Provider, a.Code.String(), a.Path}).Inc()
	trace := m.self.called.pick(a.Trace, a.Took)
	if a.First > 0 {
		observe(m.firstByte.get(key{a.Provider}), a.First.Seconds(), trace)
	}
	if a.Call.Operation != "" {
		m.genAI.called(a, trace)
	}
}

// Planned counts an exchange that was sent on its way, by the path of its first attempt, after so long a
// time in the plan stage.
func (m *Metrics) Planned(path string, took time.Duration) {
	m.paths.get(key{path}).Inc()
	m.self.plans.Observe(took.Seconds())
}

// Error counts an error by its class and by where it arose: a stage of the exchange or a part of the
// program, a word of the caller's closed set.
func (m *Metrics) Error(code llm.Code, where string) {
	m.errors.get(key{code.String(), where}).Inc()
}

// Losses counts n things that were lost from one dialect to another.
func (m *Metrics) Losses(from, to string, n int) {
	if n > 0 {
		m.losses.get(key{from, to}).Add(float64(n))
	}
}

// Unmade counts a further attempt at a provider that was not made, for a reason.
func (m *Metrics) Unmade(provider, reason string) { m.self.unmade.get(key{provider, reason}).Inc() }

// Live says how many exchanges have begun and not ended.
func (m *Metrics) Live(n int) { m.self.live.Set(float64(n)) }

// ExpressionsFailed counts n evaluations of a route's expressions that failed.
func (m *Metrics) ExpressionsFailed(route string, n uint64) {
	if n > 0 {
		m.self.expressions.get(key{route}).Add(float64(n))
	}
}

// Reload counts an attempt to put a configuration in place.
func (m *Metrics) Reload(ok bool) {
	result := "ok"
	if !ok {
		result = "refused"
	}
	m.self.reloads.get(key{result}).Inc()
}

// LogEntry counts an access log entry of Envoy's; kind is "request" or "attempt".
func (m *Metrics) LogEntry(kind string) { m.self.entries.get(key{kind}).Inc() }

// Swept counts n exchanges whose end nobody reported.
func (m *Metrics) Swept(n int) { m.self.swept.Add(float64(n)) }

// UsageOff counts a provider's count of a prompt that is far from ours.
func (m *Metrics) UsageOff(provider, model string) { m.self.off.get(key{provider, model}).Inc() }

// AuthFailure counts a request whose credential was not accepted, by why: missing, unknown, expired, token, forbidden,
// limited or invalid.
func (m *Metrics) AuthFailure(reason string) { m.self.authFailures.get(key{reason}).Inc() }

func newFailover(k *maker) FailoverMeters {
	return FailoverMeters{
		same: k.counterFamily("signalbox_same_attempts_total"), repairs: k.counterFamily("signalbox_repairs_total"),
		mended: k.counterFamily("signalbox_mended_answers_total"), rounds: k.counterFamily("signalbox_rounds_total"),
	}
}

// Same counts an attempt at the target that failed just before.
func (m *FailoverMeters) Same(provider string, code llm.Code) {
	m.same.get(key{provider, code.String()}).Inc()
}

// Repair counts an attempt that asked a target to repair its answer.
func (m *FailoverMeters) Repair(provider string, code llm.Code) {
	m.repairs.get(key{provider, code.String()}).Inc()
}

// Mended counts an answer of a provider that was mended here, by what was wrong with it: a word of a closed set.
func (m *FailoverMeters) Mended(provider, reason string) { m.mended.get(key{provider, reason}).Inc() }

// Rounds counts n rounds behind the first of an exchange.
func (m *FailoverMeters) Rounds(route string, n int) {
	if n > 0 {
		m.rounds.get(key{route}).Add(float64(n))
	}
}
