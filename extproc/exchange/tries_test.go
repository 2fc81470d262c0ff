package exchange_test

import (
	"testing"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/quota"
)

// TestAHardLimitHoldsWhateverARouteTries: of the tokens of answers, 50 each, as many are reserved as attempts may be billed for.
func TestAHardLimitHoldsWhateverARouteTries(t *testing.T) {
	const form, stream = `,"response_format":{"type":"json_object"}`, `,"response_format":{"type":"json_object"},"stream":true`
	for _, c := range []struct {
		rule, asks string
		answers    int64
		prompts    int64 // at least
	}{
		{"budget=100", form, 1, 2},
		{"on=invalid_output:next", form, 2, 2},
		{"on=invalid_output:next", "", 1, 2}, // it has no form to miss
		{"on=refusal:next", "", 2, 2},
		{"on=content_filtered:next", stream, 2, 2},
		{"on=invalid_output:repair", form, 3, 3},
		{"on=invalid_output:repair", stream, 2, 2}, // streams are not repaired
		{"on=reset:same", form, 1, 4},
		{"on=connect:same", form, 1, 2}, // nothing was sent that could be billed
		{"rounds=2", form, 1, 4},
	} {
		out := &quota.Budget{ID: "out", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.TokensOut, Limit: 1 << 50, Away: quota.Deny, Window: life()}
		in := &quota.Budget{ID: "in", Owner: quota.Owner{Level: "team", Name: "core"}, Unit: quota.TokensIn, Limit: 1 << 50, Away: quota.Deny, Window: life()}
		r, store := limited(t, out, in)
		r.provider([]string{"two", "openai", "base=https://two.example.com", "k3=sk-two-1"})
		r.config.providers["two"].Models = catalog.NewDeployment("openai", nil)
		r.route([]string{"tried", "tried", "->", "gpt/gpt-4o", "two/gpt-4o", c.rule})
		r.stale = true
		r.start()
		body := `{"model":"tried","max_tokens":50,"messages":[{"role":"user","content":"hi"}]` + c.asks + `}`
		if _, reply := r.ask("request-1", body); reply.Answer != nil {
			t.Fatalf("%s: %s", c.rule, reply.Answer.Body)
		}
		if got := counters(t, store, out).Reserved; got != 50*c.answers {
			t.Errorf("%s, %s: %d tokens of answers are reserved, want those of %d", c.rule, c.asks, got, c.answers)
		}
		if got := counters(t, store, in).Reserved / int64(len(body)); got < c.prompts || got > c.prompts && c.rule != "on=invalid_output:repair" {
			t.Errorf("%s, %s: %d prompts are reserved, want %d", c.rule, c.asks, got, c.prompts)
		}
	}
}
