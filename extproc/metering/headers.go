package metering

import (
	"strconv"
	"strings"
	"time"

	"github.com/signalbox-ai/signalbox/internal/quota"
	"github.com/signalbox-ai/signalbox/providers"
	"github.com/signalbox-ai/signalbox/providers/dialect"
)

// standing is how a limit stands that a client is told.
type standing struct {
	unit        quota.Unit
	limit, left int64
	reset       time.Duration
}

// Headers are the limits that hold for a client, for the headers that the SDKs of its dialect read: of each unit the one
// of which the smallest share is left, named by the unit and "-limit", "-remaining" or "-reset". Envoy puts them into the
// dialect's headers. Money has none. A dialect without such headers gets none.
func Headers(d dialect.Name, g *Granted, now time.Time) []providers.Header {
	var all [quota.Parallel + 1]*standing
	take := func(b *quota.Budget, left int64, reset time.Duration) {
		if b.Shadow || b.Unit == quota.Money || b.Unit == quota.Parallel {
			return
		}
		s := &standing{b.Unit, b.Limit, max(left, 0), reset}
		if old := all[b.Unit]; old == nil || float64(s.left)*float64(old.limit) < float64(old.left)*float64(s.limit) {
			all[b.Unit] = s
		}
	}
	for i := range g.Claims {
		if i < len(g.Levels) {
			take(g.Claims[i].Budget, g.Levels[i].Left, g.Levels[i].Reset)
		}
	}
	if g.No != nil {
		all[g.No.Budget.Unit] = nil
		take(g.No.Budget, g.No.Left, g.No.Wait)
	}
	write := openai
	switch {
	case d == dialect.AnthropicMessages:
		write = anthropic
	case !strings.HasPrefix(string(d), "openai"):
		return nil
	}
	var out []providers.Header
	for _, s := range all {
		if s != nil {
			out = write(out, s, now)
		}
	}
	return out
}

// openai writes a limit as https://platform.openai.com/docs/guides/rate-limits has it, which knows requests and tokens.
func openai(out []providers.Header, s *standing, _ time.Time) []providers.Header {
	name := "tokens"
	switch s.unit {
	case quota.Requests:
		name = "requests"
	case quota.Tokens:
	default:
		return out
	}
	return append(out,
		providers.Header{Name: name + "-limit", Value: strconv.FormatInt(s.limit, 10)},
		providers.Header{Name: name + "-remaining", Value: strconv.FormatInt(s.left, 10)},
		providers.Header{Name: name + "-reset", Value: s.reset.Round(time.Millisecond).String()},
	)
}

// anthropic writes a limit as https://docs.anthropic.com/en/api/rate-limits has it.
func anthropic(out []providers.Header, s *standing, now time.Time) []providers.Header {
	name := strings.ReplaceAll(s.unit.String(), "_", "-")
	return append(out,
		providers.Header{Name: name + "-limit", Value: strconv.FormatInt(s.limit, 10)},
		providers.Header{Name: name + "-remaining", Value: strconv.FormatInt(s.left, 10)},
		providers.Header{Name: name + "-reset", Value: now.Add(s.reset + time.Second - time.Nanosecond).UTC().Truncate(time.Second).Format(time.RFC3339)},
	)
}
