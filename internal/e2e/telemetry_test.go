package e2e

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	spanv1 "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/signalbox-ai/signalbox/internal/testkit/collector"
	"github.com/signalbox-ai/signalbox/internal/testkit/stack"
)

const (
	parentSpan = "00f067aa0ba902b7"
)

// parentOf makes the traceparent of the n-th trace.
func parentOf(n int, sampled string) (header, trace string) {
	trace = fmt.Sprintf("%032x", 0xabcdef00+n)
	return "traceparent: 00-" + trace + "-" + parentSpan + "-" + sampled, trace
}

// traceOf waits for a trace of n spans, and returns the exchange's and those of its attempts in order.
func traceOf(t *testing.T, c *collector.Collector, trace string, n int) (exchange *spanv1.Span, attempts []*spanv1.Span) {
	t.Helper()
	var all []*spanv1.Span
	collector.Await(t, fmt.Sprintf("%d spans of trace %s", n, trace), func() bool {
		all = slices.DeleteFunc(c.Spans(), func(s *spanv1.Span) bool { return hex.EncodeToString(s.GetTraceId()) != trace })
		return len(all) >= n
	})
	if len(all) != n {
		t.Fatalf("trace %s has %d spans, want %d: %v", trace, len(all), n, all)
	}
	for _, s := range all {
		if s.GetKind() == spanv1.Span_SPAN_KIND_SERVER {
			exchange = s
		} else {
			attempts = append(attempts, s)
		}
	}
	number := func(s *spanv1.Span) int64 {
		n, _ := collector.Attributes(s.GetAttributes())["signalbox.attempt"].(int64)
		return n
	}
	slices.SortFunc(attempts, func(a, b *spanv1.Span) int { return int(number(a) - number(b)) })
	if exchange == nil {
		t.Fatalf("trace %s has no span of an exchange: %v", trace, all)
	}
	for i, a := range attempts {
		if string(a.GetParentSpanId()) != string(exchange.GetSpanId()) || a.GetKind() != spanv1.Span_SPAN_KIND_CLIENT || number(a) != int64(i+1) {
			t.Errorf("trace %s: attempt %d is %v", trace, i+1, a)
		}
		if a.GetStartTimeUnixNano() < exchange.GetStartTimeUnixNano() || a.GetEndTimeUnixNano() > exchange.GetEndTimeUnixNano() || a.GetEndTimeUnixNano() < a.GetStartTimeUnixNano() {
			t.Errorf("trace %s: attempt %d lasts from %d to %d, and the exchange from %d to %d", trace, i+1, a.GetStartTimeUnixNano(), a.GetEndTimeUnixNano(), exchange.GetStartTimeUnixNano(), exchange.GetEndTimeUnixNano())
		}
	}
	return exchange, attempts
}

// has checks attributes of a span. A value of nil is one that must not be there.
func has(t *testing.T, what string, s *spanv1.Span, want map[string]any) {
	t.Helper()
	got := collector.Attributes(s.GetAttributes())
	for _, n := range slices.Sorted(maps.Keys(want)) {
		if got[n] != want[n] {
			t.Errorf("%s: %s is %v, want %v", what, n, got[n], want[n])
		}
	}
}

func tracedStack(t *testing.T, c string, more string) (*stack.Stack, *provider, *provider) {
	a, b := newProvider(t, "a"), newProvider(t, "b")
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "sk-canary-of-a", "b": "sk-canary-of-b", "token": "canary-of-the-collector"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return stack.Up(t, strings.ReplaceAll(fmt.Sprintf(`
providers:
  - { name: a, kind: openai, key: 'file:DIR/a', base_url: %s/v1 }
  - { name: b, kind: anthropic, key: 'file:DIR/b', base_url: %s }
routes:
  - { name: direct, match: { models: [plain, stream, bad] }, targets: [a/echo], failover: { first_token: false }, usage: pass }
  - { name: over, match: { models: [over] }, targets: [a/503, b/error-first, b/echo] }
  - { name: none, match: { models: [none] }, targets: [a/500, b/529] }
  - { name: cut, match: { models: [cut] }, targets: ["a/cut:3"], failover: { first_token: false }, usage: pass }
tags: { headers: { feature: x-feature }, metadata: [ team ] }
telemetry:
  otlp: { %s, headers: [ { name: x-token, secret: 'file:DIR/token' } ] }
  resource: { deployment.environment.name: test }
  metrics: { interval: 200ms, tags: [ feature ] }
%s`, a.url, b.url, c, more), "DIR", dir)), a, b
}

func TestTracesOfExchanges(t *testing.T) {
	t.Parallel()
	c := collector.Start(t)
	s, a, b := tracedStack(t, "endpoint: "+c.GRPC, "  traces: { propagate: [ a ] }\n")
	port := a.url[strings.LastIndexByte(a.url, ':')+1:]

	t.Run("direct", func(t *testing.T) {
		parent, trace := parentOf(1, "01")
		post(t, s.Base+chatPath, strings.Replace(chat("plain", false), `{"model"`, `{"metadata":{"team":"core"},"model"`, 1), parent, "x-feature: search", "x-request-id: exchange-one").want(t, 200, "Hello")
		x, attempts := traceOf(t, c, trace, 2)
		if hex.EncodeToString(x.GetParentSpanId()) != parentSpan || x.GetName() != "chat plain" || x.GetStatus().GetCode() != spanv1.Status_STATUS_CODE_UNSET {
			t.Errorf("the exchange is %v", x)
		}
		has(t, "exchange", x, map[string]any{
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "plain", "gen_ai.response.model": "echo", "gen_ai.request.stream": nil,
			"http.response.status_code": int64(200), "http.request.method": "POST", "url.path": chatPath, "error.type": nil,
			"signalbox.exchange.id": "exchange-one", "signalbox.route": "direct", "signalbox.dialect": "openai-chat", "signalbox.outcome": "ok", "signalbox.attempts": int64(1),
			"signalbox.target": "a/echo", "signalbox.tag.feature": "search", "signalbox.tag.team": "core", "signalbox.usage.source": "envoy",
		})
		for _, n := range []string{"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"} {
			if v, _ := collector.Attributes(x.GetAttributes())[n].(int64); v <= 0 {
				t.Errorf("%s is %v", n, v)
			}
		}
		if len(attempts) != 1 {
			t.Fatalf("%d attempts", len(attempts))
		}
		has(t, "attempt", attempts[0], map[string]any{
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "echo", "http.response.status_code": int64(200), "error.type": nil,
			"server.address": "127.0.0.1", "signalbox.provider": "a", "signalbox.path": "direct", "signalbox.attempt": int64(1),
		})
		if got := fmt.Sprint(collector.Attributes(attempts[0].GetAttributes())["server.port"]); got != port {
			t.Errorf("server.port is %s, want %s", got, port)
		}
		seen := a.Journal()
		if got, want := seen[len(seen)-1].Header.Get("Traceparent"), "00-"+trace+"-"+hex.EncodeToString(attempts[0].GetSpanId())+"-01"; got != want {
			t.Errorf("the provider got traceparent %q, want %q", got, want)
		}
	})
	t.Run("a stream, without a parent", func(t *testing.T) {
		before := len(c.Spans())
		post(t, s.Base+chatPath, chat("stream", true)).want(t, 200, "Hello")
		collector.Await(t, "two spans", func() bool { return len(c.Spans()) >= before+2 })
		x, attempts := traceOf(t, c, hex.EncodeToString(c.Spans()[before].GetTraceId()), 2)
		if x.GetParentSpanId() != nil {
			t.Errorf("it has the parent %x", x.GetParentSpanId())
		}
		has(t, "exchange", x, map[string]any{"gen_ai.request.stream": true, "signalbox.usage.source": "envoy", "signalbox.outcome": "ok"})
		for what, s := range map[string]*spanv1.Span{"exchange": x, "attempt": attempts[0]} {
			if v, _ := collector.Attributes(s.GetAttributes())["gen_ai.response.time_to_first_chunk"].(float64); v <= 0 {
				t.Errorf("%s: the first chunk came after %v s", what, v)
			}
		}
	})
	t.Run("failover", func(t *testing.T) {
		parent, trace := parentOf(2, "01")
		post(t, s.Base+chatPath, chat("over", true), parent, "tracestate: x=y").want(t, 200, "Hello")
		x, attempts := traceOf(t, c, trace, 4)
		has(t, "exchange", x, map[string]any{"signalbox.outcome": "ok", "signalbox.attempts": int64(3), "gen_ai.provider.name": "anthropic", "signalbox.target": "b/echo", "error.type": nil})
		has(t, "attempt 1", attempts[0], map[string]any{"signalbox.provider": "a", "error.type": "overloaded", "http.response.status_code": int64(503)})
		has(t, "attempt 2", attempts[1], map[string]any{"signalbox.provider": "b", "gen_ai.request.model": "error-first", "gen_ai.provider.name": "anthropic"})
		has(t, "attempt 3", attempts[2], map[string]any{"signalbox.provider": "b", "error.type": nil, "signalbox.path": "worked"})
		for i, want := range []spanv1.Status_StatusCode{spanv1.Status_STATUS_CODE_ERROR, spanv1.Status_STATUS_CODE_ERROR, spanv1.Status_STATUS_CODE_UNSET} {
			if got := attempts[i].GetStatus().GetCode(); got != want {
				t.Errorf("attempt %d has status %s, want %s", i+1, got, want)
			}
		}
		for _, r := range b.Journal() {
			if r.Header.Get("Traceparent") != "" || r.Header.Get("Tracestate") != "" {
				t.Errorf("a provider that is not chosen got %q, %q", r.Header.Get("Traceparent"), r.Header.Get("Tracestate"))
			}
		}
		seen := a.Journal()
		last := seen[len(seen)-1].Header
		if got := last.Get("Traceparent"); !strings.Contains(got, hex.EncodeToString(attempts[0].GetSpanId())) || last.Get("Tracestate") != "x=y" {
			t.Errorf("the chosen provider got %q, %q", got, last.Get("Tracestate"))
		}
	})
	t.Run("every target fails", func(t *testing.T) {
		parent, trace := parentOf(3, "01")
		got := post(t, s.Base+chatPath, chat("none", false), parent)
		x, attempts := traceOf(t, c, trace, 3)
		has(t, "exchange", x, map[string]any{"signalbox.outcome": "error", "http.response.status_code": int64(got.status), "error.type": fmt.Sprint(got.status)})
		if x.GetStatus().GetCode() != spanv1.Status_STATUS_CODE_ERROR || len(attempts) != 2 {
			t.Errorf("the exchange is %v after %d attempts", x.GetStatus(), len(attempts))
		}
	})
	t.Run("cut in mid-stream", func(t *testing.T) {
		parent, trace := parentOf(4, "01")
		_ = post(t, s.Base+chatPath, chat("cut", true), parent)
		x, attempts := traceOf(t, c, trace, 2)
		has(t, "exchange", x, map[string]any{"signalbox.outcome": "reset", "error.type": "reset"})
		has(t, "attempt", attempts[0], map[string]any{"error.type": "reset"})
	})
	t.Run("refused", func(t *testing.T) {
		parent, trace := parentOf(5, "01")
		post(t, s.Base+chatPath, chat("unheard-of", false), parent).want(t, 404)
		x, _ := traceOf(t, c, trace, 1)
		has(t, "exchange", x, map[string]any{"signalbox.outcome": "refused", "error.type": "not_found", "http.response.status_code": int64(404), "signalbox.route": nil})
		if x.GetStatus().GetCode() != spanv1.Status_STATUS_CODE_UNSET {
			t.Errorf("a client's fault has status %v", x.GetStatus())
		}
	})
	t.Run("not sampled", func(t *testing.T) {
		parent, trace := parentOf(6, "00")
		post(t, s.Base+chatPath, chat("plain", false), parent).want(t, 200)
		failing, failed := parentOf(7, "00")
		post(t, s.Base+chatPath, chat("none", false), failing)
		traceOf(t, c, failed, 3)
		for _, x := range c.Spans() {
			if hex.EncodeToString(x.GetTraceId()) == trace {
				t.Errorf("what was not sampled came: %v", x)
			}
		}
	})
	resources := c.Resources()
	if got := collector.Attributes(resources[0].GetResource().GetAttributes()); got["service.name"] != "signalbox" || got["deployment.environment.name"] != "test" || got["service.instance.id"] == nil {
		t.Errorf("the resource is %v", got)
	}
	collector.Await(t, "metrics over OTLP", func() bool {
		return c.Metrics()["gen_ai.server.request.duration"] != nil && c.Metrics()["signalbox.tagged_exchanges"] != nil
	})
	page := s.Metrics()
	for _, want := range []string{`signalbox_tagged_exchanges_total{outcome="ok",tag="feature",value="search"} 1`, `gen_ai_server_request_duration_seconds_count{error_type="",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="echo",route="direct"}`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestContentIsInSpansWhereItIsSwitchedOn(t *testing.T) {
	t.Parallel()
	c := collector.Start(t)
	s, _, _ := tracedStack(t, "endpoint: "+c.GRPC, "  traces: { content: true }\n")
	const prompt = `[{"role":"user","parts":[{"type":"text","content":"Hello"}]}]`
	for i, stream := range []bool{false, true} {
		parent, trace := parentOf(50+i, "01")
		post(t, s.Base+chatPath, chat("plain", stream), parent).want(t, 200)
		x, attempts := traceOf(t, c, trace, 2)
		has(t, "direct", x, map[string]any{"gen_ai.input.messages": prompt, "gen_ai.output.messages": nil})
		has(t, "its attempt", attempts[0], map[string]any{"gen_ai.input.messages": nil})
		parent, trace = parentOf(60+i, "01")
		post(t, s.Base+chatPath, chat("over", stream), parent).want(t, 200, "Hello")
		x, _ = traceOf(t, c, trace, 4)
		has(t, "translated", x, map[string]any{"gen_ai.input.messages": prompt, "gen_ai.output.messages": `[{"role":"assistant","parts":[{"type":"text","content":"Hello"}],"finish_reason":"stop"}]`})
	}
	parent, trace := parentOf(70, "00") // kept because it fails; what was said in it is not
	post(t, s.Base+chatPath, chat("none", false), parent)
	x, _ := traceOf(t, c, trace, 3)
	has(t, "not sampled", x, map[string]any{"gen_ai.input.messages": nil})
}

func TestNeitherSecretsNorContentAreInSpans(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"grpc", "http"} {
		c := collector.Start(t)
		at := c.GRPC
		if protocol == "http" {
			at = c.HTTP
		}
		s, _, _ := tracedStack(t, "endpoint: "+at+", protocol: "+protocol, "")
		for i, m := range []string{"plain", "over", "none", "bad", "unheard-of"} {
			for j, stream := range []bool{false, true} {
				parent, _ := parentOf(100+2*i+j, "01")
				body := strings.Replace(chat(m, stream), "Hello", "canary-of-the-prompt", 1)
				if m == "bad" {
					body = strings.Replace(body, `"messages"`, `"messages":7,"canary-of-the-prompt"`, 1)
				}
				post(t, s.Base+chatPath+"?key=canary-in-the-query", body, parent, "authorization: Bearer canary-of-the-client", "x-api-key: canary-of-the-client", "cookie: a=canary-of-the-client", "x-other: canary-of-a-header")
			}
		}
		collector.Await(t, "the spans", func() bool { return len(c.Spans()) >= 20 })
		time.Sleep(300 * time.Millisecond) // for those that come last, and metrics
		for _, r := range c.Resources() {
			if text := r.String(); strings.Contains(text, "canary") {
				t.Errorf("%s: a span holds what it must not: %s", protocol, text)
			}
		}
		for name, m := range c.Metrics() {
			if strings.Contains(m.String(), "canary") {
				t.Errorf("%s: %s holds what it must not", protocol, name)
			}
		}
		if page, log := s.Metrics(), s.Log(); strings.Contains(page, "canary") || strings.Contains(log, "canary") {
			t.Errorf("%s: the page or the log hold what they must not", protocol)
		}
		tokens := 0
		for _, h := range c.Headers() {
			if http.Header(h).Get("X-Token") == "canary-of-the-collector" || len(h["x-token"]) == 1 {
				tokens++
			}
		}
		if tokens != len(c.Headers()) {
			t.Errorf("%s: %d of %d requests had the collector's token", protocol, tokens, len(c.Headers()))
		}
	}
}
