package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// tagMeters count by the values of single tags. Combinations of tags would have no bound; the ledger has those.
type tagMeters struct {
	names     []string
	exchanges *family[prometheus.Counter]
	tokens    map[string]*family[tokenMeters] // by tag, for each has a bound of its own
	cost      *family[prometheus.Counter]
	arms      *family[prometheus.Counter] // of experiments
}

// ShadowMeters count the copies of requests that are sent to shadow arms.
type ShadowMeters struct {
	copies *family[prometheus.Counter]
	held   prometheus.Gauge
}

func newShadows(k *maker) ShadowMeters {
	return ShadowMeters{copies: k.counterFamily("signalbox_shadow_copies_total"), held: k.gauge("signalbox_shadow_held_bytes")}
}

// Copied counts a copy for an arm, as EXPERIMENT/ARM, by what became of it, a word of shadow.Result.
func (s *ShadowMeters) Copied(arm, result string) { s.copies.get(key{arm, result}).Inc() }

// Held says how many bytes copies hold.
func (s *ShadowMeters) Held(bytes int64) { s.held.Set(float64(bytes)) }

// Copy counts a copy that ended. It is no exchange of a client's.
func (m *Metrics) Copy(e *Exchange) { m.tags.arms.get(key{e.Arm, e.Outcome}).Inc() }

func newTags(k *maker, names []string) tagMeters {
	v, labels := k.counters("signalbox_tagged_tokens_total")
	t := tagMeters{
		names: names, tokens: map[string]*family[tokenMeters]{},
		exchanges: k.counterFamily("signalbox_tagged_exchanges_total"), cost: k.counterFamily("signalbox_tagged_cost_usd_total"),
		arms: k.counterFamily("signalbox_experiment_exchanges_total"),
	}
	r := k.room()
	for _, name := range names {
		t.tokens[name] = familyOf(k, labels[1:2], func(at key) tokenMeters {
			return newTokens(v, r, func(kind string) []string { return []string{name, at[0], kind} })
		})
	}
	return t
}

func (t *tagMeters) exchange(tags map[string]string, outcome string) {
	for _, n := range t.names {
		t.exchanges.get(key{n, tags[n], outcome}).Inc()
	}
}

func (t *tagMeters) usage(tags map[string]string, u *llm.Usage) {
	for _, n := range t.names {
		v := t.tokens[n].get(key{tags[n]})
		v.add(u)
	}
}
