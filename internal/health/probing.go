package health

import (
	"cmp"
	"slices"
	"time"
)

// Probed is a probe that ended: an attempt that no client asked for.
type Probed struct {
	At   time.Time // zero: there was none
	Key  string
	What string // class of its error; "": it went well
	Harm bool   // that was by the target's fault
}

// Stand is how a key of a target stands, for whoever probes.
type Stand struct {
	State State
	Until time.Time // when one that is open is tried
	Full  bool      // its trials are all under way
	Since time.Time // of the state, as far as attempts have told
}

// Stand returns how a key stands at a time. One that was never used is closed.
func (t *Target) Stand(key string, now time.Time) Stand {
	if t == nil {
		return Stand{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.keys[key]
	if b == nil {
		return Stand{}
	}
	return Stand{State: b.at(now), Until: b.until(), Full: b.full(now), Since: b.since}
}

// Keep keeps the trials of a key for probes until a time, in place of clients' requests: until then Rests says that it
// rests, and Enter lets nobody in. An earlier time, as the zero one, takes that back. A key that was never used has none.
func (t *Target) Keep(key string, until time.Time, now time.Time) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.keys[key]; b != nil && !b.kept.Equal(until) {
		b.kept = until
		t.publish(now)
	}
}

// Quiet returns when an attempt at the target last began or ended, here or, as far as they tell, at another replica, and the
// last probe. Zero: none did. An attempt of which nothing more is heard is forgotten in time: it may be that the target is well,
// and who asked is gone.
func (t *Target) Quiet() (since time.Time, probe Probed) {
	if t == nil {
		return since, probe
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	since, probe = t.last(), t.probed
	if o := t.others; o != nil {
		since = later(since, o.ended)
		if o.probed.At.After(probe.At) {
			probe = o.probed
		}
	}
	return since, probe
}

// last is when an attempt last began or ended here. The caller holds the lock.
func (t *Target) last() time.Time {
	if n := t.begun.Load(); n > 0 {
		return later(t.ended, time.Unix(0, n))
	}
	return t.ended
}

// Ill returns the targets with a key that is not closed, by provider and model. Key is "".
func (t *Targets) Ill(now time.Time) (out []Subject) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for n, h := range t.of {
		p := h.shown.Load()
		if p != nil && slices.ContainsFunc(p.breakers, func(k keyed) bool { return k.at(now) != Closed }) {
			out = append(out, Subject{Provider: n.provider, Model: n.model})
		}
	}
	slices.SortFunc(out, func(a, b Subject) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Model, b.Model))
	})
	return out
}

// mostWord is the length of the name of an error's class at most.
const mostWord = 32

// mostQuiet is for how long it is told when a target was last asked.
const mostQuiet = time.Hour

// toldProbe is the last probe of a target.
type toldProbe struct {
	Key  string `json:"k"`
	What string `json:"c,omitzero"`
	Harm bool   `json:"h,omitzero"`
	Age  int64  `json:"a"`
}

// toldWell is a breaker that probes have closed.
type toldWell struct {
	Key    string `json:"k"`
	Tried  int64  `json:"t"` // since the first of its trials began
	Closed int64  `json:"l"` // since the last ended
}

// tellProbes adds what probes found, and when attempts ended. The caller holds the lock.
func (t *Target) tellProbes(one *toldTarget, now time.Time) {
	if at := t.last(); !at.IsZero() && now.Sub(at) < mostQuiet {
		age := now.Sub(at)
		one.Quiet = max(age.Milliseconds(), 1)
	}
	if p := &t.probed; !p.At.IsZero() && now.Sub(p.At) < mostQuiet {
		one.Probe = &toldProbe{p.Key, p.What, p.Harm, now.Sub(p.At).Milliseconds()}
	}
	for key, b := range t.keys {
		if b.proved && b.state == Closing && b.at(now) == Closing {
			one.Well = append(one.Well, toldWell{key, now.Sub(b.tried).Milliseconds(), now.Sub(b.since).Milliseconds()})
		}
	}
	slices.SortFunc(one.Well, func(a, b toldWell) int { return cmp.Compare(a.Key, b.Key) })
}

// hearProbes takes what somebody told at a time.
func (l *learnt) hearProbes(o *toldTarget, at time.Time) {
	if o.Quiet > 0 && o.Quiet < oldest.Milliseconds() {
		l.ended = later(l.ended, at.Add(-time.Duration(o.Quiet)*time.Millisecond))
	}
	if p := o.Probe; p != nil && len(p.What) <= mostWord && p.Age >= 0 && p.Age < oldest.Milliseconds() {
		if when := at.Add(-time.Duration(p.Age) * time.Millisecond); when.After(l.probed.At) {
			l.probed = Probed{At: when, Key: p.Key, What: p.What, Harm: p.Harm}
		}
	}
}

// follow closes a breaker, slowly, that probes of another replica have closed, where the first of those began after it
// opened.
func (t *Target) follow(o toldWell, age time.Duration, now time.Time) {
	closed := now.Add(-time.Duration(o.Closed)*time.Millisecond - age)
	if o.Closed < 0 || o.Tried < o.Closed || o.Tried > oldest.Milliseconds() || now.Sub(closed) >= rampTime {
		return
	}
	t.mu.Lock()
	b := t.keys[o.Key]
	changed := b != nil && b.heal(now.Add(-time.Duration(o.Tried)*time.Millisecond-age), closed, now)
	if changed {
		t.publish(now)
	}
	t.mu.Unlock()
	if changed {
		t.tell(o.Key, Closing)
	}
}

// heal closes it slowly from a time, if it is not closed and what tells that it is well began after it opened.
func (b *breaker) heal(tried, closed, now time.Time) bool {
	if s := b.at(now); s != Open && s != Trying || !tried.After(b.broke) {
		return false
	}
	b.state, b.since, b.trials, b.passed = Closing, closed, 0, 0
	return true
}
