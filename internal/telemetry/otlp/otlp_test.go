package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	spanv1 "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
	"github.com/signalbox-ai/signalbox/internal/testkit/collector"
)

type span struct {
	name string
	size int
}

func (s span) Size() int { return s.size }

func (s span) Span() *spanv1.Span {
	return &spanv1.Span{TraceId: bytes.Repeat([]byte{1}, 16), SpanId: bytes.Repeat([]byte{2}, 8), Name: s.name}
}

// rig is a queue to a receiver, and what it counts.
type rig struct {
	*otlp.Spans
	c   *collector.Collector
	m   *telemetry.Metrics
	log bytes.Buffer
	end func()
}

func client(t *testing.T, at, protocol string, compress bool) *otlp.Client {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	c, err := otlp.NewClient(otlp.Options{
		Protocol: protocol, Endpoint: u, Compress: compress, Timeout: 5 * time.Second, Patience: 5 * time.Second,
		Headers: []otlp.Header{{Name: "x-token", Value: secret.New("canary")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func start(t *testing.T, protocol string, o otlp.SpanOptions) *rig {
	t.Helper()
	r := &rig{c: collector.Start(t), m: telemetry.New(prometheus.NewRegistry(), telemetry.Options{})}
	at := r.c.GRPC
	if protocol == otlp.HTTP {
		at = r.c.HTTP
	}
	o.Client, o.Count, o.Log = client(t, at, protocol, true), &r.m.Export, slog.New(slog.NewTextHandler(&r.log, nil))
	o.Resource, o.Scope = otlp.Resource(otlp.Text("service.name", "test")), &commonv1.InstrumentationScope{Name: "scope"}
	r.Spans = otlp.NewSpans(o)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { r.Run(ctx, 2*time.Second) })
	r.end = sync.OnceFunc(func() {
		cancel()
		wait.Wait()
	})
	t.Cleanup(r.end)
	return r
}

// counted returns a counter of what was sent or dropped.
func (r *rig) counted(t *testing.T, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := r.m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			got := map[string]string{}
			for _, l := range s.GetLabel() {
				got[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name && cmp.Equal(got, labels) {
				return s.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func (r *rig) dropped(t *testing.T, reason string) float64 {
	return r.counted(t, "signalbox_telemetry_dropped_total", map[string]string{"signal": "traces", "reason": reason})
}

func (r *rig) sent(t *testing.T) float64 {
	return r.counted(t, "signalbox_telemetry_sent_total", map[string]string{"signal": "traces"})
}

func TestSpansReachTheCollector(t *testing.T) {
	for _, protocol := range []string{otlp.GRPC, otlp.HTTP} {
		r := start(t, protocol, otlp.SpanOptions{Every: 10 * time.Millisecond, Batch: 7})
		for i := range 20 {
			r.Add(span{name: fmt.Sprint("span", i)})
		}
		collector.Await(t, "20 spans", func() bool { return len(r.c.Spans()) == 20 && r.sent(t) == 20 })
		r.end()
		if n := r.c.Requests(); n < 3 {
			t.Errorf("%s: %d requests for batches of 7", protocol, n)
		}
		first := r.c.Resources()[0]
		if got := collector.Attributes(first.GetResource().GetAttributes())["service.name"]; got != "test" {
			t.Errorf("%s: service.name is %v", protocol, got)
		}
		found := false
		for _, h := range r.c.Headers() {
			for n, v := range h {
				found = found || strings.EqualFold(n, "x-token") && v[0] == "canary"
			}
		}
		if !found {
			t.Errorf("%s: the header is missing", protocol)
		}
		if strings.Contains(r.log.String(), "canary") {
			t.Errorf("%s: the header's value is in the log", protocol)
		}
	}
}

func TestWhatMayPassIsSentAgain(t *testing.T) {
	wait, err := status.New(codes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(50 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		protocol string
		err      error
	}{
		"unavailable over gRPC": {otlp.GRPC, status.Error(codes.Unavailable, "down")},
		"throttled over gRPC":   {otlp.GRPC, wait.Err()},
		"unavailable over HTTP": {otlp.HTTP, status.Error(codes.Unavailable, "down")},
		"throttled over HTTP":   {otlp.HTTP, status.Error(codes.ResourceExhausted, "slow down")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, c.protocol, otlp.SpanOptions{Every: time.Millisecond})
			r.c.Answer(func(n int) error {
				if n == 1 {
					return c.err
				}
				return nil
			}, 0)
			r.Add(span{name: "a"})
			collector.Await(t, "the span", func() bool { return r.sent(t) == 1 })
			r.end()
			if len(r.c.Spans()) != 1 || r.c.Requests() != 2 {
				t.Errorf("%d spans in %d requests", len(r.c.Spans()), r.c.Requests())
			}
		})
	}
}

func TestWhatIsRefusedIsDroppedAndCounted(t *testing.T) {
	for _, protocol := range []string{otlp.GRPC, otlp.HTTP} {
		r := start(t, protocol, otlp.SpanOptions{Every: time.Millisecond})
		r.c.Answer(func(int) error { return status.Error(codes.InvalidArgument, "not like this") }, 0)
		r.Add(span{name: "a"})
		collector.Await(t, "the refusal", func() bool { return r.dropped(t, "refused") == 1 })
		r.c.Answer(nil, 1)
		r.Add(span{name: "b"})
		collector.Await(t, "the partial refusal", func() bool { return r.dropped(t, "refused") == 2 })
		r.c.Answer(nil, 0)
		r.Add(span{name: "c"})
		collector.Await(t, "the span", func() bool { return r.sent(t) == 1 })
		r.end()
		if got := strings.Count(r.log.String(), "level=WARN"); got != 1 {
			t.Errorf("%s: %d warnings, want one for all:\n%s", protocol, got, r.log.String())
		}
		if !strings.Contains(r.log.String(), "not like this") || !strings.Contains(r.log.String(), "sent again") {
			t.Errorf("%s: the log does not say why, or that it is over:\n%s", protocol, r.log.String())
		}
	}
}

func TestAFullQueueDropsAndNeverWaits(t *testing.T) {
	r := &rig{m: telemetry.New(prometheus.NewRegistry(), telemetry.Options{})}
	r.Spans = otlp.NewSpans(otlp.SpanOptions{Queue: 10, Bytes: 1000, Count: &r.m.Export, Log: slog.New(slog.DiscardHandler)})
	for range 30 {
		r.Add(span{size: 10})
	}
	if got := r.dropped(t, "queue_full"); got != 20 {
		t.Errorf("%v dropped, want 20", got)
	}
	r = &rig{m: telemetry.New(prometheus.NewRegistry(), telemetry.Options{})}
	r.Spans = otlp.NewSpans(otlp.SpanOptions{Queue: 10, Bytes: 1000, Count: &r.m.Export, Log: slog.New(slog.DiscardHandler)})
	for range 5 {
		r.Add(span{size: 400})
	}
	if got := r.dropped(t, "queue_full"); got != 3 {
		t.Errorf("%v dropped for their size, want 3", got)
	}
}

func TestWhatWaitsIsSentAtTheEnd(t *testing.T) {
	r := start(t, otlp.GRPC, otlp.SpanOptions{Every: time.Hour})
	for range 1200 {
		r.Add(span{})
	}
	r.end()
	if got := len(r.c.Spans()); got != 1200 || r.sent(t) != 1200 {
		t.Errorf("%d spans came, %v were counted", got, r.sent(t))
	}
}

func TestTheEndDoesNotWaitForACollectorThatIsAway(t *testing.T) {
	r := start(t, otlp.GRPC, otlp.SpanOptions{Every: time.Millisecond, Batch: 1})
	r.c.Answer(func(int) error { return status.Error(codes.Unavailable, "down") }, 0)
	for range 5 {
		r.Add(span{})
	}
	collector.Await(t, "a request", func() bool { return r.c.Requests() > 0 })
	began := time.Now()
	r.end()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	if got := r.dropped(t, "unreachable") + r.dropped(t, "stopped"); got != 5 {
		t.Errorf("%v counted as dropped, want 5", got)
	}
}

func TestMetricsReachTheCollector(t *testing.T) {
	for _, protocol := range []string{otlp.GRPC, otlp.HTTP} {
		c := collector.Start(t)
		at := c.GRPC
		if protocol == otlp.HTTP {
			at = c.HTTP
		}
		m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
		call := telemetry.Call{Operation: "chat", System: "openai", Model: "gpt", Provider: "own", Stream: true}
		m.Exchange(&telemetry.Exchange{Route: "r", Dialect: "d", Outcome: "ok", Took: 300 * time.Millisecond, First: 100 * time.Millisecond, Call: call, Trace: "4bf92f3577b34da6a3ce929d0e0e4736"})
		m.Exchange(&telemetry.Exchange{Route: "r", Dialect: "d", Outcome: "ok", Took: time.Hour, Call: call})
		m.Live(3)
		sender := otlp.NewMetrics(otlp.MetricOptions{
			Client: client(t, at, protocol, false), Gather: m.Registry(), Every: 20 * time.Millisecond, Count: &m.Export, Log: slog.New(slog.DiscardHandler),
			Resource: otlp.Resource(otlp.Text("service.name", "test")), Scope: &commonv1.InstrumentationScope{Name: "scope"},
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { sender.Run(ctx, time.Second) })
		collector.Await(t, "metrics", func() bool { return c.Requests() > 2 })
		cancel()
		wait.Wait()
		got := c.Metrics()
		h := got["gen_ai.server.request.duration"]
		if h == nil || h.GetUnit() != "s" || h.GetHistogram() == nil {
			t.Fatalf("%s: gen_ai.server.request.duration is %v", protocol, h)
		}
		p := h.GetHistogram().GetDataPoints()[0]
		if p.GetCount() != 2 || math.Abs(p.GetSum()-3600.3) > 1e-9 || len(p.GetBucketCounts()) != len(p.GetExplicitBounds())+1 || p.GetBucketCounts()[len(p.GetExplicitBounds())] != 1 {
			t.Errorf("%s: the histogram is %v", protocol, p)
		}
		want := map[string]any{"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt", "signalbox.route": "r"}
		if d := cmp.Diff(want, collector.Attributes(p.GetAttributes())); d != "" {
			t.Errorf("%s: attributes (-want +got):\n%s", protocol, d)
		}
		if len(p.GetExemplars()) != 1 || fmt.Sprintf("%x", p.GetExemplars()[0].GetTraceId()) != "4bf92f3577b34da6a3ce929d0e0e4736" {
			t.Errorf("%s: exemplars are %v", protocol, p.GetExemplars())
		}
		if s := got["signalbox.exchanges"].GetSum(); !s.GetIsMonotonic() || s.GetDataPoints()[0].GetAsDouble() != 2 {
			t.Errorf("%s: signalbox.exchanges is %v", protocol, s)
		}
		if g := got["signalbox.live_exchanges"].GetGauge(); g.GetDataPoints()[0].GetAsDouble() != 3 {
			t.Errorf("%s: signalbox.live_exchanges is %v", protocol, g)
		}
		if got["go_goroutines"] == nil {
			t.Errorf("%s: the runtime's metrics are missing", protocol)
		}
	}
}
