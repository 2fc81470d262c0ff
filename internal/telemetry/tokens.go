package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// tokenMeters are the counters of one provider and source, or of a tag's value.
type tokenMeters struct {
	input, cached, cacheWrite, output, reasoning prometheus.Counter
}

func tokenFamily(k *maker) *family[tokenMeters] {
	v, labels := k.counters("signalbox_tokens_total")
	r := k.room()
	return familyOf(k, []string{labels[0], labels[2]}, func(at key) tokenMeters {
		return newTokens(v, r, func(kind string) []string { return []string{at[0], kind, at[1]} })
	})
}

// kindsOfTokens is how many counters tokenMeters has.
const kindsOfTokens = 5

// newTokens makes the counters of all kinds. values are those of the labels of one.
func newTokens(v *prometheus.CounterVec, r *room, values func(kind string) []string) tokenMeters {
	if !r.take(kindsOfTokens) {
		n := len(values(""))
		values = func(string) []string { return others(n) }
	}
	of := func(kind string) prometheus.Counter { return v.WithLabelValues(values(kind)...) }
	return tokenMeters{
		input: of("input"), cached: of("cached"), cacheWrite: of("cache_write"),
		output: of("output"), reasoning: of("reasoning"),
	}
}

func (v *tokenMeters) add(u *llm.Usage) {
	add(v.input, u.Input)
	add(v.cached, u.Cached)
	add(v.cacheWrite, u.CacheWrite)
	add(v.output, u.Output)
	add(v.reasoning, u.Reasoning)
}

// Usage counts the tokens of an exchange that ended. source is who read them: "envoy", "service" or
// "estimate". What is not known is not counted.
func (m *Metrics) Usage(c *Call, source string, u *llm.Usage, tags map[string]string) {
	if !u.Known() {
		return
	}
	v := m.tokens.get(key{c.Provider, source})
	v.add(u)
	m.genAI.used(c, u)
	m.tags.usage(tags, u)
}

// add leaves out what a broken provider may say: a counter that goes backwards panics.
func add(c prometheus.Counter, n llm.Count) {
	if n.Known && n.N > 0 {
		c.Add(float64(n.N))
	}
}
