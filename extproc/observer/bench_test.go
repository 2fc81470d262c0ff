package observer_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/observer"
	"github.com/signalbox-ai/signalbox/extproc/tagging"
	"github.com/signalbox-ai/signalbox/internal/auth"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/secret"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/all"
	"github.com/signalbox-ai/signalbox/routing"
)

// dropped takes spans and forgets them: making and sending them is off the path.
type dropped struct{ n int }

func (d *dropped) Add(otlp.Span) { d.n++ }

// direct makes a core with one target of OpenAI's, whose exchanges are marked so.
func direct(tb testing.TB, marks tagging.Marks, o exchange.Observer) *exchange.Core {
	tb.Helper()
	kind, _ := all.Kinds().Kind("openai")
	base, err := url.Parse("https://api.openai.example/v1")
	if err != nil {
		tb.Fatal(err)
	}
	a, err := kind.New(providers.Env{Name: "openai", BaseURL: base}, kind.Params())
	if err != nil {
		tb.Fatal(err)
	}
	p := &providers.Provider{Name: "openai", Kind: "openai", Base: base, Adapter: a, Keys: providers.NewKeyring(providers.Key{ID: "k", Secret: secret.New("sk-0")})}
	rt := &routing.Route{Name: "r", Models: []string{"*"}, Targets: []routing.Target{{Provider: "openai", Model: "gpt-5.1"}}, Usage: routing.UsagePass}
	return exchange.New(&exchange.Snapshot{
		Version: "1", Table: routing.NewTable([]*routing.Route{rt}, nil), Providers: map[string]*providers.Provider{"openai": p}, Registry: all.Kinds(), Servers: all.Servers(),
		Keys: auth.Open(auth.Options{}), MaxBody: 1 << 20, MaxAnswer: 1 << 20, Marks: marks,
	}, exchange.Options{Observer: o})
}

// exchanges runs an exchange on the direct path, over and over: the plan, and its end by the log entry.
func exchanges(core *exchange.Core) func() {
	h := exchange.Header{
		{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/v1/chat/completions"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "gateway.example"},
		{Name: "authorization", Value: "Bearer sk-of-the-client"}, {Name: "content-type", Value: "application/json"}, {Name: "accept", Value: "*/*"}, {Name: "user-agent", Value: "OpenAI/Python 2.7.1"},
		{Name: "x-forwarded-for", Value: "10.0.0.1"}, {Name: "x-forwarded-proto", Value: "https"}, {Name: "x-request-id", Value: ""}, {Name: "x-feature", Value: "search"},
		{Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	}
	body := []byte(fmt.Sprintf(`{"model":"smart","stream":true,"metadata":{"team":"core"},"messages":[{"role":"user","content":"%s"}]}`, strings.Repeat("word ", 180)))
	return func() {
		x := core.Begin()
		x.Head(context.Background(), h, false)
		r := x.Body(context.Background(), body)
		core.RequestLogged(exchange.Outcome{
			Ticket: r.Plan.Ticket, Status: 200, Tries: 1, Began: time.Now(), Took: time.Second, First: time.Millisecond, Try: exchange.Timing{Took: time.Second, First: time.Millisecond},
			Usage: llm.Usage{Input: llm.Tokens(100), Output: llm.Tokens(50)},
		})
	}
}

// stages are what may be switched on, each with what is before it.
func stages() []struct {
	name  string
	marks tagging.Marks
	spans otlp.Sink
} {
	sampled := func(bool) func() bool { return func() bool { return true } }
	tags := tagging.New(map[string]string{"feature": "x-feature"}, []string{"team"})
	trace := &tagging.Tracing{Follow: true, Sample: sampled(true)}
	unsampled := &tagging.Tracing{Sample: func() bool { return false }}
	onward := &tagging.Tracing{Follow: true, Sample: sampled(true), Toward: map[string]bool{"openai": true}}
	said := &tagging.Tracing{Follow: true, Sample: sampled(true), Say: true}
	return []struct {
		name  string
		marks tagging.Marks
		spans otlp.Sink
	}{
		{"off", tagging.Marks{}, nil},
		{"tags", tagging.Marks{Tags: tags}, nil},
		{"traces, not sampled", tagging.Marks{Trace: unsampled}, &dropped{}},
		{"traces", tagging.Marks{Trace: trace}, &dropped{}},
		{"traces, handed on", tagging.Marks{Trace: onward}, &dropped{}},
		{"traces and tags", tagging.Marks{Tags: tags, Trace: trace}, &dropped{}},
		{"traces with content", tagging.Marks{Trace: said}, &dropped{}},
	}
}

// BenchmarkDirect is the whole work of the service for an exchange on the direct path, but for the messages.
func BenchmarkDirect(b *testing.B) {
	for _, s := range stages() {
		b.Run(s.name, func(b *testing.B) {
			o := observer.New(observer.Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{}), Spans: s.spans, Errors: true})
			one := exchanges(direct(b, s.marks, o))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if one(); n%4096 == 0 { // or the table of live exchanges is what is measured
					b.StopTimer()
					one = exchanges(direct(b, s.marks, o))
					b.StartTimer()
				}
				n++
			}
		})
	}
}

// BenchmarkSpans is what making the two spans of an exchange takes, off the path.
func BenchmarkSpans(b *testing.B) {
	var kept keeper
	o := observer.New(observer.Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{}), Spans: &kept})
	exchanges(direct(b, tagging.Marks{Trace: &tagging.Tracing{Follow: true}}, o))()
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range kept {
			s.Span()
		}
	}
}

// keeper keeps what is handed in.
type keeper []otlp.Span

func (k *keeper) Add(s otlp.Span) { *k = append(*k, s) }

func TestTelemetryThatIsOffAllocatesNothing(t *testing.T) {
	allocations := func(marks tagging.Marks, o exchange.Observer) float64 {
		one := exchanges(direct(t, marks, o))
		return testing.AllocsPerRun(200, one)
	}
	blind := allocations(tagging.Marks{}, nil)
	counted := allocations(tagging.Marks{}, observer.New(observer.Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{})}))
	if counted > blind+0.5 {
		t.Errorf("%v allocations with metrics, %v without", counted, blind)
	}
	traced := allocations(tagging.Marks{Trace: &tagging.Tracing{Follow: true}}, observer.New(observer.Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{}), Spans: &dropped{}}))
	if traced <= counted {
		t.Errorf("tracing costs nothing: it is not measured")
	}
}
