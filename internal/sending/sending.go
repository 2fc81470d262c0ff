// Package sending is what sends telemetry to the collector that the configuration names, and how exchanges are traced by
// it. It decides nothing about what is measured: internal/telemetry and extproc/observer do.
package sending

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcev1 "go.opentelemetry.io/proto/slim/otlp/resource/v1"

	"github.com/signalbox-ai/signalbox/extproc/tagging"
	"github.com/signalbox-ai/signalbox/internal/config/observe"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
)

// flushed is how long the end of the program waits for a collector.
const flushed = 5 * time.Second

// Sender sends telemetry to a collector, where the configuration names one.
type Sender struct {
	client *otlp.Client
	spans  *otlp.Spans   // nil: no traces are sent
	points *otlp.Metrics // nil: no metrics are sent
}

// Metrics makes the metrics with the bounds of the configuration.
func Metrics(t *observe.Telemetry) *telemetry.Metrics {
	return telemetry.New(prometheus.NewRegistry(), telemetry.Options{Values: t.Metrics.Values, Series: t.Metrics.Series, Tags: t.Metrics.Tags})
}

// Options of a Sender.
type Options struct {
	Version string // of the program
	Metrics *telemetry.Metrics
	Log     *slog.Logger
}

// New makes a Sender. It fetches the secrets of the collector's headers, and connects to nothing yet.
func New(ctx context.Context, t *observe.Telemetry, o Options) (*Sender, error) {
	s := &Sender{}
	if t.OTLP.Endpoint == "" {
		return s, nil
	}
	c, err := collector(ctx, &t.OTLP)
	if err != nil {
		return nil, err
	}
	if s.client, err = otlp.NewClient(c); err != nil {
		return nil, err
	}
	resource, count := resourceOf(t.Resource, o.Version), &o.Metrics.Export
	scope := &commonv1.InstrumentationScope{Name: "github.com/signalbox-ai/signalbox", Version: o.Version}
	if t.Traces.Export {
		s.spans = otlp.NewSpans(otlp.SpanOptions{Client: s.client, Resource: resource, Scope: scope, Queue: t.Traces.Queue, Count: count, Log: o.Log})
	}
	if t.Metrics.Export {
		s.points = otlp.NewMetrics(otlp.MetricOptions{Client: s.client, Resource: resource, Scope: scope, Gather: o.Metrics.Registry(), Every: t.Metrics.Interval, Count: count, Log: o.Log})
	}
	return s, nil
}

// Spans returns what takes spans; nil: none are sent.
func (s *Sender) Spans() otlp.Sink {
	if s.spans == nil {
		return nil
	}
	return s.spans
}

// Renew takes the secrets of the collector's headers as they are now.
func (s *Sender) Renew(ctx context.Context, t *observe.Telemetry) error {
	if s.client == nil {
		return nil
	}
	hs, err := headers(ctx, t.OTLP.Headers)
	if err == nil {
		s.client.SetHeaders(hs)
	}
	return err
}

// Run sends until the context ends, and then what is left.
func (s *Sender) Run(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	if s.spans != nil {
		wait.Go(func() { s.spans.Run(ctx, flushed) })
	}
	if s.points != nil {
		wait.Go(func() { s.points.Run(ctx, flushed) })
	}
}

// Close ends the connections.
func (s *Sender) Close() {
	if s.client != nil {
		s.client.Close()
	}
}

// collector makes the options of a client, with what its references lead to.
func collector(ctx context.Context, c *observe.OTLP) (otlp.Options, error) {
	o := otlp.Options{Protocol: c.Protocol, Compress: c.Compress, Timeout: c.Timeout}
	var err error
	if o.Endpoint, err = observe.ParseEndpoint(c.Endpoint); err != nil {
		return o, err
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return o, fmt.Errorf("ca: %w", err)
		}
		o.Roots = x509.NewCertPool()
		if !o.Roots.AppendCertsFromPEM(pem) {
			return o, errors.New("ca: the file has no certificate in PEM form")
		}
	}
	o.Headers, err = headers(ctx, c.Headers)
	return o, err
}

// headers fetches the values of headers.
func headers(ctx context.Context, list []observe.Header) (out []otlp.Header, err error) {
	for _, h := range list {
		v := secret.New(h.Value)
		if h.Secret != "" {
			if v, err = h.Secret.Resolve(ctx); err != nil {
				return nil, fmt.Errorf("the header %s cannot be fetched: %w", h.Name, err)
			}
		}
		out = append(out, otlp.Header{Name: h.Name, Value: v})
	}
	return out, nil
}

// resourceOf says which process this is, in the words of OpenTelemetry's conventions for resources.
func resourceOf(own map[string]string, version string) *resourcev1.Resource {
	all := map[string]string{"service.name": "signalbox", "service.version": version, "service.instance.id": rand.Text()}
	if host, err := os.Hostname(); err == nil {
		all["host.name"] = host
	}
	maps.Copy(all, own)
	var as []*commonv1.KeyValue
	for _, n := range slices.Sorted(maps.Keys(all)) {
		as = append(as, otlp.Text(n, all[n]))
	}
	return otlp.Resource(as...)
}

// Tracing says how exchanges are traced, nil where they are not.
func Tracing(t *observe.Telemetry) *tagging.Tracing {
	if !t.Traced() {
		return nil
	}
	const whole = 1_000_000
	share, _ := observe.Millionths(t.Traces.Sample) // checked
	out := &tagging.Tracing{Follow: t.Traces.FollowParent, Sample: func() bool { return mathrand.IntN(whole) < share }, Toward: map[string]bool{}, Say: t.Traces.Content}
	for _, p := range t.Traces.Propagate {
		out.Toward[p] = true
	}
	return out
}

// Same reports whether two configurations send the same to the same collector: what exchanges take with their
// snapshot may differ.
func Same(a, b observe.Telemetry) bool {
	for _, t := range []*observe.Traces{&a.Traces, &b.Traces} {
		t.Sample, t.FollowParent, t.Propagate = "", false, nil
	}
	return reflect.DeepEqual(a, b)
}
