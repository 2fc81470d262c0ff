package sending_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	spanv1 "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/signalbox-ai/signalbox/internal/config/observe"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/sending"
	"github.com/signalbox-ai/signalbox/internal/testkit/collector"
)

type span struct{}

func (span) Size() int { return 1 }
func (span) Span() *spanv1.Span {
	return &spanv1.Span{TraceId: make([]byte, 16), SpanId: make([]byte, 8)}
}

func preset() *observe.Telemetry {
	var o observe.Observation
	o.Preset()
	return &o.Telemetry
}

func TestASecretThatIsRotatedIsSentAfterAReload(t *testing.T) {
	c := collector.Start(t)
	file := filepath.Join(t.TempDir(), "token")
	rotate := func(to string) {
		if err := os.WriteFile(file, []byte(to), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rotate("first")
	tel := preset()
	tel.OTLP.Endpoint, tel.Metrics.Export = c.GRPC, false
	tel.OTLP.Headers = []observe.Header{{Name: "x-token", Secret: secret.Ref("file:" + file)}, {Name: "x-tenant", Value: "one"}}
	s, err := sending.New(t.Context(), tel, sending.Options{Version: "v1", Metrics: sending.Metrics(tel), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { s.Run(ctx) })
	s.Spans().Add(span{})
	collector.Await(t, "the first span", func() bool { return len(c.Spans()) == 1 })
	rotate("second")
	if err := s.Renew(t.Context(), tel); err != nil {
		t.Fatal(err)
	}
	s.Spans().Add(span{})
	cancel()
	wait.Wait()
	var got []string
	for _, h := range c.Headers() {
		got = append(got, h["x-token"]...)
		if h["x-tenant"][0] != "one" {
			t.Errorf("headers %v", h)
		}
	}
	if strings.Join(got, " ") != "first second" {
		t.Errorf("tokens %q", got)
	}
	_ = os.Remove(file)
	if err := s.Renew(t.Context(), tel); err == nil {
		t.Error("a secret that cannot be fetched is no error")
	}
}

func TestWithoutACollectorNothingIsSent(t *testing.T) {
	tel := preset()
	s, err := sending.New(t.Context(), tel, sending.Options{Metrics: sending.Metrics(tel), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if s.Spans() != nil || sending.Tracing(tel) != nil {
		t.Error("exchanges are traced for nobody")
	}
	s.Run(t.Context()) // ends at once
	s.Close()
	tel.Traces.Propagate = []string{"local"}
	if tr := sending.Tracing(tel); tr == nil || !tr.Toward["local"] {
		t.Error("a trace cannot be handed on without a collector")
	}
}

func TestTheShareOfTracesIsKept(t *testing.T) {
	tel := preset()
	tel.OTLP.Endpoint = "http://127.0.0.1:4317"
	for share, most := range map[string][2]int{"0%": {0, 0}, "100%": {10000, 10000}, "25%": {2000, 3000}} {
		tel.Traces.Sample = share
		n, tr := 0, sending.Tracing(tel)
		for range 10000 {
			if tr.Sample() {
				n++
			}
		}
		if n < most[0] || n > most[1] {
			t.Errorf("%s: %d of 10000", share, n)
		}
	}
}

func TestWhatMayChangeWithAReload(t *testing.T) {
	a, b := *preset(), *preset()
	b.Traces.Sample, b.Traces.FollowParent, b.Traces.Propagate = "1%", false, []string{"p"}
	if !sending.Same(a, b) {
		t.Error("how exchanges are traced needs a restart")
	}
	b.OTLP.Timeout = time.Minute
	if sending.Same(a, b) {
		t.Error("another timeout of the collector needs none")
	}
}
