package traffic

import (
	"bytes"
	"testing"
)

func TestAnswersAreWholeInAnyPieces(t *testing.T) {
	stream := bytes.Join(openaiScript().bodies(t), nil)
	for _, c := range []struct {
		name   string
		body   []byte
		stream bool
		whole  bool
	}{
		{"a stream", stream, true, true},
		{"a stream without its end", stream[:len(stream)-len("data: [DONE]\n\n")], true, false},
		{"a stream without its middle", append(bytes.Clone(stream[:1000]), stream[len(stream)-1000:]...), true, false},
		{"an answer", []byte(prose), false, true},
		{"a short answer", []byte(prose[:100]), false, false},
	} {
		for _, size := range []int{1, 3, 8, 1000, 1 << 20} {
			var a answer
			for piece := range chunked(c.body, size) {
				a.see(piece)
			}
			if err := a.fault(c.stream); (err == nil) != c.whole {
				t.Errorf("%s in pieces of %d: got %v", c.name, size, err)
			}
		}
	}
}

func chunked(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// bodies returns the events of a script without the frames of HTTP.
func (s script) bodies(t *testing.T) (out [][]byte) {
	t.Helper()
	for _, f := range s.frames {
		_, rest, ok := bytes.Cut(f, []byte("\r\n"))
		body, _, end := bytes.Cut(rest, []byte("\r\n"))
		if !ok || !end {
			t.Fatalf("a frame without its length: %q", f)
		}
		out = append(out, body)
	}
	return out
}
