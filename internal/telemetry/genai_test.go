package telemetry

import (
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// only are the lines that begin with a prefix, without buckets.
func lines(t *testing.T, m *Metrics, prefixes ...string) []string {
	t.Helper()
	var out []string
	for _, l := range without(scrape(t, m), "_bucket{") {
		for _, p := range prefixes {
			if strings.HasPrefix(l, p) {
				out = append(out, l)
			}
		}
	}
	return out
}

func TestMetricsOfTheConventionsForGenerativeAI(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	stream := Call{Operation: "chat", System: "aws.bedrock", Model: "nova", Provider: "eu", Stream: true}
	whole := Call{Operation: "embeddings", System: "openai", Model: "small", Provider: "openai"}
	m.Exchange(&Exchange{Route: "r", Dialect: "d", Outcome: "ok", Took: 3 * time.Second, First: time.Second, Output: 101, Call: stream})
	m.Exchange(&Exchange{Route: "r", Dialect: "d", Outcome: "timeout", Error: "timeout", Took: 5 * time.Second, First: time.Second, Output: 7, Call: stream})
	m.Exchange(&Exchange{Route: "r", Dialect: "d", Outcome: "ok", Took: time.Second, First: time.Second, Output: 9, Call: whole})
	m.Exchange(&Exchange{Dialect: "d", Outcome: "refused", Error: "invalid"})
	m.Attempt(&Attempt{Provider: "eu", Path: "direct", Code: llm.CodeReset, Took: time.Second, First: time.Second / 2, Call: stream})
	m.Attempt(&Attempt{Provider: "eu", Path: "direct", Took: 2 * time.Second, First: time.Second / 2, Call: stream})
	m.Attempt(&Attempt{Provider: "openai", Path: "direct", Took: time.Second / 4, First: time.Second / 4, Call: whole})
	m.Attempt(&Attempt{Provider: "openai", Path: "direct"})
	m.Usage(&stream, "envoy", &llm.Usage{Input: llm.Tokens(1000), Output: llm.Tokens(101)}, nil)
	m.Usage(&whole, "envoy", &llm.Usage{Input: llm.Tokens(8)}, nil)

	const nova, small = `gen_ai_operation_name="chat",gen_ai_provider_name="aws.bedrock",gen_ai_request_model="nova"`, `gen_ai_operation_name="embeddings",gen_ai_provider_name="openai",gen_ai_request_model="small"`
	want := []string{
		`gen_ai_client_operation_duration_seconds_sum{error_type="",` + nova + `,provider="eu"} 2`,
		`gen_ai_client_operation_duration_seconds_count{error_type="",` + nova + `,provider="eu"} 1`,
		`gen_ai_client_operation_duration_seconds_sum{error_type="",` + small + `,provider="openai"} 0.25`,
		`gen_ai_client_operation_duration_seconds_count{error_type="",` + small + `,provider="openai"} 1`,
		`gen_ai_client_operation_duration_seconds_sum{error_type="reset",` + nova + `,provider="eu"} 1`,
		`gen_ai_client_operation_duration_seconds_count{error_type="reset",` + nova + `,provider="eu"} 1`,
		`gen_ai_client_operation_time_to_first_chunk_seconds_sum{` + nova + `,provider="eu"} 0.5`,
		`gen_ai_client_operation_time_to_first_chunk_seconds_count{` + nova + `,provider="eu"} 1`,
		`gen_ai_client_token_usage_sum{` + nova + `,gen_ai_token_type="input",provider="eu"} 1000`,
		`gen_ai_client_token_usage_count{` + nova + `,gen_ai_token_type="input",provider="eu"} 1`,
		`gen_ai_client_token_usage_sum{` + nova + `,gen_ai_token_type="output",provider="eu"} 101`,
		`gen_ai_client_token_usage_count{` + nova + `,gen_ai_token_type="output",provider="eu"} 1`,
		`gen_ai_client_token_usage_sum{` + small + `,gen_ai_token_type="input",provider="openai"} 8`,
		`gen_ai_client_token_usage_count{` + small + `,gen_ai_token_type="input",provider="openai"} 1`,
		`gen_ai_server_request_duration_seconds_sum{error_type="",` + nova + `,route="r"} 3`,
		`gen_ai_server_request_duration_seconds_count{error_type="",` + nova + `,route="r"} 1`,
		`gen_ai_server_request_duration_seconds_sum{error_type="",` + small + `,route="r"} 1`,
		`gen_ai_server_request_duration_seconds_count{error_type="",` + small + `,route="r"} 1`,
		`gen_ai_server_request_duration_seconds_sum{error_type="timeout",` + nova + `,route="r"} 5`,
		`gen_ai_server_request_duration_seconds_count{error_type="timeout",` + nova + `,route="r"} 1`,
		`gen_ai_server_time_per_output_token_seconds_sum{` + nova + `,route="r"} 0.02`,
		`gen_ai_server_time_per_output_token_seconds_count{` + nova + `,route="r"} 1`,
		`gen_ai_server_time_to_first_token_seconds_sum{` + nova + `,route="r"} 1`,
		`gen_ai_server_time_to_first_token_seconds_count{` + nova + `,route="r"} 1`,
	}
	if d := cmp.Diff(want, lines(t, m, "gen_ai_")); d != "" {
		t.Errorf("page (-want +got):\n%s", d)
	}
}

func TestModelsThatClientsMakeUpAreCountedTogether(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{Values: 10})
	for i := range 200 {
		m.Exchange(&Exchange{Route: "r", Outcome: "ok", Took: time.Second, Call: Call{Operation: "chat", System: "openai", Model: fmt.Sprint("m", i)}})
	}
	got := lines(t, m, "gen_ai_server_request_duration_seconds_count")
	if len(got) != 11 {
		t.Errorf("%d series, want 11", len(got))
	}
	if all := strings.Join(got, "\n"); !strings.Contains(all, `gen_ai_request_model="other",route="r"} 190`) {
		t.Errorf("the rest is not counted together:\n%s", all)
	}
}

// TestADurationThatIsNotKnownIsNone: of an exchange whose end nobody saw, it is not that of an instant.
func TestADurationThatIsNotKnownIsNone(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	c := Call{Operation: "chat", System: "openai", Model: "m"}
	m.Exchange(&Exchange{Route: "r", Outcome: "swept", Error: "swept", Call: c})
	m.Exchange(&Exchange{Route: "r", Outcome: "ok", Took: time.Second, Call: c})
	want := []string{
		`gen_ai_server_request_duration_seconds_count{error_type="",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="m",route="r"} 1`,
		`signalbox_exchange_duration_seconds_count{route="r"} 1`,
	}
	if d := cmp.Diff(want, lines(t, m, "gen_ai_server_request_duration_seconds_count", "signalbox_exchange_duration_seconds_count")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCombinationsOfLabelsAreBounded(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{Values: 100, Series: 50})
	for i := range 20 {
		for j := range 20 {
			m.Exchange(&Exchange{Route: fmt.Sprint("r", i), Dialect: fmt.Sprint("d", j), Outcome: "ok"})
		}
	}
	got := lines(t, m, "signalbox_exchanges_total")
	if len(got) != 51 {
		t.Errorf("%d series, want 51", len(got))
	}
	if all := strings.Join(got, "\n"); !strings.Contains(all, `{dialect="other",outcome="other",route="other"} 350`) {
		t.Errorf("the rest is not counted together:\n%s", all)
	}
}

// TestCombinationsOfLabelsAreBoundedWhereAFamilyHasMany: outcomes, kinds of tokens and tags have children of their own.
func TestCombinationsOfLabelsAreBoundedWhereAFamilyHasMany(t *testing.T) {
	const most = 100
	m := New(prometheus.NewRegistry(), Options{Series: most, Tags: []string{"a", "b"}})
	used := &llm.Usage{Input: llm.Tokens(3), Output: llm.Tokens(2)}
	for i := range 40 {
		c := Call{Operation: "chat", System: "openai", Model: fmt.Sprint("m", i), Provider: fmt.Sprint("p", i), Stream: true}
		tags := map[string]string{"a": fmt.Sprint(i), "b": fmt.Sprint(i)}
		for code := range llm.Code(5) {
			e := Exchange{Route: "r", Outcome: "ok", Took: time.Second, Call: c}
			if code != llm.CodeNone {
				e.Error = code.String()
			}
			m.Exchange(&e)
			m.Attempt(&Attempt{Provider: c.Provider, Code: code, Took: time.Second, Call: c})
		}
		m.Usage(&c, "envoy", used, tags)
	}
	for name, counted := range map[string]float64{
		"gen_ai_server_request_duration_seconds_count": 200, "gen_ai_client_operation_duration_seconds_count": 200, "gen_ai_client_token_usage_count": 80,
		"signalbox_tokens_total": 200, "signalbox_tagged_tokens_total": 400,
	} {
		got := lines(t, m, name)
		if len(got) > most+1 {
			t.Errorf("%s: %d series, want %d at most", name, len(got), most+1)
		}
		sum := 0.0
		for _, l := range got {
			n, err := strconv.ParseFloat(l[strings.LastIndexByte(l, ' ')+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if sum != counted {
			t.Errorf("%s: counted %v, want %v", name, sum, counted)
		}
	}
}

func TestTagsThatAreNamedAreCounted(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{Tags: []string{"feature"}, Values: 2})
	for _, f := range []string{"chat", "chat", "search", "third", ""} {
		tags := map[string]string{"feature": f, "user": "not counted"}
		m.Exchange(&Exchange{Outcome: "ok", Tags: tags})
		m.Usage(&Call{Provider: "p"}, "envoy", &llm.Usage{Output: llm.Tokens(5)}, tags)
		m.Cost.Charged(Cost{Provider: "p", Nano: 2_500_000_000, Tags: tags})
	}
	want := []string{
		`signalbox_tagged_cost_usd_total{tag="feature",value="chat"} 5`,
		`signalbox_tagged_cost_usd_total{tag="feature",value="other"} 5`,
		`signalbox_tagged_cost_usd_total{tag="feature",value="search"} 2.5`,
		`signalbox_tagged_exchanges_total{outcome="ok",tag="feature",value="chat"} 2`,
		`signalbox_tagged_exchanges_total{outcome="ok",tag="feature",value="other"} 2`,
		`signalbox_tagged_exchanges_total{outcome="ok",tag="feature",value="search"} 1`,
	}
	got := lines(t, m, "signalbox_tagged_cost", "signalbox_tagged_exchanges")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("page (-want +got):\n%s", d)
	}
	if all := strings.Join(lines(t, m, "signalbox_tagged_tokens"), "\n"); !strings.Contains(all, `{kind="output",tag="feature",value="chat"} 10`) {
		t.Errorf("tokens are not counted by tag:\n%s", all)
	}
}

func TestAccountsAreCounted(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	m.Cost.Charged(Cost{Route: "r", Provider: "p", Model: "m", Nano: 1_250_000_000, Saved: 250_000_000})
	m.Cost.Charged(Cost{Route: "r", Provider: "p", Model: "new", Unpriced: true})
	m.Cost.Overrun("team", 1_000_000)
	m.Quota.Reserved("memory", "granted", time.Microsecond)
	m.Quota.Settled("redis", "error", time.Millisecond)
	m.Quota.Refused("key", "money")
	m.Quota.Near("team", "tokens")
	m.Quota.Degraded("allow", "admitted")
	m.Quota.Open(3, time.Minute)
	m.Quota.Expired(2)
	m.Quota.Late(1)
	m.Quota.Leases(4)
	m.Quota.Drift("money", -7)
	m.Quota.Epoch("redis")
	m.Quota.Up("redis", true)
	m.Quota.Up("redis", false)
	m.Ledger.Records("sqlite", "written", 10)
	m.Ledger.Wrote("sqlite", "ok", time.Millisecond)
	m.Ledger.Waiting(5, 100)
	m.Ledger.Overdue(2)
	m.Ledger.Up("sqlite", true)
	m.Ledger.Synced(time.Millisecond)
	m.Ledger.Pending(6)
	m.Ledger.JournalError("full")
	m.Export.Sent("traces", 9)
	m.Export.Dropped("traces", "queue_full", 8)
	m.Export.Dropped("traces", "refused", 0)
	m.Export.Queue(7)
	m.AuthFailure("unknown")
	want := []string{
		`signalbox_auth_failures_total{reason="unknown"} 1`,
		`signalbox_cost_saved_usd_total{gen_ai_request_model="m",provider="p"} 0.25`,
		`signalbox_cost_usd_total{gen_ai_request_model="m",provider="p",route="r"} 1.25`,
		`signalbox_journal_errors_total{reason="full"} 1`,
		`signalbox_journal_pending 6`,
		`signalbox_journal_sync_duration_seconds_sum 0.001`,
		`signalbox_journal_sync_duration_seconds_count 1`,
		`signalbox_ledger_overdue 2`,
		`signalbox_ledger_queue 5`,
		`signalbox_ledger_records_total{result="written",store="sqlite"} 10`,
		`signalbox_ledger_spool_bytes 100`,
		`signalbox_ledger_store_up{store="sqlite"} 1`,
		`signalbox_ledger_write_duration_seconds_sum{result="ok",store="sqlite"} 0.001`,
		`signalbox_ledger_write_duration_seconds_count{result="ok",store="sqlite"} 1`,
		`signalbox_overrun_usd_total{level="team"} 0.001`,
		`signalbox_quota_degraded_total{policy="allow",result="admitted"} 1`,
		`signalbox_quota_drift{unit="money"} -7`,
		`signalbox_quota_epochs_total{store="redis"} 1`,
		`signalbox_quota_expired_total 2`,
		`signalbox_quota_late_total 1`,
		`signalbox_quota_leases 4`,
		`signalbox_quota_near_total{level="team",unit="tokens"} 1`,
		`signalbox_quota_oldest_reservation_seconds 60`,
		`signalbox_quota_refusals_total{level="key",unit="money"} 1`,
		`signalbox_quota_reservations 3`,
		`signalbox_quota_reserve_duration_seconds_sum{result="granted",store="memory"} 1e-06`,
		`signalbox_quota_reserve_duration_seconds_count{result="granted",store="memory"} 1`,
		`signalbox_quota_settle_duration_seconds_sum{result="error",store="redis"} 0.001`,
		`signalbox_quota_settle_duration_seconds_count{result="error",store="redis"} 1`,
		`signalbox_quota_store_up{store="redis"} 0`,
		`signalbox_telemetry_dropped_total{reason="queue_full",signal="traces"} 8`,
		`signalbox_telemetry_queue 7`,
		`signalbox_telemetry_sent_total{signal="traces"} 9`,
		`signalbox_unpriced_total{gen_ai_request_model="new",provider="p"} 1`,
	}
	got := lines(t, m, "signalbox_auth", "signalbox_cost", "signalbox_journal", "signalbox_ledger", "signalbox_overrun", "signalbox_quota", "signalbox_telemetry", "signalbox_unpriced")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("page (-want +got):\n%s", d)
	}
}

func TestExemplarsPointToTraces(t *testing.T) {
	m := New(prometheus.NewRegistry(), Options{})
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	c := Call{Operation: "chat", System: "openai", Model: "m", Provider: "p", Stream: true}
	m.Exchange(&Exchange{Route: "r", Outcome: "ok", Took: 2 * time.Second, First: time.Second, Output: 2, Call: c, Trace: trace})
	m.Exchange(&Exchange{Route: "unsampled", Outcome: "ok", Took: 2 * time.Second, Call: c})
	m.Attempt(&Attempt{Provider: "p", Took: time.Second, First: time.Second, Call: c, Trace: trace})
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, req)
	found := map[string]bool{}
	for line := range strings.Lines(w.Body.String()) {
		if name, _, ok := strings.Cut(line, "_bucket{"); ok && strings.Contains(line, `# {trace_id="`+trace+`"}`) {
			found[name] = true
		}
		if strings.Contains(line, `route="unsampled"`) && strings.Contains(line, "trace_id") {
			t.Errorf("an exchange that is not traced has an exemplar: %s", line)
		}
	}
	for _, want := range []string{
		"signalbox_exchange_duration_seconds", "signalbox_first_byte_seconds", "gen_ai_server_request_duration_seconds", "gen_ai_server_time_to_first_token_seconds",
		"gen_ai_server_time_per_output_token_seconds", "gen_ai_client_operation_duration_seconds", "gen_ai_client_operation_time_to_first_chunk_seconds",
	} {
		if !found[want] {
			t.Errorf("%s has no exemplar", want)
		}
	}
}

func TestExemplarsAreThinnedOutButForWhatIsRare(t *testing.T) {
	var c chooser
	n := 0
	for range 1000 {
		if c.pick("trace", 200*time.Millisecond) != "" {
			n++
		}
	}
	if n < 1 || n > 50 {
		t.Errorf("%d of 1000 exemplars at once", n)
	}
	if c.pick("trace", time.Hour) == "" || c.pick("trace", time.Minute) == "" || c.pick("", 5*time.Minute) != "" {
		t.Error("what is rare has no exemplar, or what has no trace has one")
	}
}
