package queue

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
	"github.com/signalbox-ai/signalbox/internal/telemetry"
)

// Queue is safe for concurrent use. A nil Queue lets everybody in.
type Queue struct {
	now   func() time.Time
	count *telemetry.QueueMeters // nil: nothing is counted
	tight atomic.Int64           // lanes and pools that may hold somebody back: 0 is the usual

	mu    sync.Mutex
	set   Settings
	lanes map[Lane]*lane
	pools map[string]*pool
	order order
	timer *time.Timer
	due   time.Time // when the timer runs
}

// New makes a Queue that nobody may wait in, before Configure.
func New(now func() time.Time, count *telemetry.QueueMeters) *Queue {
	if now == nil {
		now = time.Now
	}
	return &Queue{now: now, count: count, lanes: map[Lane]*lane{}, pools: map[string]*pool{}}
}

// Configure puts settings in place. Who waits goes on waiting.
func (q *Queue) Configure(s Settings) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.set = s
	for name, l := range s.Limits {
		if q.pools[name] == nil && l.any() {
			q.pools[name] = &pool{}
		}
	}
	for name, p := range q.pools { // one that is not limited any more still counts who runs
		p.limit(s.Limits[name], now)
	}
	for _, l := range q.lanes {
		l.pool = q.poolOf(l.name)
	}
	q.tighten()
	q.dispatch(now)
}

// poolOf returns the pool that a lane draws on; nil: none.
func (q *Queue) poolOf(l Lane) *pool {
	if q.set.Mine != nil && !q.set.Mine(l) {
		return nil
	}
	return q.pools[l.Provider]
}

// tighten counts what may hold somebody back.
func (q *Queue) tighten() { q.tight.Store(int64(len(q.lanes) + len(q.pools))) }

// Pass is room that was taken at a lane. The zero Pass is of a lane without any bound.
type Pass struct {
	lane   *lane
	pool   *pool
	tokens int64
	at     time.Time
}

// Lane returns where the pass is for.
func (p Pass) Lane() Lane {
	if p.lane == nil {
		return Lane{}
	}
	return p.lane.name
}

// Tokens returns how many tokens were expected.
func (p Pass) Tokens() int64 { return p.tokens }

// Of reports whether the pass is one for a lane.
func (p Pass) Of(l Lane) bool { return p.lane != nil && p.lane.name == l }

// Longest returns how long a request of a class may wait.
func (q *Queue) Longest(c Class) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.set.Waits[c]
}

// Counts reports whether a provider's tokens are limited.
func (q *Queue) Counts(provider string) bool {
	if q == nil || q.tight.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.pools[provider]
	return p != nil && p.Limits.Tokens > 0
}

// most bounds the lanes that are remembered: names of models may come from clients.
const most = 8192

// lane finds a lane, or makes one. nil: it has no bound, and there is no room for it.
func (q *Queue) lane(name Lane, now time.Time) *lane {
	if l := q.lanes[name]; l != nil {
		return l
	}
	if len(q.lanes) >= most {
		for n, l := range q.lanes {
			if l.loose(now) {
				delete(q.lanes, n)
			}
		}
		if len(q.lanes) >= most {
			return nil
		}
	}
	l := &lane{name: name, pool: q.poolOf(name)}
	q.lanes[name] = l
	q.tighten()
	return l
}

// find returns a lane if it may hold somebody back; nil: it does not.
func (q *Queue) find(name Lane, now time.Time) *lane {
	l := q.lanes[name]
	if l != nil && l.pool == nil && l.loose(now) {
		delete(q.lanes, name)
		q.tighten()
		return nil
	}
	if l == nil && q.poolOf(name) != nil {
		return q.lane(name, now)
	}
	return l
}

// Full reports whether a lane has no room, and until when at least.
func (q *Queue) Full(name Lane) (until time.Time, full bool) {
	if q == nil || q.tight.Load() == 0 {
		return time.Time{}, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	l := q.find(name, now)
	if l == nil {
		return time.Time{}, false
	}
	if until = l.opens(0, now); until.After(now) {
		return until, true
	}
	return now, q.claimed(l)
}

// claimed reports whether somebody waits for what a lane has.
func (q *Queue) claimed(l *lane) bool {
	if l.waiting > 0 || l.pool == nil || q.order.n == 0 {
		return l.waiting > 0
	}
	for _, o := range q.lanes {
		if o.pool == l.pool && o.waiting > 0 {
			return true
		}
	}
	return false
}

// Enter takes room at a lane, if it has some and nobody waits for it.
func (q *Queue) Enter(name Lane, tokens int64) (Pass, bool) {
	if q == nil || q.tight.Load() == 0 {
		return Pass{}, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	l := q.find(name, now)
	switch {
	case l == nil:
		return Pass{}, true
	case l.opens(tokens, now).After(now) || q.claimed(l):
		return Pass{}, false
	}
	return take(l, tokens, now), true
}

// Force takes room that may not be there: of an attempt that is made in any case.
func (q *Queue) Force(name Lane, tokens int64) Pass {
	if q == nil || q.tight.Load() == 0 {
		return Pass{}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	l := q.find(name, now)
	if l == nil {
		return Pass{}
	}
	l.opens(tokens, now)
	return take(l, tokens, now)
}

func take(l *lane, tokens int64, now time.Time) Pass {
	l.take(tokens)
	return Pass{lane: l, pool: l.pool, tokens: tokens, at: now}
}

// Leave ends what a pass was for: its place is free. It is called once for each pass.
func (q *Queue) Leave(p Pass) {
	if q == nil || p.pool == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	p.pool.running--
	p.pool.held = mean(p.pool.held, now.Sub(p.at).Seconds())
	q.dispatch(now)
}

// Correct says how many tokens were used under a pass.
func (q *Queue) Correct(p Pass, used int64) {
	if q == nil || p.pool == nil || used == p.tokens {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	p.pool.tokens.fill(now)
	p.pool.tokens.take(float64(used - p.tokens))
	p.pool.tokens.level = min(p.pool.tokens.level, p.pool.tokens.room)
	q.dispatch(now)
}

// Back gives back all that a pass took: nothing was sent.
func (q *Queue) Back(p Pass) {
	if q == nil || p.lane == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if p.lane.pacing {
		p.lane.bucket.take(-1)
	}
	if p.pool != nil {
		p.pool.requests.take(-1)
		p.pool.tokens.take(-float64(p.tokens))
		p.pool.running--
	}
	q.dispatch(now)
}

// Refused takes a provider's refusal for too many requests: it wants to be spared for a while.
func (q *Queue) Refused(name Lane, after time.Duration) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if q.set.Longest() == 0 {
		return
	}
	if l := q.lane(name, now); l != nil {
		l.refuse(after, now)
		q.dispatch(now)
	}
}

// tightBelow is the share of a limit from which on what a provider says of it sets the pace.
const tightBelow = 0.1

// Told takes what a provider says of its limit of requests: left of so many, all of which are back in a while. It
// reports whether the pace is kept by that.
func (q *Queue) Told(name Lane, limit, left int64, full time.Duration) bool {
	if q == nil || limit <= 0 || full <= 0 {
		return false
	}
	near := float64(left) < tightBelow*float64(limit)
	if !near && q.tight.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	if q.set.Longest() == 0 || !near && q.lanes[name] == nil {
		return false
	}
	l := q.lane(name, now)
	if l == nil {
		return false
	}
	l.tell(limit, left, full, now)
	q.dispatch(now)
	return true
}

// Wait waits until there is room at one of a request's lanes, and takes it. It returns an *llm.Error where that would
// take longer than the request may wait, does take longer, or others go before; or where the context ends. waited is 0
// only for who was not let wait.
func (q *Queue) Wait(ctx context.Context, want Want) (pass Pass, waited time.Duration, err error) {
	w := &waiter{Want: want, in: make(chan Pass, 1), out: make(chan string, 1)}
	if err := q.join(w); err != nil {
		q.counted(w, err.Reason, 0)
		return Pass{}, 0, err
	}
	late := time.NewTimer(w.Until.Sub(w.began))
	defer late.Stop()
	result := "expired"
	select {
	case pass = <-w.in:
		result = "admitted"
	case result = <-w.out:
	case <-ctx.Done():
		result = "left"
	case <-late.C:
	}
	return q.leave(w, pass, result)
}

// leave ends a wait.
func (q *Queue) leave(w *waiter, pass Pass, result string) (Pass, time.Duration, error) {
	q.mu.Lock()
	now := q.now()
	waited := max(now.Sub(w.began), 1)
	if result == "left" || result == "expired" {
		if !q.order.remove(w) { // at the same moment
			select {
			case pass = <-w.in:
				if result == "expired" {
					result = "admitted"
				}
			case result = <-w.out:
			}
		} else {
			q.dispatch(now) // it may have stood before others
		}
	}
	after := q.estimate(w, now)
	q.mu.Unlock()
	if result == "left" && pass.lane != nil {
		q.Back(pass)
	}
	q.counted(w, result, waited)
	switch result {
	case "admitted":
		return pass, waited, nil
	case "left":
		return Pass{}, waited, &llm.Error{Code: llm.CodeReset, Op: op, Message: "the client has left"}
	case "displaced":
		return Pass{}, waited, shed("queue_displaced", "more important requests took the places in the queue", after)
	}
	return Pass{}, waited, shed("queue_timeout", "none had room within the time that the request may wait", after)
}

// join puts a waiter in line.
func (q *Queue) join(w *waiter) *llm.Error {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	w.began = now
	if t := now.Add(q.set.Waits[w.Class]); t.Before(w.Until) || w.Until.IsZero() {
		w.Until = t
	}
	for _, at := range w.Lanes {
		if l := q.lane(at.Lane, now); l != nil {
			if at.Rests.After(l.rests) {
				l.rests = at.Rests
			}
			w.lanes = append(w.lanes, l)
		}
	}
	if len(w.lanes) == 0 {
		return shed("queue_full", "too many wait already", time.Second)
	}
	if now.Add(q.wait(w, now)).After(w.Until) {
		return shed("queue_too_long", "the wait for room would be too long", q.estimate(w, now))
	}
	for q.order.n >= q.set.Most || q.order.bytes+w.Bytes > q.set.Bytes {
		last := q.order.last(w.Class)
		if last == nil {
			return shed("queue_full", "too many wait already", q.estimate(w, now))
		}
		q.order.remove(last)
		last.out <- "displaced"
	}
	q.order.join(w)
	q.dispatch(now)
	return nil
}

// wait is how long a waiter has to wait, as far as can be told, by its team's turns.
func (q *Queue) wait(w *waiter, now time.Time) time.Duration {
	_, fair := q.order.ahead(w)
	return q.until(w, fair, now)
}

// estimate is in how long one that came with what w wants would find room, all others before it.
func (q *Queue) estimate(w *waiter, now time.Time) time.Duration {
	n, _ := q.order.ahead(&waiter{Want: Want{Team: w.Team, Class: Batch, Tokens: w.Tokens, Until: never}, lanes: w.lanes})
	return q.until(w, n, now)
}

// until is in how long there is room at one of a waiter's lanes for it and n others.
func (q *Queue) until(w *waiter, n int, now time.Time) time.Duration {
	first, pace := never, 0.0
	for i, l := range w.lanes {
		at := l.opens(w.Tokens, now)
		if at.Equal(never) && l.pool.held > 0 {
			at = now.Add(time.Duration(l.pool.held / float64(l.pool.Parallel) * float64(time.Second)))
		}
		if at.Before(first) {
			first = at
		}
		if l.pool == nil || !pooled(l, w.lanes[:i]) {
			pace += l.pace()
		}
	}
	if first.Equal(never) { // nobody knows how long those take that run
		return time.Second
	}
	d := first.Sub(now)
	if n > 0 && pace > 0 && !math.IsInf(pace, 1) {
		d += time.Duration(min(float64(n)/pace, 1e6) * float64(time.Second))
	}
	return max(d, 0)
}

// dispatch lets in all that can go, and sees to the next time.
func (q *Queue) dispatch(now time.Time) {
	for q.order.n > 0 {
		w, l := q.order.next(now)
		if w == nil {
			break
		}
		q.order.remove(w)
		w.in <- take(l, w.Tokens, now)
	}
	if q.count != nil {
		q.count.Waiting(q.order.n, q.order.bytes)
	}
	if q.order.n == 0 {
		if q.timer != nil {
			q.timer.Stop()
		}
		q.due = time.Time{}
		return
	}
	next := never
	q.order.each(func(w *waiter) {
		for _, l := range w.lanes {
			if at := l.opens(w.Tokens, now); at.Before(next) {
				next = at
			}
		}
	})
	if next.Equal(never) || next.Equal(q.due) {
		return
	}
	q.due = next
	d := max(next.Sub(now), time.Millisecond)
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.wake)
	} else {
		q.timer.Reset(d)
	}
}

// wake lets in who can go now.
func (q *Queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = time.Time{}
	q.dispatch(q.now())
}

func (q *Queue) counted(w *waiter, result string, waited time.Duration) {
	if q.count != nil {
		q.count.Waited(w.Class.String(), result, waited)
	}
}
