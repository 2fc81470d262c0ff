package memory

import "container/heap"

// queue gives things in the order in which they are due. Times mostly come in that order already, and then
// adding and taking cost the same whatever its length; the others go through a heap.
type queue[T any] struct {
	ring []entry[T] // a circle: from at, n of them, ascending
	at   int
	n    int
	rest entries[T]
}

// entry is a thing that is due at a time, in Unix milliseconds.
type entry[T any] struct {
	due   int64
	thing T
}

// add enters a thing at its time.
func (q *queue[T]) add(due int64, thing T) {
	e := entry[T]{due, thing}
	if q.n > 0 && q.ring[(q.at+q.n-1)%len(q.ring)].due > due {
		heap.Push(&q.rest, e)
		return
	}
	if q.n == len(q.ring) {
		more := make([]entry[T], max(64, 2*len(q.ring)))
		for i := range q.n {
			more[i] = q.ring[(q.at+i)%len(q.ring)]
		}
		q.ring, q.at = more, 0
	}
	q.ring[(q.at+q.n)%len(q.ring)] = e
	q.n++
}

// fromRing reports whether the first is in the ring.
func (q *queue[T]) fromRing() bool {
	return q.n > 0 && (len(q.rest) == 0 || q.ring[q.at].due <= q.rest[0].due)
}

// peek returns the first; nil: there is none.
func (q *queue[T]) peek() *entry[T] {
	switch {
	case q.fromRing():
		return &q.ring[q.at]
	case len(q.rest) > 0:
		return &q.rest[0]
	}
	return nil
}

// first returns when the first is due; ok is false where there is none.
func (q *queue[T]) first() (due int64, ok bool) {
	e := q.peek()
	if e == nil {
		return 0, false
	}
	return e.due, true
}

// take takes the first, of which there must be one.
func (q *queue[T]) take() T {
	if !q.fromRing() {
		return heap.Pop(&q.rest).(entry[T]).thing
	}
	e := q.ring[q.at]
	q.ring[q.at] = entry[T]{}
	q.at, q.n = (q.at+1)%len(q.ring), q.n-1
	if q.n == 0 && len(q.ring) > many { // what a rush needed is not kept for ever
		q.ring, q.at = nil, 0
	}
	return e.thing
}

// entries is a heap by time.
type entries[T any] []entry[T]

func (h entries[T]) Len() int           { return len(h) }
func (h entries[T]) Less(i, j int) bool { return h[i].due < h[j].due }
func (h entries[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push adds an entry.
func (h *entries[T]) Push(x any) { *h = append(*h, x.(entry[T])) }

// Pop removes the last entry.
func (h *entries[T]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = entry[T]{}
	*h = (*h)[:last]
	return e
}
