// Package heap is the queue of the merges that are possible, the lowest rank first. It is a heap of numbers of 64 bits and
// nothing else, without the calls through an interface that container/heap makes: it is what merging long texts spends its
// time in.
package heap

// Queue is a heap of numbers, of which each has up to four below it. The zero value is empty. Numbers may be appended
// before Init.
type Queue []uint64

// Init makes a heap of numbers that are in any order.
func (q Queue) Init() {
	for i := len(q)/4 + 1; i >= 0; i-- {
		q.down(i)
	}
}

// Push adds a number.
func (q *Queue) Push(x uint64) {
	h := append(*q, x)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 4
		if h[up] <= x {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
	*q = h
}

// Pop takes the least number, of which there must be one.
func (q *Queue) Pop() uint64 {
	h := *q
	least, last := h[0], len(h)-1
	h[0] = h[last]
	*q = h[:last]
	q.down(0)
	return least
}

// down moves what is at i to where nothing below it is less.
func (q Queue) down(i int) {
	if i >= len(q) {
		return
	}
	x := q[i]
	for {
		first := i*4 + 1
		if first >= len(q) {
			break
		}
		least := first
		for k := first + 1; k < min(first+4, len(q)); k++ {
			if q[k] < q[least] {
				least = k
			}
		}
		if q[least] >= x {
			break
		}
		q[i] = q[least]
		i = least
	}
	q[i] = x
}
