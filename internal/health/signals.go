package health

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Signals are what is known of a target at one moment, for decisions. They are values: whoever reads them sees one
// state of the target. A figure that nobody has measured yet is 0 unless it says otherwise, and Weight says how much the
// measured ones are worth.
type Signals struct {
	Weight   float64       // how many attempts of late the figures rest on, older ones counting less
	Success  float64       // share of these attempts that did not harm; 1: none did, or nothing is known
	First    Quantiles     // from sending an attempt to the first byte of its answer, of attempts that went well
	Total    Quantiles     // to the last byte
	PerToken time.Duration // of answers that were long enough to tell: median time for each token
	Output   float64       // tokens of an answer, mean
	Cached   float64       // share of prompts' tokens that the provider had in its cache, mean
	InFlight int64         // attempts that have not ended
	Share    float64       // of the traffic that the breaker lets in: 0 open, 1 closed, between when it closes slowly
	Room     Room          // what the provider's rate limits leave
}

// Quantiles of a duration; 0: not known.
type Quantiles struct{ P50, P95 time.Duration }

// Room is what is left of a provider's rate limits, by its own answers. A share below 0 is not known.
type Room struct {
	Requests, Tokens float64       // shares of the limits that are left
	Reset            time.Duration // until they are full again; 0: not known
}

// unknown are the signals of a target that nobody has tried.
var unknown = Signals{Success: 1, Share: 1, Room: Room{Requests: -1, Tokens: -1}}

// Targets is the health of all targets, by name. It outlives reloads of the configuration. It is safe for concurrent use.
type Targets struct {
	mu     sync.RWMutex
	of     map[name]*Target
	change atomic.Pointer[func(Change)]
}

type name struct{ provider, model string }

// NewTargets makes an empty table.
func NewTargets() *Targets { return &Targets{of: map[name]*Target{}} }

// mostTargets bounds the table: names of models may come from clients.
const mostTargets = 8192

// Of returns the health of a model at a provider, which begins with nothing known; nil where the table is full.
func (t *Targets) Of(provider, model string) *Target {
	t.mu.RLock()
	h := t.of[name{provider, model}]
	t.mu.RUnlock()
	if h != nil {
		return h
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if h = t.of[name{provider, model}]; h == nil && len(t.of) < mostTargets {
		h = newTarget(name{provider, model}, &t.change)
		t.of[name{provider, model}] = h
	}
	return h
}

// Watch has f called for each change of a breaker, after it, by whoever brought it about: f must not wait.
func (t *Targets) Watch(f func(Change)) { t.change.Store(&f) }

// Seen is a target with its signals.
type Seen struct {
	Provider, Model string
	Signals
	Keys   []KeySeen // by id
	Probed Probed    // the last probe
}

// KeySeen is a key at a target, whose breaker is not closed.
type KeySeen struct {
	Key   string
	State State
	Share float64
	Until time.Time // when an open one is tried
}

// All returns every target of which something is known, by provider and model.
func (t *Targets) All(now time.Time) []Seen {
	var out []Seen
	for _, h := range t.all() {
		p := h.shown.Load()
		s := Seen{Provider: h.provider, Model: h.model, Signals: h.Signals(now)}
		if p == nil && s.InFlight == 0 {
			continue
		}
		if p != nil {
			for i := range p.breakers {
				b := &p.breakers[i]
				if st := b.at(now); st != Closed {
					s.Keys = append(s.Keys, KeySeen{b.key, st, b.share(now), b.until()})
				}
			}
		}
		_, s.Probed = h.Quiet()
		slices.SortFunc(s.Keys, func(a, b KeySeen) int { return cmp.Compare(a.Key, b.Key) })
		out = append(out, s)
	}
	return out
}

// all returns every target, by provider and model.
func (t *Targets) all() []*Target {
	t.mu.RLock()
	out := make([]*Target, 0, len(t.of))
	for _, h := range t.of {
		out = append(out, h)
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b *Target) int {
		return cmp.Or(cmp.Compare(a.provider, b.provider), cmp.Compare(a.model, b.model))
	})
	return out
}
