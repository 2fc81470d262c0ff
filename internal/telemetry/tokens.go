package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// tokenMeters are the counters of one provider and source.
type tokenMeters struct {
	input, cached, cacheWrite, output, reasoning prometheus.Counter
}

func tokenFamily(r *prometheus.Registry) family[tokenMeters] {
	v := counters(r, "signalbox_tokens_total", "Tokens used. Input includes cached and cache_write, output includes reasoning. The source is who read them.", "provider", "kind", "source")
	return family[tokenMeters]{width: 2, bound: maxNames, make: func(k key) tokenMeters {
		of := func(kind string) prometheus.Counter { return v.WithLabelValues(k[0], kind, k[1]) }
		return tokenMeters{
			input: of("input"), cached: of("cached"), cacheWrite: of("cache_write"),
			output: of("output"), reasoning: of("reasoning"),
		}
	}}
}

// Usage counts the tokens of an exchange that ended. source is who read them: "envoy", "service" or
// "estimate". What is not known is not counted.
func (m *Metrics) Usage(provider, source string, u *llm.Usage) {
	if !u.Known() {
		return
	}
	v := m.tokens.get(key{provider, source})
	add(v.input, u.Input)
	add(v.cached, u.Cached)
	add(v.cacheWrite, u.CacheWrite)
	add(v.output, u.Output)
	add(v.reasoning, u.Reasoning)
}

// add leaves out what a broken provider may say: a counter that goes backwards panics.
func add(c prometheus.Counter, n llm.Count) {
	if n.Known && n.N > 0 {
		c.Add(float64(n.N))
	}
}
