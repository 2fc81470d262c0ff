// Package collector is a receiver of the OpenTelemetry protocol for tests: over gRPC and over HTTP, on loopback. It
// keeps what it is sent, and fails as it is told.
package collector

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	logsv1 "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	metricsv1 "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logv1 "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	pointsv1 "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	spanv1 "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// compressed is what the server also takes; linking its package is what makes it do so.
const compressed = grpcgzip.Name

// Collector is a running receiver.
type Collector struct {
	GRPC string // its address, as http://127.0.0.1:1234
	HTTP string

	mu       sync.Mutex
	spans    []*spanv1.ResourceSpans
	points   []*pointsv1.ResourceMetrics
	logs     []*logv1.ResourceLogs
	headers  []map[string][]string
	answer   func(n int) error // of the n-th request, from 1; nil: all are accepted
	reject   int64
	requests int
}

// Start starts a receiver, which ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.UnknownServiceHandler(c.stream))
	var wait sync.WaitGroup
	wait.Go(func() { _ = g.Serve(l) })
	h := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(func() {
		g.Stop()
		h.Close()
		wait.Wait()
	})
	c.GRPC, c.HTTP = "http://"+l.Addr().String(), h.URL
	return c
}

// Answer says how requests are answered from now on: with the error that f gives for the n-th of them, from 1, which over
// HTTP is written as the status that its code stands for. reject is how many items are said to be refused of what is
// accepted.
func (c *Collector) Answer(f func(n int) error, reject int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer, c.reject, c.requests = f, reject, 0
}

// take keeps a request.
func (c *Collector) take(m proto.Message, header map[string][]string) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	c.headers = append(c.headers, header)
	if c.answer != nil {
		if err := c.answer(c.requests); err != nil {
			return nil, err
		}
	}
	switch m := m.(type) {
	case *tracev1.ExportTraceServiceRequest:
		c.spans = append(c.spans, m.GetResourceSpans()...)
		return &tracev1.ExportTraceServiceResponse{PartialSuccess: &tracev1.ExportTracePartialSuccess{RejectedSpans: c.reject}}, nil
	case *metricsv1.ExportMetricsServiceRequest:
		c.points = append(c.points, m.GetResourceMetrics()...)
		return &metricsv1.ExportMetricsServiceResponse{PartialSuccess: &metricsv1.ExportMetricsPartialSuccess{RejectedDataPoints: c.reject}}, nil
	case *logsv1.ExportLogsServiceRequest:
		c.logs = append(c.logs, m.GetResourceLogs()...)
		return &logsv1.ExportLogsServiceResponse{PartialSuccess: &logsv1.ExportLogsPartialSuccess{RejectedLogRecords: c.reject}}, nil
	}
	return nil, status.Error(codes.Unimplemented, "no such signal")
}

// empty makes the request of a gRPC method or an HTTP path.
func empty(name string) proto.Message {
	switch name {
	case "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/v1/traces":
		return new(tracev1.ExportTraceServiceRequest)
	case "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/v1/metrics":
		return new(metricsv1.ExportMetricsServiceRequest)
	case "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "/v1/logs":
		return new(logsv1.ExportLogsServiceRequest)
	}
	return nil
}

func (c *Collector) stream(_ any, st grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(st)
	m := empty(name)
	if m == nil {
		return status.Error(codes.Unimplemented, name)
	}
	if err := st.RecvMsg(m); err != nil {
		return err
	}
	header, _ := metadata.FromIncomingContext(st.Context())
	reply, err := c.take(m, header)
	if err != nil {
		return err
	}
	return st.SendMsg(reply)
}

// statuses are those that stand for codes over HTTP.
var statuses = map[codes.Code]int{codes.Unavailable: http.StatusServiceUnavailable, codes.InvalidArgument: http.StatusBadRequest, codes.ResourceExhausted: http.StatusTooManyRequests}

func (c *Collector) serve(w http.ResponseWriter, r *http.Request) {
	m := empty(r.URL.Path)
	if m == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "no such signal", http.StatusNotFound)
		return
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == compressed {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err == nil {
		err = proto.Unmarshal(b, m)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	header := map[string][]string{}
	for n, v := range r.Header {
		header[http.CanonicalHeaderKey(n)] = v
	}
	reply, err := c.take(m, header)
	w.Header().Set("Content-Type", "application/x-protobuf")
	if err != nil {
		w.WriteHeader(statuses[status.Code(err)])
		reply = status.Convert(err).Proto()
	}
	out, _ := proto.Marshal(reply)
	_, _ = w.Write(out)
}

// Requests returns how many requests came since the last Answer, and Headers what they had in headers.
func (c *Collector) Requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// Headers returns the headers of all requests.
func (c *Collector) Headers() []map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]map[string][]string(nil), c.headers...)
}

// Resources returns what spans were sent with, as they came.
func (c *Collector) Resources() []*spanv1.ResourceSpans {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*spanv1.ResourceSpans(nil), c.spans...)
}

// Spans returns the spans that were accepted.
func (c *Collector) Spans() (out []*spanv1.Span) {
	for _, r := range c.Resources() {
		for _, s := range r.GetScopeSpans() {
			out = append(out, s.GetSpans()...)
		}
	}
	return out
}

// Logs returns the log records that were accepted.
func (c *Collector) Logs() (out []*logv1.LogRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.logs {
		for _, s := range r.GetScopeLogs() {
			out = append(out, s.GetLogRecords()...)
		}
	}
	return out
}

// Metrics returns the metrics of the last request by name.
func (c *Collector) Metrics() map[string]*pointsv1.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]*pointsv1.Metric{}
	for _, r := range c.points {
		for _, s := range r.GetScopeMetrics() {
			for _, m := range s.GetMetrics() {
				out[m.GetName()] = m
			}
		}
	}
	return out
}

// Await waits until f returns true.
func Await(t testing.TB, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Attributes returns attributes by name, as texts, numbers, or yes and no.
func Attributes(kvs []*commonv1.KeyValue) map[string]any {
	out := map[string]any{}
	for _, kv := range kvs {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonv1.AnyValue_StringValue:
			out[kv.GetKey()] = v.StringValue
		case *commonv1.AnyValue_IntValue:
			out[kv.GetKey()] = v.IntValue
		case *commonv1.AnyValue_DoubleValue:
			out[kv.GetKey()] = v.DoubleValue
		case *commonv1.AnyValue_BoolValue:
			out[kv.GetKey()] = v.BoolValue
		}
	}
	return out
}
