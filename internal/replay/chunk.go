package replay

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// chunks cuts an answer's body as p says. Joined, the pieces are the body.
func chunks(p *Pace, kind string, body []byte) iter.Seq[[]byte] {
	if n, _ := p.size(); n > 0 {
		return pieces(body, func(b []byte) int { return n })
	}
	if p.Chunk == "whole" {
		return pieces(body, func(b []byte) int { return len(b) })
	}
	switch kind {
	case "sse":
		return pieces(body, endOfEvent)
	case "ndjson":
		return pieces(body, func(b []byte) int { return bytes.IndexByte(b, '\n') + 1 })
	case "eventstream-b64":
		return pieces(body, endOfFrame)
	default:
		return pieces(body, func(b []byte) int { return len(b) })
	}
}

// pieces cuts body where end, given the rest, says; 0 or too much means the rest.
func pieces(body []byte, end func([]byte) int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(body) > 0 {
			n := end(body)
			if n <= 0 || n > len(body) {
				n = len(body)
			}
			if !yield(body[:n]) {
				return
			}
			body = body[n:]
		}
	}
}

// endOfEvent returns the offset behind the first empty line, whatever the line ends are, or 0.
func endOfEvent(b []byte) int {
	empty := false // the line at i has no bytes so far, and a line came before it
	for i := 0; i < len(b); {
		n := 0
		switch {
		case b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n':
			n = 2
		case b[i] == '\n' || b[i] == '\r':
			n = 1
		}
		if n == 0 {
			empty = false
			i++
			continue
		}
		i += n
		if empty {
			return i
		}
		empty = true
	}
	return 0
}

// endOfFrame returns the length of the first event-stream frame, which its first four bytes state.
func endOfFrame(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	return int(min(binary.BigEndian.Uint32(b), 1<<30))
}
