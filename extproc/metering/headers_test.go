package metering_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox-ai/signalbox/extproc/metering"
	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

func TestClientsAreToldTheirLimitsInTheirOwnWords(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	b := func(u quota.Unit, limit int64) quota.Claim {
		return quota.Claim{Budget: &quota.Budget{Unit: u, Limit: limit}}
	}
	g := &metering.Granted{
		Claims: []quota.Claim{b(quota.Requests, 60), b(quota.Requests, 1000), b(quota.Tokens, 5000), b(quota.TokensIn, 70), b(quota.Money, 9), b(quota.Parallel, 3)},
		Levels: []quota.Level{{Left: 30, Reset: 1500 * time.Millisecond}, {Left: 10, Reset: 90 * time.Minute}, {Left: 0, Reset: 6 * time.Minute}, {Left: 7}, {Left: 1}, {Left: 1}},
	}
	refused := &metering.Granted{No: &quota.Refusal{Budget: &quota.Budget{Unit: quota.Tokens, Limit: 5000}, Left: 12, Wait: 20 * time.Second}}
	for _, c := range []struct {
		d    dialect.Name
		g    *metering.Granted
		want string
	}{
		{dialect.OpenAIChat, g, "x-ratelimit-limit-requests 1000, x-ratelimit-remaining-requests 10, x-ratelimit-reset-requests 1h30m0s, x-ratelimit-limit-tokens 5000, x-ratelimit-remaining-tokens 0, x-ratelimit-reset-tokens 6m0s"},
		{dialect.AnthropicMessages, g, "anthropic-ratelimit-requests-limit 1000, anthropic-ratelimit-requests-remaining 10, anthropic-ratelimit-requests-reset 2026-11-27T13:30:00Z, anthropic-ratelimit-input-tokens-limit 70, anthropic-ratelimit-input-tokens-remaining 7, anthropic-ratelimit-input-tokens-reset 2026-11-27T12:00:00Z, anthropic-ratelimit-tokens-limit 5000, anthropic-ratelimit-tokens-remaining 0, anthropic-ratelimit-tokens-reset 2026-11-27T12:06:00Z"},
		{dialect.OpenAIResponses, refused, "x-ratelimit-limit-tokens 5000, x-ratelimit-remaining-tokens 12, x-ratelimit-reset-tokens 20s"},
		{dialect.Gemini, g, ""},
		{dialect.OpenAIChat, &metering.Granted{}, ""},
	} {
		var got []string
		for _, h := range metering.Headers(c.d, c.g, now) {
			got = append(got, h.Name+" "+h.Value)
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.d, diff)
		}
	}
}
