package health

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/health/sketch"
	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Half-lives of what is learnt.
const (
	halfSuccess = 30 * time.Second
	halfLatency = 2 * time.Minute
	halfUsage   = 30 * time.Minute
)

// publishEvery bounds how often figures are worked out while attempts come fast.
const publishEvery = 50 * time.Millisecond

// Attempt is an attempt that ended, as a target learns from it.
type Attempt struct {
	Key   string // id of the credential
	Code  llm.Code
	First time.Duration // from sending to the first byte of the answer; 0: not known
	Took  time.Duration // to the last byte
}

// Used is what a provider says that an exchange used.
type Used struct {
	Prompt, Cached, Output int64         // tokens
	Streaming              time.Duration // from the first byte to the last; 0: not known
}

// Target is the health of a model at a provider. A nil Target is one of which nothing is known. It is safe for
// concurrent use.
type Target struct {
	shown    atomic.Pointer[shown]
	inFlight atomic.Int64

	mu        sync.Mutex
	keys      map[string]*breaker
	success   mean
	first     sketch.Sketch
	total     sketch.Sketch
	each      sketch.Sketch // time for each token
	output    mean
	cached    mean
	room      Room
	roomAt    time.Time
	published time.Time
	change    func(key string, to State)
}

// shown is what decisions read, without waiting for anybody.
type shown struct {
	Signals
	breakers []breaker // of the keys that are not closed
	closed   bool      // a key is
	roomAt   time.Time
}

// mean is a mean that forgets.
type mean struct {
	sum, weight float64
	at          time.Time
}

func (m *mean) add(v, w float64, now time.Time, half time.Duration) {
	f := m.fade(now, half)
	m.sum, m.weight, m.at = m.sum*f+v*w, m.weight*f+w, later(m.at, now)
}

func (m *mean) fade(now time.Time, half time.Duration) float64 {
	return math.Exp2(-max(0, float64(now.Sub(m.at))/float64(half)))
}

func (m *mean) value(unknown float64) float64 {
	if m.weight == 0 {
		return unknown
	}
	return m.sum / m.weight
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func newTarget() *Target {
	t := &Target{keys: map[string]*breaker{}}
	t.first.Half, t.total.Half, t.each.Half = halfLatency, halfLatency, halfLatency
	return t
}

// Signals returns what is known of the target at a time.
func (t *Target) Signals(now time.Time) Signals {
	if t == nil {
		return unknown
	}
	p := t.shown.Load()
	if p == nil {
		s := unknown
		s.InFlight = t.inFlight.Load()
		return s
	}
	s := p.Signals
	s.InFlight = max(0, t.inFlight.Load())
	if !p.closed {
		for i := range p.breakers {
			s.Share = max(s.Share, p.breakers[i].share(now))
		}
	}
	if s.Room.Reset > 0 {
		if s.Room.Reset -= now.Sub(p.roomAt); s.Room.Reset <= 0 {
			s.Room = Room{Requests: -1, Tokens: -1}
		}
	}
	return s
}

// Begin counts an attempt with a key that begins. Each is followed by End.
func (t *Target) Begin(key string, now time.Time) {
	if t == nil {
		return
	}
	t.inFlight.Add(1)
	p := t.shown.Load()
	if p == nil || p.closed && len(p.breakers) == 0 {
		return // nobody is at trial
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.keys[key]; b != nil && b.at(now) == Trying {
		b.begin(now)
		t.publish(now)
	}
}

// End learns from an attempt that ended.
func (t *Target) End(a Attempt, now time.Time) {
	if t == nil {
		return
	}
	t.inFlight.Add(-1)
	t.mu.Lock()
	harmed := a.Code.Harms()
	b := t.keys[a.Key]
	if b == nil {
		b = &breaker{}
		t.keys[a.Key] = b
	}
	changed := b.end(now, harmed)
	to := b.state
	well := 1.0
	if harmed {
		well = 0
	}
	t.success.add(well, 1, now, halfSuccess)
	if a.Code == llm.CodeNone {
		if a.First > 0 {
			t.first.Add(a.First, now)
		}
		if a.Took > 0 {
			t.total.Add(a.Took, now)
		}
	}
	if changed || now.Sub(t.published) >= publishEvery || t.success.weight < 8 {
		t.publish(now)
	}
	tell := t.change
	t.mu.Unlock()
	if changed && tell != nil {
		tell(a.Key, to)
	}
}

// Drop takes back a Begin of which no end will be known.
func (t *Target) Drop() {
	if t != nil {
		t.inFlight.Add(-1)
	}
}

// leastOutput is how long an answer must be to tell the time for each token.
const leastOutput = 8

// Learn takes what an exchange used.
func (t *Target) Learn(u Used, now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if u.Output > 0 {
		t.output.add(float64(u.Output), 1, now, halfUsage)
		if u.Output >= leastOutput && u.Streaming > 0 {
			t.each.Add(u.Streaming/time.Duration(u.Output), now)
		}
	}
	if u.Prompt > 0 {
		t.cached.add(float64(min(u.Cached, u.Prompt))/float64(u.Prompt), float64(u.Prompt), now, halfUsage) // by tokens, not by prompts
	}
}

// Limits takes what an answer says is left of the provider's rate limits.
func (t *Target) Limits(r Room, now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.room, t.roomAt = r, now
	if now.Sub(t.published) >= publishEvery {
		t.publish(now)
	}
}

// Rests reports whether a key may not be used, and until when.
func (t *Target) Rests(key string, now time.Time) (until time.Time, rests bool) {
	if t == nil {
		return time.Time{}, false
	}
	if p := t.shown.Load(); p == nil || len(p.breakers) == 0 {
		return time.Time{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.keys[key]
	if b == nil || b.share(now) > 0 {
		return time.Time{}, false
	}
	return b.until(), true
}

// publish shows what is known. The caller holds the lock.
func (t *Target) publish(now time.Time) {
	p := &shown{Signals: Signals{
		Weight:   t.success.weight * t.success.fade(now, halfSuccess),
		Success:  t.success.value(1),
		First:    Quantiles{t.first.Quantile(0.5), t.first.Quantile(0.95)},
		Total:    Quantiles{t.total.Quantile(0.5), t.total.Quantile(0.95)},
		PerToken: t.each.Quantile(0.5),
		Output:   t.output.value(0),
		Cached:   t.cached.value(0),
		Room:     t.room,
		Share:    1,
	}, roomAt: t.roomAt}
	if t.roomAt.IsZero() {
		p.Room = Room{Requests: -1, Tokens: -1}
	}
	p.closed = len(t.keys) == 0
	for _, b := range t.keys {
		if b.at(now) == Closed {
			p.closed = true
		} else {
			p.breakers = append(p.breakers, *b)
		}
	}
	if !p.closed {
		p.Share = 0
	}
	t.shown.Store(p)
	t.published = now
}
