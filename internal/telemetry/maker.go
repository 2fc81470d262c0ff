package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maker makes instruments by the table and registers them.
type maker struct {
	registry *prometheus.Registry
	values   int
	series   int
	made     map[string]bool
}

// row finds a metric of the table, once.
func (k *maker) row(name string, kind Kind) Metric {
	i := slices.IndexFunc(table, func(m Metric) bool { return m.Name == name })
	if i < 0 || table[i].Kind != kind || k.made[name] {
		panic("telemetry: the table has no " + string(kind) + " " + name + " left")
	}
	k.made[name] = true
	return table[i]
}

func (k *maker) counters(name string) (*prometheus.CounterVec, []string) {
	m := k.row(name, Counter)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
	k.registry.MustRegister(v)
	return v, m.Labels
}

func (k *maker) histograms(name string) (*prometheus.HistogramVec, []string) {
	m := k.row(name, Histogram)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: m.Buckets}, m.Labels)
	k.registry.MustRegister(v)
	return v, m.Labels
}

func (k *maker) gauges(name string) (*prometheus.GaugeVec, []string) {
	m := k.row(name, Gauge)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.Name, Help: m.Help}, m.Labels)
	k.registry.MustRegister(v)
	return v, m.Labels
}

// one makes a metric without labels.
func (k *maker) counter(name string) prometheus.Counter {
	v, _ := k.counters(name)
	return v.WithLabelValues()
}

func (k *maker) gauge(name string) prometheus.Gauge {
	v, _ := k.gauges(name)
	return v.WithLabelValues()
}

func (k *maker) histogram(name string) prometheus.Observer {
	v, _ := k.histograms(name)
	return v.WithLabelValues()
}

// familyOf makes the family of children by these labels, with their bounds.
func familyOf[V any](k *maker, labels []string, child func(key) V) *family[V] {
	f := &family[V]{width: len(labels), most: k.series, make: child}
	for i, l := range labels {
		f.bounds[i] = maxWords
		if known, ok := FindLabel(l); !ok {
			panic("telemetry: no label is called " + l)
		} else if known.Open {
			f.bounds[i] = k.values
		}
	}
	return f
}

func (k *maker) counterFamily(name string) *family[prometheus.Counter] {
	v, labels := k.counters(name)
	return familyOf(k, labels, func(at key) prometheus.Counter { return v.WithLabelValues(at[:len(labels)]...) })
}

func (k *maker) gaugeFamily(name string) *family[prometheus.Gauge] {
	v, labels := k.gauges(name)
	return familyOf(k, labels, func(at key) prometheus.Gauge { return v.WithLabelValues(at[:len(labels)]...) })
}

func (k *maker) histogramFamily(name string) *family[prometheus.Observer] {
	v, labels := k.histograms(name)
	return familyOf(k, labels, func(at key) prometheus.Observer { return v.WithLabelValues(at[:len(labels)]...) })
}

// room is how many combinations of labels a metric may still have whose children are not those of one family alone.
type room struct{ left atomic.Int64 }

func (k *maker) room() *room {
	r := &room{}
	r.left.Store(int64(k.series))
	return r
}

// take takes room for n combinations more, and reports whether there was any.
func (r *room) take(n int64) bool {
	for {
		left := r.left.Load()
		if left < n {
			return false
		}
		if r.left.CompareAndSwap(left, left-n) {
			return true
		}
	}
}

// others are the values of n labels under which the rest is counted.
func others(n int) []string { return slices.Repeat([]string{other}, n) }

// later is a child that is on the page from its first use on.
type later struct {
	once sync.Once
	make func() prometheus.Observer
	o    prometheus.Observer
}

func (l *later) get() prometheus.Observer {
	l.once.Do(func() { l.o = l.make() })
	return l.o
}

// chooser thins out exemplars: a page shows the last one of each bucket, and each costs more than all else that is
// counted of an exchange. Every duration that is rare has one.
type chooser struct{ next [16]atomic.Int64 } // by bucket of exchangeBuckets, when another is due, in Unix nanoseconds

const often = 100 * time.Millisecond

// pick returns the trace where an exemplar is due.
func (c *chooser) pick(trace string, took time.Duration) string {
	if trace == "" {
		return ""
	}
	i := 0
	for s := took.Seconds(); i < len(exchangeBuckets) && s > exchangeBuckets[i]; {
		i++
	}
	now := time.Now().UnixNano()
	due := c.next[i].Load()
	if now < due || !c.next[i].CompareAndSwap(due, now+int64(often)) {
		return ""
	}
	return trace
}

// observe records a value. trace is the id of the trace that it is an example of; "": of none.
func observe(o prometheus.Observer, v float64, trace string) {
	if e, ok := o.(prometheus.ExemplarObserver); ok && trace != "" {
		e.ObserveWithExemplar(v, prometheus.Labels{"trace_id": trace})
		return
	}
	o.Observe(v)
}
