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

// Bounds of what a label may take. Routes and providers are named by operators, the others by the code.
const (
	maxNames = 500
	maxWords = 64
)

// Buckets of the histograms, in seconds. Answers of models take from milliseconds (a mock, a cache) to
// half an hour; plans take microseconds.
var (
	exchangeBuckets = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800}
	firstBuckets    = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 4, 8, 15, 30, 60}
	planBuckets     = []float64{5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, .1}
)

// Metrics are what a process counts. Its methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	exchanges family[exchangeMeters]
	attempts  family[prometheus.Counter]
	firstByte family[prometheus.Observer]
	paths     family[prometheus.Counter]
	tokens    family[tokenMeters]
	errors    family[prometheus.Counter]
	losses    family[prometheus.Counter]
	reloads   family[prometheus.Counter]
	entries   family[prometheus.Counter]
	plans     prometheus.Histogram
	live      prometheus.Gauge
	swept     prometheus.Counter
	build     *prometheus.GaugeVec
}

// exchangeMeters are the counter of exactly these labels and the histogram of their route.
type exchangeMeters struct {
	total prometheus.Counter
	took  prometheus.Observer
}

// New makes the metrics and registers them, with those of the Go runtime and the process, at r.
func New(r *prometheus.Registry) *Metrics {
	m := &Metrics{registry: r}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	took := histograms(r, "signalbox_exchange_duration_seconds", "Time from a request to the end of its answer.", exchangeBuckets, "route")
	total := counters(r, "signalbox_exchanges_total", "Exchanges that ended, by how they ended.", "route", "dialect", "outcome")
	m.exchanges = family[exchangeMeters]{width: 3, bound: maxNames, make: func(k key) exchangeMeters {
		return exchangeMeters{total.WithLabelValues(k[:3]...), took.WithLabelValues(k[0])}
	}}
	m.attempts = counterFamily(r, maxNames, "signalbox_attempts_total", "Attempts that ended, by error class (ok: none) and path.", "provider", "code", "path")
	first := histograms(r, "signalbox_first_byte_seconds", "Time from an attempt's start to the first byte of its answer.", firstBuckets, "provider")
	m.firstByte = family[prometheus.Observer]{width: 1, bound: maxNames, make: func(k key) prometheus.Observer { return first.WithLabelValues(k[0]) }}
	m.paths = counterFamily(r, maxWords, "signalbox_paths_total", "Exchanges that were sent on their way, by the path of the first attempt.", "path")
	m.tokens = tokenFamily(r)
	m.errors = counterFamily(r, maxWords, "signalbox_errors_total", "Errors, by class and by where they arose.", "code", "where")
	m.losses = counterFamily(r, maxWords, "signalbox_losses_total", "Things of requests and answers that another dialect could not carry.", "dialect_from", "dialect_to")
	m.reloads = counterFamily(r, maxWords, "signalbox_reload_total", "Attempts to put a configuration in place.", "result")
	m.entries = counterFamily(r, maxWords, "signalbox_log_entries_total", "Access log entries that Envoy sent.", "kind")
	m.plans = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "signalbox_plan_duration_seconds", Help: "Time that the service takes to plan an exchange.", Buckets: planBuckets})
	m.live = prometheus.NewGauge(prometheus.GaugeOpts{Name: "signalbox_live_exchanges", Help: "Exchanges that have begun and not ended."})
	m.swept = prometheus.NewCounter(prometheus.CounterOpts{Name: "signalbox_swept_total", Help: "Exchanges whose end nobody reported in time."})
	m.build = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "signalbox_build_info", Help: "The running program; always 1."}, []string{"version", "revision", "go_version"})
	r.MustRegister(m.plans, m.live, m.swept, m.build)
	return m
}

func counters(r *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(v)
	return v
}

func histograms(r *prometheus.Registry, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(v)
	return v
}

func counterFamily(r *prometheus.Registry, bound int, name, help string, labels ...string) family[prometheus.Counter] {
	v := counters(r, name, help, labels...)
	return family[prometheus.Counter]{width: len(labels), bound: bound, make: func(k key) prometheus.Counter {
		return v.WithLabelValues(k[:len(labels)]...)
	}}
}

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
	m.build.Reset()
	m.build.WithLabelValues(version, revision, runtime.Version()).Set(1)
}

// Handler serves the metrics in the formats that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4})
}

// Exchange is one that ended.
type Exchange struct {
	Route   string // "": none was found
	Dialect string // the client's
	Outcome string // how it ended, a word of the caller's closed set
	Took    time.Duration
}

// Exchange counts an exchange that ended.
func (m *Metrics) Exchange(e Exchange) {
	v := m.exchanges.get(key{e.Route, e.Dialect, e.Outcome})
	v.total.Inc()
	v.took.Observe(e.Took.Seconds())
}

// Attempt is one that ended.
type Attempt struct {
	Provider string
	Code     llm.Code      // CodeNone: it went well
	Path     string        // direct, watched or worked
	First    time.Duration // from its start to the first byte of the answer; 0: none came
}

// Attempt counts an attempt that ended.
func (m *Metrics) Attempt(a Attempt) {
	m.attempts.get(key{a.Provider, a.Code.String(), a.Path}).Inc()
	if a.First > 0 {
		m.firstByte.get(key{a.Provider}).Observe(a.First.Seconds())
	}
}

// Planned counts an exchange that was sent on its way, by the path of its first attempt, after so long a
// time in the plan stage.
func (m *Metrics) Planned(path string, took time.Duration) {
	m.paths.get(key{path}).Inc()
	m.plans.Observe(took.Seconds())
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

// Live says how many exchanges have begun and not ended.
func (m *Metrics) Live(n int) { m.live.Set(float64(n)) }

// Reload counts an attempt to put a configuration in place.
func (m *Metrics) Reload(ok bool) {
	result := "ok"
	if !ok {
		result = "refused"
	}
	m.reloads.get(key{result}).Inc()
}

// LogEntry counts an access log entry of Envoy's; kind is "request" or "attempt".
func (m *Metrics) LogEntry(kind string) { m.entries.get(key{kind}).Inc() }

// Swept counts n exchanges whose end nobody reported.
func (m *Metrics) Swept(n int) { m.swept.Add(float64(n)) }
