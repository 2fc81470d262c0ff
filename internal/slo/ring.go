package slo

import "time"

// ring is sums of equal spans of time, of which the last ones are kept.
type ring struct {
	span time.Duration
	last int64 // the newest span that something was added to, counted from 1970
	sums []Sum // by span, modulo
}

func newRing(span, reach time.Duration) ring {
	return ring{span: span, sums: make([]Sum, reach/span)}
}

func (r *ring) index(t time.Time) int64 { return t.UnixNano() / int64(r.span) }

// add counts something at a time. What is older than all that is kept is left out.
func (r *ring) add(t time.Time, s Sum) { r.put(r.index(t), s) }

func (r *ring) put(at int64, s Sum) {
	n := int64(len(r.sums))
	if at <= r.last-n {
		return
	}
	if at > r.last {
		for i := max(r.last+1, at-n+1); i <= at; i++ {
			r.sums[i%n] = Sum{}
		}
		r.last = at
	}
	r.sums[at%n].add(s)
}

// sum returns what was counted in the spans that end with the one of a time, which has just begun.
func (r *ring) sum(t time.Time, d time.Duration) (out Sum) {
	n, end := int64(len(r.sums)), r.index(t)
	for i := max(end-int64(d/r.span)+1, r.last-n+1, 0); i <= min(end, r.last); i++ {
		out.add(r.sums[i%n])
	}
	return out
}

// kept returns the spans in which something was counted, oldest first.
func (r *ring) kept() (out []Span) {
	n := int64(len(r.sums))
	for i := max(r.last-n+1, 0); i <= r.last; i++ {
		if s := r.sums[i%n]; s != (Sum{}) {
			out = append(out, Span{i, s.N, s.Bad, s.All})
		}
	}
	return out
}

// restore adds spans that were kept. Those beyond now are of a clock that went wrong.
func (r *ring) restore(spans []Span, now time.Time) {
	for _, s := range spans {
		if s[0] >= 0 && s[0] <= r.index(now) && s[1] >= 0 && s[2] >= 0 && s[3] >= 0 {
			r.put(s[0], Sum{s[1], s[2], s[3]})
		}
	}
}

// Span is a span of time by its number from 1970 on, and a Sum's N, Bad and All.
type Span [4]int64
