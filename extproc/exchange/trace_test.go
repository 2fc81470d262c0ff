package exchange_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/tagging"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/providers"
)

const (
	parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + parentTrace + "-00f067aa0ba902b7-01"
)

// endings keeps what the observer is told.
type endings struct {
	counter
	refused  []exchange.Refusal
	attempts []exchange.AttemptSeen
	closed   []exchange.Closed
}

func (e *endings) Refused(r exchange.Refusal)     { e.refused = append(e.refused, r) }
func (e *endings) Attempt(a exchange.AttemptSeen) { e.attempts = append(e.attempts, a) }
func (e *endings) Closed(c exchange.Closed)       { e.closed = append(e.closed, c) }

// tracedCore has two OpenAI targets on one route, of which the second gets a traceparent.
func tracedCore(t testing.TB, o exchange.Options, change func(*exchange.Snapshot)) *exchange.Core {
	r := newRig(t)
	r.provider([]string{"one", "openai", "k1=sk-openai-1"})
	r.provider([]string{"two", "openai", "k2=sk-openai-2"})
	r.provider([]string{"three", "anthropic", "k3=sk-ant-3"})
	r.route([]string{"chat", "fast", "->", "one/gpt-5.1", "two/gpt-5.1", "usage=pass", "nohold"})
	r.route([]string{"own", "own", "->", "two/gpt-5.1", "usage=pass", "nohold"})
	r.route([]string{"other", "other", "->", "three/claude-sonnet-4-5", "usage=pass", "nohold"})
	s := r.snapshot()
	s.Trace = &tagging.Tracing{Follow: true, Sample: func() bool { return true }, Toward: map[string]bool{"two": true}}
	if change != nil {
		change(s)
	}
	return exchange.New(s, o)
}

func ask(model string) []byte {
	return []byte(`{"model":"` + model + `","messages":[{"role":"user","content":"hello"}],"metadata":{"team":"core"}}`)
}

func readTicket(t testing.TB, r *exchange.Reply) *ticket.Ticket {
	t.Helper()
	if r.Plan == nil {
		t.Fatalf("not planned: %s", r.Answer.Body)
	}
	k, err := ticket.Read(r.Plan.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func header(hs []providers.Header, name string) string {
	for _, h := range hs {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func TestAnExchangeIsPartOfItsClientsTrace(t *testing.T) {
	core := tracedCore(t, exchange.Options{}, nil)
	k := readTicket(t, planOne(core, append(benchHead(chatPath, "request-1"), providers.Header{Name: "traceparent", Value: traceparent}), ask("own")))
	if k.Trace.ID() != parentTrace || !k.Trace.Sampled() {
		t.Errorf("trace %s, sampled %v", k.Trace.ID(), k.Trace.Sampled())
	}
	k = readTicket(t, planOne(core, benchHead(chatPath, "request-2"), ask("own")))
	if id := k.Trace.ID(); id == parentTrace || len(id) != 32 {
		t.Errorf("the trace of a client without one is %q", id)
	}
}

func TestOnlyChosenProvidersGetATraceparent(t *testing.T) {
	core := tracedCore(t, exchange.Options{}, nil)
	with := func(id string) exchange.Header {
		return append(benchHead(chatPath, id), providers.Header{Name: "traceparent", Value: traceparent}, providers.Header{Name: "tracestate", Value: "a=b"})
	}
	first := planOne(core, with("request-1"), ask("own"))
	if got, want := header(first.Set, "traceparent"), readTicket(t, first).Trace.Parent(1); got != want || !strings.HasPrefix(got, "00-"+parentTrace) || got == traceparent {
		t.Errorf("the chosen provider gets %q, want %q", got, want)
	}
	if slices.Contains(first.Remove, "tracestate") {
		t.Error("the chosen provider gets no tracestate")
	}
	r := planOne(core, with("request-2"), ask("fast"))
	if header(r.Set, "traceparent") != "" || !slices.Contains(r.Remove, "traceparent") || !slices.Contains(r.Remove, "tracestate") {
		t.Errorf("another provider gets what it should not: set %v, removed %v", r.Set, r.Remove)
	}
	a, answer := core.Try(r.Plan.Ticket, 2, "two", with("request-2"))
	if answer != nil {
		t.Fatal(answer)
	}
	again := a.Request(t.Context(), ask("fast"))
	if got, want := header(again.Set, "traceparent"), readTicket(t, r).Trace.Parent(2); got != want || got == readTicket(t, r).Trace.Parent(1) {
		t.Errorf("attempt 2 gets %q, want %q", got, want)
	}
	for _, bad := range []string{"", "00-" + strings.Repeat("0", 32) + traceparent[35:], "ff" + traceparent[2:]} { // a new trace has nothing of another
		h := append(benchHead(chatPath, "request-4"), providers.Header{Name: "traceparent", Value: bad}, providers.Header{Name: "tracestate", Value: "a=b"})
		if r := planOne(core, h, ask("own")); !slices.Contains(r.Remove, "tracestate") || header(r.Set, "traceparent") == "" {
			t.Errorf("%q: the tracestate of a trace that cannot be read goes on: %v", bad, r.Remove)
		}
	}
	translated := planOne(core, with("request-3"), ask("other"))
	if slices.Contains(translated.Remove, "traceparent") {
		t.Error("a request that is made later lost its traceparent before")
	}
}

func TestWithoutTracingTheClientsHeadersPass(t *testing.T) {
	core := tracedCore(t, exchange.Options{}, func(s *exchange.Snapshot) { s.Trace = nil })
	r := planOne(core, append(benchHead(chatPath, "request-1"), providers.Header{Name: "traceparent", Value: traceparent}), ask("own"))
	if header(r.Set, "traceparent") != "" || slices.Contains(r.Remove, "traceparent") {
		t.Errorf("set %v, removed %v", r.Set, r.Remove)
	}
	if k := readTicket(t, r); k.Trace != "" || k.Tags != nil {
		t.Errorf("the ticket has %q and %v", k.Trace, k.Tags)
	}
}

func TestTagsTravelInTheTicketToWhoeverIsTold(t *testing.T) {
	seen := &endings{}
	tagged := func(s *exchange.Snapshot) {
		s.Tags = tagging.New(map[string]string{"feature": "x-feature"}, []string{"team"})
	}
	core := tracedCore(t, exchange.Options{Observer: seen}, tagged)
	r := planOne(core, append(benchHead(chatPath, "request-1"), providers.Header{Name: "x-feature", Value: "search"}), ask("own"))
	want := map[string]string{"feature": "search", "team": "core"}
	if d := cmp.Diff(want, readTicket(t, r).Tags); d != "" {
		t.Errorf("ticket (-want +got):\n%s", d)
	}
	other := tracedCore(t, exchange.Options{Observer: seen}, tagged) // another process
	other.RequestLogged(exchange.Outcome{Ticket: r.Plan.Ticket, Status: 200, Tries: 1})
	if len(seen.closed) != 1 || len(seen.attempts) != 1 {
		t.Fatalf("%d endings, %d attempts", len(seen.closed), len(seen.attempts))
	}
	if c := seen.closed[0]; !maps.Equal(c.Ticket.Tags, want) || c.At == nil || c.At.Name != "two" || c.Ticket.Trace != readTicket(t, r).Trace {
		t.Errorf("it is told %+v", c.Ticket)
	}
	if a := seen.attempts[0]; a.N != 1 || !maps.Equal(a.Ticket.Tags, want) {
		t.Errorf("it is told %+v", a)
	}
	planOne(core, append(benchHead(chatPath, "request-2"), providers.Header{Name: "x-feature", Value: "search"}), ask("nothing"))
	if len(seen.refused) != 1 || seen.refused[0].Ticket.Tags["feature"] != "search" || seen.refused[0].Status != 404 || seen.refused[0].Ticket.Trace == "" {
		t.Errorf("of a refusal it is told %+v", seen.refused)
	}
}

func TestEveryLineOfATracedExchangeHasItsTrace(t *testing.T) {
	r := newRig(t)
	r.provider([]string{"one", "openai", "k1=sk-openai-1"})
	r.route([]string{"chat", "fast", "->", "one/gpt-5.1", "usage=pass"})
	r.start()
	s := r.snapshot()
	s.Trace = &tagging.Tracing{Sample: func() bool { return false }}
	r.core.Swap(s)
	with := func(id string) exchange.Header {
		return append(benchHead(chatPath, id), providers.Header{Name: "traceparent", Value: traceparent})
	}
	p := planOne(r.core, with("request-1"), ask("fast"))
	r.core.RequestLogged(exchange.Outcome{Ticket: p.Plan.Ticket, Status: 200, Tries: 1})
	planOne(r.core, with("request-2"), ask("nothing"))
	n := 0
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, `"exchange":`) {
			n++
			if !strings.Contains(line, `"trace_id":"`+parentTrace+`"`) {
				t.Errorf("no trace in %s", line)
			}
		}
	}
	if n < 4 {
		t.Errorf("%d lines of exchanges:\n%s", n, r.log.String())
	}
}
