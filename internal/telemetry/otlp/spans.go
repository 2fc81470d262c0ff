package otlp

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	tracev1 "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcev1 "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	spanv1 "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// Span is what a span will be made of. It is made off the path of requests.
type Span interface {
	Span() *spanv1.Span
	Size() int // bytes that it holds, roughly
}

// Sink takes what spans will be made of. It never waits.
type Sink interface{ Add(x Span) }

// SpanOptions say how spans are sent. Zero fields get the defaults.
type SpanOptions struct {
	Client   *Client
	Resource *resourcev1.Resource
	Scope    *commonv1.InstrumentationScope
	Queue    int           // most spans that wait; 0: 8192
	Bytes    int64         // most bytes that they hold; 0: 64 MiB
	Batch    int           // most spans of a request; 0: 512
	Every    time.Duration // how long a span waits for others; 0: 1 s
	Count    *telemetry.ExportMeters
	Log      *slog.Logger
}

// Spans is the queue of spans to a collector. Its methods are safe for concurrent use.
type Spans struct {
	o     SpanOptions
	queue chan waiting
	bytes atomic.Int64
	stop  chan struct{}
	once  sync.Once
	bad   bool // the last request failed: told in the log
}

// waiting is a span in the queue, with the size that was counted when it came.
type waiting struct {
	span Span
	size int64
}

// NewSpans makes a queue. Run sends what is in it.
func NewSpans(o SpanOptions) *Spans {
	if o.Queue <= 0 {
		o.Queue = 8192
	}
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	if o.Batch <= 0 {
		o.Batch = 512
	}
	if o.Every <= 0 {
		o.Every = time.Second
	}
	return &Spans{o: o, queue: make(chan waiting, o.Queue), stop: make(chan struct{})}
}

// Add hands a span in, and drops it where the queue is full. It never waits.
func (s *Spans) Add(x Span) {
	size := int64(x.Size())
	if s.bytes.Add(size) <= s.o.Bytes {
		select {
		case s.queue <- waiting{x, size}:
			return
		default:
		}
	}
	s.bytes.Add(-size)
	s.o.Count.Dropped(Traces, "queue_full", 1)
}

// Run sends spans until the context ends or Stop is called; then it sends what is left, for at most the grace that is
// given.
func (s *Spans) Run(ctx context.Context, grace time.Duration) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx by the grace
	defer cancel()
	over := make(chan struct{})
	var wait sync.WaitGroup
	defer wait.Wait()
	defer close(over)
	wait.Go(func() {
		select {
		case <-ctx.Done():
		case <-s.stop:
		case <-over:
			return
		}
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-over:
		}
	})
	for {
		batch, more := s.collect(ctx)
		if len(batch) > 0 {
			s.send(work, batch)
		}
		if !more && len(s.queue) == 0 {
			return
		}
		if work.Err() != nil {
			s.o.Count.Dropped(Traces, "stopped", len(s.queue))
			return
		}
	}
}

// Stop lets Run send what is left and end.
func (s *Spans) Stop() { s.once.Do(func() { close(s.stop) }) }

// collect takes a batch off the queue. more is false when the end has come.
func (s *Spans) collect(ctx context.Context) (batch []*spanv1.Span, more bool) {
	more = true
	take := func(x waiting) {
		s.bytes.Add(-x.size)
		batch = append(batch, x.span.Span())
	}
	select { // the first, however long it takes
	case x := <-s.queue:
		take(x)
	case <-ctx.Done():
		more = false
	case <-s.stop:
		more = false
	}
	t := time.NewTimer(s.o.Every)
	defer t.Stop()
	for len(batch) < s.o.Batch {
		if !more {
			select {
			case x := <-s.queue:
				take(x)
				continue
			default:
				return batch, false
			}
		}
		select {
		case x := <-s.queue:
			take(x)
		case <-t.C:
			return batch, true
		case <-ctx.Done():
			more = false
		case <-s.stop:
			more = false
		}
	}
	return batch, more
}

// send sends a batch, and counts what became of it.
func (s *Spans) send(ctx context.Context, batch []*spanv1.Span) {
	s.o.Count.Queue(len(s.queue))
	refused, why, err := s.o.Client.send(ctx, traces(), &tracev1.ExportTraceServiceRequest{ResourceSpans: []*spanv1.ResourceSpans{{
		Resource:   s.o.Resource,
		ScopeSpans: []*spanv1.ScopeSpans{{Scope: s.o.Scope, Spans: batch}},
	}}})
	report(s.o.Count, s.o.Log, &s.bad, Traces, len(batch), int(refused), why, err)
	s.o.Count.Queue(len(s.queue))
}

// report counts what became of n things, and tells when the state of things changes.
func report(count *telemetry.ExportMeters, log *slog.Logger, bad *bool, signal string, n, refused int, why string, err error) {
	switch {
	case err != nil:
		reason := "refused"
		if _, ok := errors.AsType[*later](err); ok {
			reason = "unreachable"
		}
		count.Dropped(signal, reason, n)
		if !*bad {
			log.Warn("telemetry is not sent", "signal", signal, "dropped", n, "error", err)
		}
	default:
		refused = min(refused, n)
		count.Sent(signal, n-refused)
		count.Dropped(signal, "refused", refused)
		if refused > 0 && !*bad {
			log.Warn("the collector refuses telemetry", "signal", signal, "dropped", refused, "error", why)
		}
		if *bad && refused == 0 {
			log.Info("telemetry is sent again", "signal", signal)
		}
	}
	*bad = err != nil || refused > 0
}
