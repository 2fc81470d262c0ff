// Package limits reads what providers say of their rate limits, in the headers of every vendor's form, into one form:
// how much of each budget there is, how much is left, and when it is full again; and when to try again.
//
// It keeps nothing and decides nothing: internal/health lets keys rest, and routing chooses.
package limits

import (
	"iter"
	"time"

	"github.com/signalbox-ai/signalbox/internal/llm"
)

// Longest is the longest time that is read; what is longer is cut.
const Longest = 31 * 24 * time.Hour

// Budget is what a provider bounds for a while.
type Budget struct {
	Limit     llm.Count
	Remaining llm.Count
	Reset     time.Duration // until it is filled up; 0: not known, or now
}

// Spent reports whether nothing is left for now.
func (b *Budget) Spent() bool { return b.Remaining.Known && b.Remaining.N == 0 }

// Limits are what the headers of one answer say. Of budgets for several periods, as a minute and a day, the one that
// is nearest to its end counts.
type Limits struct {
	Requests Budget
	Input    Budget        // tokens of prompts
	Output   Budget        // tokens of answers
	Tokens   Budget        // both
	Retry    time.Duration // when the provider wants to be asked again; 0: it does not say
}

// Known reports whether any budget is known.
func (l *Limits) Known() bool {
	for _, b := range [...]*Budget{&l.Requests, &l.Input, &l.Output, &l.Tokens} {
		if b.Limit.Known || b.Remaining.Known {
			return true
		}
	}
	return false
}

// After returns when it makes sense to try again: when the provider says, or else when the last of the budgets
// that are spent is filled up. It is 0 where nothing says that one should wait.
func (l *Limits) After() time.Duration {
	if l.Retry > 0 {
		return l.Retry
	}
	return l.Wait()
}

// Wait returns until when a budget is spent, whatever the answer was: 0 where there is some left of each.
func (l *Limits) Wait() (d time.Duration) {
	for _, b := range [...]*Budget{&l.Requests, &l.Input, &l.Output, &l.Tokens} {
		if b.Spent() {
			d = max(d, b.Reset)
		}
	}
	return d
}

// Read reads headers: names in lower case, each once or several times, of which the first counts.
func Read(headers iter.Seq2[string, string], now time.Time) Limits {
	r := reader{now: now}
	for name, value := range headers {
		r.header(name, value)
	}
	return r.limits()
}

// what of a budget a header says.
type what uint8

const (
	limit what = iota
	remaining
	reset
	renewal // the length of the period
)

// which budget a header is about.
type which uint8

const (
	requests which = iota
	input
	output
	tokens
	budgets // how many there are
)

// period is for how long a budget is.
type period uint8

const (
	unsaid period = iota
	second
	minute
	hour
	day
	month
	periods // how many there are
)

// lengths are the periods' lengths. A budget that is spent and does not say when it is filled up is so at the
// period's end, at the latest.
var lengths = [periods]time.Duration{second: time.Second, minute: time.Minute, hour: time.Hour, day: 24 * time.Hour, month: Longest}

// cell is one budget for one period.
type cell struct {
	Budget
	renewal time.Duration
	seen    [4]bool // of what
}

type reader struct {
	now   time.Time
	cells [budgets][periods]cell
	retry [3]time.Duration // by how exact the header is
}

func (r *reader) header(name, value string) {
	if len(name) < len("ratelimit") || len(value) > 128 || len(name) > 64 {
		return
	}
	switch name {
	case "retry-after-ms", "x-ms-retry-after-ms":
		r.wait(0, milliseconds(value))
	case "retry-after":
		r.wait(1, delay(value, r.now))
	case "ratelimit": // draft-ietf-httpapi-ratelimit-headers, of several versions
		r.structured(value)
	default:
		if w, of, p, ok := find(name); ok {
			r.say(w, of, p, value)
		}
	}
}

func (r *reader) wait(rank int, d time.Duration) {
	if r.retry[rank] == 0 {
		r.retry[rank] = d
	}
}

// say notes what a header says, once.
func (r *reader) say(w what, of which, p period, value string) {
	c := &r.cells[of][p]
	if c.seen[w] {
		return
	}
	switch w {
	case limit, remaining:
		n, ok := count(value)
		if !ok {
			return
		}
		if w == limit {
			c.Limit = llm.Tokens(n)
		} else {
			c.Remaining = llm.Tokens(n)
		}
	case reset:
		c.Reset = moment(value, r.now)
	case renewal:
		c.renewal = moment(value, r.now)
	}
	c.seen[w] = true
}

// limits folds the periods of each budget into one.
func (r *reader) limits() (l Limits) {
	for of, to := range [budgets]*Budget{requests: &l.Requests, input: &l.Input, output: &l.Output, tokens: &l.Tokens} {
		tightest := -1
		for p := range r.cells[of] {
			c := &r.cells[of][p]
			if c.Spent() && c.Reset == 0 { // the period, where it does not say when
				if c.Reset = c.renewal; c.Reset == 0 {
					c.Reset = lengths[p]
				}
			}
			if c.seen != ([4]bool{}) && (tightest < 0 || tighter(&c.Budget, &r.cells[of][tightest].Budget)) {
				tightest = p
			}
		}
		if tightest >= 0 {
			*to = r.cells[of][tightest].Budget
		}
	}
	for _, d := range r.retry {
		if l.Retry == 0 {
			l.Retry = d
		}
	}
	return l
}

// tighter reports whether a is nearer to its end than b.
func tighter(a, b *Budget) bool {
	switch {
	case a.Spent() || b.Spent():
		return a.Spent() && (!b.Spent() || a.Reset > b.Reset)
	case !a.Remaining.Known || !b.Remaining.Known:
		return a.Remaining.Known
	case a.Limit.N > 0 && b.Limit.N > 0:
		return float64(a.Remaining.N)/float64(a.Limit.N) < float64(b.Remaining.N)/float64(b.Limit.N)
	}
	return a.Remaining.N < b.Remaining.N
}
