package memory

import (
	"container/heap"

	"github.com/signalbox-ai/signalbox/internal/quota"
)

// queue gives records in the order in which they are due. Times mostly come in that order already, and then
// adding and taking cost the same whatever its length; the others go through a heap.
type queue struct {
	ring  []entry // a circle: from first, n of them, ascending
	first int
	n     int
	rest  entries
}

// entry stands for a record as it was: one whose record has another time or turn is passed over, but for a reservation that was
// extended, which goes in again at its new time. So each is in the queue once, however often it is extended.
type entry struct {
	due    int64
	record *record
	turn   uint32
}

func (e entry) stale() bool { return e.record.turn != e.turn || e.record.due != e.due }

// extended reports whether it stands for a reservation that is open for longer since.
func (e entry) extended() bool {
	return e.record.turn == e.turn && e.record.state == quota.Pending && e.record.due > e.due
}

// add enters a record at its time.
func (q *queue) add(r *record) {
	e := entry{r.due, r, r.turn}
	if q.n > 0 && q.ring[(q.first+q.n-1)%len(q.ring)].due > e.due {
		heap.Push(&q.rest, e)
		return
	}
	if q.n == len(q.ring) {
		more := make([]entry, max(64, 2*len(q.ring)))
		for i := range q.n {
			more[i] = q.ring[(q.first+i)%len(q.ring)]
		}
		q.ring, q.first = more, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = e
	q.n++
}

// next takes the first record that is due at now, or nil.
func (q *queue) next(now int64) *record {
	for {
		var e entry
		switch {
		case q.n > 0 && (len(q.rest) == 0 || q.ring[q.first].due <= q.rest[0].due):
			if e = q.ring[q.first]; e.due > now && !e.stale() {
				return nil
			}
			q.ring[q.first] = entry{}
			q.first, q.n = (q.first+1)%len(q.ring), q.n-1
		case len(q.rest) > 0:
			if e = q.rest[0]; e.due > now && !e.stale() {
				return nil
			}
			heap.Pop(&q.rest)
		default:
			return nil
		}
		switch {
		case !e.stale():
			return e.record
		case e.extended():
			q.add(e.record)
		}
	}
}

// entries is a heap by time.
type entries []entry

func (h entries) Len() int           { return len(h) }
func (h entries) Less(i, j int) bool { return h[i].due < h[j].due }
func (h entries) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push adds an entry.
func (h *entries) Push(x any) { *h = append(*h, x.(entry)) }

// Pop removes the last entry.
func (h *entries) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = entry{}
	*h = (*h)[:last]
	return e
}
