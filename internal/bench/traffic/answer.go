package traffic

import (
	"bytes"
	"fmt"
)

// answer is what is kept of the body of an answer, so that it can be said whether it was whole.
type answer struct {
	size, lines int
	tail        [8]byte
}

// see takes the next piece.
func (a *answer) see(b []byte) {
	a.size += len(b)
	a.lines += bytes.Count(b, []byte{'\n'})
	if n := len(a.tail); len(b) >= n {
		copy(a.tail[:], b[len(b)-n:])
	} else {
		copy(a.tail[:], a.tail[len(b):])
		copy(a.tail[n-len(b):], b)
	}
}

// fault says what is missing of it.
func (a *answer) fault(stream bool) error {
	switch {
	case stream && (a.lines < 2*Chunks || !bytes.HasSuffix(bytes.TrimRight(a.tail[:], "\n"), []byte("DONE]"))):
		return fmt.Errorf("a stream of %d lines that ends in %q", a.lines, a.tail)
	case !stream && a.size < 512:
		return fmt.Errorf("an answer of %d bytes", a.size)
	}
	return nil
}
