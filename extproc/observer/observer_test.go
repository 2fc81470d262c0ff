package observer

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/signalbox-ai/signalbox/extproc/exchange"
	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/extproc/ticket"
	"github.com/signalbox-ai/signalbox/internal/catalog/cost"
	"github.com/signalbox-ai/signalbox/internal/ledger"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
	"github.com/signalbox-ai/signalbox/internal/telemetry/otlp"
	"github.com/signalbox-ai/signalbox/internal/testkit/collector"
	"github.com/signalbox-ai/signalbox/internal/trouble"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// sink keeps what is handed in.
type sink struct{ spans []otlp.Span }

func (s *sink) Add(x otlp.Span) { s.spans = append(s.spans, x) }

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"

// traced makes a ticket of an exchange with one target in a trace.
func traced(sampled string) *ticket.Ticket {
	return &ticket.Ticket{
		ID: "exchange-1", Dialect: dialect.OpenAIChat, Asked: ticket.Asked{Op: llm.OpChat, Path: "/v1/chat/completions?beta=1", Model: "smart", Stream: true, Waited: 1500}, Route: "r", Version: "v",
		Who: "ci", By: ticket.Charged{Team: "core", User: "u1"}, Tags: map[string]string{"feature": "chat"}, Rules: ticket.Rules{Arm: "smaller/small"}, Began: 1_700_000_000_000,
		Steps: []ticket.Leg{{Provider: "eu", Model: "gpt-5.1"}}, Trace: ticket.NewTrace(parent+sampled, true, nil),
	}
}

func at() *providers.Provider {
	return &providers.Provider{Name: "eu", Kind: "azure", Region: "eu", Base: &url.URL{Scheme: "https", Host: "acme.example"}}
}

func page(m *telemetry.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestWhatIsSampledOrFailedBecomesASpan(t *testing.T) {
	began := time.UnixMilli(1_700_000_000_000)
	for name, c := range map[string]struct {
		sampled string
		ending  string
		errors  bool
		spans   int
	}{
		"sampled":                       {"1", "ok", false, 3},
		"not sampled":                   {"0", "ok", true, 1}, // the refusal is a failure
		"not sampled, failed":           {"0", "timeout", true, 2},
		"not sampled, failed, unwanted": {"0", "timeout", false, 0},
	} {
		got := &sink{}
		o := New(Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{}), Spans: got, Errors: c.errors})
		k := traced(c.sampled)
		o.Closed(exchange.Closed{Ticket: k, Last: k.Steps[0], At: at(), Ending: c.ending, Began: began, Took: time.Second})
		o.Attempt(exchange.AttemptSeen{Ticket: k, N: 1, Provider: "eu", At: at(), Began: began, Took: time.Second})
		o.Refused(exchange.Refusal{Ticket: k, Code: llm.CodeOverQuota, Status: 429, Began: began})
		if len(got.spans) != c.spans {
			t.Errorf("%s: %d spans, want %d", name, len(got.spans), c.spans)
		}
	}
	o := New(Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{})})
	o.Closed(exchange.Closed{Ticket: traced("1"), Ending: "ok"}) // nobody takes spans
}

// TestNoSpanHasTextThatIsNotUTF8, which cannot be sent, and neither can what is sent with it.
func TestNoSpanHasTextThatIsNotUTF8(t *testing.T) {
	const odd = "gpt-\xff"
	k := traced("1")
	k.Model, k.Steps[0].Model, k.Path, k.By.User, k.Who = odd, odd, "/v1beta/models/"+odd, odd, odd
	got := &sink{}
	o := New(Options{Metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Options{}), Spans: got})
	o.Closed(exchange.Closed{Ticket: k, Last: k.Steps[0], At: at(), Ending: "error", Status: 502, Why: odd, Model: odd})
	o.Attempt(exchange.AttemptSeen{Ticket: k, N: 1, Provider: "eu", At: at(), Request: odd})
	o.Refused(exchange.Refusal{Ticket: k, Code: llm.CodeOverQuota, Status: 429})
	if len(got.spans) != 3 {
		t.Fatalf("%d spans, want 3", len(got.spans))
	}
	for _, s := range got.spans {
		if _, err := proto.Marshal(s.Span()); err != nil {
			t.Errorf("%T: %v", s, err)
		}
	}
}

// TestWhatIsDoneBesideTheNextTargetIsCounted: the same once more, repairs, mended answers and rounds, each where it was done.
func TestWhatIsDoneBesideTheNextTargetIsCounted(t *testing.T) {
	m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{})
	o := New(Options{Metrics: m})
	k := &ticket.Ticket{Route: "r", Dialect: dialect.OpenAIChat, Steps: []ticket.Leg{
		{Provider: "eu", Model: "gpt"}, {Provider: "eu", Model: "gpt", Spare: true}, {Provider: "us", Turn: true}, {Provider: "eu", Model: "gpt", Same: true}, {Provider: "us", Turn: true, Round: 1}, {Provider: "eu", Model: "gpt", Round: 1},
	}}
	for n, code := range []llm.Code{llm.CodeConnect, llm.CodeNone, llm.CodeNone, llm.CodeReset, llm.CodeNone, llm.CodeNone} {
		if !k.Steps[n].Turn {
			o.Attempt(exchange.AttemptSeen{Ticket: k, N: n + 1, Provider: "eu", At: at(), Code: code})
		}
	}
	o.Attempt(exchange.AttemptSeen{Provider: "eu", Code: llm.CodeReset})                                                         // of an exchange that is not known
	o.Attempt(exchange.AttemptSeen{Ticket: k, N: 2, Provider: "eu", At: at(), Code: llm.CodeOverloaded, Unmade: "retry_budget"}) // not made
	o.Closed(exchange.Closed{Ticket: k, Last: k.Steps[5], At: at(), Ending: "ok", Status: 200, Went: exchange.Went{Tries: 4, Rounds: 1, Mended: "commas"}})
	o.Closed(exchange.Closed{Ticket: k, Last: k.Steps[0], At: at(), Ending: "ok", Status: 200, Went: exchange.Went{Tries: 1}})
	var got []string
	for line := range strings.Lines(page(m)) {
		for _, name := range []string{"same_attempts", "repairs", "mended_answers", "rounds"} {
			if strings.HasPrefix(line, "signalbox_"+name) {
				got = append(got, strings.TrimSpace(line))
			}
		}
	}
	want := []string{
		`signalbox_mended_answers_total{provider="eu",reason="commas"} 1`,
		`signalbox_repairs_total{code="ok",provider="eu"} 1`,
		`signalbox_rounds_total{route="r"} 1`,
		`signalbox_same_attempts_total{code="reset",provider="eu"} 1`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("metrics (-want +got):\n%s", d)
	}
}

// TestModelsThatNoRouteTookAreNoLabels: clients name them as they like.
func TestModelsThatNoRouteTookAreNoLabels(t *testing.T) {
	m, spans := telemetry.New(prometheus.NewRegistry(), telemetry.Options{}), &sink{}
	o := New(Options{Metrics: m, Spans: spans})
	refuse := func(i int) {
		k := traced("1")
		k.Route, k.Model, k.Tags, k.Rules.Arm, k.Steps = "", fmt.Sprint("made-up-", i), nil, "", nil
		o.Refused(exchange.Refusal{Ticket: k, Code: llm.CodeNotFound, Status: 404, Began: time.Now()})
	}
	refuse(0)
	before := strings.Count(page(m), "\n")
	for i := range 100 {
		refuse(i)
	}
	after := page(m)
	if n := strings.Count(after, "\n"); n != before || strings.Contains(after, "made-up") {
		t.Errorf("%d lines of metrics became %d", before, n)
	}
	if !strings.Contains(after, `signalbox_exchanges_total{dialect="openai-chat",outcome="refused",route="none"} 101`) {
		t.Error("they are not counted")
	}
	names := map[string]bool{}
	for _, s := range spans.spans {
		names[s.Span().GetName()] = true
		if got, _ := collector.Attributes(s.Span().GetAttributes())["gen_ai.request.model"].(string); !strings.HasPrefix(got, "made-up-") {
			t.Errorf("the span is of the model %q", got)
		}
	}
	if d := cmp.Diff(map[string]bool{"chat": true}, names); d != "" {
		t.Errorf("names of spans (-want +got):\n%s", d)
	}
}

func TestAttributesOfAnExchange(t *testing.T) {
	k := traced("1")
	n := llm.Tokens
	s := closed(exchange.Closed{
		Ticket: k, Last: k.Steps[0], At: at(), Model: "gpt-5.1-2026-01-01", Went: exchange.Went{Tries: 1}, Ending: "reset", Why: "reset by the provider", Status: 200,
		Began: time.UnixMilli(k.Began), Took: 2 * time.Second, First: time.Second / 2, Source: exchange.FromEnvoy, Partial: true,
		Usage: llm.Usage{Input: n(100), Cached: n(64), CacheWrite: n(0), Output: n(50), Reasoning: n(30)},
	}).Span()
	want := map[string]any{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.model": "smart", "gen_ai.response.model": "gpt-5.1-2026-01-01",
		"gen_ai.request.stream": true, "gen_ai.response.time_to_first_chunk": 0.5, "gen_ai.usage.input_tokens": int64(100), "gen_ai.usage.output_tokens": int64(50),
		"gen_ai.usage.cache_read.input_tokens": int64(64), "gen_ai.usage.cache_creation.input_tokens": int64(0), "gen_ai.usage.reasoning.output_tokens": int64(30),
		"http.request.method": "POST", "http.response.status_code": int64(200), "url.path": "/v1/chat/completions", "error.type": "reset",
		"signalbox.exchange.id": "exchange-1", "signalbox.dialect": "openai-chat", "signalbox.route": "r", "signalbox.outcome": "reset", "signalbox.provider": "eu",
		"signalbox.target": "eu/gpt-5.1", "signalbox.attempts": int64(1), "signalbox.config.version": "v", "signalbox.usage.source": "envoy", "signalbox.usage.partial": true,
		"signalbox.organization": "default", "signalbox.team": "core", "signalbox.key": "ci", "signalbox.key.id": "ci", "signalbox.end_user": "u1", "signalbox.tag.feature": "chat", "signalbox.experiment.arm": "smaller/small", "signalbox.queue.waited": 1.5,
	}
	if d := cmp.Diff(want, collector.Attributes(s.GetAttributes())); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
	if s.GetStatus().GetMessage() != "reset by the provider" || s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano() != uint64(2*time.Second) || s.GetFlags() != sampled|hasIsRemote|isRemote {
		t.Errorf("status %v, flags %x, %d ns", s.GetStatus(), s.GetFlags(), s.GetEndTimeUnixNano()-s.GetStartTimeUnixNano())
	}
}

func TestOperationsAndKindsHaveTheConventionsNames(t *testing.T) {
	for op, want := range map[llm.Op]string{llm.OpChat: "chat", llm.OpComplete: "text_completion", llm.OpEmbed: "embeddings", llm.OpRerank: "rerank"} {
		if got := operation(op, dialect.OpenAIChat); got != want {
			t.Errorf("%s is %s, want %s", op, got, want)
		}
	}
	if got := operation(llm.OpChat, dialect.Gemini); got != "generate_content" {
		t.Errorf("a chat in Gemini's dialect is %s", got)
	}
	for kind, want := range map[string]string{"openai": "openai", "anthropic": "anthropic", "bedrock": "aws.bedrock", "vertex": "gcp.vertex_ai", "gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai", "groq": "groq", "vllm": "vllm"} {
		if got := system(kind); got != want {
			t.Errorf("%s is %s, want %s", kind, got, want)
		}
	}
}

// books keeps what comes through.
type books struct{ written, kept, lapsed int }

func (b *books) Write(*metering.Ended, *metering.Charge) *ledger.Record {
	b.written++
	return &ledger.Record{}
}
func (b *books) Keep(*ledger.Record, *metering.Charge) { b.kept++ }
func (b *books) Lapsed(string, quota.Lapse) *ledger.Record {
	b.lapsed++
	return nil
}

func TestCostsAreCountedOnTheWayToTheBooks(t *testing.T) {
	m := telemetry.New(prometheus.NewRegistry(), telemetry.Options{Tags: []string{"feature"}})
	next := &books{}
	var seen trouble.Log
	a := NewAccounts(&m.Cost, &seen, next)
	hard := &quota.Budget{ID: "team_money", Owner: quota.Owner{Level: "team"}, Unit: quota.Money, Limit: 1}
	soft := &quota.Budget{Owner: quota.Owner{Level: "key"}, Unit: quota.Money, Limit: 1, Soft: true}
	e := &metering.Ended{Party: metering.Party{Organization: "acme"}, Tags: maps.Clone(map[string]string{"feature": "chat"}), Asked: metering.Asked{Route: "r"}, Attempts: []metering.Attempt{{Step: metering.Step{Provider: at(), Model: "gpt"}}, {Step: metering.Step{Provider: at(), Model: "new"}}}}
	a.Keep(a.Write(e, &metering.Charge{
		Lines:    []metering.Line{{Bill: cost.Bill{Nano: 3_000_000_000, Saved: 1_000_000_000}}, {Bill: cost.Bill{Flags: cost.Unpriced}}},
		Reserved: []quota.Claim{{Budget: hard, Amount: 1_000_000_000}, {Budget: soft, Amount: 0}},
		Charged:  []quota.Claim{{Budget: hard, Amount: 3_000_000_000}, {Budget: soft, Amount: 3_000_000_000}},
	}), nil)
	a.Lapsed("acme", quota.Lapse{})
	got := page(m)
	for _, want := range []string{
		`signalbox_cost_usd_total{gen_ai_request_model="gpt",provider="eu",route="r"} 3`,
		`signalbox_cost_saved_usd_total{gen_ai_request_model="gpt",provider="eu"} 1`,
		`signalbox_unpriced_total{gen_ai_request_model="new",provider="eu"} 1`,
		`signalbox_overrun_usd_total{level="team"} 2`,
		`signalbox_tagged_cost_usd_total{tag="feature",value="chat"} 3`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(got, `overrun_usd_total{level="key"}`) {
		t.Error("a soft limit was overrun")
	}
	var told []string
	for _, s := range seen.Since(time.Now().Add(-time.Hour)) {
		told = append(told, fmt.Sprintf("%s %s %s %d %d of %d", s.Kind, s.Organization, s.Subject, s.Amount, s.Count, s.All))
	}
	if d := cmp.Diff([]string{"expired   0 1 of 1", "overrun acme team_money 2000000000 1 of 0", "unpriced  eu/new 1 1 of 0"}, told); d != "" {
		t.Errorf("what must not happen (-want +got):\n%s", d)
	}
	if r := NewAccounts(&m.Cost, nil, nil).Write(e, &metering.Charge{}); r != nil {
		t.Errorf("without books there is the record %+v", r)
	}
	if next.written != 1 || next.kept != 1 || next.lapsed != 1 {
		t.Errorf("the books got %+v", next)
	}
}
