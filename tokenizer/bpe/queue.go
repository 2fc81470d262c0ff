package bpe

import "github.com/signalbox-ai/signalbox/tokenizer/heap"

// queue is what merging with a queue of the possible merges needs: time grows with the text's length times
// its logarithm, whatever the text.
type queue struct {
	parts []part
	next  []uint32 // the part behind, by position; the last one has the number of parts
	prev  []uint32
	heap  heap.Queue // rank and position of merges, some of which are no longer possible
}

// queued returns the tokens of p, which begins at offset from. They are good until the queue is used again.
func (e *Encoding) queued(p []byte, from int, q *queue) []part {
	q.parts = e.begin(q.parts[:0], p, from)
	n := uint32(len(q.parts))
	q.next, q.prev, q.heap = q.next[:0], q.prev[:0], q.heap[:0]
	for i := range n {
		q.next, q.prev = append(q.next, i+1), append(q.prev, i-1)
	}
	for i := range q.parts {
		if q.parts[i].rank != never {
			q.heap = append(q.heap, uint64(q.parts[i].rank)<<32|uint64(i))
		}
	}
	q.heap.Init()
	for len(q.heap) > 0 {
		top := q.heap.Pop()
		if i := uint32(top); q.parts[i].rank == uint32(top>>32) {
			e.mergeAt(i, n, q)
		}
	}
	return q.rest(n)
}

// mergeAt merges the part at i with the one behind it.
func (e *Encoding) mergeAt(i, n uint32, q *queue) {
	a := &q.parts[i]
	gone := q.next[i]
	after := q.next[gone]
	a.id, a.end, a.rank = a.rank, q.parts[gone].end, never
	q.parts[gone].rank = never
	q.next[i] = after
	if after < n {
		q.prev[after] = i
		if a.rank = e.pairs.rank(a.id, q.parts[after].id); a.rank != never {
			q.heap.Push(uint64(a.rank)<<32 | uint64(i))
		}
	}
	if before := q.prev[i]; before < n {
		b := &q.parts[before]
		if b.rank = e.pairs.rank(b.id, a.id); b.rank != never {
			q.heap.Push(uint64(b.rank)<<32 | uint64(before))
		}
	}
}

// rest moves the parts that are left to the front.
func (q *queue) rest(n uint32) []part {
	out := q.parts[:0]
	for i := uint32(0); i < n; i = q.next[i] {
		out = append(out, q.parts[i])
	}
	return out
}
