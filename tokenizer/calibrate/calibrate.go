// Package calibrate learns how far estimates of a model's tokens are off, from what providers report. It keeps the
// last measurements of each model and kind of request, and knows neither vocabularies nor files.
//
//	own estimate, reported usage ─► Learn ─► the last 32 ─► a constant, or a ratio
//	own estimate ─► Adjust ─► a better one
//
// One wrong measurement moves nothing: a constant needs most of the last ones to agree, and a ratio moves by a
// sixteenth of a measurement that is itself bounded.
package calibrate

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/signalbox-ai/signalbox/internal/jsonx"
)

// Shape is what a request has beside plain text; each is learnt apart.
type Shape struct {
	Tools  bool `json:"tools,omitzero"`
	Media  bool `json:"media,omitzero"`
	System bool `json:"system,omitzero"`
}

// Key is what is learnt for.
type Key struct {
	Provider string `json:"provider"` // as configured: a hidden prompt is that of a deployment
	Model    string `json:"model"`
	Shape
}

// Limits of what is kept and believed.
const (
	ring    = 32   // measurements of a key
	keys    = 4096 // keys
	least   = 4    // measurements from which on a key says anything
	share   = 60   // percent of the measurements that agree on a constant
	rise    = 1.0 / 16
	lowest  = 0.5 // of actual to own, of what is believed
	highest = 3.0
	hidden  = 512 // tokens by which a short prompt may be longer: a hidden prompt
)

// Book is what was learnt of all models. It is safe for concurrent use.
type Book struct {
	mu    sync.RWMutex
	pages map[Key]*page
	clock atomic.Int64
	odd   atomic.Int64
}

// page is what was learnt of a key.
type page struct {
	own, actual []int64 // the last, oldest first
	sumOwn      float64 // moving averages
	sumActual   float64
	used        atomic.Int64
	rule        rule
}

// rule is what a page says.
type rule struct {
	known    bool
	constant bool
	plus     int64
	ratio    float64
	off      int64 // by which most of the last measurements differ from the rule, at most
}

// New makes an empty Book.
func New() *Book { return &Book{pages: map[Key]*page{}} }

// Odd returns how many measurements were not believed.
func (b *Book) Odd() int64 { return b.odd.Load() }

// Len returns the number of keys that something is known of.
func (b *Book) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.pages)
}

// plausible reports whether a measurement may train: it is of the estimate's size, or longer by no more than what a
// provider hides before a prompt.
func plausible(own, actual int64) bool {
	if own <= 0 || actual <= 0 || own > 1<<40 || actual > 1<<40 {
		return false
	}
	r := float64(actual) / float64(own)
	return r >= lowest && r <= highest || actual > own && actual-own <= hidden
}

// Learn takes a measurement and reports whether it was believed.
func (b *Book) Learn(k Key, own, actual int64) bool {
	if !plausible(own, actual) {
		b.odd.Add(1)
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[k]
	if p == nil {
		b.evict()
		p = &page{}
		b.pages[k] = p
	}
	p.used.Store(b.clock.Add(1))
	p.add(own, actual)
	return true
}

// evict makes room for a key: the eighth that was used longest ago goes.
func (b *Book) evict() {
	if len(b.pages) < keys {
		return
	}
	ages := make([]int64, 0, len(b.pages))
	for _, p := range b.pages {
		ages = append(ages, p.used.Load())
	}
	slices.Sort(ages)
	until := ages[len(ages)/8]
	for k, p := range b.pages {
		if p.used.Load() <= until {
			delete(b.pages, k)
		}
	}
}

func (p *page) add(own, actual int64) {
	if len(p.own) == ring {
		p.own, p.actual = append(p.own[:0], p.own[1:]...), append(p.actual[:0], p.actual[1:]...)
	}
	p.own, p.actual = append(p.own, own), append(p.actual, actual)
	if p.sumOwn == 0 {
		p.sumOwn, p.sumActual = float64(own), float64(actual)
	} else {
		most := max(8*p.sumOwn, hidden) // one large request does not outweigh all others
		o, a := float64(own), float64(actual)
		if o > most {
			o, a = most, a*most/o
		}
		p.sumOwn += (o - p.sumOwn) * rise
		p.sumActual += (a - p.sumActual) * rise
	}
	p.rule = p.derive()
}

// derive makes the rule of a page.
func (p *page) derive() rule {
	n := len(p.own)
	if n < least {
		return rule{}
	}
	diffs := make([]int64, n)
	for i := range p.own {
		diffs[i] = p.actual[i] - p.own[i]
	}
	r := rule{known: true, ratio: 1}
	if c, agree := mode(diffs); agree*100 >= share*n {
		r.constant, r.plus = true, c
	} else {
		r.ratio = min(max(p.sumActual/p.sumOwn, lowest), highest)
		for i := range p.own {
			diffs[i] = p.actual[i] - int64(r.ratio*float64(p.own[i])+0.5)
		}
		slices.Sort(diffs)
		r.plus = diffs[n/2]
	}
	for i := range p.own {
		diffs[i] = p.actual[i] - r.of(p.own[i])
		if diffs[i] < 0 {
			diffs[i] = -diffs[i]
		}
	}
	slices.Sort(diffs)
	r.off = diffs[(n*95+99)/100-1]
	return r
}

// mode returns the most frequent value and how often it is there.
func mode(vs []int64) (v int64, times int) {
	sorted := slices.Sorted(slices.Values(vs))
	for i := 0; i < len(sorted); {
		j := i
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		if j-i > times {
			v, times = sorted[i], j-i
		}
		i = j
	}
	return v, times
}

func (r *rule) of(own int64) int64 { return int64(r.ratio*float64(own)+0.5) + r.plus }

// Adjusted is an estimate by what was learnt.
type Adjusted struct {
	Tokens int64
	Error  int64 // by which nineteen of twenty of the last measurements were off, at most
	Exact  bool  // most of the last measurements differ from own estimates by one number
	Same   bool  // and that is 0
}

// Adjust betters an estimate; ok is false where too little is known.
func (b *Book) Adjust(k Key, own int64) (a Adjusted, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	p := b.pages[k]
	if p == nil || !p.rule.known {
		return a, false
	}
	p.used.Store(b.clock.Load())
	return Adjusted{Tokens: max(p.rule.of(own), 1), Error: p.rule.off, Exact: p.rule.constant, Same: p.rule.constant && p.rule.plus == 0}, true
}

// saved is a Book as it is written.
type saved struct {
	Version int         `json:"version"`
	Models  []savedPage `json:"models"`
}

type savedPage struct {
	Key
	Own    []int64 `json:"own"`
	Actual []int64 `json:"actual"`
}

// Save returns all that was learnt, as JSON, in an order that does not change.
func (b *Book) Save() ([]byte, error) {
	b.mu.RLock()
	s := saved{Version: 1, Models: []savedPage{}}
	for k, p := range b.pages {
		s.Models = append(s.Models, savedPage{k, slices.Clone(p.own), slices.Clone(p.actual)})
	}
	b.mu.RUnlock()
	slices.SortFunc(s.Models, func(x, y savedPage) int { return compare(x.Key, y.Key) })
	return jsonx.Encode(s)
}

// Restore learns again what was saved. What is not plausible is left out, as if it were measured now.
func (b *Book) Restore(data []byte) error {
	var s saved
	if err := jsonx.DecodeStrict(data, &s); err != nil {
		return err
	}
	for _, m := range s.Models[:min(len(s.Models), keys)] {
		for i := range m.Own[:min(len(m.Own), len(m.Actual), ring)] {
			b.Learn(m.Key, m.Own[i], m.Actual[i])
		}
	}
	return nil
}
