package course

import (
	"strings"
	"testing"
	"time"

	"github.com/signalbox-ai/signalbox/internal/catalog/billing"
	"github.com/signalbox-ai/signalbox/internal/health"
	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/routing/failure"
)

func TestAVerdictSaysWhatEachTargetSaid(t *testing.T) {
	for _, c := range []struct {
		name string
		made []Attempted
		want llm.Error
	}{
		{"the last one's code, and every one's words", []Attempted{
			{Known: true, Status: 429, Err: &llm.Error{Code: llm.CodeRateLimited, After: time.Minute}},
			{Known: true, Status: 503, Err: &llm.Error{Code: llm.CodeOverloaded, Message: "busy", After: time.Second}},
		}, llm.Error{Code: llm.CodeOverloaded, After: time.Second, Message: "no target could answer. a/m: rate limited (429); b/m: overloaded (503): busy"}},
		{"a single target's own words", []Attempted{{Known: true, Status: 503, Err: &llm.Error{Code: llm.CodeOverloaded, Message: "busy"}}},
			llm.Error{Code: llm.CodeOverloaded, Message: "busy"}},
		{"nothing of the gateway's key", []Attempted{{Known: true, Status: 401, Err: &llm.Error{Code: llm.CodeCredential, Message: "bad key sk-1", Param: "key"}}},
			llm.Error{Code: llm.CodeUpstream, Reason: "upstream_credential", Message: "no target could answer. a/m: credential (401)"}},
		{"nor of its account", []Attempted{{Known: true, Err: &llm.Error{Code: llm.CodeOverQuota, Reason: "x"}}},
			llm.Error{Code: llm.CodeUpstream, Message: "no target could answer. a/m: over quota"}},
		{"when to come again, where the provider did not say", []Attempted{{Known: true, Err: &llm.Error{Code: llm.CodeRateLimited}}},
			llm.Error{Code: llm.CodeRateLimited, After: health.ForLimit, Message: "no target could answer. a/m: rate limited"}},
		{"an attempt of which nobody said anything", []Attempted{{}, {Known: true, Err: &llm.Error{Code: llm.CodeReset}}},
			llm.Error{Code: llm.CodeReset, Message: "no target could answer. a/m: no answer; b/m: reset"}},
		{"why another was not made", []Attempted{{Known: true, Err: &llm.Error{Code: llm.CodeReset}}, {Under: Unmade, Err: &llm.Error{Code: llm.CodeOverloaded, Reason: "retry_budget", After: 2 * time.Second}}},
			llm.Error{Code: llm.CodeOverloaded, Reason: "retry_budget", After: 2 * time.Second, Message: "too many requests had to be tried again of late, so that no other target was tried. a/m: reset"}},
		{"or that its breaker is open", []Attempted{{Known: true, Err: &llm.Error{Code: llm.CodeReset}}, {Under: Unmade, Err: &llm.Error{Code: llm.CodeOverloaded, Reason: "breaker_open"}}},
			llm.Error{Code: llm.CodeOverloaded, Reason: "breaker_open", Message: "the other targets failed too often of late to be tried. a/m: reset"}},
		{"steps that were passed over say nothing", []Attempted{{Known: true, Err: &llm.Error{Code: llm.CodeReset, Message: "cut"}}, {Known: true, Under: Passed}},
			llm.Error{Code: llm.CodeReset, Message: "cut"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			way := Course{Steps: steps("a b")[:len(c.made)], At: c.made}
			got := way.Verdict()
			if got.Code != c.want.Code || got.Reason != c.want.Reason || got.Param != c.want.Param || got.After != c.want.After || got.Message != c.want.Message {
				t.Errorf("got  %v %q %q %s %q\nwant %v %q %q %s %q", got.Code, got.Reason, got.Param, got.After, got.Message, c.want.Code, c.want.Reason, c.want.Param, c.want.After, c.want.Message)
			}
			if strings.Contains(got.Message, "sk-1") {
				t.Error("it tells of the key")
			}
		})
	}
}

func TestHowAnAttemptIsBilled(t *testing.T) {
	used := &llm.Usage{Output: llm.Count{N: 3, Known: true}}
	for _, c := range []struct {
		name string
		a    Attempted
		last bool
		sent uint64
		want billing.Ended
	}{
		{"no connection", Attempted{Err: errs["connect"]}, true, 0, billing.Unsent},
		{"an answer that was not wanted and said its usage", Attempted{Status: 200, Err: errs["form"], Used: used}, false, 0, billing.Completed},
		{"one that did not say it", Attempted{Status: 200, Err: errs["filtered"]}, false, 0, billing.Aborted},
		{"a refusal by status", Attempted{Status: 429, Err: errs["limited"]}, false, 0, billing.Refused},
		{"a filter's refusal by status is no answer", Attempted{Status: 400, Err: errs["filtered"]}, false, 0, billing.Refused},
		{"the last one, in its middle", Attempted{Status: 200, Err: errs["reset"]}, true, 10, billing.Aborted},
		{"an error behind a 200", Attempted{Status: 200, Err: errs["busy"]}, false, 0, billing.Refused},
		{"a stream that was cut before the client saw of it", Attempted{Status: 200, Err: errs["reset"]}, false, 10, billing.CutEarly},
		{"one that was not answered in time", Attempted{Status: 200, Err: &llm.Error{Code: llm.CodeTimeout, Reason: failure.ReasonRefusal}}, false, 0, billing.CutEarly},
		{"one of which nobody said how it failed", Attempted{}, false, 0, billing.CutEarly},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.a.Billed(c.last, c.sent); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
