package otlp

import (
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	collectorv1 "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metricsv1 "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	resourcev1 "go.opentelemetry.io/proto/slim/otlp/resource/v1"

	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// MetricOptions say what metrics are sent and when.
type MetricOptions struct {
	Client   *Client
	Resource *resourcev1.Resource
	Scope    *commonv1.InstrumentationScope
	Gather   prometheus.Gatherer
	Every    time.Duration // 0: a minute
	Count    *telemetry.ExportMeters
	Log      *slog.Logger
}

// Metrics sends what a registry has, under OpenTelemetry's names.
type Metrics struct {
	o     MetricOptions
	began time.Time // since when counters count
	table map[string]telemetry.Metric
	bad   bool
}

// NewMetrics makes a sender. Run sends.
func NewMetrics(o MetricOptions) *Metrics {
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	m := &Metrics{o: o, began: time.Now(), table: map[string]telemetry.Metric{}}
	for _, t := range telemetry.Table() {
		m.table[t.Name] = t
	}
	return m
}

// Run sends the metrics now and then until the context ends, and once more for at most the grace.
func (m *Metrics) Run(ctx context.Context, grace time.Duration) {
	t := time.NewTicker(m.o.Every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			m.send(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			m.send(last)
			return
		}
	}
}

func (m *Metrics) send(ctx context.Context) {
	families, err := m.o.Gather.Gather() // what it could gather comes beside an error
	if err != nil {
		m.o.Log.Warn("some metrics cannot be gathered", "error", err)
	}
	out, n := m.convert(families, time.Now())
	refused, why, err := m.o.Client.send(ctx, points(), &collectorv1.ExportMetricsServiceRequest{ResourceMetrics: []*metricsv1.ResourceMetrics{{
		Resource:     m.o.Resource,
		ScopeMetrics: []*metricsv1.ScopeMetrics{{Scope: m.o.Scope, Metrics: out}},
	}}})
	report(m.o.Count, m.o.Log, &m.bad, metrics, n, int(refused), why, err)
}

// convert writes families of Prometheus's as metrics of OpenTelemetry's, and counts their points.
func (m *Metrics) convert(families []*dto.MetricFamily, now time.Time) (out []*metricsv1.Metric, points int) {
	for _, f := range families {
		x := &metricsv1.Metric{Name: f.GetName(), Description: f.GetHelp(), Unit: f.GetUnit()}
		if t, ok := m.table[f.GetName()]; ok {
			x.Name, x.Unit = t.OTel, t.Unit
		}
		if m.data(x, f, now) {
			out = append(out, x)
			points += len(f.GetMetric())
		}
	}
	return out, points
}

// data writes a family's points, where its kind has a counterpart.
func (m *Metrics) data(x *metricsv1.Metric, f *dto.MetricFamily, now time.Time) bool {
	const cumulative = metricsv1.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	start, end := uint64(m.began.UnixNano()), uint64(now.UnixNano())
	number := func(s *dto.Metric, start uint64, v float64) *metricsv1.NumberDataPoint {
		return &metricsv1.NumberDataPoint{StartTimeUnixNano: start, TimeUnixNano: end, Attributes: attributes(s.GetLabel()), Value: &metricsv1.NumberDataPoint_AsDouble{AsDouble: v}}
	}
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		sum := &metricsv1.Sum{AggregationTemporality: cumulative, IsMonotonic: true}
		for _, s := range f.GetMetric() {
			sum.DataPoints = append(sum.DataPoints, number(s, start, s.GetCounter().GetValue()))
		}
		x.Data = &metricsv1.Metric_Sum{Sum: sum}
	case dto.MetricType_GAUGE:
		gauge := &metricsv1.Gauge{}
		for _, s := range f.GetMetric() {
			gauge.DataPoints = append(gauge.DataPoints, number(s, 0, s.GetGauge().GetValue()))
		}
		x.Data = &metricsv1.Metric_Gauge{Gauge: gauge}
	case dto.MetricType_UNTYPED:
		gauge := &metricsv1.Gauge{}
		for _, s := range f.GetMetric() {
			gauge.DataPoints = append(gauge.DataPoints, number(s, 0, s.GetUntyped().GetValue()))
		}
		x.Data = &metricsv1.Metric_Gauge{Gauge: gauge}
	case dto.MetricType_HISTOGRAM:
		h := &metricsv1.Histogram{AggregationTemporality: cumulative}
		for _, s := range f.GetMetric() {
			h.DataPoints = append(h.DataPoints, histogram(s, start, end))
		}
		x.Data = &metricsv1.Metric_Histogram{Histogram: h}
	case dto.MetricType_SUMMARY:
		sum := &metricsv1.Summary{}
		for _, s := range f.GetMetric() {
			sum.DataPoints = append(sum.DataPoints, summary(s, start, end))
		}
		x.Data = &metricsv1.Metric_Summary{Summary: sum}
	default:
		return false
	}
	return true
}

// histogram writes a point: Prometheus's buckets count everything up to their bound, OpenTelemetry's what is between.
func histogram(s *dto.Metric, start, end uint64) *metricsv1.HistogramDataPoint {
	h := s.GetHistogram()
	sum, count := h.GetSampleSum(), h.GetSampleCount()
	p := &metricsv1.HistogramDataPoint{StartTimeUnixNano: start, TimeUnixNano: end, Attributes: attributes(s.GetLabel()), Sum: &sum, Count: count}
	var below uint64
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() > maxBound {
			continue
		}
		p.ExplicitBounds = append(p.ExplicitBounds, b.GetUpperBound())
		p.BucketCounts = append(p.BucketCounts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	p.BucketCounts = append(p.BucketCounts, count-min(below, count))
	for _, b := range h.GetBucket() {
		if e := b.GetExemplar(); e != nil {
			p.Exemplars = append(p.Exemplars, exemplar(e))
		}
	}
	return p
}

// maxBound is above every bound but that of the last bucket, which is infinite.
const maxBound = 1e300

func exemplar(e *dto.Exemplar) *metricsv1.Exemplar {
	x := &metricsv1.Exemplar{TimeUnixNano: uint64(e.GetTimestamp().AsTime().UnixNano()), Value: &metricsv1.Exemplar_AsDouble{AsDouble: e.GetValue()}}
	for _, l := range e.GetLabel() {
		if l.GetName() == "trace_id" {
			x.TraceId, _ = hex.DecodeString(l.GetValue())
		}
	}
	return x
}

func summary(s *dto.Metric, start, end uint64) *metricsv1.SummaryDataPoint {
	p := &metricsv1.SummaryDataPoint{StartTimeUnixNano: start, TimeUnixNano: end, Attributes: attributes(s.GetLabel()), Count: s.GetSummary().GetSampleCount(), Sum: s.GetSummary().GetSampleSum()}
	for _, q := range s.GetSummary().GetQuantile() {
		p.QuantileValues = append(p.QuantileValues, &metricsv1.SummaryDataPoint_ValueAtQuantile{Quantile: q.GetQuantile(), Value: q.GetValue()})
	}
	return p
}

// attributes writes labels under OpenTelemetry's names. An empty label is one that is not there.
func attributes(labels []*dto.LabelPair) (out []*commonv1.KeyValue) {
	for _, l := range labels {
		if l.GetValue() == "" {
			continue
		}
		name := l.GetName()
		if known, ok := telemetry.FindLabel(name); ok {
			name = known.Attribute
		}
		out = append(out, Text(name, l.GetValue()))
	}
	slices.SortFunc(out, func(a, b *commonv1.KeyValue) int { return strings.Compare(a.GetKey(), b.GetKey()) })
	return out
}
