package memory

import "container/heap"

// queue gives things in the order in which they are due. Times mostly come in that order already, and then adding and taking
// cost the same whatever its length: those that are there are never moved, as that would hold up whoever asks meanwhile. The others go
// through a heap.
type queue[T any] struct {
	head, last *block[T] // ascending; nil: there was none yet
	at         int       // the first, in head
	n          int       // of them in all blocks
	rest       entries[T]
}

// block is a part of a queue. It is as long as the queue was, within bounds, so that a short queue is small.
type block[T any] struct {
	all  []entry[T]
	next *block[T]
}

// Bounds of a block, in entries.
const shortest, longest = 16, 512

// entry is a thing that is due at a time, in Unix milliseconds.
type entry[T any] struct {
	due   int64
	thing T
}

// add enters a thing at its time.
func (q *queue[T]) add(due int64, thing T) {
	e := entry[T]{due, thing}
	if q.n > 0 && q.last.all[len(q.last.all)-1].due > due {
		heap.Push(&q.rest, e)
		return
	}
	if q.last == nil || len(q.last.all) == cap(q.last.all) {
		q.lengthen()
	}
	q.last.all = append(q.last.all, e)
	q.n++
}

// lengthen adds a block.
func (q *queue[T]) lengthen() {
	b := &block[T]{all: make([]entry[T], 0, min(max(q.n, shortest), longest))}
	if q.last == nil {
		q.head = b
	} else {
		q.last.next = b
	}
	q.last = b
}

// ordered reports whether the first is in the blocks.
func (q *queue[T]) ordered() bool {
	return q.n > 0 && (len(q.rest) == 0 || q.head.all[q.at].due <= q.rest[0].due)
}

// peek returns the first; nil: there is none.
func (q *queue[T]) peek() *entry[T] {
	switch {
	case q.ordered():
		return &q.head.all[q.at]
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
	if !q.ordered() {
		return heap.Pop(&q.rest).(entry[T]).thing
	}
	e := q.head.all[q.at]
	q.head.all[q.at] = entry[T]{}
	q.at, q.n = q.at+1, q.n-1
	switch {
	case q.n == 0: // of what a rush needed only this block is left
		q.head.all, q.at = q.head.all[:0], 0
	case q.at == len(q.head.all):
		q.head, q.at = q.head.next, 0
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
