package bpe

import (
	"bytes"
	"unicode/utf8"
)

// Long texts are merged in windows whose results are joined. That is exact: a sequence of tokens is what BPE
// makes of its text if, and only if, every two neighbours are what BPE makes of theirs (proven and used by
// github/rust-gems, crate bpe). Where the two tokens at a seam are not, tokens on both sides of it are merged
// again, together, until both ends of what that makes fit.
const (
	block   = 1 << 16 // bytes of a window where merging with a queue
	window  = 32      // bytes of a window where merging by looking for the lowest rank
	most    = 256     // bytes around a seam up to which merging by looking for the lowest rank is quicker
	kept4   = 128     // tokens of the result that seams of small windows may go back over
	runFrom = 1 << 12 // bytes from which on a run of the same bytes is continued by what repeats in it
	runOf   = 16      // of how many bytes, at most
)

// windows counts the tokens of a text of more than a few bytes.
func (e *Encoding) windows(p []byte, w *work) int {
	if len(p) >= runFrom {
		if n, ok := e.run(p, w); ok {
			return n
		}
	}
	if n, ok := e.smallWindows(p, w); ok {
		return n
	}
	w.parts = e.blocks(w.parts[:0], p, w)
	return len(w.parts)
}

// smallWindows counts with windows of a few bytes, and gives up where a seam is not closed soon.
func (e *Encoding) smallWindows(p []byte, w *work) (int, bool) {
	var room [few]part
	done := 0 // tokens before those in stack
	stack := w.parts[:0]
	for at := 0; at < len(p); {
		end := windowEnd(p, at, window)
		chunk := e.merge(e.begin(room[:0], p[at:end], at))
		var ok bool
		if stack, ok = e.join(stack, chunk, p, most, w); !ok {
			return 0, false
		}
		at = end
		if len(stack) > 2*kept4 {
			n := len(stack) - kept4
			done += n
			stack = stack[:copy(stack, stack[n:])]
		}
	}
	w.parts = stack[:0]
	return done + len(stack), true
}

// windowEnd returns where a window from at ends: not inside a character.
func windowEnd(p []byte, at, size int) int {
	end := at + size
	if end >= len(p) {
		return len(p)
	}
	for k := 0; k < 3 && !utf8.RuneStart(p[end]); k++ {
		end--
	}
	return end
}

// blocks appends the tokens of p, in blocks merged with a queue.
func (e *Encoding) blocks(stack []part, p []byte, w *work) []part {
	for at := 0; at < len(p); {
		end := windowEnd(p, at, block)
		chunk := e.queued(p[at:end], at, &w.queue)
		stack, _ = e.join(stack, chunk, p, len(p), w)
		at = end
	}
	return stack
}

// join appends chunk, tokens of p, to stack, those of what is before. It gives up where more
// than a number of bytes must be merged again.
func (e *Encoding) join(stack, chunk []part, p []byte, limit int, w *work) ([]part, bool) {
	if len(stack) == 0 || e.fit(stack[len(stack)-1].id, chunk[0].id) {
		return append(stack, chunk...), true
	}
	for left, right := 1, 1; ; {
		left, right = min(left, len(stack)), min(right, len(chunk))
		rest := stack[:len(stack)-left]
		from := 0
		switch {
		case len(rest) > 0:
			from = int(rest[len(rest)-1].end)
		case len(stack) >= kept4: // what was before is gone
			return stack, false
		}
		to := int(chunk[right-1].end)
		if to-from > limit {
			return stack, false
		}
		again := e.again(p[from:to], from, w)
		before := len(rest) == 0 || e.fit(rest[len(rest)-1].id, again[0].id)
		behind := right == len(chunk) || e.fit(again[len(again)-1].id, chunk[right].id)
		if before && behind {
			return append(append(rest, again...), chunk[right:]...), true
		}
		if !before {
			left *= 2
		}
		if !behind {
			right *= 2
		}
	}
}

// again merges the bytes around a seam.
func (e *Encoding) again(p []byte, from int, w *work) []part {
	if len(p) <= most {
		w.seam = e.merge(e.begin(w.seam[:0], p, from))
		return w.seam
	}
	return e.queued(p, from, &w.seamQueue)
}

// fit reports whether BPE makes the two tokens of their bytes: it undoes their merges, the latest first, and
// looks whether the tokens at the seam would have merged before those that came to be did.
func (e *Encoding) fit(a, b uint32) bool {
	limit := uint32(never)
	for {
		if r := e.pairs.rank(a, b); r < limit {
			return false
		}
		la, lb := e.parts[a], e.parts[b]
		single, singleB := la[0] == a, lb[0] == b
		switch {
		case single && singleB:
			return true
		case singleB || !single && a > b:
			limit, a = a, la[1]
		default: // of equal merges the left one comes first
			limit, b = b+1, lb[0]
		}
	}
}

// run counts a run of one character, or of the same few again and again. Where its tokens repeat, a longer run has more of
// those in the same place: no new neighbours come up.
func (e *Encoding) run(p []byte, w *work) (int, bool) {
	size := 1
	for !bytes.Equal(p[size:], p[:len(p)-size]) {
		if size++; size > runOf {
			return 0, false
		}
	}
	const begin = runFrom / 4
	length := begin - begin%size
	for range 2 {
		parts := e.queued(p[:length], 0, &w.queue)
		at := repeats(parts)
		if at < 0 {
			return 0, false
		}
		period := int(parts[at].end) - int(parts[at-1].end)
		if period%size != 0 {
			return 0, false
		}
		rest := len(p) - length
		if rest%period == 0 {
			return len(parts) + rest/period, true
		}
		length += rest % period // with which the second time the rest is whole periods, if they are the same
	}
	return 0, false
}

// repeats returns the second of two equal tokens in a row, near the middle, or -1.
func repeats(parts []part) int {
	for i := max(len(parts)/2, 2); i < len(parts); i++ {
		if parts[i].id == parts[i-1].id {
			return i
		}
	}
	for i := min(len(parts)/2, len(parts)-1); i >= 2; i-- {
		if parts[i].id == parts[i-1].id {
			return i
		}
	}
	return -1
}
