package otlp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"time"

	metricsv1 "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/signalbox-ai/signalbox/internal/secret"
)

// Protocols.
const (
	GRPC = "grpc"
	HTTP = "http"
)

// Options of a Client.
type Options struct {
	Protocol string
	Endpoint *url.URL       // http or https; over HTTP, paths of signals are added to its own
	Roots    *x509.CertPool // nil: the system's
	Headers  []Header
	Compress bool          // with gzip
	Timeout  time.Duration // of one request; 0: 10 s
	Patience time.Duration // how long something is sent again; 0: a minute
}

// Header is one of every request.
type Header struct {
	Name  string
	Value secret.Value
}

// signal is what is sent to one service of a collector.
type signal struct {
	name    string
	method  string // of gRPC
	path    string // of HTTP
	refused func(reply proto.Message) (n int64, why string)
	reply   func() proto.Message
}

// Names of the signals, in metrics.
const (
	Traces  = "traces"
	metrics = "metrics"
)

// traces and points are the two services that are used.
func traces() signal {
	return signal{
		Traces, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "v1/traces",
		func(m proto.Message) (int64, string) {
			p := m.(*tracev1.ExportTraceServiceResponse).GetPartialSuccess()
			return p.GetRejectedSpans(), p.GetErrorMessage()
		},
		func() proto.Message { return new(tracev1.ExportTraceServiceResponse) },
	}
}

func points() signal {
	return signal{
		metrics, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "v1/metrics",
		func(m proto.Message) (int64, string) {
			p := m.(*metricsv1.ExportMetricsServiceResponse).GetPartialSuccess()
			return p.GetRejectedDataPoints(), p.GetErrorMessage()
		},
		func() proto.Message { return new(metricsv1.ExportMetricsServiceResponse) },
	}
}

// transport sends one request. An error that may pass is a *later.
type transport interface {
	send(ctx context.Context, s signal, hs []Header, request, reply proto.Message) error
	close()
}

// later is an error that may pass.
type later struct {
	after time.Duration // when the collector wants to be asked again; 0: it did not say
	err   error
}

func (e *later) Error() string { return e.err.Error() }
func (e *later) Unwrap() error { return e.err }

// Client sends to a collector. Its methods are safe for concurrent use.
type Client struct {
	t        transport
	headers  atomic.Pointer[[]Header]
	timeout  time.Duration
	patience time.Duration
}

// NewClient makes a client. It connects when it is first used.
func NewClient(o Options) (*Client, error) {
	c := &Client{timeout: o.Timeout, patience: o.Patience}
	c.SetHeaders(o.Headers)
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	if c.patience <= 0 {
		c.patience = time.Minute
	}
	security := &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}
	var err error
	switch o.Protocol {
	case GRPC:
		c.t, err = newGRPC(o, security)
	case HTTP:
		c.t = newHTTP(o, security)
	default:
		err = fmt.Errorf("%q is no protocol of OTLP that is known here", o.Protocol)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// SetHeaders takes other headers for the requests to come.
func (c *Client) SetHeaders(hs []Header) { c.headers.Store(&hs) }

// Close ends the connections.
func (c *Client) Close() { c.t.close() }

// send sends a request, again and again while that may help. It returns how many of its things the collector did not
// want, and why.
func (c *Client) send(ctx context.Context, s signal, request proto.Message) (refused int64, why string, err error) {
	end := time.Now().Add(c.patience)
	for wait := time.Second; ; wait = min(wait*2, 30*time.Second) {
		reply := s.reply()
		err = c.once(ctx, s, request, reply)
		if err == nil {
			refused, why = s.refused(reply)
			return refused, why, nil
		}
		e, ok := errors.AsType[*later](err)
		if !ok {
			return 0, "", err
		}
		pause := e.after
		if pause == 0 {
			pause = wait/2 + rand.N(wait)
		}
		if time.Until(end) < pause {
			return 0, "", err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return 0, "", err
		}
	}
}

func (c *Client) once(ctx context.Context, s signal, request, reply proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.t.send(ctx, s, *c.headers.Load(), request, reply)
}
