package slo

import (
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Tracker counts for objectives. The zero value has none, and costs its callers a look at a pointer. It is safe for
// concurrent use.
type Tracker struct {
	setting sync.Mutex // held while objectives change
	all     atomic.Pointer[[]*tracked]
}

// Target is a model at a provider.
type Target struct{ Provider, Model string }

// tracked is an objective with its counts.
type tracked struct {
	Objective
	burns atomic.Pointer[map[Target]float64] // as of the last Refresh

	mu      sync.Mutex
	minutes ring // 6 hours
	hours   ring // the window
	targets map[Target]*ring
	told    Sum // that Delta has not returned
}

// mostTargets bounds what is kept for an objective: names of models may come from clients.
const mostTargets = 1024

func track(o Objective) *tracked {
	return &tracked{Objective: o, minutes: newRing(time.Minute, spans[Hours6].of), hours: newRing(time.Hour, max(o.Window, spans[Days3].of)), targets: map[Target]*ring{}}
}

// Set puts objectives in the place of those before. What was counted for one that is the same but for its goal and window
// counts on.
func (t *Tracker) Set(objectives []Objective, now time.Time) {
	t.setting.Lock()
	defer t.setting.Unlock()
	var all []*tracked
	for _, o := range objectives {
		n := track(o)
		for _, old := range t.tracked() {
			if old.same(&o) {
				old.mu.Lock()
				n.minutes, n.targets, n.told = old.minutes, old.targets, old.told
				n.hours.restore(old.hours.kept(), now)
				n.burns.Store(old.burns.Load())
				old.minutes, old.targets = newRing(time.Minute, time.Minute), map[Target]*ring{} // who still holds it counts for nothing
				old.mu.Unlock()
			}
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		t.all.Store(nil)
		return
	}
	t.all.Store(&all)
}

func (t *Tracker) tracked() []*tracked {
	if all := t.all.Load(); all != nil {
		return *all
	}
	return nil
}

// On reports whether there are objectives.
func (t *Tracker) On() bool { return t != nil && t.all.Load() != nil }

// Event is an exchange, or an attempt of one, that ended.
type Event struct {
	Route  string
	Tags   map[string]string
	Target Target // of an attempt
	Failed bool   // by the service's or a provider's fault
	Left   bool   // the client went, or erred: it says nothing of success
	Stream bool
	First  time.Duration // to the first byte; 0: none came
	Total  time.Duration
}

// Judge says whether an event counts for an objective, and how; for Cost none does. Of an answer that nobody waited for, or that
// failed, the time counts as far as it was too long already.
func (o *Objective) Judge(e *Event) (s Sum, counts bool) {
	var bad bool
	broken := e.Failed || e.Left
	switch o.Kind {
	case Success:
		if e.Left {
			return s, false
		}
		bad = e.Failed
	case FirstToken:
		took := e.First
		if took == 0 {
			took, broken = e.Total, true
		}
		bad = took > o.Within
		if !e.Stream || broken && !bad {
			return s, false
		}
	case Total:
		bad = e.Total > o.Within
		if broken && !bad {
			return s, false
		}
	default:
		return s, false
	}
	s = Sum{N: 1, All: 1}
	if bad {
		s.Bad = 1
	}
	return s, true
}

// Faulty reports whether an answer's status is no fault of the client's.
func Faulty(status int) bool {
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// Exchange counts an exchange that ended at a time.
func (t *Tracker) Exchange(e *Event, now time.Time) {
	for _, o := range t.tracked() {
		if s, counts := o.Judge(e); counts && o.Scope.Holds(e.Route, e.Tags) {
			o.count(s, now)
		}
	}
}

// Attempt counts an attempt that ended at a time, for its target alone.
func (t *Tracker) Attempt(e *Event, now time.Time) {
	for _, o := range t.tracked() {
		if s, counts := o.Judge(e); counts && o.Scope.Holds(e.Route, e.Tags) {
			o.countAt(e.Target, s, now)
		}
	}
}

// Spent counts what an exchange cost, in nano-USD.
func (t *Tracker) Spent(route string, tags map[string]string, tokens, nano int64, now time.Time) {
	for _, o := range t.tracked() {
		if o.Kind == Cost && tokens > 0 && o.Scope.Holds(route, tags) {
			o.count(Sum{1, nano, tokens}, now)
		}
	}
}

// SpentAt counts what an attempt cost, for its target alone.
func (t *Tracker) SpentAt(route string, tags map[string]string, at Target, tokens, nano int64, now time.Time) {
	for _, o := range t.tracked() {
		if o.Kind == Cost && tokens > 0 && o.Scope.Holds(route, tags) {
			o.countAt(at, Sum{1, nano, tokens}, now)
		}
	}
}

func (o *tracked) count(s Sum, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.minutes.add(now, s)
	o.hours.add(now, s)
	o.told.add(s)
}

func (o *tracked) countAt(at Target, s Sum, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.targets[at]
	if r == nil {
		if len(o.targets) >= mostTargets {
			return
		}
		n := newRing(time.Minute, time.Hour)
		r = &n
		o.targets[at] = r
	}
	r.add(now, s)
}

// Status returns how every objective stands, in their order.
func (t *Tracker) Status(now time.Time) (out []Status) {
	for _, o := range t.tracked() {
		out = append(out, o.now(now))
	}
	return out
}

func (o *tracked) now(now time.Time) Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	var by [Windows]Sum
	for w := range by {
		if from := &o.minutes; w != Days3 {
			by[w] = from.sum(now, spans[w].of)
		} else {
			by[w] = o.hours.sum(now, spans[w].of)
		}
	}
	return o.status(o.hours.sum(now, o.Window), &by)
}

// Delta returns what was counted for every objective since it was last asked.
func (t *Tracker) Delta() (out []Counted) {
	for _, o := range t.tracked() {
		o.mu.Lock()
		s := o.told
		o.told = Sum{}
		o.mu.Unlock()
		out = append(out, Counted{o.Name, o.Kind, float64(s.Bad), float64(s.All) * o.Allow})
	}
	return out
}

// Counted is what was used of an error budget, and what was granted to it: their ratio is the burn of any time, over any
// number of processes.
type Counted struct {
	Name          string
	Kind          Kind
	Used, Granted float64
}

// Refresh finds anew what Burn returns, and forgets targets that were not tried for an hour.
func (t *Tracker) Refresh(now time.Time) {
	for _, o := range t.tracked() {
		burns := map[Target]float64{}
		o.mu.Lock()
		maps.DeleteFunc(o.targets, func(_ Target, r *ring) bool { return r.sum(now, time.Hour).N == 0 })
		for at, r := range o.targets {
			if b := o.recent(r, now); b > 0 {
				burns[at] = b
			}
		}
		o.mu.Unlock()
		o.burns.Store(&burns)
	}
}

// recent is the burn of the shortest window that has enough to say.
func (o *Objective) recent(r *ring, now time.Time) float64 {
	for _, w := range [...]int{Minutes5, Minutes30, Hour1} {
		if s := r.sum(now, spans[w].of); s.N >= Enough {
			return o.Burn(s)
		}
	}
	return 0
}

// Burn returns how fast a target burns the budgets of the objectives that a request falls under, the worst of them, as of
// the last Refresh: the burn of the last five minutes, half hour or hour, whichever is the shortest that had enough
// attempts. 0: nothing is known.
func (t *Tracker) Burn(route string, tags map[string]string, provider, model string) (burn float64) {
	if t == nil {
		return 0
	}
	for _, o := range t.tracked() {
		if burns := o.burns.Load(); burns != nil && o.Scope.Holds(route, tags) {
			burn = max(burn, (*burns)[Target{provider, model}])
		}
	}
	return burn
}

// Kept is the counts of an objective, as they are kept over restarts.
type Kept struct {
	Name    string              `json:"name"`
	Kind    string              `json:"objective"`
	Within  int64               `json:"within_ms,omitzero"`
	Routes  []string            `json:"routes,omitempty"`
	Tags    map[string][]string `json:"tags,omitempty"`
	Minutes []Span              `json:"minutes"`
	Hours   []Span              `json:"hours"`
}

// Keep returns the counts of all objectives.
func (t *Tracker) Keep() (out []Kept) {
	for _, o := range t.tracked() {
		o.mu.Lock()
		out = append(out, Kept{o.Name, o.Kind.String(), o.Within.Milliseconds(), o.Scope.Routes, o.Scope.Tags, o.minutes.kept(), o.hours.kept()})
		o.mu.Unlock()
	}
	return out
}

// Restore adds counts that were kept to the objectives that they are of.
func (t *Tracker) Restore(kept []Kept, now time.Time) {
	for _, o := range t.tracked() {
		for i := range kept {
			k := &kept[i]
			of := Objective{Name: k.Name, Kind: o.Kind, Within: time.Duration(k.Within) * time.Millisecond, Scope: Scope{k.Routes, k.Tags}}
			if k.Kind == o.Kind.String() && o.same(&of) {
				o.mu.Lock()
				o.minutes.restore(k.Minutes, now)
				o.hours.restore(k.Hours, now)
				o.mu.Unlock()
			}
		}
	}
}
