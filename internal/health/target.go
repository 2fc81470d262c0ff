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
	halfLatency = 5 * time.Second
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
	Probe bool          // no client asked for it: how long it took is that of no client's request, and is not learnt
}

// Used is what a provider says that an exchange used.
type Used struct {
	Prompt, Cached, Output int64         // tokens
	Streaming              time.Duration // from the first byte to the last; 0: not known
}

// Target is the health of a model at a provider. A nil Target is one of which nothing is known. It is safe for
// concurrent use.
type Target struct {
	name
	shown    atomic.Pointer[shown]
	inFlight atomic.Int64
	begun    atomic.Int64                  // when the last attempt began, in Unix nanoseconds; 0: none did
	stale    atomic.Bool                   // more is learnt than shown
	change   *atomic.Pointer[func(Change)] // the table's

	mu sync.Mutex
	learnt
	others    *learnt // by other replicas, together; nil: none told
	keys      map[string]*breaker
	published time.Time
}

// learnt is what was learnt of a target.
type learnt struct {
	success mean
	first   sketch.Sketch
	total   sketch.Sketch
	each    sketch.Sketch // time for each token
	output  mean
	cached  mean
	room    Room
	roomAt  time.Time
	ended   time.Time // when the last attempt did
	probed  Probed    // the last probe
}

// shown is what decisions read, without waiting for anybody.
type shown struct {
	Signals
	breakers []keyed // of the keys that are not closed
	closed   bool    // a key is
	at       time.Time
	roomAt   time.Time
}

type keyed struct {
	key string
	breaker
}

// mean is a mean that forgets.
type mean struct {
	sum, weight float64
	at          time.Time
}

// add counts v, which weighs w.
func (m *mean) add(v, w float64, now time.Time, half time.Duration) {
	f := m.fade(now, half)
	m.sum, m.weight, m.at = m.sum*f+v*w, m.weight*f+w, later(m.at, now)
}

func (m *mean) fade(now time.Time, half time.Duration) float64 {
	return math.Exp2(-max(0, float64(now.Sub(m.at))/float64(half)))
}

// merge adds another mean.
func (m *mean) merge(o *mean, now time.Time, half time.Duration) {
	if o.weight > 0 {
		f := o.fade(now, half)
		m.add(o.value(0), o.weight*f, now, half)
	}
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

func newTarget(n name, change *atomic.Pointer[func(Change)]) *Target {
	t := &Target{name: n, keys: map[string]*breaker{}, change: change}
	t.forget()
	return t
}

// forget makes what was learnt nothing.
func (l *learnt) forget() {
	*l = learnt{}
	l.first.Half, l.total.Half, l.each.Half = halfLatency, halfLatency, halfLatency
}

// Signals returns what is known of the target at a time.
func (t *Target) Signals(now time.Time) Signals {
	if t == nil {
		return unknown
	}
	p := t.shown.Load()
	if p == nil {
		s := unknown
		s.InFlight = max(0, t.inFlight.Load())
		return s
	}
	if t.stale.Load() && now.Sub(p.at) >= publishEvery && t.mu.TryLock() {
		t.publish(now)
		t.mu.Unlock()
		p = t.shown.Load()
	}
	s := p.Signals
	s.InFlight = max(0, t.inFlight.Load())
	if age := now.Sub(p.at); age > 2*publishEvery {
		s.Weight *= math.Exp2(-float64(age) / float64(halfSuccess))
	}
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

// Begin counts an attempt with a key that begins. Each is followed by End or Drop.
func (t *Target) Begin(key string, now time.Time) { t.begin(key, now, true) }

// Enter does what Begin does, unless the key's breaker lets nobody in: then it does nothing, and reports false. Of many
// that ask at once, no more are let in than there are trials.
func (t *Target) Enter(key string, now time.Time) bool { return t.begin(key, now, false) }

func (t *Target) begin(key string, now time.Time, anyway bool) bool {
	if t == nil {
		return true
	}
	p := t.shown.Load()
	if p == nil || p.closed && len(p.breakers) == 0 {
		t.inFlight.Add(1)
		t.begun.Store(now.UnixNano())
		return true // nobody is at trial
	}
	t.mu.Lock()
	changed := false
	if b := t.keys[key]; b != nil {
		if !anyway && b.share(now) == 0 {
			t.mu.Unlock()
			return false
		}
		if b.at(now) == Trying {
			changed = b.begin(now)
			t.publish(now)
		}
	}
	t.inFlight.Add(1)
	t.begun.Store(now.UnixNano())
	t.mu.Unlock()
	if changed {
		t.tell(key, Trying)
	}
	return true
}

// Change is a breaker whose state is another since.
type Change struct {
	Provider, Model, Key string
	To                   State
}

// tell tells whoever watches the table. The caller does not hold the lock.
func (t *Target) tell(key string, to State) {
	if f := t.change.Load(); f != nil {
		(*f)(Change{t.provider, t.model, key, to})
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
	b := t.breaker(a.Key, now)
	passed := b.passed
	changed := b.end(now.Add(-a.Took), now, harmed)
	to := b.state
	t.ended = later(t.ended, now)
	if a.Probe {
		t.probed = Probed{At: now, Key: a.Key, Harm: harmed}
		if a.Code != llm.CodeNone {
			t.probed.What = a.Code.String()
		}
		b.proved = b.proved || b.passed > passed
	}
	well := 1.0
	if harmed {
		well = 0
	}
	t.success.add(well, 1, now, halfSuccess)
	if a.Code == llm.CodeNone && !a.Probe {
		if a.First > 0 {
			t.first.Add(a.First, now)
		}
		if a.Took > 0 {
			t.total.Add(a.Took, now)
		}
	}
	if changed || now.Sub(t.published) >= publishEvery || t.success.weight < 8 {
		t.publish(now)
	} else {
		t.stale.Store(true)
	}
	t.mu.Unlock()
	if changed {
		t.tell(a.Key, to)
	}
}

// mostKeys is from how many keys on those that are well and idle are forgotten: teams bring keys of their own.
const mostKeys = 256

// breaker returns the breaker of a key. The caller holds the lock.
func (t *Target) breaker(key string, now time.Time) *breaker {
	b := t.keys[key]
	if b != nil {
		return b
	}
	if len(t.keys) >= mostKeys {
		idle := now.Add(-breakWindow).UnixNano() / int64(breakWindow/breakParts)
		for k, b := range t.keys {
			if b.at(now) == Closed && b.part < idle {
				delete(t.keys, k)
			}
		}
	}
	b = &breaker{}
	t.keys[key] = b
	return b
}

// Drop takes back a Begin of which no end will be known.
func (t *Target) Drop(key string, now time.Time) {
	if t == nil {
		return
	}
	t.inFlight.Add(-1)
	if p := t.shown.Load(); p == nil || len(p.breakers) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.keys[key]; b != nil && b.state == Trying {
		b.drop()
		t.publish(now)
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
	t.stale.Store(true)
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
	} else {
		t.stale.Store(true)
	}
}

// Rests reports whether a key may not be used, and until when. While it closes slowly beside a key that is well, lot says
// whether it takes its share of the traffic: it is evenly drawn, and the same lot draws alike.
func (t *Target) Rests(key string, lot uint64, now time.Time) (until time.Time, rests bool) {
	if t == nil {
		return time.Time{}, false
	}
	p := t.shown.Load()
	if p == nil {
		return time.Time{}, false
	}
	for i := range p.breakers {
		b := &p.breakers[i]
		if b.key != key {
			continue
		}
		switch share := b.share(now); {
		case share == 0:
			return later(b.until(), b.kept), true
		case p.closed && share < 1 && float64(lot)/(1<<64) >= share: // with no key that is well, routing draws for the target
			return b.since.Add(rampTime), true
		}
		break
	}
	return time.Time{}, false
}

// publish shows what is known. The caller holds the lock.
func (t *Target) publish(now time.Time) {
	p := &shown{at: now}
	if t.others == nil {
		p.Signals, p.roomAt = t.signals(now), t.roomAt
	} else {
		all := t.learnt
		all.merge(t.others, now)
		p.Signals, p.roomAt = all.signals(now), all.roomAt
	}
	p.closed = len(t.keys) == 0
	for k, b := range t.keys {
		if b.at(now) == Closed {
			p.closed = true
		} else {
			p.breakers = append(p.breakers, keyed{k, *b})
		}
	}
	p.Share = 1
	if !p.closed {
		p.Share = 0
	}
	t.shown.Store(p)
	t.stale.Store(false)
	t.published = now
}

// signals are the figures of what was learnt.
func (l *learnt) signals(now time.Time) Signals {
	s := Signals{
		Weight:   l.success.weight * l.success.fade(now, halfSuccess),
		Success:  l.success.value(1),
		First:    Quantiles{l.first.Quantile(0.5), l.first.Quantile(0.95)},
		Total:    Quantiles{l.total.Quantile(0.5), l.total.Quantile(0.95)},
		PerToken: l.each.Quantile(0.5),
		Output:   l.output.value(0),
		Cached:   l.cached.value(0),
		Room:     l.room,
	}
	if l.roomAt.IsZero() {
		s.Room = unknown.Room
	}
	return s
}

// merge adds what was learnt elsewhere.
func (l *learnt) merge(o *learnt, now time.Time) {
	l.success.merge(&o.success, now, halfSuccess)
	l.output.merge(&o.output, now, halfUsage)
	l.cached.merge(&o.cached, now, halfUsage)
	l.first.Merge(&o.first, now)
	l.total.Merge(&o.total, now)
	l.each.Merge(&o.each, now)
	if o.roomAt.After(l.roomAt) {
		l.room, l.roomAt = o.room, o.roomAt
	}
}
