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
		{dialect.OpenAIChat, g, "requests-limit 1000, requests-remaining 10, requests-reset 1h30m0s, tokens-limit 5000, tokens-remaining 0, tokens-reset 6m0s"},
		{dialect.AnthropicMessages, g, "requests-limit 1000, requests-remaining 10, requests-reset 2026-11-27T13:30:00Z, input-tokens-limit 70, input-tokens-remaining 7, input-tokens-reset 2026-11-27T12:00:00Z, tokens-limit 5000, tokens-remaining 0, tokens-reset 2026-11-27T12:06:00Z"},
		{dialect.OpenAIResponses, refused, "tokens-limit 5000, tokens-remaining 12, tokens-reset 20s"},
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
