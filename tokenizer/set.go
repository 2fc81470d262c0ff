package tokenizer

import (
	"sync"

	"github.com/signalbox-ai/signalbox/internal/catalog"
	"github.com/signalbox-ai/signalbox/internal/catalog/naming"
	"github.com/signalbox-ai/signalbox/tokenizer/frame"
)

// Set finds the counter of a model. It is safe for concurrent use; counters are shared, and stay.
type Set struct {
	loaded map[string]Text

	mu   sync.RWMutex
	kept map[key]*Counter
}

type key struct{ kind, model string }

// keep bounds how many counters are remembered: names come from clients.
const keep = 4096

// NewSet makes a Set. loaded are encodings by name beside those that are shipped, such as gemma3.
func NewSet(loaded map[string]Text) *Set {
	return &Set{loaded: loaded, kept: map[key]*Counter{}}
}

// For returns the counter of a model at a kind of provider, by any of the model's names. There is always one: a
// newer model of a known family counts as the family does, and any other by an estimate. The first call for a family may
// read its vocabulary, which takes some tens of milliseconds.
func (s *Set) For(kind, model string) *Counter {
	k := key{catalog.Vendor(kind), model}
	s.mu.RLock()
	c := s.kept[k]
	s.mu.RUnlock()
	if c != nil {
		return c
	}
	c = s.make(k.kind, model)
	s.mu.Lock()
	defer s.mu.Unlock()
	if had := s.kept[k]; had != nil {
		return had
	}
	if len(s.kept) < keep && len(model) <= naming.Longest {
		s.kept[k] = c
	}
	return c
}

// Ready is For without waiting: it reports false where a vocabulary would have to be read first.
func (s *Set) Ready(kind, model string) (*Counter, bool) {
	kind = catalog.Vendor(kind)
	s.mu.RLock()
	c := s.kept[key{kind, model}]
	s.mu.RUnlock()
	if c != nil {
		return c, true
	}
	f := familyOf(kind, model)
	if s.loaded[f.encoding] == nil && s.loaded[akin[f.encoding]] == nil {
		e, shipped := encodings[f.encoding]
		if !shipped {
			e = encodings[stand]
		}
		if !e.had.Load() {
			return nil, false
		}
	}
	return s.For(kind, model), true
}

func (s *Set) make(kind, model string) *Counter {
	f := familyOf(kind, model)
	c := &Counter{Family: f.name, Encoding: f.encoding, class: f.class, rule: f.frame, media: f.media, scale: 1}
	if f.scale != 0 {
		c.scale = f.scale
	}
	if rule, ok := f.frame.(frame.Claude); ok && (kind == "openrouter" || kind == "bedrock") {
		rule.Trim = true
		c.rule = rule
	}
	if c.text = s.loaded[f.encoding]; c.text != nil {
		return c
	}
	if kin := akin[f.encoding]; s.loaded[kin] != nil {
		c.text, c.Encoding, c.class = s.loaded[kin], kin, max(c.class, Calibrated)
		return c
	}
	var err error
	if c.text, err = Encoding(f.encoding); err != nil { // not shipped and not loaded
		c.Encoding, c.class = stand, Estimated
		c.text, _ = Encoding(stand)
		if by := standing[f.encoding]; by != 0 {
			c.scale = by
		}
	}
	return c
}

// akin are vocabularies that give a text nearly the tokens of another: those of recorded prompts differ by a percent.
var akin = map[string]string{"gemma2": "gemma3", "gemma3": "gemma2"}

// standing are the tokens of encodings for each of o200k_base's, where they are others than one. For Claude they are
// those of recorded answers.
var standing = map[string]float64{"claude-3": 1.15, "claude-4.7": 1.55, "claude-4.8": 1.55, "claude-opus-5": 1.55}

// stand is the encoding that stands in for one that is not there.
const stand = "o200k_base"
