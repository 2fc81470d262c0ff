package limits

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/testkit/recorded"
)

// now is 2026-01-02T03:04:05Z.
var now = time.Unix(1767323045, 0)

// headers makes a sequence of "name: value" pairs.
func headers(lines ...string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, l := range lines {
			n, v, _ := strings.Cut(l, ": ")
			if !yield(n, v) {
				return
			}
		}
	}
}

func TestEveryVendorsHeadersAreRead(t *testing.T) {
	b := func(limit, left int64, reset time.Duration) Budget {
		out := Budget{Reset: reset}
		if limit >= 0 {
			out.Limit = llm.Tokens(limit)
		}
		if left >= 0 {
			out.Remaining = llm.Tokens(left)
		}
		return out
	}
	for _, tc := range []struct {
		name  string
		lines []string
		want  Limits
	}{
		{"OpenAI, Groq", []string{
			"x-ratelimit-limit-requests: 10000", "x-ratelimit-remaining-requests: 9999", "x-ratelimit-reset-requests: 6m0s",
			"x-ratelimit-limit-tokens: 200000", "x-ratelimit-remaining-tokens: 199000", "x-ratelimit-reset-tokens: 12ms",
		}, Limits{Requests: b(10000, 9999, 6*time.Minute), Tokens: b(200000, 199000, 12*time.Millisecond)}},
		{"xAI, which does not say when", []string{"x-ratelimit-limit-requests: 1800", "x-ratelimit-remaining-requests: 1789"}, Limits{Requests: b(1800, 1789, 0)}},
		{"Azure", []string{
			"x-ratelimit-limit-tokens: 50000", "x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 0", "x-ratelimit-renewalperiod-tokens: 60", "retry-after-ms: 1500", "retry-after: 2",
		}, Limits{Tokens: b(50000, 0, time.Minute), Retry: 1500 * time.Millisecond}},
		{"Anthropic", []string{
			"anthropic-ratelimit-requests-limit: 4000", "anthropic-ratelimit-requests-remaining: 3999", "anthropic-ratelimit-requests-reset: 2026-01-02T03:04:10Z",
			"anthropic-ratelimit-input-tokens-limit: 2000000", "anthropic-ratelimit-input-tokens-remaining: 0", "anthropic-ratelimit-input-tokens-reset: 2026-01-02T03:05:05Z",
			"anthropic-ratelimit-output-tokens-limit: 400000", "anthropic-ratelimit-output-tokens-remaining: 399000", "anthropic-ratelimit-tokens-limit: 2400000",
		}, Limits{Requests: b(4000, 3999, 5*time.Second), Input: b(2000000, 0, time.Minute), Output: b(400000, 399000, 0), Tokens: b(2400000, -1, 0)}},
		{"Mistral", []string{
			"x-ratelimit-limit-req-minute: 360", "x-ratelimit-remaining-req-minute: 0", "x-ratelimit-limit-tokens-minute: 200000", "x-ratelimit-remaining-tokens-minute: 199533",
			"x-ratelimit-limit-tokens-month: 1000000", "x-ratelimit-remaining-tokens-month: 10", "x-ratelimit-tokens-query-cost: 31",
		}, Limits{Requests: b(360, 0, time.Minute), Tokens: b(1000000, 10, 0)}},
		{"Mistral, before", []string{"ratelimitbysize-limit: 500000", "ratelimitbysize-remaining: 400", "ratelimitbysize-reset: 17"}, Limits{Tokens: b(500000, 400, 17*time.Second)}},
		{"Cerebras, by minute and day", []string{
			"x-ratelimit-limit-requests-day: 1440000", "x-ratelimit-remaining-requests-day: 1439999", "x-ratelimit-reset-requests-day: 33011.382867",
			"x-ratelimit-limit-tokens-minute: 150000", "x-ratelimit-remaining-tokens-minute: 149000", "x-ratelimit-reset-tokens-minute: 11.5",
		}, Limits{Requests: b(1440000, 1439999, time.Duration(33011.382867*float64(time.Second))), Tokens: b(150000, 149000, 11500*time.Millisecond)}},
		{"OpenRouter, by a Unix time in milliseconds", []string{"x-ratelimit-limit: 1", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767323052000"}, Limits{Requests: b(1, 0, 7*time.Second)}},
		{"SambaNova, by a Unix time", []string{"x-ratelimit-remaining-requests: 3", "x-ratelimit-reset-requests: 1767323055"}, Limits{Requests: b(-1, 3, 10*time.Second)}},
		{"Together", []string{"x-ratelimit-limit: 10", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1", "x-ratelimit-limit-tokens: 3000", "retry-after: 2"}, Limits{Requests: b(10, 0, time.Second), Tokens: b(3000, -1, 0), Retry: 2 * time.Second}},
		{"Hugging Face", []string{"ratelimit-limit: 400", "ratelimit-remaining: 399", "ratelimit-reset: 19"}, Limits{Requests: b(400, 399, 19*time.Second)}},
		{"the IETF's draft", []string{`ratelimit: "default";r=50;t=30`}, Limits{Requests: b(-1, 50, 30*time.Second)}},
		{"the draft before", []string{"ratelimit: limit=100, remaining=0, reset=5"}, Limits{Requests: b(100, 0, 5*time.Second)}},
		{"Fireworks", []string{"x-ratelimit-limit-tokens-prompt: 100", "x-ratelimit-remaining-tokens-prompt: 9", "x-ratelimit-remaining-tokens-generated: 8"}, Limits{Input: b(100, 9, 0), Output: b(-1, 8, 0)}},
		{"Cohere", []string{"x-endpoint-monthly-call-limit: 1000", "x-trial-endpoint-call-limit: 40", "x-trial-endpoint-call-remaining: 39"}, Limits{Requests: b(40, 39, 0)}},
		{"Anthropic's chat endpoint", []string{"x-ratelimit-requests: 4000", "x-ratelimit-remaining-requests: 3999", "x-ratelimit-reset-requests: 0s"}, Limits{Requests: b(4000, 3999, 0)}},
		{"a date", []string{"retry-after: Fri, 02 Jan 2026 03:04:25 GMT"}, Limits{Retry: 20 * time.Second}},
		{"the past", []string{"retry-after: Fri, 02 Jan 2026 03:04:00 GMT", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767323000"}, Limits{Requests: b(-1, 0, 0)}},
		{"days", []string{"x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 1d2h"}, Limits{Requests: b(-1, 0, 26*time.Hour)}},
		{"the first of two", []string{"retry-after: 5", "retry-after: 50", "x-ratelimit-remaining: 4", "x-ratelimit-remaining: 5"}, Limits{Requests: b(-1, 4, 0), Retry: 5 * time.Second}},
		{"nonsense", []string{"retry-after: soon", "retry-after-ms: NaN", "x-ratelimit-remaining-requests: many", "x-ratelimit-reset-tokens: later", "x-ratelimit-remaining-images: 3", "x-ratelimit-: 1", "anthropic-ratelimit-: 1", "anthropic-ratelimit-unified-5h-status: allowed"}, Limits{}},
		{"beyond bounds", []string{"retry-after: 1e300", "x-ratelimit-remaining-tokens: 9223372036854767616", "x-ratelimit-remaining-requests: -5", "x-ratelimit-reset-requests: 99999h"}, Limits{Requests: b(-1, 0, Longest), Tokens: b(-1, most, 0), Retry: Longest}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Read(headers(tc.lines...), now)
			got.Requests.Reset = got.Requests.Reset.Round(time.Microsecond)
			tc.want.Requests.Reset = tc.want.Requests.Reset.Round(time.Microsecond)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestOneWaitsForTheLastBudgetThatIsSpent(t *testing.T) {
	for _, tc := range []struct {
		lines       []string
		after, wait time.Duration
	}{
		{nil, 0, 0},
		{[]string{"x-ratelimit-remaining-requests: 1", "x-ratelimit-reset-requests: 6s"}, 0, 0},
		{[]string{"x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 6s", "x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 2s"}, 6 * time.Second, 6 * time.Second},
		{[]string{"x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 6s", "retry-after: 1"}, time.Second, 6 * time.Second},
	} {
		l := Read(headers(tc.lines...), now)
		if l.After() != tc.after || l.Wait() != tc.wait {
			t.Errorf("%v: after %s, wait %s", tc.lines, l.After(), l.Wait())
		}
	}
}

// TestRecordedHeadersAreRead looks for headers of recorded answers that seem to be about limits and are not read.
func TestRecordedHeadersAreRead(t *testing.T) {
	other := []string{ // of other budgets, or no budgets
		"x-ratelimit-abusepenalty-active", "x-ratelimit-key", "x-ratelimit-limit-input-images", "x-ratelimit-remaining-input-images", "x-ratelimit-reset-input-images",
		"ratelimit-policy", "x-ratelimit-tokens-query-cost", "x-ratelimit-audio-seconds-query-cost", "x-ratelimit-limit-audio-seconds-minute", "x-ratelimit-remaining-audio-seconds-minute",
		"x-ratelimit-limit-project-tokens", "x-ratelimit-remaining-project-tokens", "x-ratelimit-reset-project-tokens",
	}
	recorded.Each(t, func(x *recorded.Exchange) bool { return len(x.ResponseHeaders) > 0 }, func(t *testing.T, x *recorded.Exchange) {
		for n, v := range x.ResponseHeaders {
			n = strings.ToLower(n)
			if !strings.Contains(n, "ratelimit") || slices.Contains(other, n) {
				continue
			}
			if _, _, _, ok := find(n); !ok && n != "ratelimit" {
				t.Errorf("%s: %v is not read", n, v)
			}
		}
	})
}

func TestNamesAreOfAFamily(t *testing.T) {
	for _, n := range Logged() {
		if _, _, _, ok := find(n); !ok && !strings.HasPrefix(n, "retry-after") {
			t.Errorf("%s is logged and not read", n)
		}
	}
	if len(Families()) < 6 {
		t.Error(Families())
	}
}

func TestReadingAllocatesLittle(t *testing.T) {
	seq := headers("date: x", "content-type: text/event-stream", "x-ratelimit-remaining-requests: 7")
	if n := testing.AllocsPerRun(100, func() { Read(seq, now) }); n > 4 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRead(b *testing.B) {
	lines := [][2]string{{"date", "x"}, {"content-type", "y"}, {"x-request-id", "z"}, {"server", "s"}, {"cf-ray", "r"}, {"x-ratelimit-limit-requests", "10000"}, {"x-ratelimit-remaining-requests", "9999"}, {"x-ratelimit-reset-requests", "6m0s"}, {"x-ratelimit-remaining-tokens", "199000"}, {"x-ratelimit-reset-tokens", "12ms"}}
	seq := func(yield func(string, string) bool) {
		for _, l := range lines {
			if !yield(l[0], l[1]) {
				return
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		Read(seq, now)
	}
}

// FuzzRead holds for any header: what is read lies within its bounds, and does not depend on what cannot be read.
func FuzzRead(f *testing.F) {
	for _, v := range []string{"1", "6m0s", "1d", "2026-01-02T03:04:05Z", "1767323052000", "1e400", "-0", "NaN", "Fri, 02 Jan 2026 03:04:25 GMT", `"p";r=1;t=2`, "0x10", "1_000", "9999999h"} {
		f.Add("x-ratelimit-reset-tokens", v)
		f.Add("retry-after", v)
	}
	f.Add("anthropic-ratelimit-tokens-remaining", "-1")
	f.Add("ratelimit", "limit=9, remaining=1e9, reset=x")
	f.Fuzz(func(t *testing.T, name, value string) {
		l := Read(headers(name+": "+value, "x-ratelimit-remaining-requests: 0", "x-ratelimit-remaining-tokens: 0"), now)
		for _, b := range []Budget{l.Requests, l.Input, l.Output, l.Tokens} {
			if b.Reset < 0 || b.Reset > Longest || b.Limit.N < 0 || b.Limit.N > most || b.Remaining.N < 0 || b.Remaining.N > most {
				t.Fatalf("%s: %s: %s", name, value, fmt.Sprint(b))
			}
		}
		if l.Retry < 0 || l.Retry > Longest || l.After() < 0 || l.Wait() > Longest {
			t.Fatalf("%s: %s: %+v", name, value, l)
		}
	})
}
