package queue

import (
	"math"
	"time"
)

// bucket is room that comes back evenly. What is taken may be more than there is: then the next wait until it is paid.
type bucket struct {
	rate  float64 // that comes back in a second; 0: it has no bound
	room  float64 // the most that there may be
	level float64
	at    time.Time
}

// perMinute makes a bucket that lets through no more than a limit in any minute, a twentieth of it at once.
func perMinute(limit int, now time.Time) bucket {
	room := max(1, math.Floor(float64(limit)/20))
	return bucket{rate: (float64(limit) - room + 1) / 60, room: room, level: room, at: now}
}

// fill brings the level up to a time.
func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.level = min(b.room, b.level+d*b.rate)
		b.at = now
	}
}

// opens returns when n may be taken. What is more than the bucket ever holds may be taken when it is full.
func (b *bucket) opens(n float64, now time.Time) time.Time {
	if b.rate == 0 {
		return now
	}
	b.fill(now)
	lacks := min(n, b.room) - b.level
	if lacks <= 1e-9 {
		return now
	}
	return now.Add(time.Duration(math.Ceil(lacks / b.rate * 1e9)))
}

func (b *bucket) take(n float64) {
	if b.rate > 0 {
		b.level -= n
	}
}

// pool is the configured limits of a provider.
type pool struct {
	Limits
	requests, tokens bucket
	running          int
	held             float64 // seconds that a place is held, mean; 0: not known
	asks             float64 // tokens of a request, mean
}

// limit puts limits in place. What was taken under the old ones counts.
func (p *pool) limit(l Limits, now time.Time) {
	if p.Requests != l.Requests {
		p.requests = bucket{}
		if l.Requests > 0 {
			p.requests = perMinute(l.Requests, now)
		}
	}
	if p.Tokens != l.Tokens {
		p.tokens = bucket{}
		if l.Tokens > 0 {
			p.tokens = perMinute(l.Tokens, now)
		}
	}
	p.Limits = l
}

// opens returns when a request has room; never is the time of a place that somebody must leave first.
func (p *pool) opens(tokens int64, now time.Time) time.Time {
	if p.Parallel > 0 && p.running >= p.Parallel {
		return never
	}
	at := p.requests.opens(1, now)
	if t := p.tokens.opens(float64(tokens), now); t.After(at) {
		at = t
	}
	return at
}

func (p *pool) take(tokens int64) {
	p.requests.take(1)
	p.tokens.take(float64(tokens))
	p.running++
	p.asks = mean(p.asks, float64(tokens))
}

// pace is how many requests a second get in; +Inf: nobody knows of a bound.
func (p *pool) pace() float64 {
	v := math.Inf(1)
	if p.requests.rate > 0 {
		v = p.requests.rate
	}
	if p.tokens.rate > 0 && p.asks > 0 {
		v = min(v, p.tokens.rate/p.asks)
	}
	if p.Parallel > 0 && p.held > 0 {
		v = min(v, float64(p.Parallel)/p.held)
	}
	return v
}

// mean moves a mean by a tenth of the way to v.
func mean(old, v float64) float64 {
	if old == 0 {
		return v
	}
	return old + (v-old)/10
}

// never is later than any time.
var never = time.Unix(1<<40, 0)

// How a pace is found where a provider says no more than that there were too many (additive increase, multiplicative
// decrease, as in RFC 5681): it begins slowly, doubles, and past four fifths of where it was refused it grows by a
// twentieth of that in a second.
const (
	firstPace  = 1.0 // requests in a second
	leastPace  = 0.1
	growth     = 2.0
	near       = 0.8
	carefully  = 0.05
	looseAfter = time.Minute // without a refusal
)

// lane is the pace of a Lane, while it has one.
type lane struct {
	name    Lane
	pool    *pool // nil: none
	rests   time.Time
	pacing  bool // the bucket holds
	told    bool // its rate is the provider's own
	bucket  bucket
	ceiling float64 // the rate at which it was refused; 0: it was not
	grew    time.Time
	refused time.Time // when the provider last spoke of a limit
	waiting int
}

// loose reports whether the lane holds nobody back any more.
func (l *lane) loose(now time.Time) bool {
	return l.waiting == 0 && !l.rests.After(now) && now.Sub(l.refused) > looseAfter
}

// opens returns when a request has room.
func (l *lane) opens(tokens int64, now time.Time) time.Time {
	at := now
	if l.rests.After(now) {
		at = l.rests
	}
	if l.pacing {
		l.grow(now)
		if l.rests.After(now) {
			l.bucket.fill(now)
		}
		if t := l.bucket.opens(1, now); t.After(at) {
			at = t
		}
	}
	if l.pool != nil {
		if t := l.pool.opens(tokens, now); t.After(at) {
			at = t
		}
	}
	return at
}

// grow raises a pace that was guessed by the time that nobody was refused.
func (l *lane) grow(now time.Time) {
	from := l.grew
	if l.rests.After(from) {
		from = l.rests
	}
	if l.told || !now.After(from) {
		return
	}
	l.bucket.fill(now)
	s := now.Sub(from).Seconds()
	l.grew = now
	if edge := l.ceiling * near; l.ceiling == 0 || l.bucket.rate < edge {
		l.bucket.rate *= math.Pow(growth, min(s, 10))
		if l.ceiling > 0 {
			l.bucket.rate = min(l.bucket.rate, edge)
		}
	} else {
		l.bucket.rate += l.ceiling * carefully * s
	}
	l.bucket.room = max(1, math.Floor(l.bucket.rate))
}

// refuse takes a provider's word that there were too many, and that it wants to be spared for a while.
func (l *lane) refuse(after time.Duration, now time.Time) {
	l.refused = now
	again := now.Add(after)
	if l.rests.After(now) && l.pacing { // one of those that were sent before the first refusal
		if again.After(l.rests) {
			l.rests = again
		}
		return
	}
	if again.After(l.rests) {
		l.rests = again
	}
	switch {
	case !l.pacing:
		l.bucket = bucket{rate: firstPace, room: 1, level: 1, at: l.rests}
	case l.told: // its word was too good: the window is one that begins anew
		l.bucket.rate /= 2
		l.bucket.level, l.bucket.at = 1, l.rests
	default:
		l.ceiling = l.bucket.rate
		l.bucket = bucket{rate: max(leastPace, l.bucket.rate/2), room: 1, level: 1, at: l.rests}
	}
	l.pacing, l.grew = true, l.rests
}

// tell takes what a provider says is left of so many requests, all of which come back in a while.
func (l *lane) tell(limit, left int64, full time.Duration, now time.Time) {
	if limit <= 0 || full <= 0 || left >= limit {
		return
	}
	l.refused = now
	l.pacing, l.told = true, true
	rate := float64(limit-left) / full.Seconds()
	l.bucket = bucket{rate: rate, room: max(1, float64(left), math.Floor(rate)), level: float64(left), at: now}
}

func (l *lane) take(tokens int64) {
	if l.pacing {
		l.bucket.take(1)
	}
	if l.pool != nil {
		l.pool.take(tokens)
	}
}

// pace is how many requests a second get in; +Inf: nobody knows of a bound.
func (l *lane) pace() float64 {
	v := math.Inf(1)
	if l.pacing {
		v = l.bucket.rate
	}
	if l.pool != nil {
		v = min(v, l.pool.pace())
	}
	return v
}
